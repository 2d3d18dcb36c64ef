"""Times in words. Django's own `timesince` knows nothing below a minute, and most jobs take seconds."""

from datetime import UTC, datetime, timedelta

from django import template
from django.utils.formats import date_format
from django.utils.html import format_html

register = template.Library()
UNITS = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))


@register.filter
def duration(length: timedelta | None) -> str:
    """The two largest units: "2 hours 5 minutes", "1 day"; below ten seconds with a tenth, if there is one: "0.8 seconds"."""
    if length is None:
        return ""
    seconds = length.total_seconds()
    if seconds < 0.1:
        return "less than 0.1 seconds"
    if seconds < 9.95 and round(seconds, 1) != 1:
        return f"{seconds:.1f} seconds".replace(".0 ", " ")
    parts, rest = [], round(seconds)
    for unit, size in UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}{'' if count == 1 else 's'}")
    return " ".join(parts[:2])


@register.filter
def since(end: datetime | None, start: datetime | None) -> str:
    """The time from `start` to `end`; nothing when either is not known."""
    return duration(end - start) if start and end else ""


@register.filter
def utc(moment: datetime) -> str:
    """A <time> element that names its zone: 24 Nov 2026, 06:49 UTC."""
    moment = moment.astimezone(UTC)
    words = date_format(moment, "j M Y, H:i")
    return format_html('<time class="figures" datetime="{}">{} UTC</time>', moment.isoformat(), words)
