"""Compiles the intervals of a track: disjoint segments, each with the set of intervals that cover it."""

import bisect

import numpy as np

from jobs.annotation.tracks import info_text

from .arrays import Arrays, texts

Interval = tuple[int, int, tuple[bytes, ...]]  # start and end (0-based, half-open), and a value for each field


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
    alone = [info_text([value], fields, overlap, [100]) for value in joined]  # most sets are of one interval
    set_texts = [
        alone[value_of[found[0]]]
        if len(found) == 1
        else info_text([values[member] for member in found], fields, overlap, [100] * len(found))
        for found in numbers
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
