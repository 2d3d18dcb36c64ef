"""The records of a block of text, by column: one pass of numpy finds the tabs and checks what can be checked at once."""

from dataclasses import dataclass, field
from itertools import groupby

import numpy as np

from .records import ALT, CHROM, MAX_POS, QUAL, REF, fault_of, late_end
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
        text = self.text
        starts, stops = self.starts[rows, number].tolist(), self.stops[rows, number].tolist()
        return [text[start:stop] for start, stop in zip(starts, stops, strict=True)]

    def lengths(self, number: int) -> Array:
        return self.stops[:, number] - self.starts[:, number]

    def first_bytes(self, number: int) -> Array:
        return np.frombuffer(self.text, np.uint8)[self.starts[:, number]]

    def line(self, row: int) -> bytes:
        return self.text[self.begins[row] : self.ends[row]]

    def contigs(self) -> list[tuple[bytes, slice]]:
        """Runs of rows of one contig."""
        if not len(self):
            return []
        name = self.text[self.starts[0, 0] : self.stops[0, 0]]
        lengths = self.lengths(0)
        if (lengths == len(name)).all():
            buffer = np.frombuffer(self.text, np.uint8)
            letters = buffer[self.starts[:, 0, None] + np.arange(len(name))]
            if (letters == np.frombuffer(name, np.uint8)).all():
                return [(name, slice(0, len(self)))]
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
    ok &= size <= 9
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
        values = [text[a:b] for a, b in zip(starts[:, column].tolist(), stops[:, column].tolist(), strict=True)]
        if bad := {value for value in set(values) if not rule.fullmatch(value)}:
            ok &= np.array([value not in bad for value in values])
    if b"END=" in text:
        for row in np.flatnonzero(ok).tolist():
            if late_end(text[starts[row, 7] : stops[row, 7]]):
                ok[row] = False
    return pos, ok


def _place(record: bytes) -> str:
    fields = record.split(b"\t", 2)[:2]
    return b":".join(fields)[:60].decode(errors="replace")
