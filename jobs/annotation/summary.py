"""The figures of one run: `summary.json` for programs and `<stem>.vcf.count.log` for people."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from .builds import INSTALLABLE, named_build
from .errors import quoted
from .liftover.alleles import REASONS
from .liftover.files import LiftOver
from .lines import Lines
from .provenance import MIN_VERSION, replaced_info, undeclared, versions
from .reference import Reference
from .scan import Scan

WHY_NOT = {
    "contig_not_in_reference": "contig is not in the reference",
    "ref_mismatch": "REF differs from the reference",
}

CRASHED = (
    "Records whose consequence could not be computed, because bcftools csq crashes on them: {:,}. "
    "All other fields of them are there."
)
UNANSWERED = (
    "Records of which haplotypes could not be taken into account, because bcftools csq crashes on those of their genes: {:,}. "
    "All fields but GAS_HAPLOTYPE are there."
)


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
    haplotypes       records whose consequence on a haplotype of the samples differs from that of their own (GAS_HAPLOTYPE)
    classes          SNV, MNV, insertion, deletion, delins, symbolic, no_alt or mixed; multiallelic is apart
    consequences     by Sequence Ontology term; a record counts once under each of its terms
    genes            by symbol; a record counts once under each gene it lies in
    regions          by Sequence Ontology name; a record counts once under each region it lies in
    tracks           records found in each track of the reference
    notes            sentences: how the reference was found, and what it could not tell of this file
    mends            sentences: what was put right in the file
    reference        name, build, description, digest ("sha256:..."), sources (names and versions)
    engine           versions: gas_annotation, pysam, bcftools, htslib
    lift_over        empty, or: from (the build), chain and chain_sha256 (the file), lifted, other_strand (of the lifted)
                     and not_lifted, by the reasons of liftover/alleles.py; these records count as skipped
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
    lift_over: dict[str, Any] = field(default_factory=dict)
    haplotypes: int = 0

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
            *([f"Consequence on a haplotype differs: {self.haplotypes}"] if self.haplotypes else []),
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
            *(f"Not lifted over, {REASONS[key]}: {n}" for key, n in self.lift_over.get("not_lifted", {}).items()),
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


def summarise(  # noqa: PLR0913 - the last two by name
    lines: Lines,
    found: Scan,
    reference: Reference,
    notes: list[str],
    *,
    written: int,
    lifting: LiftOver | None = None,
) -> Summary:
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
        consequences=_by_count(tally.consequences),
        genes=_by_count(tally.genes),
        regions=_by_count(tally.regions),
        tracks={track.name: tally.tracks[track.name] for track in reference.tracks},
        notes=notes + ([lifting.sentence()] if lifting else []) + _gaps(found, reference),
        mends=header.mends + found.mends + _mends(lines, found, lifting.unreadable if lifting else found.skipped),
        reference=reference.facts(),
        engine=versions(),
        lift_over=lifting.facts() if lifting else {},
        haplotypes=found.haplotypes,
    )


def _gaps(found: Scan, reference: Reference) -> list[str]:
    """What the reference lacks for this file, and how to come by it."""
    contigs = {name: reference.contig(name) for name in found.contigs}
    unknown = [name for name, contig in contigs.items() if contig is None]
    blank = [name for name, contig in contigs.items() if contig and contig.bases_at < 0]
    return [
        *([_unknown(found, reference, unknown)] if unknown else []),
        *([_blank(found, reference, blank)] if blank else []),
        *([CRASHED.format(found.tally.csq_crashed)] if found.tally.csq_crashed else []),
        *([UNANSWERED.format(found.unanswered)] if found.unanswered else []),
    ]


def _unknown(found: Scan, reference: Reference, names: list[bytes]) -> str:
    if len(names) == len(found.contigs):
        return (
            f"The reference {reference.name} has none of the contigs of the file ({_listed(names)}), so that nothing was "
            "annotated. Choose a reference that has them; what there is tells: python manage.py reference list"
        )
    return (
        f"The reference {reference.name} lacks {len(names):,} of {len(found.contigs):,} contigs of the file "
        f"({_listed(names)}): their records ({_records(found, names)}) were passed on as they are."
    )


def _blank(found: Scan, reference: Reference, names: list[bytes]) -> str:
    build = named_build(reference.build)
    command = f"install {build}" if build in INSTALLABLE else "build DIR, with a fasta file in its reference.toml"
    return (
        f"The reference {reference.name} is installed without the sequence of {_listed(names)}: for records there "
        f"({_records(found, names)}) REF was not checked, and consequences and HGVS names could not be computed. "
        f"It can be installed with its sequence: python manage.py reference {command}"
    )


def _records(found: Scan, contigs: list[bytes]) -> str:
    return f"{sum(found.contigs[name] for name in contigs):,}"


def _mends(lines: Lines, found: Scan, unreadable: int) -> list[str]:
    header, replaced = found.header, replaced_info(found)
    mends: list[tuple[object, str]] = [
        (lines.bom, "A byte order mark at the start was removed."),
        (lines.crlf, "Line ends CRLF were turned into LF."),
        (found.blank_lines, f"Blank lines were removed: {found.blank_lines}."),
        (not found.sorted, "The records were not sorted by contig and position; now they are."),
        (unreadable, f"Records that could not be read were left out, see skipped.tsv: {unreadable}."),
        (replaced, f"INFO fields of an earlier annotation were replaced: {_listed(replaced)}."),
        (
            header.version < MIN_VERSION,
            "fileformat VCFv{}.{} became VCFv{}.{}.".format(*header.version, *MIN_VERSION),
        ),
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
