"""manage.py backfill_jobs: enqueue again what is stuck or failed."""

from argparse import ArgumentTypeError
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.timezone import is_naive, make_aware

from accounts.models import User
from gas.hints import send_hint
from jobs.models import Job


def moment(text: str) -> datetime:
    """An ISO date or time; without a zone it is UTC."""
    try:
        parsed = parse_datetime(text)
        day = parse_date(text) if parsed is None else None
    except ValueError:
        parsed = day = None
    if parsed is None and day is None:
        raise ArgumentTypeError(f"{text} is no date; give one like 2026-11-24 or 2026-11-24T09:30")
    parsed = parsed or datetime(day.year, day.month, day.day)  # type: ignore[union-attr]
    return make_aware(parsed) if is_naive(parsed) else parsed


def count(text: str) -> int:
    """A whole number, 0 or more."""
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text} is no whole number")
    return int(text)


class Command(BaseCommand):
    help = (
        "Sends a hint for every job that is stuck (PENDING or RUNNING, overdue by a minute or more), or, with --failed, "
        "sets failed jobs back to PENDING and sends a hint for each. Safe to run twice: a job that runs is not started again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--failed", action="store_true", help="FAILED jobs instead of stuck ones.")
        parser.add_argument("--error-code", help="Only those that failed with this code.")
        parser.add_argument("--email", help="Only the jobs of this user.")
        parser.add_argument(
            "--since", type=moment, help="Only those submitted at or after this ISO date or time (UTC)."
        )
        parser.add_argument("--limit", type=count, help="At most so many, the oldest first.")
        parser.add_argument("--dry-run", action="store_true", help="Only list them.")

    def handle(self, *, dry_run: bool, **options: Any) -> None:
        jobs, enqueued = list(_choose(**options)), 0
        for job in jobs:
            self.stdout.write(f"{job.pk} {job.status} {job.error_code}".rstrip())
            if not dry_run:
                enqueued += _enqueue(job)
        self.stdout.write(f"{len(jobs)} chosen, {enqueued} enqueued{' (dry run)' if dry_run else ''}")


def _choose(
    *,
    failed: bool,
    error_code: str | None,
    email: str | None,
    since: datetime | None,
    limit: int | None,
    **_: Any,
) -> Any:
    jobs = (
        Job.objects.filter(status=Job.Status.FAILED, deleted_at=None) if failed or error_code else Job.objects.stuck()
    )
    if error_code:
        jobs = jobs.filter(error_code=error_code)
    if email:
        jobs = jobs.filter(owner__in=User.objects.by_address(email))
    if since:
        jobs = jobs.filter(submitted_at__gte=since)
    return jobs.order_by("submitted_at")[:limit]


def _enqueue(job: Job) -> bool:
    if job.status == Job.Status.FAILED:
        return job.retry()
    send_hint(job)
    return True
