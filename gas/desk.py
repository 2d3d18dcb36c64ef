"""The start page of the staff: figures that say where help is needed, each a link to the rows behind it.

settings.DESK names the functions `sections(viewer)` of the apps, each with a list of sections of what this staff may see;
settings.DESK_ABOUT those of `about(user, viewer)`, for the page of a user.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.core.cache import cache
from django.urls import reverse
from django.utils.module_loading import import_string

from gas.queues import QueuesUnavailable, depths

CACHED_SECONDS = 10  # what asks other machines
COUNTED_SECONDS = 300  # what reads whole tables, and says nothing of what is wrong now


@dataclass(frozen=True)
class Counter:
    """A figure. `age`: of the oldest that it counts; `level`: info, warning or danger; without `url` there is no list."""

    label: str
    value: Any
    url: str = ""
    age: timedelta | None = None
    level: str = "info"


@dataclass(frozen=True)
class Section:
    title: str
    counters: list[Counter] = field(default_factory=list)
    note: str = ""  # a sentence, instead of figures or with them


def listed(model: str, **lookups: Any) -> str:
    """The address of an admin's list, "jobs_job", with these filters."""
    query = urlencode({name: getattr(value, "value", value) for name, value in lookups.items()})
    return reverse(f"admin:{model}_changelist") + (f"?{query}" if query else "")


def when_any(level: str, value: int) -> str:
    """`level` when there are any, for what should be none."""
    return level if value else "info"


def sections(viewer: Any) -> list[Section]:
    return _all(import_string(path)(viewer) for path in settings.DESK)


def about(user: Any, *, viewer: Any) -> list[Section]:
    """What the apps have of `user`, for the page about him."""
    return _all(import_string(path)(user, viewer) for path in settings.DESK_ABOUT)


def _all(parts: Iterable[list[Section]]) -> list[Section]:
    return [section for part in parts for section in part if section.counters or section.note]


def queues(_viewer: Any) -> list[Section]:
    """How many messages each queue has. They name no rows: the lists of stuck rows do."""
    found: Section | None = cache.get("desk_queues")
    if found is None:
        found = _queues()
        cache.set("desk_queues", found, CACHED_SECONDS)
    return [found]


def _queues() -> Section:
    try:
        found = depths()
    except QueuesUnavailable as error:
        return Section("Queues", note=f"Out of reach: {error}")
    counters = [
        Counter(
            name,
            f"{depth.waiting} waiting, {depth.held} held, {depth.dead} put away",
            level=when_any("danger", depth.dead),
        )
        for name, depth in found.items()
    ]
    return Section("Queues", counters)
