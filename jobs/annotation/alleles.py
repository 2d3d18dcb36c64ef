"""What the records of one contig in a block change: SNVs by numpy, all others one by one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from .block import Block
from .records import MAX_POS, is_plain, moved_left, trimmed
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


class Changes(NamedTuple):
    """A record that is no SNV: REF and the ALT column in upper case, and its alleles that are spelled out.

    Of these the number, and what they change: 0-based position, REF and ALT without what both share.
    """

    ref: bytes
    alt: bytes
    alleles: list[tuple[int, int, bytes, bytes]]


class Variants:
    """The rows of a block that are of one contig, in their order; row numbers count from the first of them."""

    def __init__(self, block: Block, rows: slice) -> None:
        self.block, self.rows = block, rows
        self.pos, self.lines = block.pos[rows], block.lines[rows]
        self.ref_length = block.lengths(3)[rows]
        self._refs = block.first_bytes(3)[rows]
        self._alts = block.first_bytes(4)[rows]
        self.snv = (self.ref_length == 1) & (block.lengths(4)[rows] == 1)
        self.snv &= (_CODE[self._refs] < 4) & (_CODE[self._alts] < 4)
        self.agreed = np.ones(len(self.pos), bool)  # whether REF is that of the reference, once that is known

    def __len__(self) -> int:
        return len(self.pos)

    def column(self, column: int, rows: Array) -> list[bytes]:
        """REF (3) or ALT (4) of some rows, in upper case."""
        return [value.upper() for value in self.block.column(column, rows + self.rows.start)]

    def ref(self, row: int) -> bytes:
        """REF in upper case."""
        return self.column(3, np.array([row]))[0]

    def ids(self, rows: Array) -> list[bytes]:
        """The user's column ID of some rows."""
        return self.block.column(2, rows + self.rows.start)

    def agree(self, bases: Sequence[int] | memoryview | None, length: int) -> Array:
        """Which rows have the REF of the reference; without its bases, which lie on the contig."""
        inside = (self.pos > 0) & (self.pos + self.ref_length - 1 <= length)
        if bases is None:
            outside_too: Array = inside | (self.pos == 0)
            return outside_too
        sequence = np.frombuffer(bases, np.uint8)  # type: ignore[call-overload]
        place = np.clip(self.pos - 1, 0, length - 1)
        agree: Array = inside & (sequence[place] == _UPPER[self._refs])
        long = np.flatnonzero(agree & (self.ref_length > 1))
        for row, start, ref in zip(long.tolist(), (self.pos[long] - 1).tolist(), self.column(3, long), strict=True):
            agree[row] = bases[start : start + len(ref)] == ref
        return agree

    @cached_property
    def others(self) -> dict[int, Changes]:
        """The rows that are no SNV."""
        rows = np.flatnonzero(~self.snv)
        columns = (rows.tolist(), (self.pos[rows] - 1).tolist(), self.column(3, rows), self.column(4, rows))
        return {
            row: Changes(ref, alt, _alleles(start, ref, alt)) for row, start, ref, alt in zip(*columns, strict=True)
        }

    @cached_property
    def sequence_free(self) -> Array:
        """Which rows have no ALT allele that is spelled out in bases."""
        free = np.zeros(len(self), bool)
        free[[row for row, changes in self.others.items() if not changes.alleles]] = True
        return free

    @cached_property
    def multiallelic(self) -> Array:
        """Which rows have several ALT alleles."""
        several = np.zeros(len(self), bool)
        several[[row for row, changes in self.others.items() if b"," in changes.alt]] = True
        return several

    @cached_property
    def replacing(self) -> Array:
        """Which rows have an ALT allele that puts another number of bases in the place of some."""
        replacing = np.zeros(len(self), bool)
        for row, changes in self.others.items():
            for _, _, ref, alt in changes.alleles:
                if ref and alt and len(ref) != len(alt):
                    replacing[row] = True
        return replacing

    @cached_property
    def spans(self) -> Spans:
        """The bases that each record changes, over all its ALT alleles."""
        first, gap = self.pos - 1, np.zeros(len(self), bool)
        last = first.copy()
        if others := self.others:
            changed = [
                _changed(changes.alleles) if changes.alleles else self._structural(row, changes)
                for row, changes in others.items()
            ]
            rows = list(others)
            first[rows], last[rows], gap[rows] = zip(*changed, strict=True)
        return Spans(first, last, gap)

    def _structural(self, row: int, changes: Changes) -> tuple[int, int, bool]:
        """The bases of a record without an allele that is spelled out; POS is the base before them (VCF 4.5, 1.6.1)."""
        start, alt = int(self.pos[row]) - 1, changes.alt.partition(b",")[0]
        if alt.startswith(b"<INS"):
            return start, start + 1, True
        if not alt.startswith(b"<") or alt in {b"<*>", b"<NON_REF>"}:
            return start, start + len(changes.ref) - 1, False
        info = self.block.column(7, np.array([row + self.rows.start]))[0]
        if end := _END.search(info):
            return start + 1, max(int(end[1]) - 1, start + 1), False
        if length := _SVLEN.search(info):
            return start + 1, start + min(max(int(length[1][:20]), 1), MAX_POS), False
        return start, start + len(changes.ref) - 1, False

    def keys(self, bases: memoryview | None) -> Keys:
        """The keys of all ALT alleles that are spelled out."""
        snvs = np.flatnonzero(self.snv)
        codes = _CODE[self._refs[snvs]].astype(np.int64) << 2 | _CODE[self._alts[snvs]]
        keys, rows, numbers = list[int](), list[int](), list[int]()
        long = {}
        for row, changes in self.others.items():
            for number, at, own, other in changes.alleles:
                start, ref, alt = moved_left(at, own, other, bases)
                if ref != alt:
                    long[len(snvs) + len(keys)] = ref + b">" + alt
                    keys.append(allele_key(start, ref, alt))
                    rows.append(row)
                    numbers.append(number)
        return Keys(
            np.concatenate([(self.pos[snvs] - 1) << 32 | codes, np.array(keys, np.int64)]),
            np.concatenate([snvs, np.array(rows, np.int64)]),
            np.concatenate([np.zeros(len(snvs), np.int64), np.array(numbers, np.int64)]),
            long,
        )


def _alleles(start: int, ref: bytes, alt: bytes) -> list[tuple[int, int, bytes, bytes]]:
    if is_plain(alt):
        return [(0, *trimmed(start, ref, alt))]
    return [(number, *trimmed(start, ref, each)) for number, each in enumerate(alt.split(b",")) if is_plain(each)]


def _changed(alleles: list[tuple[int, int, bytes, bytes]]) -> tuple[int, int, bool]:
    """First and last changed base, over some alleles; the neighbours of the gap when all only insert."""
    if len(alleles) == 1:
        _, at, ref, _ = alleles[0]
        return (at, at + len(ref) - 1, False) if ref else (at - 1, at, True)
    firsts = [at for _, at, ref, _ in alleles if ref]
    if firsts:
        return min(firsts), max(at + len(ref) - 1 for _, at, ref, _ in alleles if ref), False
    return min(at for _, at, _, _ in alleles) - 1, max(at for _, at, _, _ in alleles), True
