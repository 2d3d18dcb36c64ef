"""Tracks of a contig: intervals that a variant overlaps, and alleles that it is equal to.

The intervals of a track are compiled into disjoint segments, each with the set of intervals that cover it, so that a
look-up is one binary search however deeply they overlap. Alleles are sorted by position and allele. Positions are
0-based, spans half-open. `reference/intervals.py` and `reference/alleles.py` make the arrays when a reference is built.

Variants come in the order of the contig, so that neighbours mostly have the same text: it is made once for each run of
them. Nothing that was looked up is kept, so that memory does not grow with the file.
"""

import zlib
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from .reference.arrays import Array, Arrays

_BASE = {b"A": 0, b"C": 1, b"G": 2, b"T": 3}


class Spans:
    """What some variants change: bases first..last, or with `gap` the place between these two neighbours."""

    def __init__(self, first: Array, last: Array, gap: Array) -> None:
        self.first, self.last, self.gap = first, last, gap

    @cached_property
    def wide(self) -> Array:
        """The variants that are more than one base."""
        return np.flatnonzero(self.first != self.last)


class Column(NamedTuple):
    """A text for each variant (object[n], bytes), and which of them are not empty (bool[n])."""

    texts: Array
    filled: Array

    @classmethod
    def empty(cls, size: int) -> "Column":
        texts = np.empty(size, object)
        texts[:] = b""
        return cls(texts, np.zeros(size, bool))

    @classmethod
    def of_runs(cls, numbers: Array, read: Callable[[Array], list[bytes]]) -> "Column":
        """The texts that `read` has for these numbers; it is asked once for each run of equal ones."""
        starts = np.flatnonzero(np.concatenate([[True], numbers[1:] != numbers[:-1]]))
        texts = np.array([*read(numbers[starts]), None])[:-1]  # None: an array of objects, whatever their lengths
        counts = np.diff(starts, append=len(numbers))
        return cls(np.repeat(texts, counts), np.repeat(texts.astype(bool), counts))

    def put(self, rows: Array, texts: list[bytes] | bytes) -> None:
        """Puts texts, or one, that are not empty in some rows."""
        self.texts[rows] = texts
        self.filled[rows] = True


class Texts:
    """A text array: texts by number."""

    def __init__(self, arrays: Arrays, name: str) -> None:
        self.at, self.text = arrays[f"{name}_at"], arrays[name].data

    def __getitem__(self, number: int) -> bytes:
        return self.text[int(self.at[number]) : int(self.at[number + 1])].tobytes()

    def of(self, numbers: Array) -> list[bytes]:
        text, starts, stops = self.text, self.at[numbers].tolist(), self.at[numbers + 1].tolist()
        return [text[start:stop].tobytes() for start, stop in zip(starts, stops, strict=True)]


def info_text(
    rows: Sequence[Sequence[bytes]], fields: list[bytes], overlap: bytes | None = None, shares: Sequence[float] = ()
) -> bytes:
    """`;FIELD=a,b` for each field, over the values of some intervals.

    Equal values stand once. With `overlap` the values are parallel lists, and the per cents of the variant that each
    interval covers are the last field.
    """
    text = b""
    for number, field in enumerate(fields):
        column: Iterable[bytes] = [row[number] for row in rows]
        column = [value or b"." for value in column] if overlap else dict.fromkeys(filter(None, column))
        if column:
            text += b";%b=%b" % (field, b",".join(column))
    if overlap and rows:
        text += b";%b=%b" % (overlap, b",".join(b"%.4g" % share for share in shares))
    return text


class IntervalTrack:
    """Answers which intervals of one track variants overlap."""

    def __init__(self, arrays: Arrays, name: str, fields: list[bytes], overlap: bytes | None = None) -> None:
        own = _own(arrays, name)
        self.arrays, self.fields, self.overlap = own, fields, overlap
        self.breaks, self.sets = own["breaks"], own["sets"]
        self.texts, self._values = Texts(own, "text"), Texts(own, "value")

    def column(self, spans: Spans) -> Column:
        """The INFO text of each variant; there is at least one."""
        first, last = self._segments(spans)
        column = Column.of_runs(self.sets[first], self.texts.of)
        for row in spans.wide[first[spans.wide] != last[spans.wide]].tolist():
            text = self._across(spans, row, int(first[row]), int(last[row]))
            column.texts[row], column.filled[row] = text, bool(text)
        return column

    def overlapped(self, spans: Spans) -> list[int]:
        """The intervals that any of the variants overlaps, in ascending order."""
        first, last = self._segments(spans)
        numbers = set(self.sets[first].tolist())
        for row in np.flatnonzero(first != last).tolist():
            numbers.update(self.sets[first[row] : last[row] + 1].tolist())
        return sorted(set().union(*map(self._members, numbers)))

    def values(self, interval: int) -> list[bytes]:
        """The values of one interval, one for each field."""
        return self._values[int(self.arrays["value_of"][interval])].split(b"\t")

    def _segments(self, spans: Spans) -> tuple[Array, Array]:
        """The segments of first and last bases. Only the breaks between the outermost bases are searched."""
        ends = np.array([spans.first.min(), spans.last.max()]).astype(self.breaks.dtype)
        low, high = np.searchsorted(self.breaks, ends, "right")
        low = max(int(low), 1)  # the first segment starts at 0
        near = self.breaks[low:high].astype(np.int64)
        first = low - 1 + np.searchsorted(near, spans.first, "right")
        last = first.copy()
        last[spans.wide] = low - 1 + np.searchsorted(near, spans.last[spans.wide], "right")
        return first, last

    def _across(self, spans: Spans, row: int, low: int, high: int) -> bytes:
        """The text of a variant that reaches from one segment into another."""
        numbers = dict.fromkeys(self.sets[low : high + 1].tolist())
        if spans.gap[row]:
            both = set(self._members(int(self.sets[low]))) & set(self._members(int(self.sets[high])))
            return self._joined(sorted(both))
        numbers.pop(0, None)
        if self.overlap:
            members = sorted(set().union(*map(self._members, numbers)))
            return self._joined(members, self._shares(members, int(spans.first[row]), int(spans.last[row])))
        if len(numbers) < 2:
            return self.texts[min(numbers, default=0)]
        return self._joined(sorted(set().union(*map(self._members, numbers))))

    def _members(self, number: int) -> list[int]:
        """The intervals of a set."""
        at = self.arrays["set_at"]
        members: list[int] = self.arrays["members"][at[number] : at[number + 1]].tolist()
        return members

    def _shares(self, members: list[int], first: int, last: int) -> list[float]:
        """How many per cent of bases first..last each interval covers."""
        start, end = self.arrays["start"][members], self.arrays["end"][members]
        covered: list[float] = (
            100 * (np.minimum(end, last + 1) - np.maximum(start, first)) / (last + 1 - first)
        ).tolist()
        return covered

    def _joined(self, members: list[int], shares: Sequence[float] | None = None) -> bytes:
        shares = [100] * len(members) if shares is None else shares
        return info_text([self.values(member) for member in members], self.fields, self.overlap, shares)


def allele_key(position: int, ref: bytes, alt: bytes) -> int:
    """Sorts alleles of a contig: by position, then SNVs (codes 0 to 15) before all others (checksums)."""
    if len(ref) == len(alt) == 1 and ref in _BASE and alt in _BASE:
        return position << 32 | _BASE[ref] << 2 | _BASE[alt]
    return position << 32 | zlib.crc32(ref + b">" + alt) | 1 << 31


class AlleleTrack:
    """Answers which alleles of one track variants are equal to."""

    def __init__(self, arrays: Arrays, name: str, fields: int) -> None:
        self.arrays = _own(arrays, name)
        self.key = self.arrays["key"]
        self._long = Texts(self.arrays, "long")
        self._texts = [
            Texts(self.arrays, f"{field}/value") if f"{field}/value" in self.arrays else None for field in range(fields)
        ]

    def find(self, keys: Array, alleles: Callable[[int], bytes]) -> tuple[Array, Array]:
        """Which of the keys are there (indices into `keys`), and in which rows.

        `alleles` gives REF>ALT of a key that is no SNV's: equal checksums may be of other alleles.
        """
        if not len(self.key) or not len(keys):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        low, high = np.searchsorted(self.key, [keys.min(), keys.max() + 1])
        near = self.key[low : max(high, low + 1)]
        rows = np.minimum(np.searchsorted(near, keys), len(near) - 1)
        hits = np.flatnonzero(near[rows] == keys) if len(near) else np.empty(0, np.int64)
        rows = low + rows[hits]
        places = np.flatnonzero(keys[hits] >> 31 & 1)
        numbers = np.searchsorted(self.arrays["long_row"], rows[places])
        for place, number, known in zip(places.tolist(), numbers.tolist(), self._long.of(numbers), strict=True):
            if known != (allele := alleles(int(hits[place]))):
                rows[place] = self._row_of(int(rows[place]), number, allele)
        found = rows >= 0
        return hits[found], rows[found]

    def _row_of(self, row: int, number: int, allele: bytes) -> int:
        """The row of an allele from `row` on, whose key others have too; `number` is that of its text."""
        for step in range(1, len(self.key) - row):
            if self.key[row + step] != self.key[row]:
                break
            if self._long[number + step] == allele:
                return row + step
        return -1

    def values(self, field: int, rows: Array) -> list[bytes]:
        """A field of some rows; empty where it has none."""
        texts = self._texts[field]
        if (numbers := self.arrays.get(f"{field}/number")) is not None:
            known = numbers[rows].tolist()
            return [b"rs%d" % number if number > 0 else texts[-number] if number and texts else b"" for number in known]
        if texts is None:  # a contig without records of this track
            return [b""] * len(rows)
        return texts.of(self.arrays[f"{field}/id"][rows])


def _own(arrays: Arrays, name: str) -> Arrays:
    prefix = f"{name}/"
    return {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}
