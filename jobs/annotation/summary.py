"""The figures of one run: `summary.json` for programs and `<stem>.vcf.count.log` for people."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from .errors import quoted
from .lines import Lines
from .provenance import MIN_VERSION, replaced_info, undeclared, versions
from .reference import Reference
from .scan import Scan

WHY_NOT = {
    "contig_not_in_reference": "contig is not in the reference",
    "ref_mismatch": "REF differs from the reference",
}


@dataclass(frozen=True)
class Summary:
    """What was in the file and what was said about it; summary.json is this. Figures count records.

    input            file name
    compression      plain, gzip or BGZF
    vcf_version      as the file states it, such as "4.0"
    samples          columns after FORMAT
    records          data lines read; always `written` (the count in the index of the result) and `skipped` together
    skipped          records that could not be read; skipped.tsv says why
    annotated        records that got an INFO field of ours
    not_annotated    why the others did not: contig_not_in_reference, ref_mismatch
    overlap_only     records without an ALT allele spelled out in bases, of which only overlaps were looked up
    contigs          records of each contig, named as in the file
    contigs_not_in_reference   the same, only those that the reference lacks
    classes          SNV, MNV, insertion, deletion, delins, symbolic, no_alt or mixed; multiallelic is apart
    consequences     by Sequence Ontology term; a record counts once under each of its terms
    genes            by symbol; a record counts once under each gene it lies in
    regions          by Sequence Ontology name; a record counts once under each region it lies in
    tracks           records found in each track of the reference
    notes            sentences on how the reference was found
    mends            sentences: what was put right in the file
    reference        name, build, description, digest ("sha256:..."), sources (names and versions)
    engine           versions: gas_annotation, pysam, bcftools, htslib
    """

    input: str
    compression: str
    vcf_version: str
    samples: int
    records: int
    written: int
    skipped: int
    annotated: int
    overlap_only: int
    not_annotated: dict[str, int]
    contigs: dict[str, int]
    contigs_not_in_reference: dict[str, int]
    classes: dict[str, int]
    multiallelic: int
    consequences: dict[str, int]
    genes: dict[str, int]
    regions: dict[str, int]
    tracks: dict[str, int]
    notes: list[str]
    mends: list[str]
    reference: dict[str, str]
    engine: dict[str, str]

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"

    def count_log(self) -> str:
        """The text of the count log, in the order that AnnTools taught people to read: total, then places."""
        reference, engine = self.reference, self.engine
        lines = [
            "## Figures count records. A record counts once under each consequence and gene,",
            "## so those figures may add up to more than the total.",
            f"File: {self.input} (VCF {self.vcf_version}, {self.compression}, {self.samples} samples)",
            f"Total: {self.records}",
            f"Annotated: {_share(self.annotated, self.records)}",
            *(f"Not annotated, {WHY_NOT[key]}: {_share(n, self.records)}" for key, n in self.not_annotated.items()),
            *([f"Looked up for overlaps only: {self.overlap_only}"] if self.overlap_only else []),
            *(f"In {name}: {_share(count, self.records)}" for name, count in self.tracks.items()),
            *_section("Variants by class", self.classes),
            f"With several ALT alleles: {self.multiallelic}",
            *_section("Variants located", self.regions),
            *_section("Consequences", self.consequences),
            *_section("Genes", self.genes),
            *_section("Contigs", self.contigs),
            *_section("Contigs that the reference does not have (passed through)", self.contigs_not_in_reference),
            "Mended in the file:" if self.mends else "Mended in the file: nothing",
            *(f"  {mend}" for mend in self.mends),
            *(f"Note: {note}" for note in self.notes),
            f"Reference: {reference['name']} ({reference['build']}), {reference['digest']}",
            f"Sources: {reference['sources']}",
            f"Engine: {', '.join(f'{name} {version}' for name, version in engine.items())}",
            f"Receipt: {self.records} records read, {self.written} written, {self.skipped} skipped",
        ]
        return "\n".join(lines) + "\n"


def _share(count: int, total: int) -> str:
    return f"{count} ({100 * count / total:.1f}%)"


def _section(title: str, counts: dict[str, int]) -> list[str]:
    if not counts:
        return [f"{title}: none"]
    return [f"{title}:", *(f"  In {name}: {count}" for name, count in counts.items())]


def summarise(lines: Lines, found: Scan, reference: Reference, notes: list[str], *, written: int) -> Summary:
    """The figures of a run; `written` is the count in the index of the result."""
    header, tally = found.header, found.tally
    contigs = {name.decode(errors="replace"): count for name, count in found.contigs.items()}
    known = {name.decode(errors="replace") for name in found.contigs if reference.contig(name)}
    return Summary(
        input=lines.path.name,
        compression=lines.compression,
        vcf_version="{}.{}".format(*header.version),
        samples=header.samples,
        records=found.records,
        written=written,
        skipped=found.skipped,
        annotated=tally.annotated,
        overlap_only=tally.overlap_only,
        not_annotated=_by_count(tally.not_annotated),
        contigs=contigs,
        contigs_not_in_reference={name: count for name, count in contigs.items() if name not in known},
        classes=_by_count(tally.classes),
        multiallelic=tally.multiallelic,
        consequences=_by_count(tally.terms()),
        genes=_by_count(tally.symbols()),
        regions=_by_count(tally.regions()),
        tracks={track.name: tally.tracks[track.name] for track in reference.tracks},
        notes=notes,
        mends=header.mends + _mends(lines, found),
        reference=reference.facts(),
        engine=versions(),
    )


def _mends(lines: Lines, found: Scan) -> list[str]:
    header, replaced = found.header, replaced_info(found)
    version = "VCF {}.{}".format(*header.version)
    mends: list[tuple[object, str]] = [
        (lines.bom, "A byte order mark at the start was removed."),
        (lines.crlf, "Line ends CRLF were turned into LF."),
        (found.blank_lines, f"Blank lines were removed: {found.blank_lines}."),
        (not found.sorted, "The records were not sorted by contig and position; now they are."),
        (found.skipped, f"Records that could not be read were left out, see skipped.tsv: {found.skipped}."),
        (replaced, f"INFO fields of an earlier annotation were replaced: {_listed(replaced)}."),
        (header.version < MIN_VERSION, f"The header says VCF 4.2 in place of {version}."),
    ]
    for kind, names in undeclared(found).items():
        mends.append((names, f"{kind.decode()} declarations were missing and were added: {_listed(names)}."))
    return [text for happened, text in mends if happened]


def _by_count(counts: Counter[str]) -> dict[str, int]:
    """Most frequent first, then by name, so that the same file always gives the same text."""
    return dict(sorted(((key, count) for key, count in counts.items() if count), key=lambda item: (-item[1], item[0])))


def _listed(names: Iterable[bytes]) -> str:
    """The first ten of some names, fit for a sentence."""
    first, more = sorted(names)[:10], len(list(names)) - 10
    return ", ".join(map(quoted, first)) + (f" and {more:,} more" if more > 0 else "")
