"""What happened to a job, as far as rows tell."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from django.db.models import Model, Q

from accounts.models import AuditEvent
from gas.followers import follow
from jobs.models import Job, Notification

MOST_EVENTS = 100  # of the audit log, the newest


@dataclass(frozen=True)
class Moment:
    """One line: `what` happened `at`, which may be yet to come."""

    at: datetime
    what: str
    detail: str = ""


def timeline(job: Job) -> list[Moment]:
    """All that is known of it, of its mails, and of its result in other apps; the newest last."""
    mails: list[Notification] = list(job.notifications.all())
    moments = [*_way(job), *chain.from_iterable(map(_mail, mails)), *audited(job, *mails)]
    return sorted(chain(moments, *follow("job_moments", job)), key=lambda moment: moment.at)


def moments_of(*candidates: tuple[datetime | None, str, str]) -> list[Moment]:
    """Those that have a time."""
    return [Moment(at, what, detail) for at, what, detail in candidates if at is not None]


def audited(*rows: Model) -> list[Moment]:
    """What the audit log says about these rows."""
    about = Q(pk=None)
    for row in rows:
        about |= Q(object_id=str(row.pk), object_type=row._meta.model_name)
    return [Moment(event.at, event.action, _told(event)) for event in AuditEvent.objects.filter(about)[:MOST_EVENTS]]


def _way(job: Job) -> list[Moment]:
    again = job.waiting_since - job.submitted_at > timedelta(seconds=1)  # both are set at its submission
    attempt = f"by worker {job.worker}; tries without an end so far: {job.tries}" if job.is_active else job.worker
    return moments_of(
        (job.submitted_at, "Submitted", f"{job.input_size:,} bytes"),
        (job.waiting_since if again else None, "Set back to pending", "by a retry"),
        (job.started_at, f"Attempt {job.attempt} began", attempt),
        (job.cancel_requested_at, "Cancellation was asked for", ""),
        (job.finished_at, job.get_status_display(), job.error_code),
        (job.download_until, "End of the time to download", ""),
        (job.deleted_at, "Deleted by its owner", "a worker deletes its files"),
    )


def _mail(mail: Notification) -> list[Moment]:
    state = f"{mail.get_status_display()}, attempt {mail.attempt}" + (f": {mail.error}" if mail.error else "")
    return moments_of(
        (mail.created_at, f"Mail “{mail.kind}” was made", state),
        (mail.sent_at, f"Mail “{mail.kind}” was sent", ""),
    )


def _told(event: AuditEvent) -> str:
    """By whom, why, and what it changed."""
    before: dict[str, Any] = event.before
    changes = (f"{k}: {before[k]} → {v}" if k in before else f"{k}: {v}" for k, v in event.after.items())
    return "; ".join(filter(None, (f"by {event.actor_name}", event.reason, *changes)))
