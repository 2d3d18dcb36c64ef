"""Jobs, mails and announcements on the start page of the desk, and on the page of a user."""

from datetime import datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.db.models import Count, Min, Q, Sum
from django.template.defaultfilters import filesizeformat
from django.utils import timezone

from accounts.models import User
from gas.desk import COUNTED_SECONDS, Counter, Section, listed, when_any
from jobs.models import Announcement, Job, Mail, MonthlyUse, Notification, Upload

LATE = timedelta(minutes=10)  # for a job to wait, or a mail


def sections(viewer: Any) -> list[Section]:
    found = []
    if viewer.has_perm("jobs.view_announcement"):
        found.append(_announcements())
    if viewer.has_perm("jobs.view_job"):
        found += [_by_status(), _failures(), _uploads()]
    if viewer.has_perm("jobs.view_notification"):
        found.append(_mails())
    return found


def _announcements() -> Section:
    current = list(Announcement.objects.current())
    said = [
        Counter(
            "pauses submissions" if row.pauses_submissions else "is shown", str(row),
            listed("jobs_announcement"), timezone.now() - row.starts_at,
            "warning" if row.pauses_submissions else "info",
        )
        for row in current
    ]  # fmt: skip
    return Section("Announcements", said or [Counter("shown now", 0, listed("jobs_announcement"))])


def _by_status() -> Section:
    active = Job.objects.filter(finished_at=None).order_by().values("status")
    found = {
        row["status"]: row for row in active.annotate(n=Count("pk"), wait=Min("waiting_since"), run=Min("started_at"))
    }
    counts = _ended() | {status: row["n"] for status, row in found.items()}
    counts[Job.Status.FAILED] = Job.objects.filter(status=Job.Status.FAILED).count()
    ages = {
        Job.Status.PENDING: _age(found.get(Job.Status.PENDING, {}).get("wait")),
        Job.Status.RUNNING: _age(found.get(Job.Status.RUNNING, {}).get("run")),
    }
    counters = []
    for status in Job.Status:
        age = ages.get(status)
        late = status == Job.Status.PENDING and age is not None and age > LATE
        address = listed("jobs_job", status__exact=status)
        counters.append(
            Counter(status.label.lower(), counts.get(status, 0), address, age, "warning" if late else "info")
        )
    return Section("Jobs", [*counters, _stuck()])


def _ended() -> dict[str, int]:
    """How many ended well or were cancelled: no index tells."""
    found: dict[str, int] | None = cache.get("desk_ended_jobs")
    if found is None:
        ended = Job.objects.filter(status__in=[Job.Status.COMPLETED, Job.Status.CANCELLED]).order_by()
        found = dict(ended.values_list("status").annotate(Count("pk")))
        cache.set("desk_ended_jobs", found, COUNTED_SECONDS)
    return found


def _stuck() -> Counter:
    stuck = Job.objects.stuck().aggregate(rows=Count("pk"), since=Min("next_action_at"))
    level = when_any("danger", stuck["rows"])
    return Counter("stuck", stuck["rows"], listed("jobs_job", stuck="yes"), _age(stuck["since"]), level)


def _failures() -> Section:
    """Why jobs failed in the last 24 hours, the commonest reason first."""
    since = timezone.now() - timedelta(days=1)
    failed = Job.objects.filter(status=Job.Status.FAILED, finished_at__gte=since).order_by()
    reasons = failed.values_list("error_code").annotate(rows=Count("pk")).order_by("-rows", "error_code")
    asked = {"status__exact": Job.Status.FAILED, "finished_at__gte": since.isoformat()}
    counters = [
        Counter(code, rows, listed("jobs_job", **asked, error_code__exact=code), level="warning")
        for code, rows in reasons
    ]
    return Section("Failures in 24 hours", counters or [Counter("failed", 0, listed("jobs_job", **asked))])


def _uploads() -> Section:
    open_ones = Upload.objects.filter(status=Upload.Status.OPEN).aggregate(rows=Count("pk"), since=Min("created_at"))
    address = listed("jobs_upload", status__exact=Upload.Status.OPEN)
    return Section("Uploads", [Counter("open", open_ones["rows"], address, _age(open_ones["since"]))])


def _mails() -> Section:
    mails = Notification.objects.aggregate(
        failed=Count("pk", filter=Q(status=Mail.Status.FAILED)),
        waiting=Count("pk", filter=Q(status__in=[Mail.Status.PENDING, Mail.Status.SENDING])),
        since=Min("waiting_since", filter=Q(status__in=[Mail.Status.PENDING, Mail.Status.SENDING])),
    )
    age = _age(mails["since"])
    waiting = listed("jobs_notification", status__in=f"{Mail.Status.PENDING},{Mail.Status.SENDING}")
    failed = listed("jobs_notification", status__exact=Mail.Status.FAILED)
    return Section(
        "Mails about jobs",
        [
            Counter("waiting", mails["waiting"], waiting, age, "warning" if age and age > LATE else "info"),
            Counter("failed", mails["failed"], failed, level=when_any("danger", mails["failed"])),
        ],
    )


def _age(since: datetime | None) -> timedelta | None:
    return max(timezone.now() - since, timedelta()) if since else None


def about(user: User, viewer: Any) -> list[Section]:
    """What he has at the moment: jobs, uploads, mails; and how much of his plan he has used."""
    found = []
    if viewer.has_perm("jobs.view_job"):
        counts = dict(Job.objects.filter(owner=user).order_by().values_list("status").annotate(Count("pk")))
        mine = {"owner__id__exact": user.pk}
        counters = [
            Counter(status.label.lower(), counts[status], listed("jobs_job", **mine, status__exact=status))
            for status in Job.Status
            if status in counts
        ]
        month = MonthlyUse.objects.submitted(user)
        stored = Job.objects.filter(owner=user).aggregate(bytes=Sum("input_size"))["bytes"]
        found.append(
            Section(
                "Jobs",
                [
                    Counter("all", sum(counts.values()), listed("jobs_job", **mine)),
                    *counters,
                    Counter("submitted this month", month),
                    Counter("inputs", filesizeformat(stored or 0)),
                    Counter("uploads", Upload.objects.filter(owner=user).count(), listed("jobs_upload", **mine)),
                ],
            )
        )
    if viewer.has_perm("jobs.view_notification"):
        mails = Notification.objects.filter(job__owner=user)
        failed = mails.filter(status=Mail.Status.FAILED).count()
        theirs = {"q": user.pk}
        bad = listed("jobs_notification", **theirs, status__exact=Mail.Status.FAILED)
        all_of_them = Counter("all", mails.count(), listed("jobs_notification", **theirs))
        failures = Counter("failed", failed, bad, level=when_any("danger", failed))
        found.append(Section("Mails about jobs", [all_of_them, failures]))
    return found
