"""The arrays of transcripts, from which names are made; hgvs/transcripts.py says what they are."""

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from .arrays import Arrays, texts
from .gene_models import GeneModels, Transcript


class _Compiled(NamedTuple):
    """What the arrays have of a transcript."""

    name: bytes
    strand: int
    exons: list[tuple[int, int, int]]  # first, last, spliced
    cds: tuple[int, int]
    pad: int
    complete: bool


def compile_transcripts(models: GeneModels) -> dict[str, Arrays]:
    """The arrays `transcript` and `exon`. Transcripts whose coding sequence is not in their exons are left out."""
    made, of_gene = list[_Compiled](), [0]
    for gene in models.genes:
        made += filter(None, map(_compiled, gene.transcripts))
        of_gene.append(len(made))
    exons = np.array([exon for transcript in made for exon in transcript.exons], np.int32).reshape(-1, 3)
    cds = np.array([transcript.cds for transcript in made], np.int32).reshape(-1, 2)
    name_at, name = texts([transcript.name for transcript in made])
    transcript = {
        "of_gene": np.array(of_gene, np.int32),
        "name": name,
        "name_at": name_at,
        "exons": np.cumsum([0] + [len(transcript.exons) for transcript in made], dtype=np.int32),
        "strand": np.array([transcript.strand for transcript in made], np.int8),
        "cds_start": cds[:, 0],
        "cds_end": cds[:, 1],
        "pad": np.array([transcript.pad for transcript in made], np.uint8),
        "complete": np.array([transcript.complete for transcript in made], np.bool_),
    }
    return {"transcript": transcript, "exon": {"first": exons[:, 0], "last": exons[:, 1], "spliced": exons[:, 2]}}


def _compiled(transcript: Transcript) -> _Compiled | None:
    if transcript.strand not in {b"+", b"-"} or not transcript.exons:
        return None
    forward = transcript.strand == b"+"
    exons, before = [], 0
    for first, last in _places(transcript.exons, forward=forward):
        exons.append((first, last, before))
        before += last - first + 1
    name, strand = transcript.name, 1 if forward else -1
    if not transcript.coding:
        return _Compiled(name, strand, exons, (0, 0), 0, complete=False)
    coding = _places(transcript.coding, forward=forward)
    start, end = _spliced(exons, coding[0][0]), _spliced(exons, max(last for _, last in coding))
    if start is None or end is None:
        return None
    pad = -transcript.phases[transcript.coding[0 if forward else -1]] % 3
    return _Compiled(name, strand, exons, (start, end + 1), pad, complete=transcript.whole and not pad)


def _places(spans: Iterable[tuple[int, int]], *, forward: bool) -> list[tuple[int, int]]:
    """First and last place of each span, 5' to 3'."""
    return sorted((start, end - 1) if forward else (-end, ~start) for start, end in spans)


def _spliced(exons: list[tuple[int, int, int]], place: int) -> int | None:
    """The spliced position of a place, None when it is in no exon."""
    exon = bisect_right(exons, place, key=lambda exon: exon[0]) - 1
    first, last, spliced = exons[exon]
    return spliced + place - first if exon >= 0 and place <= last else None
