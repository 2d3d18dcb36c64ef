"""Text inserted into a BGZF file that is finished: only the members that it falls into are packed again."""

import shutil
import zlib
from bisect import bisect_left
from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import BinaryIO, NamedTuple

from .lines import BGZF_EOF
from .output import BgzfWriter

_HEADER = 18  # bytes, of a member as htslib writes it: its size less one is in the last two


class Insertion(NamedTuple):
    """Text to insert into a block, at a place (bytes) of the block's text."""

    block: int
    offset: int
    text: bytes


def insert(path: Path, ends: list[int], insertions: list[Insertion]) -> None:
    """Inserts text, sorted by block and place; `ends[n]` is where block n ends in the file (bytes)."""
    changed = path.with_name(path.name + ".changed")
    with path.open("rb") as source, changed.open("wb") as target:
        for number, inserted in groupby(insertions, key=lambda insertion: insertion.block):
            begin = ends[number - 1] if number else 0
            _copy(source, target, begin)
            _insert(source, target, list(inserted), ends[number])
        shutil.copyfileobj(source, target, 1 << 20)
    changed.replace(path)


def _copy(source: BinaryIO, target: BinaryIO, until: int) -> None:
    while left := until - source.tell():
        target.write(source.read(min(left, 1 << 20)))


def _insert(source: BinaryIO, target: BinaryIO, insertions: list[Insertion], end: int) -> None:
    """Copies the members of one block, with the text inserted."""
    packed = Path(str(target.name) + ".member")
    first = 0
    for begin, size, member in _members(source, end):
        last = bisect_left(insertions, begin + size, first, key=attrgetter("offset"))
        target.write(_packed(_with(member, begin, insertions[first:last]), packed) if last > first else member)
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


def _packed(text: bytes, path: Path) -> bytes:
    with BgzfWriter(path, "the results") as out:
        out.write(text)
    members = path.read_bytes().removesuffix(BGZF_EOF)
    path.unlink()
    return members
