"""Names of substitutions, by numpy: nearly all variants are such."""

from string import ascii_uppercase
from typing import NamedTuple

import numpy as np

from jobs.annotation.reference.arrays import Array

from .genetic_code import BASES, GeneticCode
from .protein import protein_change
from .transcripts import Places, Transcripts

_N = len(BASES)  # the number of a base that is none of the four
_NUMBER = np.full(256, _N, np.uint8)
_NUMBER[list(BASES.encode())] = range(_N)
_COMPLEMENT = np.array([2, 3, 0, 1, _N])  # of numbers: T and A, C and G
_LETTERS = BASES + "N"


class Substitutions(NamedTuple):
    """Arrays: transcript number, 0-based position of the contig, letters (uint8) of REF and of ALT, one of ACGTN."""

    number: Array
    at: Array
    ref: Array
    alt: Array

    def take(self, rows: Array) -> "Substitutions":
        return Substitutions(*(column[rows] for column in self))


class Named(NamedTuple):
    """Names of changes on transcripts as arrays of str; "" where there is none."""

    c: Array  # id:c.64A>G, id:n.64A>G
    p: Array  # id:p.(Lys22Glu), with %3D for =
    codon: Array  # id:aAa/gAa: changed bases in upper case, on the transcript's strand

    @classmethod
    def nothing(cls, count: int) -> "Named":
        """Room for so many."""
        return cls(*(np.full(count, "", object) for _ in cls._fields))


def name_substitutions(transcripts: Transcripts, changes: Substitutions) -> Named:
    """The names of each change on its transcript."""
    names = Named.nothing(len(changes.at))
    places = transcripts.places(changes.number, changes.at)
    rows = np.flatnonzero(places.inside)
    if not len(rows):
        return names
    changes, places = changes.take(rows), Places(*(column[rows] for column in places))
    names.c[rows] = _c_names(transcripts, changes, places)
    if transcripts.code is not None:
        start, end = transcripts.cds_start[changes.number], transcripts.cds_end[changes.number]
        coded = np.flatnonzero((places.offset == 0) & (start <= places.spliced) & (places.spliced < end))
        p, codon = _p_names(transcripts, transcripts.code, changes.take(coded), places.spliced[coded])
        names.p[rows[coded]], names.codon[rows[coded]] = p, codon
    return names


def _c_names(transcripts: Transcripts, changes: Substitutions, places: Places) -> list[str]:
    start, end = transcripts.cds_start[changes.number], transcripts.cds_end[changes.number]
    behind = places.spliced >= end
    position = places.spliced - np.where(behind, end, start) + (places.spliced >= start)
    heads = _heads(transcripts)[behind.astype(np.intp), changes.number].tolist()
    minus = (transcripts.strand[changes.number] < 0).astype(np.intp)
    edits = _EDITS[minus, changes.ref - ord("A"), _NUMBER[changes.alt]].tolist()
    columns = zip(heads, position.tolist(), places.offset.tolist(), edits, strict=True)
    return [f"{head}{n}{o:+d}{edit}" if o else f"{head}{n}{edit}" for head, n, o, edit in columns]


def _heads(transcripts: Transcripts) -> Array:
    """How names begin, up to and behind the end of the CDS (id:c. and id:c.*), by number."""
    coding = (transcripts.cds_start < transcripts.cds_end).tolist()
    kinds = [("c.", "c.*") if codes else ("n.", "n.") for codes in coding]
    heads = [
        [f"{name}:{kind[behind]}" for name, kind in zip(transcripts.names, kinds, strict=True)] for behind in (0, 1)
    ]
    return np.array(heads, object)


def _p_names(
    transcripts: Transcripts, code: GeneticCode, changes: Substitutions, spliced: Array
) -> tuple[Array, Array]:
    """p. and codon text of changes in the CDS."""
    number = changes.number
    residue, within = np.divmod(spliced - transcripts.cds_start[number] + transcripts.pad[number], 3)
    alt = _on_strand(changes.alt, transcripts.strand[number] < 0)
    codons, whole = _codons(transcripts, number, spliced - within)
    ids = np.array(transcripts.names, object)[number]
    p, texts = ids + ":p.?", np.full(len(ids), "", object)  # where a codon has an N, or lacks an end
    rows = np.flatnonzero(whole & (alt < _N))
    which = ((within * 64 + codons) * 4 + alt)[rows]
    changes, old, new = (texts[which] for texts in code.changes)
    ids = ids[rows]
    columns = zip(ids.tolist(), old.tolist(), (residue[rows] + 1).tolist(), new.tolist(), strict=True)
    p[rows] = [f"{name}:p.({before}{n}{after}" for name, before, n, after in columns]
    texts[rows] = ids + ":" + changes
    for row in rows[(residue[rows] == 0) | (old == "Ter")].tolist():  # the start, or a stop
        at, transcript = int(spliced[row]), transcripts[int(number[row])]
        change = protein_change(transcript, at, at + 1, _LETTERS[alt[row]])
        p[row] = f"{transcripts.names[number[row]]}:{change.replace('=', '%3D')}"
    return p, texts


def _codons(transcripts: Transcripts, number: Array, first: Array) -> tuple[Array, Array]:
    """The number of the codon that begins at a spliced position, and whether the CDS has all of it, in known bases."""
    start, end = transcripts.cds_start[number], transcripts.cds_end[number]
    whole = (first >= start) & (first + 3 <= end)
    minus = transcripts.strand[number] < 0
    codons = np.zeros(len(number), np.int64)
    for place in range(3):
        spliced = np.clip(first + place, start, end - 1)
        base = _on_strand(transcripts.letters_at(number, spliced), minus)
        whole &= base < _N
        codons = codons * 4 + base
    return codons, whole


def _on_strand(letters: Array, minus: Array) -> Array:
    """Numbers of bases (T, C, A, G, other) on the transcript's strand, from letters on the plus strand."""
    numbers = _NUMBER[letters]
    return np.where(minus, _COMPLEMENT[numbers], numbers)


def _edits() -> Array:
    """A>G by minus strand, letter of REF and number of ALT, both on the plus strand; some REF are IUPAC codes."""
    plus = [[f"{ref}>{alt}" for alt in _LETTERS] for ref in ascii_uppercase]
    other = [_LETTERS[number] for number in _COMPLEMENT]
    minus = [[f"{other[_NUMBER[ord(ref)]]}>{alt}" for alt in other] for ref in ascii_uppercase]
    return np.array([plus, minus], object)


_EDITS = _edits()
