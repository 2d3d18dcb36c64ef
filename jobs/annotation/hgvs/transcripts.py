"""Transcripts of some genes of a contig, in coordinates along their own strand.

A place is a 0-based position of the contig on the plus strand, and its bitwise complement (-1 - position) on the minus
strand, so that places grow from 5' to 3' on both. "Spliced" positions count from the 5' end, introns left out. In the
reference, whose arrays reference/transcripts.py makes:
transcript/of_gene                        int32[n + 1], the transcripts of gene g are [of_gene[g], of_gene[g + 1])
transcript/name, transcript/name_at       text array of ids as bcftools csq prints them (without "transcript:")
transcript/exons                          int32[n + 1], the exons of transcript t, 5' to 3', are [exons[t], exons[t + 1])
transcript/strand                         int8, 1 or -1
transcript/cds_start, transcript/cds_end  int32, spliced; both 0 when it codes for nothing
transcript/pad                            uint8, bases of the first codon that are missing at the 5' end
transcript/complete                       bool, whether its 5' end is known, and the first codon whole
exon/first, exon/last                     int32, places of the first and last base
exon/spliced                              int32, spliced position of the first base
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from jobs.annotation.reference.arrays import Array, Arrays

from .genetic_code import CODES

COMPLEMENT = str.maketrans("ACGTURYSWKMBDHVN", "TGCAAYRSWMKVHDBN")


class Places(NamedTuple):
    """Where some positions of the contig lie on transcripts: arrays, one value for each.

    `spliced`: the position, or in an intron that of the nearer exon end (the middle base of an odd one: of the exon
    before it); `offset`: 0 in an exon, else how many bases after that end, or before it (negative); `inside`: whether
    the transcript reaches there, without which the others mean nothing.
    """

    spliced: Array
    offset: Array
    inside: Array


class Transcripts:
    """The transcripts of some genes, numbered anew; `bases` are those of the contig, in upper case."""

    def __init__(self, arrays: Arrays, genes: Sequence[int], bases: memoryview, genetic_code: int) -> None:
        of_gene, exons = arrays["transcript/of_gene"], arrays["transcript/exons"]
        chosen = _ranges(of_gene[genes], of_gene[1:][genes])
        rows = _ranges(exons[chosen], exons[1:][chosen])
        self.bases, self.letters = bases, np.frombuffer(bases, np.uint8)
        self.code = CODES.get(genetic_code)
        self.strand = arrays["transcript/strand"][chosen]
        self.cds_start, self.cds_end = arrays["transcript/cds_start"][chosen], arrays["transcript/cds_end"][chosen]
        self.pad, self.complete = arrays["transcript/pad"][chosen], arrays["transcript/complete"][chosen]
        self.first, self.last, self.spliced = (arrays[f"exon/{name}"][rows] for name in ("first", "last", "spliced"))
        sizes = exons[1:][chosen] - exons[chosen]
        self.exons = np.concatenate([[0], np.cumsum(sizes)])
        owners = np.repeat(np.arange(len(chosen)), sizes)
        self._by_place, self._by_spliced = _key(owners, self.first), _key(owners, self.spliced)
        self.names = _names(arrays["transcript/name"], arrays["transcript/name_at"], chosen)
        self._made: dict[int, Transcript] = {}

    @cached_property
    def numbers(self) -> dict[bytes, int]:
        """Transcripts by id."""
        return {name.encode(): number for number, name in enumerate(self.names)}

    def __getitem__(self, number: int) -> "Transcript":
        if number not in self._made:
            self._made[number] = Transcript(self, number)
        return self._made[number]

    def places(self, numbers: Array, at: Array) -> Places:
        """Where positions `at` of the contig lie on the transcripts of these numbers."""
        place = np.where(self.strand[numbers] > 0, at, ~at)
        begin, end = self.exons[numbers], self.exons[numbers + 1]
        found = np.searchsorted(self._by_place, _key(numbers, place), "right") - 1
        exon = np.maximum(found, begin)
        following = np.minimum(exon + 1, end - 1)
        after, before = place - self.last[exon], self.first[following] - place
        exonic, nearer = after <= 0, after <= before
        here = self.spliced[exon] + np.minimum(place, self.last[exon]) - self.first[exon]
        spliced = np.where(exonic | nearer, here, self.spliced[following])
        offset = np.where(exonic, 0, np.where(nearer, after, -before))
        return Places(spliced, offset, (found >= begin) & (exonic | (following > exon)))

    def letters_at(self, numbers: Array, spliced: Array) -> Array:
        """Bases of the plus strand at spliced positions, which the transcripts of these numbers have."""
        exon = np.searchsorted(self._by_spliced, _key(numbers, spliced), "right") - 1
        place = self.first[exon] + spliced - self.spliced[exon]
        letters: Array = self.letters[np.where(self.strand[numbers] > 0, place, ~place)]
        return letters


class Transcript:
    """One transcript, for what is not done by numpy."""

    def __init__(self, contig: Transcripts, number: int) -> None:
        exons = slice(contig.exons[number], contig.exons[number + 1])
        self.contig_bases, self.code = contig.bases, contig.code
        self.forward = bool(contig.strand[number] > 0)
        self.firsts, self.lasts = contig.first[exons].tolist(), contig.last[exons].tolist()
        self.splices = contig.spliced[exons].tolist()
        self.start, self.end = self.firsts[0], self.lasts[-1] + 1
        self.cds_start, self.cds_end = int(contig.cds_start[number]), int(contig.cds_end[number])
        self.coding = self.cds_start < self.cds_end
        self.kind = "c" if self.coding else "n"  # of HGVS reference sequence
        self.pad, self.complete = int(contig.pad[number]), bool(contig.complete[number])

    def sequence(self, start: int, end: int) -> str:
        """The bases at places start..end, half-open, on the transcript's strand."""
        if self.forward:
            return str(self.contig_bases[start:end], "ascii")
        return reverse_complement(str(self.contig_bases[-end:-start], "ascii"))

    def exon_of(self, place: int) -> int:
        """Index of the exon that holds a place; -1 for none."""
        i = bisect_right(self.firsts, place) - 1
        return i if i >= 0 and place <= self.lasts[i] else -1

    def position(self, place: int) -> str:
        """HGVS position (after c. or n.) of a place: 64, -3, *5, 64+2, 65-1; "" outside of the transcript."""
        i = bisect_right(self.firsts, place) - 1
        if i < 0 or place >= self.end:
            return ""
        after = place - self.lasts[i]
        if after <= 0:
            return self._number(self.splices[i] + place - self.firsts[i])
        before = self.firsts[i + 1] - place
        if after <= before:
            return f"{self._number(self.splices[i] + self.lasts[i] - self.firsts[i])}+{after}"
        return f"{self._number(self.splices[i + 1])}-{before}"

    def _number(self, spliced: int) -> str:
        """HGVS number of a spliced position."""
        if not self.coding:
            return str(spliced + 1)
        if spliced < self.cds_start:
            return str(spliced - self.cds_start)
        if spliced < self.cds_end:
            return str(spliced - self.cds_start + 1)
        return f"*{spliced - self.cds_end + 1}"

    @cached_property
    def bases(self) -> str:
        """The spliced sequence."""
        exons = list(zip(self.firsts, self.lasts, strict=True))
        if self.forward:
            return str(b"".join([self.contig_bases[first : last + 1] for first, last in exons]), "ascii")
        plus = b"".join([self.contig_bases[~last:-first] for first, last in reversed(exons)])
        return reverse_complement(str(plus, "ascii"))

    @cached_property
    def coded(self) -> str:
        """The CDS, led by an N for each base that its first codon lacks: codon n is [3 * n - 3, 3 * n)."""
        return "N" * self.pad + self.bases[self.cds_start : self.cds_end]

    @cached_property
    def protein(self) -> str:
        """One letter per amino acid, with the final * where the CDS has it. Needs a genetic code."""
        assert self.code is not None
        protein = self.code.translate(self.coded)
        if self.has_start:
            protein = "M" + protein[1:]
        if self.code is CODES[1]:  # TGA before the end is selenocysteine
            return re.sub(r"\*(?=.)", lambda stop: "U" if self._codon(stop.start()) == "TGA" else "*", protein)
        return protein

    def _codon(self, at: int) -> str:
        return self.coded[3 * at : 3 * at + 3]

    @cached_property
    def has_start(self) -> bool:
        """Whether the first codon is a start codon."""
        return self.complete and self.code is not None and self.coded[:3] in self.code.starts

    def touches_cds(self, start: int, end: int) -> bool:
        """Whether places start..end, half-open, hold a base of the CDS."""
        return any(
            max(start, first + max(self.cds_start - spliced, 0)) < min(end, last + 1, first + self.cds_end - spliced)
            for first, last, spliced in zip(self.firsts, self.lasts, self.splices, strict=True)
        )


def reverse_complement(bases: str) -> str:
    """The other strand, from its 5' end on."""
    return bases.translate(COMPLEMENT)[::-1]


def _ranges(starts: Array, ends: Array) -> Array:
    """The numbers of several half-open ranges, one after the other."""
    sizes = (ends - starts).astype(np.int64)
    offsets = starts - np.concatenate([[0], np.cumsum(sizes)[:-1]])
    rows: Array = np.arange(sizes.sum()) + np.repeat(offsets, sizes)
    return rows


def _names(text: Array, at: Array, chosen: Array) -> list[str]:
    ends = zip(at[chosen].tolist(), at[1:][chosen].tolist(), strict=True)
    return [text[start:end].tobytes().decode() for start, end in ends]


def _key(numbers: Array, at: Array) -> Array:
    """Sorts by transcript, then by place or spliced position."""
    key: Array = (numbers.astype(np.int64) << 32) + at + (1 << 31)
    return key
