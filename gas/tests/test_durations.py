"""Times as the pages word them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from gas.templatetags.durations import duration, since, utc


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "less than 0.1 seconds"),
        (0.84, "0.8 seconds"),
        (5, "5 seconds"),
        (9.96, "10 seconds"),
        (59.6, "1 minute"),
        (61, "1 minute 1 second"),
        (300, "5 minutes"),
        (3725, "1 hour 2 minutes"),
        (90_061, "1 day 1 hour"),
        (2_592_000, "30 days"),
    ],
)
def test_a_length_of_time(seconds, words):
    assert duration(timedelta(seconds=seconds)) == words


def test_what_is_not_known_yet_is_not_zero():
    start = datetime(2026, 11, 24, tzinfo=UTC)
    assert since(start + timedelta(seconds=2), start) == "2 seconds"
    assert since(None, start) == since(start, None) == ""


def test_a_moment_names_its_zone():
    moment = datetime(2026, 11, 24, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    expected = '<time class="figures" datetime="2026-11-23T23:30:00+00:00">23 Nov 2026, 23:30 UTC</time>'
    assert utc(moment) == expected
