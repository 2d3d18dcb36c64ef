"""What the records of a file are: gathered from each block, added up over all of them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from .annotator import Mismatch
from .block import Block, Skipped
from .builds import of_another_build
from .errors import MAX_FAULTS, AnnotationError, quoted
from .header import Header
from .reference import Reference
from .tabix import Span
from .tally import Tally

MAX_NAMES = 100_000
_INFO_KEY = re.compile(rb";([^=;]+=?)")


@dataclass
class Names:
    """Names that records use: INFO keys (with a trailing = where a value followed), FORMAT and FILTER columns."""

    info: set[bytes] = field(default_factory=set)
    formats: set[bytes] = field(default_factory=set)
    filters: set[bytes] = field(default_factory=set)

    @classmethod
    def of(cls, block: Block) -> "Names":
        formats = block.distinct(8) if block.starts.shape[1] > 8 else set()
        info = b";" + b";".join(block.column(7))
        return cls(set(_INFO_KEY.findall(info)), formats, block.distinct(6))

    def add(self, other: "Names") -> None:
        self.info |= other.info
        self.formats |= other.formats
        self.filters |= other.filters


@dataclass
class Piece:
    """What one block had in it. `first` and `last` are (contig, POS); None for a block without records."""

    runs: list[tuple[bytes, int]]
    first: tuple[bytes, int] | None
    last: tuple[bytes, int] | None
    sorted: bool
    names: Names
    skipped: list[Skipped]
    blank: int
    tally: Tally = field(default_factory=Tally)
    mismatch: Mismatch | None = None
    written: int = 0  # lines of the result
    spans: list[Span] | None = field(default_factory=list)

    @classmethod
    def of(cls, block: Block) -> "Piece":
        runs = block.contigs()
        steady = len(runs) == len({name for name, _ in runs})
        steady = steady and all(bool((block.pos[rows][1:] >= block.pos[rows][:-1]).all()) for _, rows in runs)
        first, last = ((runs[0][0], int(block.pos[0])), (runs[-1][0], int(block.pos[-1]))) if runs else (None, None)
        counts = [(name, rows.stop - rows.start) for name, rows in runs]
        return cls(counts, first, last, steady, Names.of(block), block.skipped, block.blank)


@dataclass
class Scan:
    """What was found in the file so far. Names are as the file spells them, contigs in order of appearance."""

    header: Header
    contigs: dict[bytes, int] = field(default_factory=dict)
    sorted: bool = True
    blank_lines: int = 0
    skipped: int = 0
    faults: list[str] = field(default_factory=list)
    mends: list[str] = field(default_factory=list)
    haplotypes: int = 0  # records that do something else on a haplotype
    unanswered: int = 0  # records of which csq could not say
    names: Names = field(default_factory=Names)
    tally: Tally = field(default_factory=Tally)
    mismatch: Mismatch | None = None
    last: tuple[bytes, int] | None = None

    @property
    def records(self) -> int:
        """Records read: those that went into the result, and those that were skipped."""
        return sum(self.contigs.values()) + self.skipped

    def add(self, piece: Piece) -> None:
        """Adds what the next block had in it."""
        self.sorted &= piece.sorted and not self._goes_back(piece)
        for name, count in piece.runs:
            self.contigs[name] = self.contigs.get(name, 0) + count
        self.last = piece.last or self.last
        self.blank_lines += piece.blank
        self.skip(piece.skipped)
        self.names.add(piece.names)
        self.tally.add(piece.tally)
        self.mismatch = self.mismatch or piece.mismatch
        self._check_names()

    def skip(self, skipped: Iterable[Skipped]) -> None:
        for record in skipped:
            self.skipped += 1
            if len(self.faults) < MAX_FAULTS:
                self.faults.append(record.reason)

    def _goes_back(self, piece: Piece) -> bool:
        """Whether the block starts before the end of the one before, or on a contig that was over."""
        if piece.first is None or self.last is None:
            return False
        if piece.first[0] == self.last[0]:
            again = piece.runs[1:]
            return piece.first[1] < self.last[1] or any(name in self.contigs for name, _ in again)
        return any(name in self.contigs for name, _ in piece.runs)

    def _check_names(self) -> None:
        """Memory must not grow with the file, so neither may the sets of names."""
        names = self.names
        if max(map(len, (self.contigs, names.info, names.formats, names.filters))) > MAX_NAMES:
            fault = f"The records use more than {MAX_NAMES:,} different contigs, INFO keys, filters or formats."
            raise AnnotationError("bad_records", fault)

    def info_keys(self) -> set[bytes]:
        return {key.removesuffix(b"=") for key in self.names.info}

    def info_flags(self) -> set[bytes]:
        """Keys that never have a value."""
        info = self.names.info
        return {key for key in info if not key.endswith(b"=") and key + b"=" not in info}

    def format_keys(self) -> set[bytes]:
        return {key for keys in self.names.formats for key in keys.split(b":")} - {b"."}

    def filter_names(self) -> set[bytes]:
        return {name for names in self.names.filters for name in names.split(b";")} - {b".", b""}

    def check(self, reference: Reference) -> None:
        """Raises AnnotationError when no record could be read, or when they are of another build."""
        if not self.contigs:
            if self.skipped:
                more = self.skipped - len(self.faults)
                raise AnnotationError("bad_records", *self.faults, *[f"And {more:,} more such lines."] * (more > 0))
            raise AnnotationError("no_records", "The file has a header and no record; there is nothing to annotate.")
        mismatches, checked = self.tally.not_annotated["ref_mismatch"], self.tally.ref_checked
        found = self.mismatch
        if found and of_another_build(mismatches, checked):
            count = f"REF differs from the reference in {mismatches:,} of {checked:,} records"
            has = quoted(found.expected) if found.expected else "no such position"
            line = f"line {found.line}, " if found.line else ""
            where = f"the first is {line}{found.contig.decode(errors='replace')}:{found.pos}"
            where += f", where REF is {quoted(found.ref)} and the reference has {has}"
            raise wrong_build(reference, found.contig, f"{count}; {where}")


def check_lengths(header: Header, contigs: Iterable[bytes], reference: Reference) -> None:
    """UCSC's hg19 calls another mitochondrial genome (16,571 bp) chrM; its positions are not rCRS's."""
    lengths = header.contig_lengths()
    for name in contigs:
        contig, length = reference.contig(name), lengths.get(name)
        if contig and length and length != contig.length:
            why = f"its header declares {length:,} bp for {name.decode(errors='replace')}, the reference has "
            raise wrong_build(reference, name, why + f"{contig.length:,}")


def wrong_build(reference: Reference, name: bytes, why: str) -> AnnotationError:
    contig = name.decode(errors="replace")
    return AnnotationError(
        "wrong_build",
        f"The file was not made against the reference {reference.name} ({reference.build}): {why}. "
        f"Call the variants against {reference.build} again, or leave these records out with: "
        f"bcftools view -t ^{contig} -Oz -o out.vcf.gz FILE",
    )
