"""A chain file: which bases of one genome build are which of another.

The format: https://genome.ucsc.edu/goldenPath/help/chain.html. A chain aligns a stretch of the source with one of the
target by blocks without gaps. Coordinates are 0-based and half-open; those of a target's minus strand count from its end.
"""

import gzip
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from operator import itemgetter
from pathlib import Path
from typing import IO, NamedTuple

from jobs.annotation.errors import AnnotationError

MAX_LINE = 10_000  # bytes
MAX_BLOCKS = 5_000_000  # between man and mouse there are a third of that
MITOCHONDRIAL = (b"chrM", b"MT", b"M", b"chrMT")

Row = tuple[int, int, bytes, int, bool]  # of a block: start, end, target, at, reverse


class Place(NamedTuple):
    """Where source bases lie: the first of them is at `at` in the target, the others after it, or before if reverse.

    `beyond` is how many bases of the same block follow.
    """

    contig: bytes
    at: int
    reverse: bool
    beyond: int


@dataclass(frozen=True)
class Blocks:
    """All blocks of one source contig, by start; `reach` is the largest end so far, sorted even where chains overlap."""

    start: list[int]
    reach: list[int]
    rows: list[Row]

    @classmethod
    def of(cls, rows: list[Row]) -> "Blocks":
        rows.sort(key=itemgetter(0, 1))
        return cls([row[0] for row in rows], list(accumulate((row[1] for row in rows), max)), rows)


class Chain:
    """A chain file in memory: blocks by source contig; `sources` and `targets` are the lengths of all contigs (bp)."""

    def __init__(self, path: Path) -> None:
        """Raises AnnotationError unreadable or reference_missing (damaged)."""
        rows: dict[bytes, list[Row]] = {}
        count = 0
        self.sources: dict[bytes, int] = {}
        self.targets: dict[bytes, int] = {}
        try:
            for source, target, blocks in _read(path):
                for sizes, (name, size) in ((self.sources, source), (self.targets, target)):
                    if sizes.setdefault(name, size) != size:
                        raise _damaged(path.name, f"it gives {name.decode(errors='replace')} two lengths")
                rows.setdefault(source[0], []).extend(blocks)
                count += len(blocks)
                if count > MAX_BLOCKS:
                    raise _damaged(path.name, f"it has more than {MAX_BLOCKS:,} blocks")
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise _damaged(path.name, "its compressed data is cut short or wrong") from error
        except OSError as error:
            raise AnnotationError(
                "unreadable", f"The chain file {path.name} cannot be read: {error.strerror}."
            ) from error
        if not rows:
            raise _damaged(path.name, "it has no chain")
        self.blocks = {name: Blocks.of(own) for name, own in rows.items()}

    def source_of(self, contig: bytes) -> bytes | None:
        """The contig as the chain file names it: 1 or chr1; MT, M or chrM. None when it has no such contig."""
        bare = contig.removeprefix(b"chr")
        names = (contig, *MITOCHONDRIAL) if contig in MITOCHONDRIAL else (contig, b"chr" + bare, bare)
        return next((name for name in names if name in self.blocks), None)

    def places(self, source: bytes, start: int, end: int) -> list[Place] | str:
        """All places of the bases [start, end), together and in one block each; or why there is none (liftover.alleles)."""
        blocks = self.blocks[source]
        first = bisect_right(blocks.reach, start)
        stop = bisect_left(blocks.start, end)
        if first >= stop:
            return "vanished"
        found = [
            Place(target, at - (start - begin) if reverse else at + start - begin, reverse, stop_at - end)
            for begin, stop_at, target, at, reverse in blocks.rows[first:stop]
            if begin <= start and end <= stop_at
        ]
        return found or "split"


def _read(path: Path) -> Iterator[tuple[tuple[bytes, int], tuple[bytes, int], list[Row]]]:
    """Name and length of the source contig and of the target contig of each chain, and its blocks."""
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
    with gzip.open(path) if packed else path.open("rb") as file:
        lines = _lines(file, path.name)
        for number, words in lines:
            if words[0] != b"chain":
                raise _damaged(path.name, f"line {number} is not the start of a chain")
            try:
                yield _chain(words, lines)
            except (ValueError, IndexError) as error:
                raise _damaged(path.name, f"the chain that starts at line {number} is malformed") from error


def _lines(file: IO[bytes] | gzip.GzipFile, name: str) -> Iterator[tuple[int, list[bytes]]]:
    """The words of each line with any, but for comments, and its number."""
    for number, line in enumerate(iter(partial(file.readline, MAX_LINE), b""), 1):
        if len(line) == MAX_LINE:
            raise _damaged(name, f"line {number} has more than {MAX_LINE:,} bytes")
        if line[:1] != b"#" and (words := line.split()):
            yield number, words


def _chain(
    words: list[bytes], lines: Iterator[tuple[int, list[bytes]]]
) -> tuple[tuple[bytes, int], tuple[bytes, int], list[Row]]:
    """Raises ValueError or IndexError when the chain is not as the format has it."""
    _, _, source, source_size, strand, start, end, target, size, target_strand, target_start, target_end = words[:12]
    if strand != b"+" or target_strand not in (b"+", b"-"):
        raise ValueError
    reverse = target_strand == b"-"
    rows: list[Row] = []
    at, into = int(start), int(target_start)
    if min(at, into) < 0:
        raise ValueError
    for _, numbers in lines:
        length, gap, target_gap = map(int, numbers if len(numbers) == 3 else (*numbers, b"0", b"0"))
        if min(length, gap, target_gap) < 0:
            raise ValueError
        place = int(size) - 1 - into if reverse else into
        if rows and rows[-1][1] == at and abs(place - rows[-1][3]) == at - rows[-1][0]:
            rows[-1] = (rows[-1][0], at + length, *rows[-1][2:])  # no gap on either side
        elif length:
            rows.append((at, at + length, target, place, reverse))
        at, into = at + length + gap, into + length + target_gap
        if len(numbers) == 1:
            break
    if (at, into) != (int(end), int(target_end)) or at > int(source_size) or into > int(size):
        raise ValueError
    return (source, int(source_size)), (target, int(size)), rows


def _damaged(name: str, why: str) -> AnnotationError:
    return AnnotationError("reference_missing", f"The chain file {name} is damaged: {why}. Fetch it again.")
