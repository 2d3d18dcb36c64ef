"""Moves one record along a chain, or says why it does not lift.

A record lifts when its whole REF lies in one block, and the target has the same bases there. Where it has those of an
ALT, the record is left out: exchanging REF and ALT would falsify genotypes and INFO.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from .chain import Place

# Why a record does not lift
REASONS = {
    "symbolic": "an ALT is symbolic or a breakend, whose other coordinates are not lifted",
    "end_differs": "END is not where REF ends, and only REF is lifted",
    "contig_unknown": "the chain file has no such contig",
    "contig_length": "the header gives its contig another length than the chain file",
    "vanished": "the target has nothing in the place of REF",
    "split": "the bases of REF, or those beside an insertion, are not together in the target",
    "several_places": "the target has more than one place for REF",
    "no_target_sequence": "the reference has no bases of the contig where it would lie, so that REF cannot be compared",
    "ref_differs": "the target has other bases than REF",
    "ref_alt_swapped": "the target has the bases of an ALT where this build has REF",
}
_COMPLEMENT = bytes.maketrans(b"ACGTNRYSWKMBDHVacgtnryswkmbdhv", b"TGCANYRSWMKVHDBtgcanyrswmkvhdb")
_BASES = re.compile(rb"[ACGTNRYSWKMBDHVacgtnryswkmbdhv]+")


class Bases(Protocol):
    """A sequence in upper case: bytes, or a memory map of a contig."""

    def __len__(self) -> int: ...
    def __getitem__(self, key: slice, /) -> Any: ...


SequenceOf = Callable[[bytes], Bases | None]  # of a target contig, as the chain file names it


class Lifted(NamedTuple):
    """A record in the target; `pos` is 0-based, `reverse` tells that its strand was flipped."""

    contig: bytes
    pos: int
    ref: bytes
    alts: list[bytes]
    reverse: bool


def lift(found: list[Place] | str, ref: bytes, alts: list[bytes], sequence_of: SequenceOf) -> Lifted | str:
    """The record in the target, or a key of REASONS.

    `found` is what Chain.places says of the bases of REF; `alts` is empty for an ALT of '.'.
    """
    if not all(alt == b"*" or _BASES.fullmatch(alt) for alt in alts):
        return "symbolic"
    if isinstance(found, str):
        return found
    if len(found) > 1 and len({place[:3] for place in found}) > 1:
        return "several_places"
    place = max(found, key=lambda place: place.beyond) if len(found) > 1 else found[0]
    sequence = sequence_of(place.contig)
    return "no_target_sequence" if sequence is None else _moved(place, ref, alts, sequence)


def _moved(place: Place, ref: bytes, alts: list[bytes], sequence: Bases) -> Lifted | str:
    start = place.at - len(ref) + 1 if place.reverse else place.at
    alleles = [_flipped(allele) for allele in (ref, *alts)] if place.reverse else [ref, *alts]
    has = bytes(sequence[start : start + len(ref)]).upper()
    if has != alleles[0].upper():
        return "ref_alt_swapped" if has in (alt.upper() for alt in alleles[1:]) else "ref_differs"
    if place.reverse and any(alt != b"*" and len(alt) != len(ref) for alt in alts):
        if not place.beyond and len(ref) == 1:
            return "split"  # what is inserted would stand in a gap of the alignment
        start, alleles = _anchored(start, alleles, sequence)
    return Lifted(place.contig, start, alleles[0], alleles[1:], place.reverse)


def _flipped(allele: bytes) -> bytes:
    return allele.translate(_COMPLEMENT)[::-1]


def _anchored(start: int, alleles: list[bytes], sequence: Bases) -> tuple[int, list[bytes]]:
    """Indels on the other strand: what was their anchor now stands behind them, and they are not leftmost any more.

    The anchor goes, the alleles move left as far as they can, and get the base before as their anchor (Tan et al.
    2015, doi:10.1093/bioinformatics/btv112); at the start of the contig, the base after (VCF 4.5 section 1.6.1).
    """
    spelled = [allele for allele in alleles if allele != b"*"]
    while True:
        if all(spelled) and len({allele[-1:].upper() for allele in spelled}) == 1:
            spelled = [allele[:-1] for allele in spelled]
        elif all(spelled):
            break
        elif start:
            start -= 1
            before = bytes(sequence[start : start + 1])
            spelled = [before + allele for allele in spelled]
        else:
            after = bytes(sequence[len(spelled[0]) : len(spelled[0]) + 1])
            spelled = [allele + after for allele in spelled]
            break
    rest = iter(spelled)
    return start, [allele if allele == b"*" else next(rest) for allele in alleles]
