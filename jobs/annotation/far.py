"""What csq says far from any exon: the same for every variant between two exons, so it is asked once, at build time.

The arrays, for each contig with bases and genes:
near/start, near/end   int32, the stretches within PAD bases of an exon, merged and sorted
far/text, far/text_at  what csq says between stretch i - 1 and stretch i (nothing before the first)
"""

import tempfile
from pathlib import Path

import numpy as np

from .consequences import Ask, Site, consequences
from .reference import Contig, Reference
from .reference.arrays import Array, Arrays, texts

PAD = 20  # bases; csq looks 8 into an intron for its splice region
_OTHER = {b"A": b"C", b"C": b"A", b"G": b"A", b"T": b"A"}


def near(exons: list[tuple[int, int]]) -> Arrays:
    """The stretches near an exon."""
    merged: list[list[int]] = []
    for start, end in sorted(exons):
        if merged and start - PAD <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end + PAD)
        else:
            merged.append([max(start - PAD, 0), end + PAD])
    stretches = np.array(merged, np.int32).reshape(-1, 2)
    return {"near/start": stretches[:, 0], "near/end": stretches[:, 1]}


def probe(reference: Reference, contig: Contig) -> Arrays:
    """Asks csq about one variant in each gap between stretches; needs the contig's other arrays and its GFF3 file."""
    data = contig.data
    bases, start, end = data.bases, data.arrays["near/start"], data.arrays["near/end"]
    assert bases is not None
    sites = []
    for gap, (after, before) in enumerate(zip(end[:-1].tolist(), start[1:].tolist(), strict=True), 1):
        place = (after + before) // 2
        ref = bytes(bases[place : place + 1])
        if ref in _OTHER:
            sites.append(Site(gap, place + 1, ref, _OTHER[ref]))
    asks = [Ask(contig, sites, list(range(len(data.arrays["gene/start"]))))]
    with tempfile.TemporaryDirectory() as folder:
        found = consequences(reference, asks, Path(folder)) if sites else {}
    at, text = texts([found.get(gap, b"") for gap in range(len(start) + 1)])
    return {"far/text_at": at, "far/text": text}


def is_near(arrays: Arrays, first: Array, last: Array) -> tuple[Array, Array]:
    """Whether bases first..last touch a stretch near an exon, and else which gap they lie in."""
    gap = np.searchsorted(arrays["near/end"], first, "right")
    start = np.append(arrays["near/start"], np.iinfo(np.int32).max)
    return start[gap] <= last, gap
