"""Tracks of a contig: intervals that a variant overlaps, and alleles that it is equal to.

The intervals of a track are compiled into disjoint segments, each with the set of intervals that cover it, so that a
look-up is one binary search however deeply they overlap. Alleles are sorted by position and allele. Positions are
0-based, spans half-open. `compile_*` make the arrays when a reference is built; the classes answer from them.
"""

import bisect
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from .reference.arrays import Array, Arrays, texts

Interval = tuple[int, int, tuple[bytes, ...]]
Allele = tuple[int, bytes, bytes, tuple[bytes, ...]]

_BASE = {b"A": 0, b"C": 1, b"G": 2, b"T": 3}
_PREFIX = b"rs"


class Spans(NamedTuple):
    """What some variants change: bases first..last, or with `gap` the place between these two neighbours."""

    first: Array
    last: Array
    gap: Array


def compile_intervals(intervals: list[Interval], fields: list[bytes], overlap: bytes | None = None) -> Arrays:
    """The arrays of an interval track; empty values are left out of the text.

    breaks      int32, where each segment starts; the first is 0
    sets        uint32, the set of each segment; 0 is empty
    members     uint32, the intervals of each set, in ascending order; set_at (uint32) says where a set's start
    start, end  int32, of the intervals
    value       text, the values of an interval as INFO text; a text X has its offsets in X_at
    set         text, the INFO text of each set
    """
    intervals = sorted(intervals, key=lambda interval: interval[:2])
    breaks, sets = _segments(intervals)
    numbers = {(): 0} | dict.fromkeys(sets, 0)
    numbers = {found: number for number, found in enumerate(numbers)}
    values = [interval[2] for interval in intervals]
    joined: dict[tuple[bytes, ...], int] = {}
    value_of = [joined.setdefault(value, len(joined)) for value in values]
    set_texts = [
        info_text([values[member] for member in found], fields, overlap, [100] * len(found)) for found in numbers
    ]
    value_at, value = texts([b"\t".join(value) for value in joined])
    text_at, text = texts(set_texts)
    return {
        "breaks": np.array(breaks, np.int32),
        "sets": np.array([numbers[found] for found in sets], np.uint32),
        "set_at": np.cumsum([0, *map(len, numbers)]).astype(np.uint32),
        "members": np.array([member for found in numbers for member in found], np.uint32),
        "start": np.array([interval[0] for interval in intervals], np.int32),
        "end": np.array([interval[1] for interval in intervals], np.int32),
        "value_of": np.array(value_of, np.uint32),
        "value_at": value_at,
        "value": value,
        "text_at": text_at,
        "text": text,
    }


def _segments(intervals: list[Interval]) -> tuple[list[int], list[tuple[int, ...]]]:
    """Where segments start, and the intervals that cover each."""
    changes: dict[int, tuple[list[int], list[int]]] = {0: ([], [])}
    for number, (start, end, _) in enumerate(intervals):
        changes.setdefault(start, ([], []))[0].append(number)
        changes.setdefault(end, ([], []))[1].append(number)
    breaks, sets, active = [], [], list[int]()
    for position in sorted(changes):
        begun, ended = changes[position]
        for number in ended:
            del active[bisect.bisect_left(active, number)]
        for number in begun:
            bisect.insort(active, number)
        breaks.append(position)
        sets.append(tuple(active))
    return breaks, sets


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
        prefix = f"{name}/"
        own = {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}
        self.arrays, self.fields, self.overlap = own, fields, overlap
        self.breaks, self.sets = own["breaks"], own["sets"]
        self._texts: dict[int, bytes] = {}

    def append(self, spans: Spans, ours: list[bytes]) -> Array:
        """Appends the INFO text of each variant to `ours`; returns which of them (rows) got some."""
        first, several = self.locate(spans)
        numbers = self.sets[first]
        numbers[several] = 0
        rows = np.flatnonzero(numbers)
        known = self._texts
        for row, number in zip(rows.tolist(), numbers[rows].tolist(), strict=True):
            text = known.get(number)
            if text is None:
                text = known[number] = self._text(number)
            ours[row] += text
        return self._append_several(spans, several, ours, rows)

    def _append_several(self, spans: Spans, several: Array, ours: list[bytes], rows: Array) -> Array:
        found = []
        for row in several.tolist():
            first, last = int(spans.first[row]), int(spans.last[row])
            if members := self.members(first, last, gap=bool(spans.gap[row])):
                ours[row] += self._joined(members, first, last)
                found.append(row)
        return np.sort(np.concatenate([rows, np.array(found, rows.dtype)])) if found else rows

    def locate(self, spans: Spans) -> tuple[Array, Array]:
        """The segment of each first base, and the rows that reach into another segment."""
        first = np.searchsorted(self.breaks, spans.first, "right") - 1
        last = np.searchsorted(self.breaks, spans.last, "right") - 1
        return np.maximum(first, 0), np.flatnonzero(first != last)

    def members(self, first: int, last: int, *, gap: bool = False) -> list[int]:
        """The intervals that overlap first..last, or that the gap between the two lies in, in ascending order."""
        low = max(int(np.searchsorted(self.breaks, first, "right")) - 1, 0)
        high = max(int(np.searchsorted(self.breaks, last, "right")) - 1, 0)
        sets = [self.members_of(int(number)) for number in np.unique(self.sets[low : high + 1])]
        if gap:
            inside = set(self.members_of(int(self.sets[low]))) & set(self.members_of(int(self.sets[high])))
            return sorted(inside)
        return sorted(set().union(*sets))

    def members_of(self, number: int) -> list[int]:
        """The intervals of a set."""
        at = self.arrays["set_at"]
        members: list[int] = self.arrays["members"][at[number] : at[number + 1]].tolist()
        return members

    def values(self, interval: int) -> list[bytes]:
        """The values of one interval, one for each field."""
        return _slice(self.arrays, "value", int(self.arrays["value_of"][interval])).split(b"\t")

    def _text(self, number: int) -> bytes:
        return _slice(self.arrays, "text", number)

    def _joined(self, members: list[int], first: int, last: int) -> bytes:
        shares = []
        if self.overlap:
            start, end = self.arrays["start"][members], self.arrays["end"][members]
            shares = (100 * (np.minimum(end, last + 1) - np.maximum(start, first)) / (last + 1 - first)).tolist()
        return info_text([self.values(member) for member in members], self.fields, self.overlap, shares)


def compile_alleles(records: list[Allele]) -> Arrays:
    """The arrays of an allele track; records of the same allele are merged, their values joined by '&'.

    key         int64, sorted: position << 32 | code of REF and ALT
    long, long_at   REF>ALT of the alleles that are no SNV, whose code is a checksum; long_row (int64) are their rows
    N/number    int64, when all values of field N are rs numbers (0 for none); else
    N/id        uint32 of the text N/value (0 is empty)
    """
    merged: dict[tuple[int, bytes, bytes], list[tuple[bytes, ...]]] = {}
    for position, ref, alt, values in records:
        merged.setdefault((position, ref, alt), []).append(values)
    keyed = sorted((allele_key(*allele), *allele[1:], values) for allele, values in merged.items())
    arrays = {"key": np.array([row[0] for row in keyed], np.int64)}
    long = [row for row, (key, *_) in enumerate(keyed) if key >> 31 & 1]
    arrays["long_row"] = np.array(long, np.int64)
    arrays["long_at"], arrays["long"] = texts([keyed[row][1] + b">" + keyed[row][2] for row in long])
    for field in range(len(records[0][3]) if records else 0):
        column = [b"&".join(dict.fromkeys(v[field] for v in values if v[field])) for *_, values in keyed]
        arrays |= {f"{field}/{name}": array for name, array in _column(column).items()}
    return arrays


def _column(values: list[bytes]) -> Arrays:
    """An allele track's values of one field: as numbers when all are rs numbers, else as texts."""
    if all(not value or (value.startswith(_PREFIX) and value[2:].isdigit()) for value in values):
        return {"number": np.array([int(value[2:] or 0) for value in values], np.int64)}
    numbers = {b"": 0} | dict.fromkeys(values, 0)
    numbers = {value: number for number, value in enumerate(numbers)}
    at, text = texts(list(numbers))
    return {"id": np.array([numbers[value] for value in values], np.uint32), "value_at": at, "value": text}


def allele_key(position: int, ref: bytes, alt: bytes) -> int:
    """Sorts alleles of a contig: by position, then SNVs (codes 0 to 15) before all others (checksums)."""
    if len(ref) == len(alt) == 1 and ref in _BASE and alt in _BASE:
        return position << 32 | _BASE[ref] << 2 | _BASE[alt]
    return position << 32 | zlib.crc32(ref + b">" + alt) | 1 << 31


class AlleleTrack:
    """Answers which alleles of one track variants are equal to."""

    def __init__(self, arrays: Arrays, name: str, fields: int) -> None:
        prefix = f"{name}/"
        self.arrays = {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}
        self.key = self.arrays["key"]
        self._readers = [self._reader(field) for field in range(fields)]

    def find(self, keys: Array, alleles: Callable[[int], bytes]) -> tuple[Array, Array]:
        """Which of the keys are there (indices into `keys`), and in which rows.

        `alleles` gives REF>ALT of a key that is no SNV's: equal checksums may be of other alleles.
        """
        if not len(self.key):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        rows = np.minimum(np.searchsorted(self.key, keys), len(self.key) - 1)
        hits = np.flatnonzero(self.key[rows] == keys)
        rows = rows[hits]
        for place in np.flatnonzero(keys[hits] >> 31 & 1).tolist():
            rows[place] = self._row_of(int(rows[place]), alleles(int(hits[place])))
        found = rows >= 0
        return hits[found], rows[found]

    def _row_of(self, row: int, allele: bytes) -> int:
        key = self.key[row]
        while row < len(self.key) and self.key[row] == key:
            at = int(np.searchsorted(self.arrays["long_row"], row))
            if _slice(self.arrays, "long", at) == allele:
                return row
            row += 1
        return -1

    def value(self, field: int, row: int) -> bytes:
        """A field of one row, empty when it has none."""
        return self._readers[field](row)

    def _reader(self, field: int) -> Callable[[int], bytes]:
        if (numbers := self.arrays.get(f"{field}/number")) is not None:
            return lambda row: b"rs%d" % numbers[row] if numbers[row] else b""
        if f"{field}/id" not in self.arrays:  # a contig without records of this track
            return lambda _row: b""
        ids = self.arrays[f"{field}/id"]
        known: dict[int, bytes] = {}

        def read(row: int) -> bytes:
            number = int(ids[row])
            if (value := known.get(number)) is None:
                value = known[number] = _slice(self.arrays, f"{field}/value", number)
            return value

        return read


def _slice(arrays: Arrays, name: str, number: int) -> bytes:
    at = arrays[f"{name}_at"]
    return arrays[name][int(at[number]) : int(at[number + 1])].tobytes()
