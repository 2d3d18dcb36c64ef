"""Look-ups in compiled tracks agree with looking at every interval and every allele."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.annotation.reference import arrays
from jobs.annotation.reference.intervals import compile_intervals
from jobs.annotation.tracks import IntervalTrack, Spans


def track_of(tmp_path, compiled, kind, *arguments):
    path = tmp_path / "contig.arrays"
    arrays.save(path, {f"t/{name}": array for name, array in compiled.items()})
    return kind(arrays.load(path), "t", *arguments)


def texts(track, spans):
    column = track.column(Spans(*map(np.array, zip(*spans, strict=True))))
    assert column.filled.tolist() == [text != b"" for text in column.texts]
    return column.texts.tolist()


@st.composite
def tracks_and_spans(draw):
    places = st.integers(0, 40)
    bounds = st.tuples(places, st.integers(1, 15))
    intervals = [(start, start + size, (b"i%d" % n,)) for n, (start, size) in enumerate(draw(st.lists(bounds)))]
    spans = [(at, at + size - 1, False) for at, size in draw(st.lists(bounds, min_size=1))]
    spans += [(at, at + 1, True) for at in draw(st.lists(places))]
    return intervals, spans


def covers(interval, first, last, gap):
    start, end, _ = interval
    return start <= first and last < end if gap else start <= last and first < end


@settings(max_examples=300, deadline=None)
@given(tracks_and_spans())
def test_intervals_agree_with_brute_force(tmp_path_factory, case):
    intervals, spans = case
    track = track_of(tmp_path_factory.mktemp("t"), compile_intervals(intervals, [b"GAS_T"]), IntervalTrack, [b"GAS_T"])
    for span, text in zip(spans, texts(track, spans), strict=True):
        expected = {values[0] for start, end, values in intervals if covers((start, end, values), *span)}
        found = set(text.removeprefix(b";GAS_T=").split(b",")) if text else set()
        assert found == expected


@settings(max_examples=100, deadline=None)
@given(tracks_and_spans())
def test_per_cents_agree_with_brute_force(tmp_path_factory, case):
    intervals, spans = case
    compiled = compile_intervals(intervals, [b"N"], b"P")
    track = track_of(tmp_path_factory.mktemp("t"), compiled, IntervalTrack, [b"N"], b"P")
    spans = [span for span in spans if not span[2]]
    for (first, last, _), text in zip(spans, texts(track, spans) if spans else [], strict=True):
        size = last - first + 1
        expected = sorted(
            (values[0], b"%.4g" % (100 * (min(end, last + 1) - max(start, first)) / size))
            for start, end, values in intervals
            if start <= last and first < end
        )
        names, shares = (part.partition(b"=")[2].split(b",") for part in text[1:].split(b";")) if text else ([], [])
        assert sorted(zip(names, shares, strict=True)) == expected


def test_values_stand_once_and_empty_ones_not_at_all(tmp_path):
    intervals = [(0, 9, (b"a", b"")), (1, 9, (b"a", b"x")), (2, 9, (b"b", b""))]
    track = track_of(tmp_path, compile_intervals(intervals, [b"A", b"B"]), IntervalTrack, [b"A", b"B"])
    spans = [(0, 0, False), (1, 1, False), (0, 5, False), (9, 9, False)]
    assert texts(track, spans) == [b";A=a", b";A=a;B=x", b";A=a,b;B=x", b""]


def test_a_contig_without_entries(tmp_path):
    track = track_of(tmp_path, compile_intervals([], [b"A"]), IntervalTrack, [b"A"])
    assert texts(track, [(3, 8, False), (1, 2, True)]) == [b"", b""]
