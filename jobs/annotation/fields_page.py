"""docs/fields.md, from the registry: `python -m jobs.annotation.fields_page > docs/fields.md`."""

import inspect
import tomllib
from collections.abc import Iterable, Iterator
from typing import Any

from .fields import OVERLAP_ONLY, Field
from .provenance import gene_fields, sequence_fields
from .reference import _track, default
from .reference.install import SOURCES
from .summary import Summary

HEAD = """\
# Fields

What GAS writes into a result: INFO fields, and names into the column ID. This page is made from what the code declares, by
`python -m jobs.annotation.fields_page > docs/fields.md`. The header of a result has the fields of the reference that it was
annotated with; those of a reference of your own are what its `reference.toml` says ([references.md](references.md)). All names
but `BCSQ` begin with `GAS_`; fields of an earlier run are replaced.

Values are as VCF 4.3 has them: `%2C` is a comma, `%3B` a semicolon, `%3D` an equals sign, `%20` a space, `%25` a per cent sign.
With `Number` A there is one value for each ALT allele, `.` where nothing was found.
"""
COLUMNS = ("Field", "Number", "Type", "Meaning", "Source", "Version", "Example")


def page() -> str:
    """The whole page."""
    return "\n".join(
        [
            HEAD,
            "## Of the engine\n",
            "`BCSQ`, names and codons need gene models and the sequence; genes and places the gene models alone.\n",
            *_rows([*sequence_fields(), *gene_fields("gene models of the reference", "theirs"), OVERLAP_ONLY]),
            "\n## Of the tracks of the GRCh38 that comes with the set-up\n",
            *_rows(_fields_of(default.TRACKS)),
            *_installable(),
            "\n## summary.json\n",
            f"```text\n{inspect.getdoc(Summary)}\n```\n",
        ]
    )


def _installable() -> Iterator[str]:
    for entry in tomllib.loads(SOURCES.read_text())["references"]:
        yield f"\n## Of the tracks of {entry['name']} from public sources (`manage.py reference install {entry['name']}`)\n"
        yield from _rows(_fields_of(entry["tracks"]))


def _fields_of(tracks: Iterable[dict[str, Any]]) -> Iterator[Field]:
    for entry in tracks:
        track = _track(entry)
        for declared in entry["fields"]:
            if declared.get("id"):
                version = str(entry.get("version", ""))
                yield Field(
                    "ID", "", "", declared["description"], entry["source"], version, declared.get("example", "")
                )
        yield from track.fields
        if track.overlap:
            yield track.overlap


def _rows(fields: Iterable[Field]) -> Iterator[str]:
    yield f"| {' | '.join(COLUMNS)} |"
    yield "|---" * len(COLUMNS) + "|"
    for field in fields:
        name, example = (_code(text) for text in (field.name, field.example))
        facts = [name, field.number, field.type, field.description, field.source, field.version]
        yield f"| {' | '.join([*(fact.replace('|', chr(92) + '|') for fact in facts), example])} |"


def _code(text: str) -> str:
    return f"`{text}`".replace("|", r"\|") if text else ""


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - what this program is for
