"""The first pass: everything that must be known, and every fault, before a byte of the result is written."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from .errors import MAX_FAULTS, AnnotationError, quoted
from .header import Blocks, Header
from .records import MAX_POS, RECORD, fault_of
from .references import Reference

MAX_MISMATCH_SHARE = 0.10
MIN_MISMATCHES = 5
MAX_NAMES = 100_000
_INFO_KEY = re.compile(rb"(?:^|;)([^=;]+=?)")
_END = re.compile(rb"(?:^|;)END=(\d{9,})")


@dataclass
class Scan:
    """What the first pass found. Names are as the file spells them, contigs in order of appearance."""

    header: Header
    records: int = 0
    contigs: dict[bytes, int] = field(default_factory=dict)
    sorted: bool = True
    blank_lines: int = 0
    info: set[bytes] = field(default_factory=set)  # keys; with a trailing = where a value followed
    formats: set[bytes] = field(default_factory=set)  # whole FORMAT columns
    filters: set[bytes] = field(default_factory=set)  # whole FILTER columns
    ref_checked: int = 0
    ref_mismatches: int = 0
    first_mismatch: str = ""
    first_mismatch_contig: bytes = b""
    faults: list[str] = field(default_factory=list)
    faulty: int = 0

    def note(self, fault: str) -> None:
        self.faulty += 1
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(fault)

    def reject(self, line: bytes, number: int, width: int) -> None:
        if not line.strip():
            self.blank_lines += 1
        else:
            self.note(fault_of(line, number, width) if len(self.faults) < MAX_FAULTS else "")

    def check_names(self) -> None:
        """Memory must not grow with the file, so neither may the sets of names."""
        most = max(map(len, (self.contigs, self.info, self.formats, self.filters)))
        if most > MAX_NAMES:
            fault = f"The records use more than {MAX_NAMES:,} different contigs, INFO keys, filters or formats."
            raise AnnotationError("bad_records", fault)

    def info_keys(self) -> set[bytes]:
        return {key.removesuffix(b"=") for key in self.info}

    def info_flags(self) -> set[bytes]:
        """Keys that never have a value."""
        return {key for key in self.info if not key.endswith(b"=") and key + b"=" not in self.info}

    def format_keys(self) -> set[bytes]:
        return {key for keys in self.formats for key in keys.split(b":")} - {b"."}

    def filter_names(self) -> set[bytes]:
        return {name for names in self.filters for name in names.split(b";")} - {b".", b""}


def scan(header: Header, blocks: Blocks, reference: Reference, tick: Callable[[int], None]) -> Scan:
    """Reads every record once. Raises AnnotationError for faults, for no record, and for another build.

    `tick` is called with the number of records read so far, after each block.
    """
    found = Scan(header)
    number = header.length
    tabs = header.width - 1
    position = _Position(found, reference)
    for block in blocks:
        for line in block:
            number += 1
            match = RECORD.match(line)
            if match is None or line.count(b"\t") != tabs or (len(match[2]) == 9 and int(match[2]) > MAX_POS):
                found.reject(line, number, header.width)
                continue
            contig, pos, _, ref, _, _, filters, info, formats = match.groups()
            position.check(contig, int(pos), ref, number)
            found.filters.add(filters)
            found.info.update(_INFO_KEY.findall(info))
            if formats:
                found.formats.add(formats)
            if b"END=" in info and (end := _END.search(info)) and int(end[1][:12]) > MAX_POS:
                found.note(f"Line {number}: END is {quoted(end[1])}, expected at most {MAX_POS:,}.")
        found.records = sum(found.contigs.values())
        found.check_names()
        tick(found.records)
    _raise_faults(found)
    _raise_wrong_build(found, reference)
    return found


class _Position:
    """Follows contig and position from record to record: order, counts, and REF against the reference."""

    def __init__(self, found: Scan, reference: Reference) -> None:
        self.found, self.reference = found, reference
        self.contig: bytes = b""
        self.pos = 0
        self.sequence: bytes | None = None

    def check(self, name: bytes, pos: int, ref: bytes, number: int) -> None:
        found = self.found
        if name != self.contig:
            found.sorted &= name not in found.contigs
            found.contigs.setdefault(name, 0)
            known = self.reference.contig(name)
            self.contig, self.pos, self.sequence = name, 0, known.sequence if known else None
        found.contigs[name] += 1
        if pos < self.pos:
            found.sorted = False
        self.pos = pos
        if self.sequence is None:
            return
        found.ref_checked += 1
        expected = self.sequence[pos - 1 : pos - 1 + len(ref)] if pos else b""
        if expected != ref.upper():
            found.ref_mismatches += 1
            if not found.first_mismatch:
                has = quoted(expected) if expected else "no such position"
                where = f"the first is line {number}, {name.decode(errors='replace')}:{pos}"
                found.first_mismatch = f"{where}, where REF is {quoted(ref)} and the reference has {has}"
                found.first_mismatch_contig = name


def _raise_faults(found: Scan) -> None:
    if found.faulty > len(found.faults):
        found.faults.append(f"And {found.faulty - len(found.faults):,} more such lines.")
    if found.faulty:
        raise AnnotationError("bad_records", *found.faults)
    if not found.records:
        raise AnnotationError("no_records", "The file has a header and no record; there is nothing to annotate.")


def _raise_wrong_build(found: Scan, reference: Reference) -> None:
    """UCSC's hg19 calls another mitochondrial genome (16,571 bp) chrM; its positions are not rCRS's."""
    lengths = found.header.contig_lengths()
    for name in found.contigs:
        contig, length = reference.contig(name), lengths.get(name)
        if contig and length and length != len(contig.sequence):
            why = f"its header declares {length:,} bp for {name.decode(errors='replace')}, the reference has "
            raise _wrong_build(reference, name, why + f"{len(contig.sequence):,}")
    if found.ref_mismatches >= MIN_MISMATCHES and found.ref_mismatches > MAX_MISMATCH_SHARE * found.ref_checked:
        count = f"REF differs from the reference in {found.ref_mismatches:,} of {found.ref_checked:,} records"
        raise _wrong_build(reference, found.first_mismatch_contig, f"{count}; {found.first_mismatch}")


def _wrong_build(reference: Reference, name: bytes, why: str) -> AnnotationError:
    contig = name.decode(errors="replace")
    return AnnotationError(
        "wrong_build",
        f"The file was not made against the reference {reference.name} ({reference.build}): {why}. "
        f"Call the variants against {reference.build} again, or leave these records out with: "
        f"bcftools view -t ^{contig} -Oz -o out.vcf.gz FILE",
    )
