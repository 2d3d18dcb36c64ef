"""Text inserted into a BGZF file that is finished: only the members that it falls into are packed again.

Moves tells where the places of the file went, for its index.
"""

import shutil
import zlib
from bisect import bisect_left
from collections.abc import Iterator
from itertools import groupby, pairwise
from operator import attrgetter
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from .lines import BGZF_EOF
from .output import MEMBER, BgzfWriter
from .reference.arrays import Array

_HEADER = 18  # bytes, of a member as htslib writes it: its size less one is in the last two


class Insertion(NamedTuple):
    """Text to insert into a block, at a place (bytes) of the block's text."""

    block: int
    offset: int
    text: bytes


class Moves:
    """Virtual offsets (place of a member << 16 | place in its text) before and after, in pieces that moved as a whole."""

    def __init__(self) -> None:
        self._old, self._new = [0], [0]

    def add(self, old: int, new: int) -> None:
        """From `old` on, offsets are `new` and following."""
        self._old.append(old)
        self._new.append(new)

    def add_member(self, at: int, starts: list[int], size: int, inserted: list[tuple[int, int]]) -> None:
        """A member at byte `at` with so much text, which is now in members that start and end at `starts`.

        `inserted` are places in its text, and lengths.
        """
        more = 0
        for (place, length), (stop, _) in pairwise([(0, 0), *inserted, (size, 0)]):
            more += length
            borders = range(((place + more) // MEMBER + 1) * MEMBER, stop + more + 1, MEMBER)
            for there in (place + more, *borders):
                self.add(at << 16 | there - more, starts[there // MEMBER] << 16 | there % MEMBER)

    def of(self, offsets: Array) -> Array:
        """Where these offsets (uint64) are now."""
        old, new = np.array(self._old, np.uint64), np.array(self._new, np.uint64)
        piece = np.searchsorted(old, offsets, "right") - 1
        moved: Array = new[piece] + (offsets - old[piece])
        return moved


def insert(path: Path, ends: list[int], insertions: list[Insertion]) -> Moves:
    """Inserts text, sorted by block and place; `ends[n]` is where block n ends in the file (bytes)."""
    moves = Moves()
    changed = path.with_name(path.name + ".changed")
    with path.open("rb") as source, changed.open("wb") as target:
        for number, inserted in groupby(insertions, key=lambda insertion: insertion.block):
            begin = ends[number - 1] if number else 0
            _copy(source, target, begin)
            _insert(source, target, list(inserted), ends[number], moves)
        shutil.copyfileobj(source, target, 1 << 20)
    changed.replace(path)
    return moves


def _copy(source: BinaryIO, target: BinaryIO, until: int) -> None:
    while left := until - source.tell():
        target.write(source.read(min(left, 1 << 20)))


def _insert(source: BinaryIO, target: BinaryIO, insertions: list[Insertion], end: int, moves: Moves) -> None:
    """Copies the members of one block, with the text inserted."""
    packed = Path(str(target.name) + ".member")
    first = 0
    for begin, size, member in _members(source, end):
        last = bisect_left(insertions, begin + size, first, key=attrgetter("offset"))
        if last == first:
            target.write(member)
            continue
        chosen, at = insertions[first:last], source.tell() - len(member)
        members, sizes = _packed(_with(member, begin, chosen), packed)
        starts = np.cumsum([target.tell(), *sizes]).tolist()
        moves.add_member(at, starts, size, [(place - begin, len(text)) for _, place, text in chosen])
        target.write(members)
        moves.add(source.tell() << 16, target.tell() << 16)
        first = last


def _members(source: BinaryIO, end: int) -> Iterator[tuple[int, int, bytes]]:
    """Place and size of each member's text, and the member."""
    begin = 0
    while source.tell() < end:
        header = source.read(_HEADER)
        member = header + source.read(int.from_bytes(header[16:], "little") + 1 - _HEADER)
        size = int.from_bytes(member[-4:], "little")
        yield begin, size, member
        begin += size


def _with(member: bytes, begin: int, insertions: list[Insertion]) -> bytes:
    text = zlib.decompress(member, 31)
    parts, at = [], 0
    for insertion in insertions:
        parts += [text[at : insertion.offset - begin], insertion.text]
        at = insertion.offset - begin
    return b"".join(parts) + text[at:]


def _packed(text: bytes, path: Path) -> tuple[bytes, list[int]]:
    """The text in members, and their sizes."""
    with BgzfWriter(path, "the results") as out:
        out.write(text)
    members = path.read_bytes().removesuffix(BGZF_EOF)
    path.unlink()
    return members, out.sizes
