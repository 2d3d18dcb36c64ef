"""What the entries of BCSQ values speak of: which alleles, on which transcripts."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jobs.annotation.reference.arrays import Array

from .transcripts import Transcripts

# Row, POS (1-based), REF and ALT in upper case as in the file: alleles separated by commas
Site = tuple[int, int, bytes, bytes]
Allele = tuple[int, bytes, bytes]  # 0-based position, REF, ALT


class Pairs(NamedTuple):
    """Alleles on transcripts, as arrays: index of the site, index of the allele, number of the transcript."""

    site: Array
    allele: Array
    number: Array

    def take(self, rows: Array) -> "Pairs":
        return Pairs(*(column[rows] for column in self))


class _Entries(NamedTuple):
    """Entries of values, as arrays: index of the value; in the text, where the entry and its transcript's id end."""

    value: Array
    end: Array
    name_end: Array
    number: Array


def pairs_of(transcripts: Transcripts, sites: Sequence[Site], values: Sequence[bytes]) -> tuple[Pairs, list[Allele]]:
    """The alleles of those sites whose BCSQ values name a transcript, and which of them the entries speak of.

    An entry `Consequence|gene|transcript|biotype|strand|aa_change|dna_change` is for the allele of its DNA change, and for all
    without one. No pair comes twice; those of a site are in the order of its entries.
    """
    text = b"\n".join([*values, b""])
    entries = _entries(text, transcripts.numbers)
    named, which = np.unique(entries.value, return_inverse=True)
    alleles, firsts = _alleles([sites[site] for site in named.tolist()])
    first, last = firsts[which], firsts[which + 1] - 1
    rows = np.flatnonzero(first == last)
    pairs = Pairs(entries.value[rows], first[rows], entries.number[rows])
    several: list[tuple[int, int, int]] = []
    for row in np.flatnonzero(first < last).tolist():
        those = range(int(first[row]), int(last[row]) + 1)
        site, number = int(entries.value[row]), int(entries.number[row])
        rest = text[entries.name_end[row] : entries.end[row]]
        several += [(site, allele, number) for allele in _said(rest, alleles, those)]
    if several:
        pairs = Pairs(*np.concatenate([pairs, np.array(several).T], axis=1))
    return _once(pairs), alleles


def _alleles(sites: Sequence[Site]) -> tuple[list[Allele], Array]:
    """All alleles, and which is the first of each site, with the number of all at the end."""
    alleles: list[Allele] = []
    firsts = []
    for _, pos, ref, alt in sites:
        firsts.append(len(alleles))
        if b"," in alt:
            alleles += [(pos - 1, ref, each) for each in dict.fromkeys(alt.split(b","))]
        else:
            alleles.append((pos - 1, ref, alt))
    return alleles, np.array([*firsts, len(alleles)])


def _entries(text: bytes, numbers: dict[bytes, int]) -> _Entries:
    """The entries in lines of values, with commas between them; those that name no known transcript are left out."""
    letters = np.frombuffer(text, np.uint8)
    newlines = letters == ord("\n")
    ends = np.flatnonzero(newlines | (letters == ord(",")))
    starts = np.concatenate([[0], ends[:-1] + 1])
    pipes = np.append(np.flatnonzero(letters == ord("|")), [len(text)] * 3)
    first = np.searchsorted(pipes, starts)
    names, name_ends = pipes[first + 1] + 1, np.minimum(pipes[first + 2], ends)
    get = numbers.get
    number = np.array([get(text[a:b], -1) for a, b in zip(names.tolist(), name_ends.tolist(), strict=True)])
    rows = np.flatnonzero(number >= 0)
    values = np.cumsum(newlines[ends]) - newlines[ends]
    return _Entries(values[rows], ends[rows], name_ends[rows], number[rows])


def _said(rest: bytes, alleles: Sequence[Allele], those: range) -> Sequence[int]:
    """Which of those alleles an entry is for; `rest` is what stands behind the transcript."""
    fields = rest.split(b"|")
    change = fields[4] if len(fields) > 4 else b""
    at, ref, _ = alleles[those[0]]
    said = [index for index in those if change == b"%d%b>%b" % (at + 1, ref, alleles[index][2])]
    return said or those


def _once(pairs: Pairs) -> Pairs:
    """The pairs without repeats, in their order."""
    key = pairs.allele.astype(np.int64) << 32 | pairs.number
    kept = np.unique(key, return_index=True)[1]
    return pairs if len(kept) == len(key) else pairs.take(np.sort(kept))
