"""What the records of one contig in a block change: SNVs by numpy, all others one by one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .block import Block
from .records import is_plain, left_aligned, trimmed
from .reference.arrays import Array
from .tracks import Spans, allele_key

_CODE = np.full(256, 255, np.uint8)
for _code, _letters in enumerate((b"Aa", b"Cc", b"Gg", b"Tt")):
    _CODE[list(_letters)] = _code
_UPPER = np.arange(256, dtype=np.uint8)
_UPPER[ord("a") : ord("z") + 1] -= 32

_END = re.compile(rb"(?:^|;)END=(\d+)")
_SVLEN = re.compile(rb"(?:^|;)SVLEN=-?(\d+)")


@dataclass(frozen=True)
class Keys:
    """Keys of ALT alleles for allele tracks: of which row, and which ALT allele of it, each is."""

    keys: Array
    row: Array
    number: Array
    long: dict[int, bytes]

    def allele(self, place: int) -> bytes:
        """REF>ALT of an allele that is no SNV."""
        return self.long[place]


class Variants:
    """The rows of a block that are of one contig, in their order; row numbers count from the first of them."""

    def __init__(self, block: Block, rows: slice) -> None:
        self.block, self.rows = block, rows
        self.pos, self.lines = block.pos[rows], block.lines[rows]
        self.ref_length = block.lengths(3)[rows]
        self._refs = block.first_bytes(3)[rows]
        self._alts = block.first_bytes(4)[rows]
        self.snv = (self.ref_length == 1) & (block.lengths(4)[rows] == 1)
        self.agreed = np.ones(len(self.pos), bool)  # whether REF is that of the reference, once that is known
        self.snv &= (_CODE[self._refs] < 4) & (_CODE[self._alts] < 4)

    def __len__(self) -> int:
        return len(self.pos)

    def ref(self, row: int) -> bytes:
        """REF in upper case."""
        return self._column(3, row).upper()

    def alt(self, row: int) -> bytes:
        """The ALT column in upper case."""
        return self._column(4, row).upper()

    def alleles(self, row: int) -> int:
        """How many ALT alleles a record has."""
        return 1 if self.snv[row] else self.alt(row).count(b",") + 1

    def _column(self, column: int, row: int) -> bytes:
        at = row + self.rows.start
        return self.block.text[self.block.starts[at, column] : self.block.stops[at, column]]

    def agree(self, bases: Sequence[int] | memoryview | None, length: int) -> Array:
        """Which rows have the REF of the reference; without its bases, which lie on the contig."""
        inside = (self.pos > 0) & (self.pos + self.ref_length - 1 <= length)
        if bases is None:
            outside_too: Array = inside | (self.pos == 0)
            return outside_too
        sequence = np.frombuffer(bases, np.uint8)  # type: ignore[call-overload]
        place = np.clip(self.pos - 1, 0, length - 1)
        agree: Array = inside & (sequence[place] == _UPPER[self._refs])
        for row in np.flatnonzero(agree & (self.ref_length > 1)).tolist():
            start = int(self.pos[row]) - 1
            agree[row] = bytes(bases[start : start + int(self.ref_length[row])]) == self.ref(row)
        return agree

    @cached_property
    def others(self) -> dict[int, list[tuple[int, bytes, bytes]]]:
        """For each row that is no SNV, its ALT alleles that are spelled out: number, REF, ALT."""
        found = {}
        for row in np.flatnonzero(~self.snv).tolist():
            ref, alts = self.ref(row), self.alt(row).split(b",")
            found[row] = [(number, ref, alt) for number, alt in enumerate(alts) if is_plain(alt)]
        return found

    @cached_property
    def sequence_free(self) -> Array:
        """Which rows have no ALT allele that is spelled out in bases."""
        free = np.zeros(len(self), bool)
        free[[row for row, alleles in self.others.items() if not alleles]] = True
        return free

    def spans(self) -> Spans:
        """The bases that each record changes, over all its ALT alleles."""
        first, last = self.pos - 1, self.pos - 1
        gap = np.zeros(len(self), bool)
        last = last.copy()
        first = first.copy()
        for row, alleles in self.others.items():
            start = int(self.pos[row]) - 1
            first[row], last[row], gap[row] = _changed(start, alleles) if alleles else self._structural(row, start)
        return Spans(first, last, gap)

    def _structural(self, row: int, start: int) -> tuple[int, int, bool]:
        """The bases of a record without an allele that is spelled out; POS is the base before them (VCF 4.5, 1.6.1)."""
        alt = self.alt(row).partition(b",")[0]
        if alt.startswith(b"<INS"):
            return start, start + 1, True
        if not alt.startswith(b"<") or alt in {b"<*>", b"<NON_REF>"}:
            return start, start + int(self.ref_length[row]) - 1, False
        info = self._column(7, row)
        if end := _END.search(info):
            return start + 1, max(int(end[1]) - 1, start + 1), False
        if length := _SVLEN.search(info):
            return start + 1, start + max(int(length[1]), 1), False
        return start, start + int(self.ref_length[row]) - 1, False

    def keys(self, bases: memoryview | None) -> Keys:
        """The keys of all ALT alleles that are spelled out."""
        snvs = np.flatnonzero(self.snv)
        codes = _CODE[self._refs[snvs]].astype(np.int64) << 2 | _CODE[self._alts[snvs]]
        keys = ((self.pos[snvs] - 1) << 32 | codes).tolist()
        rows, numbers, long = snvs.tolist(), [0] * len(snvs), {}
        for row, alleles in self.others.items():
            for number, ref, alt in alleles:
                start, ref, alt = left_aligned(int(self.pos[row]) - 1, ref, alt, bases)  # noqa: PLW2901
                if ref != alt:
                    long[len(keys)] = ref + b">" + alt
                    keys.append(allele_key(start, ref, alt))
                    rows.append(row)
                    numbers.append(number)
        return Keys(np.array(keys, np.int64), np.array(rows, np.int64), np.array(numbers, np.int64), long)


def _changed(start: int, alleles: list[tuple[int, bytes, bytes]]) -> tuple[int, int, bool]:
    """First and last changed base, over some alleles; the neighbours of the gap when all only insert."""
    changes = [trimmed(start, ref, alt) for _, ref, alt in alleles]
    firsts = [at for at, ref, _ in changes if ref]
    if firsts:
        return min(firsts), max(at + len(ref) - 1 for at, ref, _ in changes if ref), False
    return min(at for at, _, _ in changes) - 1, max(at for at, _, _ in changes), True
