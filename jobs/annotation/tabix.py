"""The tabix index of the result, made from its blocks as they are written: the file is not read a second time.

A .tbi is BGZF of (tabix.pdf of the SAM/BAM specifications): for each contig the chunks of the file that hold the records
of each bin, and for each window of 16 kb where its first record starts. Places are virtual offsets: where a BGZF member
starts << 16 | place in its text. An index says where to look, not what is there, so that a record may be given more
than it spans, and never less.
"""

import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .block import Block
from .members import Moves
from .output import MEMBER, BgzfWriter
from .records import MAX_POS
from .reference.arrays import Array

WINDOW = 14  # bits of a position
_LEVELS = [(14, 4681), (17, 585), (20, 73), (23, 9), (26, 1)]  # bits of a position within a bin, and the first bin
_COUNTS = 37450  # a bin that no record is in: where the contig's records are, and how many
_VCF = (2, 1, 2, 0, ord("#"), 0)  # format, columns of contig, start and end, comment character, lines to skip
_LENGTH = re.compile(rb"(?:^|;)(?:END|SVLEN)=([-\d,]+)")


class Chunks(NamedTuple):
    """Bins (uint32[n]), and from where to where their records lie (uint64[n], virtual offsets)."""

    bins: Array
    begins: Array
    ends: Array

    def merged(self) -> "Chunks":
        """Sorted by bin and place; those of a bin that touch or share a member of the file are one."""
        order = np.lexsort((self.begins, self.bins))
        bins, begins, ends = (array[order] for array in self)
        apart = (bins[1:] != bins[:-1]) | (begins[1:] >> 16 > ends[:-1] >> 16)
        first = np.flatnonzero(np.concatenate([[True], apart]))
        last = np.append(first[1:] - 1, len(bins) - 1)
        return Chunks(bins[first], begins[first], ends[last])

    def moved(self, size: int) -> "Chunks":
        """The same, so many bytes further on in the file."""
        step = np.uint64(size << 16)
        return Chunks(self.bins, self.begins + step, self.ends + step)


@dataclass
class Span:
    """The index of some records of one contig: their number, chunks, and for each window from `window` on the place of
    the first record that reaches into it (uint64), NOWHERE for none."""

    name: bytes
    count: int
    chunks: Chunks
    window: int
    places: Array


NOWHERE = np.uint64(0xFFFFFFFFFFFFFFFF)


def spans_of(block: Block, text: bytes, sizes: list[int]) -> tuple[int, list[Span] | None]:
    """How many lines there are in a written text, and their index; `sizes` are those of its BGZF members.

    None where the lines are not those of the block, or have lengths that differ by sample (LEN of VCF 4.5).
    """
    ends = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n")) + 1
    if len(ends) != len(block) or _has_len(block):
        return len(ends), None
    members = np.cumsum([0, *sizes])
    begins = np.concatenate([[0], ends[:-1]])
    starts, stops = ((members[at // MEMBER] << 16 | at % MEMBER).astype(np.uint64) for at in (begins, ends))
    first, last = np.maximum(block.pos - 1, 0), _last(block)
    bins = _bins(first, last)
    found = []
    for name, rows in block.contigs():
        borders = np.flatnonzero(np.diff(bins[rows], prepend=-1))
        begun = rows.start + borders
        ended = np.append(begun[1:], rows.stop) - 1
        chunks = Chunks(bins[begun].astype(np.uint32), starts[begun], stops[ended]).merged()
        found.append(Span(name, rows.stop - rows.start, chunks, *_windows(first[rows], last[rows], starts[rows])))
    return len(ends), found


def _has_len(block: Block) -> bool:
    return block.starts.shape[1] > 8 and b"LEN" in block.text and any(b"LEN" in keys for keys in block.distinct(8))


def _last(block: Block) -> Array:
    """The last base (0-based) of each record by REF, END and SVLEN, whichever reaches furthest."""
    last = block.pos - 1 + np.maximum(block.lengths(3) - 1, 0)
    if b"END=" in block.text or b"SVLEN=" in block.text:
        for row, info in enumerate(block.column(7)):
            for values in _LENGTH.findall(info):
                longest = max((int(number[:10]) for number in re.findall(rb"\d+", values)), default=0)
                last[row] = max(last[row], block.pos[row] + longest if b"SVLEN=" in info else longest - 1)
    clipped: Array = np.clip(last, 0, MAX_POS)
    return clipped


def _bins(first: Array, last: Array) -> Array:
    """The smallest bin that holds bases first..last."""
    bins = np.zeros(len(first), np.int64)
    for bits, number in reversed(_LEVELS):
        bins = np.where(first >> bits == last >> bits, number + (first >> bits), bins)
    return bins


def _windows(first: Array, last: Array, starts: Array) -> tuple[int, Array]:
    """`window` and `places` of a Span: starts ascend, so that the first record of a window has the least."""
    low, high = first >> WINDOW, last >> WINDOW
    window = int(low.min())
    places = np.full(int(high.max()) + 1 - window, NOWHERE)
    heads, at = np.unique(low, return_index=True)
    places[heads - window] = starts[at]
    for row in np.flatnonzero(high > low).tolist():
        reached = places[int(low[row]) - window : int(high[row]) + 1 - window]
        np.minimum(reached, starts[row], out=reached)
    return window, places


class Index:
    """The index of a file, added up over its blocks."""

    def __init__(self) -> None:
        self.records = 0
        self.whole = True  # whether all blocks have given their part
        self.counts: Counter[bytes] = Counter()
        self.chunks: dict[bytes, list[Chunks]] = {}
        self.places: dict[bytes, Array] = {}

    def add(self, records: int, spans: list[Span] | None, at: int) -> None:
        """Adds a block that starts at byte `at` of the file."""
        self.records += records
        self.whole &= spans is not None
        for span in spans or []:
            self.counts[span.name] += span.count
            parts = self.chunks.setdefault(span.name, [])
            parts.append(span.chunks.moved(at))
            if len(parts) > 64:
                parts[:] = [_joined(parts)]
            known = self.places.get(span.name, np.zeros(0, np.uint64))
            stop = span.window + len(span.places)
            if len(known) < stop:
                known = np.concatenate([known, np.full(stop - len(known), NOWHERE)])
            there = known[span.window : stop]
            moved = np.where(span.places == NOWHERE, NOWHERE, span.places + np.uint64(at << 16))
            np.minimum(there, moved, out=there)
            self.places[span.name] = known

    def move(self, moves: Moves) -> None:
        """Takes the records where they went when text was inserted."""
        for parts in self.chunks.values():
            parts[:] = [Chunks(part.bins, moves.of(part.begins), moves.of(part.ends)) for part in parts]
        for name, places in self.places.items():
            self.places[name] = np.where(places == NOWHERE, NOWHERE, moves.of(places))

    def write(self, path: Path, header: int) -> None:
        """Writes the .tbi of the file, whose records are moved on by so many bytes of header. Raises AnnotationError."""
        step = np.uint64(header << 16)
        names = b"".join(name + b"\0" for name in self.counts)
        parts = [b"TBI\1", _ints(len(self.counts), *_VCF, len(names)), names]
        for name, count in self.counts.items():
            chunks = _joined(self.chunks[name]).moved(header)
            counted = [[int(chunks.begins.min()), int(chunks.ends.max())], [count, 0]]
            heads = np.append(
                np.flatnonzero(np.diff(chunks.bins, prepend=np.uint32(_COUNTS))), len(chunks.bins)
            ).tolist()
            parts.append(_ints(len(heads)))
            pairs = np.stack([chunks.begins, chunks.ends], axis=1).astype("<u8")
            for begin, end in pairwise(heads):
                parts += [_ints(int(chunks.bins[begin]), end - begin), pairs[begin:end].tobytes()]
            parts += [_ints(_COUNTS, 2), np.array(counted, "<u8").tobytes()]
            places = self.places[name]
            known = np.maximum.accumulate(np.where(places == NOWHERE, np.uint64(0), places + step))
            parts += [_ints(len(known)), known.astype("<u8").tobytes()]
        with BgzfWriter(path, "the index of the results") as out:
            out.write(b"".join([*parts, np.zeros(1, "<u8").tobytes()]))


def _joined(parts: list[Chunks]) -> Chunks:
    return Chunks(*map(np.concatenate, zip(*parts, strict=True))).merged()


def _ints(*numbers: int) -> bytes:
    return np.array(numbers, "<i4").tobytes()
