"""Sorts records by contig and position in bounded memory: sorted runs on disk, then one merge."""

import contextlib
import heapq
from collections.abc import Iterable, Iterator
from operator import itemgetter
from pathlib import Path

from .header import Blocks

RUN = 8 << 20  # bytes of text; as Python objects up to ten times that, for short lines
MERGED_BLOCK = 2 << 20

Keyed = tuple[int, int, bytes]
PLACE = itemgetter(0, 1)


def sorted_blocks(blocks: Blocks, ranks: dict[bytes, int], folder: Path) -> Blocks:
    """The same lines by rank of contig, then POS; lines of one position stay in their order."""
    runs = []
    for number, run in enumerate(_runs(blocks)):
        runs.append(folder / f"run-{number}")
        keyed = sorted(_keyed(run, ranks), key=PLACE)
        runs[-1].write_bytes(b"\n".join(line for _, _, line in keyed) + b"\n")
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(path.open("rb")) for path in runs]
        for path in runs:
            path.unlink()
        merged = heapq.merge(*(_keyed((line.rstrip(b"\n") for line in file), ranks) for file in files), key=PLACE)
        yield from _blocks(merged)


def _runs(blocks: Blocks) -> Iterator[list[bytes]]:
    run: list[bytes] = []
    size = 0
    for block in blocks:
        run += block
        size += sum(map(len, block))
        if size > RUN:
            yield run
            run, size = [], 0
    if run:
        yield run


def _keyed(lines: Iterable[bytes], ranks: dict[bytes, int]) -> Iterator[Keyed]:
    for line in lines:
        if line.strip():
            contig, pos, _ = line.split(b"\t", 2)
            yield ranks[contig], int(pos), line


def _blocks(merged: Iterable[Keyed]) -> Blocks:
    block: list[bytes] = []
    size = 0
    for _, _, line in merged:
        block.append(line)
        size += len(line)
        if size > MERGED_BLOCK:
            yield block
            block, size = [], 0
    if block:
        yield block
