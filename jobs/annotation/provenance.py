"""The header of the result: the user's own, what was missing in it, what we added and from where."""

import re
from collections.abc import Iterable

from pysam.version import __bcftools_version__, __htslib_version__, __version__

from .consequences import CORRECTIONS
from .fields import CONSEQUENCE_FIELDS, GENE_FIELDS, HGVS_FIELDS, OVERLAP_ONLY, Field, is_ours
from .header import DECLARED
from .reference import Reference
from .scan import Scan

VERSION = "2.0"  # of the engine: raise it when results come out differently
MIN_VERSION = (4, 3)  # of VCF, the first that encodes reserved characters in values by per cent
LIFTOVER = b"##gas_liftover="
_WRITABLE = re.compile(rb'[^\x00-\x20\x7f-\xff,<>"]+')  # as ID of a declaration; no header can hold others
_TEXT = b'Description="Not declared in the input"'
# Undeclared keys become text, as htslib takes them: text is always readable, whatever the values are
_FORMATS = {b"GT": b"Number=1,Type=String"}


def versions() -> dict[str, str]:
    """Versions of what computes the result."""
    return {
        "gas_annotation": VERSION,
        "pysam": __version__,
        "bcftools": __bcftools_version__,
        "htslib": __htslib_version__,
    }


def annotated_header(found: Scan, reference: Reference) -> bytes:
    """The whole header of the result, ending with the #CHROM line."""
    return whole_header(found, reference, _our_lines(reference))


def whole_header(found: Scan, reference: Reference, ours: Iterable[str]) -> bytes:
    """The user's header with all that was missing in it, and with `ours` in place of what an earlier run wrote."""
    header, missing = found.header, undeclared(found)
    lines = [
        b"##fileformat=VCFv%d.%d" % max(header.version, MIN_VERSION),
        *(line for line in header.meta if not _is_ours(line)),
        *(b"##FILTER=<ID=%b,%b>" % (name, _TEXT) for name in missing[b"FILTER"]),
        *_declarations(b"INFO", missing[b"INFO"], dict.fromkeys(found.info_flags(), b"Number=0,Type=Flag")),
        *_declarations(b"FORMAT", missing[b"FORMAT"], _FORMATS),
        *(_contig(name, reference) for name in missing[b"contig"]),
        *(line.encode() for line in ours),
        header.columns,
    ]
    return b"\n".join(lines) + b"\n"


def undeclared(found: Scan) -> dict[bytes, list[bytes]]:
    """What the records use and the header does not declare; contigs as they appear, the rest by name."""
    used: dict[bytes, Iterable[bytes]] = {
        b"FILTER": sorted(found.filter_names()),
        b"INFO": sorted(key for key in found.info_keys() if key != b"." and not is_ours(key)),
        b"FORMAT": sorted(found.format_keys()),
        b"contig": found.contigs,
    }
    declared = found.header.declared
    return {
        kind: [name for name in names if name not in declared[kind] and _WRITABLE.fullmatch(name)]
        for kind, names in used.items()
    }


def replaced_info(found: Scan) -> list[bytes]:
    """INFO keys of ours that the records have already."""
    return sorted(filter(is_ours, found.info_keys()))


def fields_of(reference: Reference) -> list[Field]:
    """All INFO fields that a result made with a reference may have."""
    fields = []
    if reference.genes_source:
        fields += sequence_fields() if reference.fasta.is_file() else []
        fields += gene_fields(*reference.genes_source)
    for track in reference.tracks:
        fields += [*track.fields, *([track.overlap] if track.overlap else [])]
    return [*fields, OVERLAP_ONLY]


def sequence_fields() -> list[Field]:
    """Those that need gene models and the sequence."""
    csq, gas = ("bcftools csq", __bcftools_version__), ("GAS", VERSION)
    fields = [Field(name, ".", "String", text, *csq, example) for name, text, example in CONSEQUENCE_FIELDS]
    return fields + [Field(name, ".", "String", text, *gas, example) for name, text, example in HGVS_FIELDS]


def gene_fields(source: str, version: str) -> list[Field]:
    """Those that need the gene models of this source."""
    return [Field(name, ".", "String", text, source, version, example) for name, text, example in GENE_FIELDS]


def _is_ours(line: bytes) -> bool:
    match = DECLARED.match(line)
    written = line.startswith(b"##gas_") and not line.startswith(LIFTOVER)  # which stays true of the records
    return written or bool(match and match[1] == b"INFO" and is_ours(match[2]))


def _declarations(kind: bytes, names: list[bytes], types: dict[bytes, bytes]) -> list[bytes]:
    text = b"Number=.,Type=String"
    return [b"##%b=<ID=%b,%b,%b>" % (kind, name, types.get(name, text), _TEXT) for name in names]


def _contig(name: bytes, reference: Reference) -> bytes:
    contig = reference.contig(name)
    if contig is None:
        return b"##contig=<ID=%b>" % name
    md5 = f",md5={contig.md5}" if contig.md5 else ""
    facts = f"length={contig.length}{md5},assembly={reference.name}"
    return b"##contig=<ID=%b,%b>" % (name, facts.encode())


def _our_lines(reference: Reference) -> list[str]:
    return [
        _structured("gas_engine=<ID=GAS", versions()),
        _structured(f"gas_reference=<ID={reference.name}", {"Build": reference.build, "Digest": reference.digest}),
        *(
            _structured(f"gas_source=<ID={number}", {"Name": s.name, "Version": s.version, "SHA256": s.sha256})
            for number, s in enumerate(reference.sources, 1)
        ),
        *(f"##gas_note={correction}" for correction in CORRECTIONS),
        *map(_info, fields_of(reference)),
    ]


def _info(field: Field) -> str:
    facts = {"Description": field.description, "Source": field.source}
    if field.version:
        facts["Version"] = field.version
    return _structured(f"INFO=<ID={field.name},Number={field.number},Type={field.type}", facts)


def _structured(start: str, values: dict[str, str]) -> str:
    return f"##{start}," + ",".join(f'{key}="{value}"' for key, value in values.items()) + ">"
