"""Notes the records of a block that haplotypes.py needs afterwards, when all blocks are annotated, in a file of its own."""

import pickle
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .block import Block
from .far import PAD, is_near
from .genotypes import Carriers, carriers
from .reference import ContigData, Reference
from .reference.arrays import Array


class Record(NamedTuple):
    """A record for csq: POS (1-based), REF and ALT in upper case; `offset` is where its BCSQ value ends in its block."""

    block: int
    offset: int
    pos: int
    ref: bytes
    alt: bytes
    local: bytes
    genes: tuple[int, int]  # first and last cluster of genes that it touches
    carriers: tuple[int, int]  # first and last of its carriers, half-open


class Annotated(NamedTuple):
    """A block, its number, and its text with our fields in it, whose line n is row n of the block."""

    block: Block
    number: int
    text: bytes
    samples: int

    def lines(self) -> tuple[Array, Array]:
        """Where lines begin and end in the text."""
        ends = np.flatnonzero(np.frombuffer(self.text, np.uint8) == ord("\n"))
        return np.concatenate([[0], ends[:-1] + 1]), ends


class Run(NamedTuple):
    """The noted records of a block that stand on one contig, named as in the file, and their carriers."""

    name: bytes
    records: list[Record]
    carriers: Carriers


def note(reference: Reference, block: Block, number: int, text: bytes, path: Path) -> None:
    """Writes the records that share an exon's neighbourhood to `path`, for ask(); `text` is the block annotated."""
    annotated = Annotated(block, number, text, text[: text.find(b"\n")].count(b"\t") - 8)
    if annotated.samples < 1:
        return
    runs = []
    for name, rows in block.contigs():
        contig = reference.contig(name)
        if contig and contig.data.bases is not None and contig.data.has_genes:
            runs += _noted(contig.data, annotated, name, rows)
    if runs:
        path.write_bytes(pickle.dumps(runs))


def _noted(data: ContigData, annotated: Annotated, name: bytes, rows: slice) -> list[Run]:
    block = annotated.block
    first = block.pos[rows] - 1
    last = first + block.lengths(3)[rows] - 1
    near = np.flatnonzero(is_near(data.arrays, first, last)[0])
    begins, ends = (places[near + rows.start].tolist() for places in annotated.lines())
    values = [_bcsq(annotated.text, begin, end) for begin, end in zip(begins, ends, strict=True)]
    near = near[np.array([bool(value) for value, _ in values], bool)]
    chosen = near + rows.start
    carried = carriers(block, chosen, annotated.samples)
    if not len(carried.row):
        return []
    bounds = np.searchsorted(carried.row, np.arange(len(chosen) + 1)).tolist()
    clusters = _clusters_of(data, first[near], last[near])
    refs, alts = block.column(3, chosen), block.column(4, chosen)
    told = (value for value in values if value[0])
    records = [
        Record(annotated.number, offset, pos, ref.upper(), alt.upper(), local, cluster, (start, stop))
        for (local, offset), pos, ref, alt, cluster, start, stop in zip(
            told, block.pos[chosen].tolist(), refs, alts, clusters, bounds[:-1], bounds[1:], strict=True
        )
    ]
    return [Run(name, records, carried)]


def part(carried: Carriers, start: int, stop: int) -> tuple[Array, Array, Array]:
    return carried.haplotype[start:stop], carried.allele[start:stop], carried.phase_set[start:stop]


def _bcsq(text: bytes, begin: int, end: int) -> tuple[bytes, int]:
    """BCSQ of an annotated line, and where its value ends; (b"", 0) without one."""
    for _ in range(7):
        begin = text.find(b"\t", begin) + 1
    end = text.find(b"\t", begin, end)
    if not text.startswith(b"BCSQ=", begin):
        begin = text.find(b";BCSQ=", begin, end) + 1
        if not begin:
            return b"", 0
    stop = text.find(b";", begin, end)
    stop = stop if stop >= 0 else end
    return text[begin + 5 : stop], stop


def clusters(data: ContigData) -> tuple[Array, Array, Array]:
    """Genes that overlap, one after the other: numbers of their first genes, where they start and end."""
    starts, ends = data.arrays["gene/start"], np.maximum.accumulate(data.arrays["gene/end"])
    first = np.flatnonzero(np.concatenate([[True], starts[1:] >= ends[:-1]]))
    return first, starts[first], ends[np.append(first[1:], len(starts)) - 1]


def _clusters_of(data: ContigData, first: Array, last: Array) -> list[tuple[int, int]]:
    _, starts, ends = clusters(data)
    low = np.searchsorted(ends, first - PAD, "right").tolist()
    high = (np.searchsorted(starts, last + PAD, "right") - 1).tolist()
    return list(zip(low, high, strict=True))
