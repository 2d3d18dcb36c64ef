"""Sorts records by contig and position in bounded memory: sorted runs on disk, then one merge."""

import contextlib
import heapq
from collections.abc import Iterable, Iterator
from operator import itemgetter
from pathlib import Path

from .block import Block

RUN = 8 << 20  # bytes of text; as Python objects up to ten times that, for short lines
MERGED_BLOCK = 1 << 20

Keyed = tuple[int, int, bytes]
PLACE = itemgetter(0, 1)


def sorted_texts(blocks: Iterable[Block], folder: Path, contigs: Iterable[bytes] = ()) -> Iterator[bytes]:
    """The same lines by contig, as in `contigs` and then in order of appearance, then POS; those of one position stay."""
    ranks = {name: rank for rank, name in enumerate(dict.fromkeys(contigs))}
    runs = []
    with contextlib.ExitStack() as stack:
        for number, run in enumerate(_runs(blocks, ranks)):
            path = folder / f"run-{number}"
            path.write_bytes(b"".join(b"%d\t%b\n" % (rank, line) for rank, _, line in sorted(run, key=PLACE)))
            runs.append(stack.enter_context(path.open("rb")))
            path.unlink()
        yield from _texts(heapq.merge(*map(_read, runs), key=PLACE))


def _runs(blocks: Iterable[Block], ranks: dict[bytes, int]) -> Iterator[list[Keyed]]:
    run: list[Keyed] = []
    size = 0
    for block in blocks:
        for name, rows in block.contigs():
            rank = ranks.setdefault(name, len(ranks))
            positions = block.pos[rows].tolist()
            run += [(rank, pos, block.line(row)) for row, pos in enumerate(positions, rows.start)]
        size += len(block.text)
        if size > RUN:
            yield run
            run, size = [], 0
    if run:
        yield run


def _read(run: Iterable[bytes]) -> Iterator[Keyed]:
    for text in run:
        rank, _, line = text.rstrip(b"\n").partition(b"\t")
        yield int(rank), int(line.split(b"\t", 2)[1]), line


def _texts(merged: Iterable[Keyed]) -> Iterator[bytes]:
    lines: list[bytes] = []
    size = 0
    for _, _, line in merged:
        lines.append(line)
        size += len(line)
        if size > MERGED_BLOCK:
            yield b"\n".join(lines) + b"\n"
            lines, size = [], 0
    if lines:
        yield b"\n".join(lines) + b"\n"
