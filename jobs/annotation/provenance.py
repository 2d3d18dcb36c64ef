"""The header of the result: the user's own, what was missing in it, what we added and from where."""

from collections.abc import Iterable

from pysam.version import __bcftools_version__, __htslib_version__, __version__

from .consequences import CORRECTIONS, DESCRIPTION
from .header import DECLARED
from .references import Reference
from .scan import Scan

VERSION = "1.0"  # of the engine: raise it when results come out differently
MIN_VERSION = (4, 2)  # of VCF, the first with Source and Version in declarations
OUR_INFO = frozenset({b"BCSQ", b"GAS_GENE", b"GAS_REGION"})
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
    header, missing = found.header, undeclared(found)
    lines = [
        b"##fileformat=VCFv%d.%d" % max(header.version, MIN_VERSION),
        *(line for line in header.meta if not _is_ours(line)),
        *(b"##FILTER=<ID=%b,%b>" % (name, _TEXT) for name in missing[b"FILTER"]),
        *_declarations(b"INFO", missing[b"INFO"], dict.fromkeys(found.info_flags(), b"Number=0,Type=Flag")),
        *_declarations(b"FORMAT", missing[b"FORMAT"], _FORMATS),
        *(_contig(name, reference) for name in missing[b"contig"]),
        *(line.encode() for line in _our_lines(reference)),
        header.columns,
    ]
    return b"\n".join(lines) + b"\n"


def undeclared(found: Scan) -> dict[bytes, list[bytes]]:
    """What the records use and the header does not declare; contigs as they appear, the rest by name."""
    used: dict[bytes, Iterable[bytes]] = {
        b"FILTER": sorted(found.filter_names()),
        b"INFO": sorted(found.info_keys() - {b"."} - OUR_INFO),
        b"FORMAT": sorted(found.format_keys()),
        b"contig": found.contigs,
    }
    declared = found.header.declared
    return {kind: [name for name in names if name not in declared[kind]] for kind, names in used.items()}


def replaced_info(found: Scan) -> frozenset[bytes]:
    """INFO keys of ours that the records have already."""
    return OUR_INFO & found.info_keys()


def _is_ours(line: bytes) -> bool:
    match = DECLARED.match(line)
    return line.startswith(b"##gas_") or bool(match and match[1] == b"INFO" and match[2] in OUR_INFO)


def _declarations(kind: bytes, names: list[bytes], types: dict[bytes, bytes]) -> list[bytes]:
    text = b"Number=.,Type=String"
    return [b"##%b=<ID=%b,%b,%b>" % (kind, name, types.get(name, text), _TEXT) for name in names]


def _contig(name: bytes, reference: Reference) -> bytes:
    contig = reference.contig(name)
    if contig is None:
        return b"##contig=<ID=%b>" % name
    facts = f"length={len(contig.sequence)},md5={contig.md5},assembly={reference.name}"
    return b"##contig=<ID=%b,%b>" % (name, facts.encode())


def _our_lines(reference: Reference) -> list[str]:
    tools = versions()
    source = {"Source": reference.name, "Version": reference.digest}
    csq = {"Source": "bcftools csq", "Version": tools["bcftools"]}
    regions = "protein_coding_gene, tRNA_gene, rRNA_gene, gene, D_loop or intergenic_region"
    return [
        _structured("gas_engine=<ID=GAS", tools),
        _structured(f"gas_reference=<ID={reference.name}", {"Build": reference.build, "Digest": reference.digest}),
        *(
            _structured(f"gas_source=<ID={number}", {"Name": s.name, "Version": s.version, "SHA256": s.sha256})
            for number, s in enumerate(reference.sources, 1)
        ),
        *(f"##gas_note={correction}" for correction in CORRECTIONS),
        _info("BCSQ", DESCRIPTION, csq),
        _info("GAS_GENE", "Symbols of the genes that the changed bases lie in", source),
        _info("GAS_REGION", f"What the changed bases lie in (Sequence Ontology): {regions}", source),
    ]


def _info(name: str, description: str, source: dict[str, str]) -> str:
    return _structured(f"INFO=<ID={name},Number=.,Type=String", {"Description": description, **source})


def _structured(start: str, values: dict[str, str]) -> str:
    return f"##{start}," + ",".join(f'{key}="{value}"' for key, value in values.items()) + ">"
