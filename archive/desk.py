"""Results in bucket and vault on the start page of the desk, and on the page of a user."""

from typing import Any

from django.core.cache import cache
from django.db.models import Count, Min, Q, Sum
from django.template.defaultfilters import filesizeformat
from django.utils import timezone

from accounts.models import Plan, User
from archive.models import Restoration, ResultArchive
from archive.models.status import ArchiveStatus
from gas.desk import COUNTED_SECONDS, Counter, Section, listed, when_any
from jobs.models import Mail

IN_BUCKET = [ArchiveStatus.HOT, ArchiveStatus.ARCHIVING, ArchiveStatus.QUARANTINED]
STORED = {"hot": Q(status__in=IN_BUCKET), "archived": ~Q(status__in=[*IN_BUCKET, ArchiveStatus.DELETED])}


def sections(viewer: Any) -> list[Section]:
    found = []
    if viewer.has_perm("archive.view_resultarchive"):
        found += [_by_status(), _storage()]
    if viewer.has_perm("archive.view_restoration"):
        found.append(_mails())
    return found


def _by_status() -> Section:
    elsewhere = ResultArchive.objects.exclude(status=ArchiveStatus.HOT).order_by()
    counts = dict(elsewhere.values_list("status").annotate(Count("pk")))
    counts[ArchiveStatus.HOT] = sum(row["results"] for row in _stored()["plans"])
    counters = [
        Counter(
            status.label.lower(), counts.get(status, 0), listed("archive_resultarchive", status__exact=status),
            level=when_any("danger", counts.get(status, 0)) if status == ArchiveStatus.QUARANTINED else "info",
        )
        for status in ArchiveStatus
    ]  # fmt: skip
    held_up = ResultArchive.objects.held_up().aggregate(rows=Count("pk"), since=Min("next_action_at"))
    age = timezone.now() - held_up["since"] if held_up["since"] and held_up["since"] < timezone.now() else None
    address, level = listed("archive_resultarchive", held_up="yes"), when_any("danger", held_up["rows"])
    return Section("Archive", [*counters, Counter("held up", held_up["rows"], address, age, level)])


def _storage() -> Section:
    stored = _stored()
    bytes_of = {row["job__owner__profile__plan"]: row for row in stored["plans"]}
    counters = [
        Counter(f"{plan}, {name}", filesizeformat(bytes_of.get(plan.pk, {}).get(name) or 0), _of_plan(plan))
        for plan in Plan.objects.order_by("code")
        for name in STORED
    ]
    return Section("Storage of results by plan", counters, f"Counted at {stored['at']:%H:%M} UTC.")


def _stored() -> dict[str, Any]:
    """Bytes by plan: every result has its job read, so that the figures are kept for a few minutes."""
    found: dict[str, Any] | None = cache.get("desk_stored")
    if found is None:
        sums = {name: Sum("size", filter=where) for name, where in STORED.items()}
        hot = Count("pk", filter=Q(status=ArchiveStatus.HOT))
        by_plan = ResultArchive.objects.order_by().values("job__owner__profile__plan")
        found = {"at": timezone.now(), "plans": list(by_plan.annotate(**sums, results=hot))}
        cache.set("desk_stored", found, COUNTED_SECONDS)
    return found


def _of_plan(plan: Plan) -> str:
    return listed("accounts_user", profile__plan__code__exact=plan.code)


def _mails() -> Section:
    failed = Restoration.objects.filter(status=Mail.Status.FAILED).count()
    address = listed("archive_restoration", status__exact=Mail.Status.FAILED)
    return Section("Mails about restores", [Counter("failed", failed, address, level=when_any("danger", failed))])


def about(user: User, viewer: Any) -> list[Section]:
    found = []
    if viewer.has_perm("archive.view_resultarchive"):
        rows = ResultArchive.objects.of_owner(user)
        stored = rows.aggregate(**{name: Sum("size", filter=where) for name, where in STORED.items()})
        address = listed("archive_resultarchive", q=user.pk)
        counters = [Counter(name, filesizeformat(stored[name] or 0), address) for name in STORED]
        found.append(Section("Results", [Counter("all", rows.count(), address), *counters]))
    if viewer.has_perm("archive.view_restoration"):
        restorations = Restoration.objects.filter(user=user).count()
        found.append(Section("Restores", [Counter("all", restorations, listed("archive_restoration", q=user.pk))]))
    return found
