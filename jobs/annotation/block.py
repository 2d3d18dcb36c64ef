"""The records of a block of text, by column: one pass of numpy finds the tabs and checks what can be checked at once."""

from dataclasses import dataclass, field
from itertools import groupby

import numpy as np

from .records import ALT, CHROM, CONTROL, MAX_POS, QUAL, REF, fault_of, late_end
from .reference.arrays import Array

_BASE = np.zeros(256, bool)
_BASE[list(b"ACGTNRYSWKMBDHVacgtnryswkmbdhv")] = True
_ALT = _BASE.copy()
_ALT[list(b".*")] = True


@dataclass(frozen=True)
class Skipped:
    """A record that cannot be read: the number of its line, CHROM:POS or what stands there, and why."""

    line: int
    place: str
    reason: str


@dataclass
class Block:
    """`columns` (starts, ends; int64[n, 8 or 9], FORMAT is the ninth) index `text`; `pos` is int64[n], 1-based.

    `lines` are line numbers (int64[n]), `ends` where lines end. Skipped and blank lines are in none of these.
    """

    text: bytes
    lines: Array
    begins: Array
    ends: Array
    starts: Array
    stops: Array
    pos: Array
    skipped: list[Skipped] = field(default_factory=list)
    blank: int = 0

    def __len__(self) -> int:
        return len(self.pos)

    def column(self, number: int, rows: Array | slice = slice(None)) -> list[bytes]:
        """The values of a column, in some rows."""
        return values_at(self.text, self.starts[rows, number], self.stops[rows, number])

    def lengths(self, number: int) -> Array:
        return self.stops[:, number] - self.starts[:, number]

    def first_bytes(self, number: int) -> Array:
        return np.frombuffer(self.text, np.uint8)[self.starts[:, number]]

    def line(self, row: int) -> bytes:
        return self.text[self.begins[row] : self.ends[row]]

    def distinct(self, number: int) -> set[bytes]:
        """The values of a column."""
        return _distinct(self.text, self.starts[:, number], self.stops[:, number])

    def contigs(self) -> list[tuple[bytes, slice]]:
        """Runs of rows of one contig."""
        if not len(self):
            return []
        names = self.distinct(0)
        if len(names) == 1:
            return [(names.pop(), slice(0, len(self)))]
        runs, at = [], 0
        for run, same in groupby(self.column(0)):
            count = sum(1 for _ in same)
            runs.append((run, slice(at, at + count)))
            at += count
        return runs


def parse(text: bytes, line: int, width: int) -> Block:
    """The records of a text whose first line has this number; `width` is how many columns the #CHROM line has."""
    buffer = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(buffer == 10)
    begins = np.concatenate([np.zeros(1, np.int64), ends[:-1] + 1])[: len(ends)]
    tabs = np.flatnonzero(buffer == 9)
    lines = line + np.arange(len(ends))
    before = np.searchsorted(tabs, np.concatenate([begins, [len(text)]]))
    shaped = (np.diff(before) == width - 1) & (buffer[begins] != ord("#"))
    good = np.flatnonzero(shaped)
    shown = min(width, 9)
    places = tabs[before[good][:, None] + np.arange(min(width - 1, shown))]
    starts = np.concatenate([begins[good][:, None], places[:, : shown - 1] + 1], axis=1)
    last = places[:, shown - 1 :] if width > shown else ends[good][:, None]
    stops = np.concatenate([places[:, : shown - 1], last], axis=1)
    pos, ok = _checked(text, buffer, starts, stops)
    if len(text.translate(None, CONTROL)) < len(text):
        controlled = np.zeros(len(ends), bool)
        controlled[np.searchsorted(ends, np.flatnonzero(np.isin(buffer, list(CONTROL))))] = True
        ok &= ~controlled[good]
    wrong = np.concatenate([np.flatnonzero(~shaped), good[~ok]])
    skipped, blank = [], 0
    for row in np.sort(wrong).tolist():
        record = text[begins[row] : ends[row]]
        if record.strip():
            skipped.append(Skipped(int(lines[row]), _place(record), fault_of(record, int(lines[row]), width)))
        else:
            blank += 1
    kept = good[ok]
    return Block(text, lines[kept], begins[kept], ends[kept], starts[ok], stops[ok], pos[ok], skipped, blank)


def _checked(text: bytes, buffer: Array, starts: Array, stops: Array) -> tuple[Array, Array]:
    """POS of each row, and which rows are as VCF has them."""
    lengths = stops - starts
    ok = (lengths > 0).all(axis=1)
    pos = np.zeros(len(starts), np.int64)
    size = lengths[:, 1]
    ok &= (size <= 9) & ((size == 1) | (buffer[np.minimum(starts[:, 1], len(buffer) - 1)] != ord("0")))
    for place in range(min(int(size.max(initial=0)), 9)):
        there = size > place
        digit = buffer[np.minimum(starts[:, 1] + place, len(buffer) - 1)] - np.uint8(48)
        ok &= (digit < 10) | ~there
        pos = np.where(there, pos * 10 + digit, pos)
    ok &= pos <= MAX_POS
    for column, table, rule in ((3, _BASE, REF), (4, _ALT, ALT)):
        single = lengths[:, column] == 1
        ok &= ~single | table[buffer[np.minimum(starts[:, column], len(buffer) - 1)]]
        for row in np.flatnonzero(~single & ok).tolist():
            if not rule.fullmatch(text, starts[row, column], stops[row, column]):
                ok[row] = False
    for column, rule in ((5, QUAL), (0, CHROM)):
        values = _distinct(text, starts[:, column], stops[:, column])
        if bad := {value for value in values if not rule.fullmatch(value)}:
            ok &= np.array([value not in bad for value in values_at(text, starts[:, column], stops[:, column])])
    if b"END=" in text:
        for row in np.flatnonzero(ok).tolist():
            if late_end(text[starts[row, 7] : stops[row, 7]]):
                ok[row] = False
    return pos, ok


def values_at(text: bytes, starts: Array, stops: Array) -> list[bytes]:
    """The stretches of a text from each start to its stop."""
    return [text[start:stop] for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)]


def _distinct(text: bytes, starts: Array, stops: Array) -> set[bytes]:
    """The different values; mostly there is one, as of CHROM, FILTER and FORMAT."""
    if not len(starts):
        return set()
    first = text[starts[0] : stops[0]]
    if len(first) < 100 and (stops - starts == len(first)).all():
        letters = np.frombuffer(text, np.uint8)[starts[:, None] + np.arange(len(first))]
        if (letters == np.frombuffer(first, np.uint8)).all():
            return {first}
    return set(values_at(text, starts, stops))


def _place(record: bytes) -> str:
    fields = record.split(b"\t", 2)[:2]
    text = b":".join(fields)[:60].decode(errors="replace")
    return "".join(letter if letter.isprintable() else "?" for letter in text)  # one line of skipped.tsv
