"""The chain files of a reference: what lifts records of another build over to its own.

They lie beside its versions, `<root>/<name>/chains/<build>-<first digits of its SHA-256>.chain` with `<build>.toml` that
says which file it is and where it came from; so they outlast a new version, and adding one does not change its digest.
"""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.annotation import builds
from jobs.annotation.errors import AnnotationError, from_os_error
from jobs.annotation.liftover.chain import Chain

from . import Reference, load, toml
from .digest import sha256_of

FAULT = "reference_missing"
ORIGIN = ("source", "version", "url", "licence")  # what may be told of a chain file besides
_BUILD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class ChainFile:
    """An installed chain file: `build` is where it leads from, `name` the name that its file came with."""

    build: str
    name: str
    path: Path
    sha256: str


def installed(reference: Reference) -> dict[str, ChainFile]:
    """The chain files of a reference by the build that they lead from."""
    return {path.stem: _described(path) for path in sorted(_folder(reference).glob("*.toml"))}


def has_bases(reference: Reference) -> bool:
    """Whether most of a reference has its sequence, without which no lifted record can be checked."""
    there = sum(contig.length for contig in reference.contigs if contig.bases_at >= 0)
    return 2 * there > sum(contig.length for contig in reference.contigs)


def find(build: str, names: Iterable[str]) -> tuple[Reference, ChainFile] | None:
    """The first of the named references that a chain file leads to from the build, and that has bases."""
    for reference in map(load, names):
        chain = installed(reference).get(build)
        if chain and has_bases(reference):
            return reference, chain
    return None


def add(reference: Reference, file: Path, build: str | None = None, origin: dict[str, Any] | None = None) -> ChainFile:
    """Keeps a copy of a chain file that leads to the reference, in place of an earlier one from the same build.

    `build` is where it leads from, such as GRCh37 or hg19; when left out, what its contig lengths tell. Raises
    AnnotationError when the file is damaged, or leads from or to other builds.
    """
    chain = Chain(file)
    build = _source_build(chain, file, build)
    _check_target(chain, file, reference)
    folder, digest = _folder(reference), sha256_of(file)
    copy = folder / f"{build}-{digest[:12]}.chain"
    facts = {"file": file.name, "chain": copy.name, "sha256": digest}
    facts |= {key: str(value) for key, value in (origin or {}).items() if key in ORIGIN}
    try:
        folder.mkdir(exist_ok=True)
        for path, content in ((copy, file.read_bytes()), (folder / f"{build}.toml", toml.dumps(facts).encode())):
            new = path.with_name(f".new-{path.name}")
            new.write_bytes(content)
            new.replace(path)
        for old in folder.glob(f"{build}-*.chain"):
            if re.fullmatch(rf"{re.escape(build)}-[0-9a-f]{{12}}\.chain", old.name) and old != copy:
                old.unlink()
    except OSError as error:
        raise from_os_error(error, f"the chain file {copy}") from error
    return ChainFile(build, file.name, copy, digest)


def verify(name: str, root: Path) -> list[str]:
    """What is wrong with the chain files of a reference, in sentences."""
    faults = []
    for path in sorted((root / name / "chains").glob("*.toml")):
        try:
            chain = _described(path)
            if sha256_of(chain.path) != chain.sha256:
                faults.append(f"{name}: chains/{chain.path.name} was changed or is damaged; its SHA-256 differs.")
        except AnnotationError as error:
            faults += error.faults
        except OSError as error:
            faults.append(f"{name}: chains/{chain.path.name} cannot be read: {error.strerror}.")
    return faults


def _folder(reference: Reference) -> Path:
    return reference.folder.parents[1] / "chains"


def _described(path: Path) -> ChainFile:
    """What `<build>.toml` says. Raises AnnotationError."""
    try:
        facts = tomllib.loads(path.read_text())
        chain = path.parent / Path(facts["chain"]).name
        return ChainFile(path.stem, str(facts["file"]), chain, str(facts["sha256"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        name = path.parent.parent.name
        raise AnnotationError(
            FAULT,
            f"{name}: chains/{path.name} is damaged. "
            f"Add the chain file again with: manage.py reference chain FILE --from {path.stem} --to {name}",
        ) from error


def _source_build(chain: Chain, file: Path, build: str | None) -> str:
    tells = builds.detect([b"##contig=<ID=%b,length=%d>" % contig for contig in chain.sources.items()]).build
    asked = builds.named_build(build or "") or build
    if tells and asked and builds.named_build(asked) not in (None, tells):
        raise AnnotationError(
            FAULT, f"The chain file {file.name} leads from {tells}, by its lengths, not from {asked}."
        )
    if not (found := asked or tells):
        raise AnnotationError(FAULT, f"The chain file {file.name} does not tell its build: name it with --from BUILD.")
    if not _BUILD.fullmatch(found):
        raise AnnotationError(FAULT, f"The build {found!r} may hold letters, digits, '.', '_' and '-' only.")
    return found


def _check_target(chain: Chain, file: Path, reference: Reference) -> None:
    known = {name: contig for name in chain.targets if (contig := reference.contig(name))}
    if not known:
        some = ", ".join(name.decode(errors="replace") for name in list(chain.targets)[:3])
        raise AnnotationError(
            FAULT, f"The chain file {file.name} leads to contigs that {reference.name} does not have ({some}...)."
        )
    for name, contig in known.items():
        if chain.targets[name] != contig.length:
            raise AnnotationError(
                FAULT,
                f"The chain file {file.name} does not lead to {reference.name} ({reference.build}): {contig.name} has "
                f"{chain.targets[name]:,} bp in it and {contig.length:,} bp in the reference.",
            )
