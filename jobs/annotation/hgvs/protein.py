"""Names of changes of a protein."""

from itertools import count, takewhile

from .genetic_code import AMINO_ACIDS, up_to_stop
from .transcripts import Transcript


def protein_change(transcript: Transcript, start: int, end: int, alt: str) -> str:
    """p. name of bases [start, end) (spliced) replaced by `alt` (on the transcript's strand), some of them in the CDS."""
    assert transcript.code is not None
    code, coded = transcript.code, transcript.coded
    shift = transcript.pad - transcript.cds_start
    start, end = start + shift, end + shift
    if start < transcript.pad:
        return "p.(Met1?)" if transcript.has_start else "p.?"
    tail = transcript.bases[transcript.cds_end :]
    changed = coded[:start] + alt + (coded + tail)[end:]
    old = transcript.protein
    first = start // 3
    if first == 0 and transcript.has_start:
        if changed[:3] != "ATG" and code.amino_acids.get(changed[:3]) not in ("M", code.amino_acids[coded[:3]]):
            return "p.(Met1?)"
        if end <= 3 and len(alt) == end - start:
            return "p.(Met1=)"
        first = 1  # it is Met in both
    if (end - start - len(alt)) % 3 or end > len(coded) - len(coded) % 3:
        return _shifted(old, old[:first] + code.translate_to_stop(changed, 3 * first), first)
    longer = len(alt) - (end - start)
    last = max(first - min(longer, 0) // 3 if start < 3 else first, -(-end // 3))
    new = up_to_stop(code.translate(changed[3 * first : 3 * last + longer]))
    if "*" in old[first:last] and "*" not in new:
        return _extended(old, old[:first] + code.translate_to_stop(changed, 3 * first), first)
    return _in_frame(old, first, old[first:last], new)


def _shifted(old: str, new: str, first: int) -> str:
    """p. name of a change after which another protein follows, up to a new stop; they agree before `first`."""
    at = first + shared(old[first:], new[first:])
    if at == len(old) == len(new) and new.endswith("*"):
        return f"p.({_residue(old, min(first, at - 1))}=)"
    if at >= len(old) or at >= len(new):
        return "p.?"  # the CDS or the sequence ends before there is a difference
    stop = new.find("*", at)
    if old[at] == "*":
        return f"p.({_residue(old, at)}{AMINO_ACIDS[new[at]]}extTer{stop - at if stop >= 0 else '?'})"
    if stop == at:
        return f"p.({_residue(old, at)}Ter)"
    return f"p.({_residue(old, at)}{AMINO_ACIDS[new[at]]}fsTer{stop - at + 1 if stop >= 0 else '?'})"


def _extended(old: str, new: str, first: int) -> str:
    """As _shifted, when the frame stays and the stop is lost; what no name is made for is p.? (changes before it)."""
    at = first + shared(old[first:], new[first:])
    return _shifted(old, new, first) if old[at : at + 1] == "*" else "p.?"


def _in_frame(protein: str, first: int, old: str, new: str) -> str:
    """p. name of amino acids `old` (at `first`, 0-based) replaced by `new`, which a stop may end."""
    if old == new:
        return f"p.({_span(protein, first, first + len(old))}=)"
    front = shared(old, new)
    first, old, new = first + front, old[front:], new[front:]
    if new.startswith("*") and first < len(protein):
        return f"p.({_residue(protein, first)}Ter)"
    if not new.endswith("*") or old.endswith("*"):
        back = shared(old[::-1], new[::-1])
        old, new = old[: len(old) - back], new[: len(new) - back]
    if len(old) == 1 == len(new):
        return f"p.({_residue(protein, first)}{AMINO_ACIDS[new]})"
    if old and new:
        return f"p.({_span(protein, first, first + len(old))}delins{_three_letters(new)})"
    if old:
        first += _steps(protein, first + len(old), old)
        return f"p.({_span(protein, first, first + len(old))}del)"
    return _inserted(protein, first, new)


def _inserted(protein: str, first: int, new: str) -> str:
    steps = 0 if new.endswith("*") else _steps(protein, first, new)
    turn, first = steps % len(new), first + steps
    new = new[turn:] + new[:turn]
    if first >= len(new) and protein[first - len(new) : first] == new:
        return f"p.({_span(protein, first - len(new), first)}dup)"
    if not 0 < first < len(protein):
        return "p.?"
    return f"p.({_span(protein, first - 1, first + 1)}ins{_three_letters(new)})"


def _steps(protein: str, ahead: int, moving: str) -> int:
    """How far amino acids can move towards the C-terminus, over those from `ahead` on, and give the same protein."""
    size = len(moving)
    pairs = ((protein[ahead + i], moving[i % size]) for i in takewhile(lambda i: ahead + i < len(protein), count()))
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _span(protein: str, start: int, end: int) -> str:
    first = _residue(protein, start)
    return first if end - start <= 1 else f"{first}_{_residue(protein, end - 1)}"


def _residue(protein: str, at: int) -> str:
    return f"{AMINO_ACIDS[protein[at]]}{at + 1}"


def _three_letters(protein: str) -> str:
    return "".join(AMINO_ACIDS[letter] for letter in protein)


def shared(first: str, second: str) -> int:
    """How many characters two texts share at their beginning."""
    for at, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return at
    return min(len(first), len(second))
