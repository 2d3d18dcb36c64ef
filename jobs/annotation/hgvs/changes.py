"""Names of one allele that is no substitution, on one transcript."""

import re
from typing import NamedTuple

from .protein import protein_change, shared
from .transcripts import Transcript, reverse_complement

LONGEST_ALT = 1000  # bases; a name has all that are inserted, once per transcript
LONGEST_CODON_CHANGE = 60  # bases of REF and ALT together; longer ones have no codon text
_AHEAD = 16  # bases that are read at a time when a change moves
_BASES = re.compile("[ACGTN]+")


class Change(NamedTuple):
    """Bases start..end, half-open, of which `ref` is the sequence, replaced by `alt`.

    On the plus strand of the contig, or in places and on the strand of a transcript.
    """

    start: int
    end: int
    ref: str
    alt: str


class Names(NamedTuple):
    """Names of one allele on one transcript; "" where there is none."""

    c: str  # c.64A>G, n.64A>G
    p: str  # p.(Lys22Glu)
    codon: str  # aAa/gAa: changed bases in upper case, on the transcript's strand


NOTHING = Names("", "", "")


def change_of(at: int, ref: str, alt: str) -> Change | None:
    """What an allele whose REF begins at `at` (0-based) changes, None when it has no name on any transcript."""
    if ref == alt or len(alt) > LONGEST_ALT or not _BASES.fullmatch(alt):
        return None
    return trimmed(at, ref, alt)


def trimmed(at: int, ref: str, alt: str) -> Change:
    """The change without the bases that REF and ALT share at their ends, those in front first."""
    if ref[0] == alt[0] and (len(ref) == 1 or len(alt) == 1):  # as nearly all indels are written
        return Change(at + 1, at + len(ref), ref[1:], alt[1:])
    front = shared(ref, alt)
    ref, alt = ref[front:], alt[front:]
    back = shared(ref[::-1], alt[::-1])
    ref, alt = ref[: len(ref) - back], alt[: len(alt) - back]
    return Change(at + front, at + front + len(ref), ref, alt)


def names(transcript: Transcript, change: Change) -> Names:
    """The names of a change of the contig that is no substitution."""
    written = _on_strand(change, transcript)
    moved = _moved(written, transcript)
    name = _change_name(moved, transcript)
    return Names(name, *_protein_and_codon(moved, written, transcript)) if name else NOTHING


def _on_strand(change: Change, transcript: Transcript) -> Change:
    if transcript.forward:
        return change
    start, end, ref, alt = change
    return Change(-end, -start, reverse_complement(ref), reverse_complement(alt))


def _moved(change: Change, transcript: Transcript) -> Change:
    """A deletion or an insertion at the most 3' place of the transcript where it gives the same sequence."""
    start, end, ref, alt = change
    if bool(ref) == bool(alt) or not transcript.start <= start <= end <= transcript.end:
        return change
    bases = ref or alt
    if "N" in bases:  # unknown bases are not known to be the same; and gaps have millions of them
        return change
    steps, size = _steps(transcript, end, bases), len(bases)
    bases = bases[steps % size :] + bases[: steps % size]
    return Change(start + steps, end + steps, bases if ref else "", "" if ref else bases)


def _steps(transcript: Transcript, ahead: int, bases: str) -> int:
    """How many bases of the transcript, from place `ahead` on, repeat some bases."""
    steps = 0
    while ahead + steps < transcript.end:
        found = transcript.sequence(ahead + steps, min(ahead + steps + _AHEAD, transcript.end))
        for base in found:
            if base != bases[steps % len(bases)]:
                return steps
            steps += 1
        if not found:
            break
    return steps


def _change_name(change: Change, transcript: Transcript) -> str:
    """c. or n. name of a trimmed and moved change; "" when it leaves the transcript."""
    start, end, ref, alt = change
    if not ref and _is_copy(change, transcript):
        start, text = start - len(alt), "dup"
    elif not ref:
        start, end, text = start - 1, end + 1, f"ins{alt}"
    else:
        text = f"delins{alt}" if alt else "del"
    first, last = transcript.position(start), transcript.position(end - 1)
    if not first or not last:
        return ""
    return f"{transcript.kind}.{first if first == last else f'{first}_{last}'}{text}"


def _is_copy(change: Change, transcript: Transcript) -> bool:
    """Whether an insertion repeats the bases just 5' of it."""
    before = change.start - len(change.alt)
    inside = transcript.start <= before and change.start <= transcript.end
    return inside and transcript.sequence(before, change.start) == change.alt


def _protein_and_codon(change: Change, written: Change, transcript: Transcript) -> tuple[str, str]:
    """p. and codon text of a moved change; `written` is the same as the file has it."""
    start, end, ref, alt = change
    if not ref:
        start, end = start - 1, end + 1  # the bases at both sides
    if transcript.code is None or not transcript.coding:
        return "", ""
    exon = transcript.exon_of(start)
    if exon < 0 or end - 1 > transcript.lasts[exon]:  # splicing may change, nobody can say how
        start, end = min(start, written.start), max(end, written.end)
        return "p.?" if transcript.touches_cds(start, end) else "", ""
    first = transcript.splices[exon] + start - transcript.firsts[exon]
    last = first + end - 1 - start
    edit = (first, last + 1) if ref else (last, last)
    if not (edit[0] < transcript.cds_end and edit[1] > transcript.cds_start and (ref or first >= transcript.cds_start)):
        return "", ""
    return protein_change(transcript, *edit, alt), _codon_text(transcript, *edit, alt)


def _codon_text(transcript: Transcript, start: int, end: int, alt: str) -> str:
    """The codons that bases [start, end) (spliced) lie in, before and after they are replaced by `alt`."""
    if start < transcript.cds_start or end > transcript.cds_end or end - start + len(alt) > LONGEST_CODON_CHANGE:
        return ""
    coded, shift = transcript.coded, transcript.pad - transcript.cds_start
    start, end = start + shift, end + shift
    first, last = start // 3 * 3, -(-end // 3) * 3
    if first < transcript.pad or last > len(coded):
        return ""  # codons of which one end is missing
    before, after = coded[first:start].lower(), coded[end:last].lower()
    old, new = before + coded[start:end] + after, before + alt + after
    return f"{old or '-'}/{new or '-'}"
