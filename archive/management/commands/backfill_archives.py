"""manage.py backfill_archives: results that nobody would archive get what they want for it."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction
from django.db.models import QuerySet

from accounts.models import User
from archive.management.choosing import Act, acts, add_options, carry_out, owners
from archive.models import ResultArchive
from jobs.models import Job


class Command(BaseCommand):
    help = (
        "Completed jobs that the archive does not know get a row. Results that are to be archived and have no timer get one: "
        "after ARCHIVE_MIN_BYTES was lowered. Results that are kept though the plan of their owner has a window, after the "
        "database or a plan was edited, can be downloaded for one window from now on. Safe to run twice."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_options(parser)

    def handle(self, *, user: str | None, limit: int | None, dry_run: bool, **_: Any) -> None:
        carry_out(self.stdout, _choose(owners(user)), limit=limit, dry_run=dry_run)


def _choose(users: QuerySet[User]) -> Iterable[Act]:
    unknown = Job.objects.filter(status=Job.Status.COMPLETED, deleted_at=None, archive=None, owner__in=users)
    for pk in list(unknown.order_by("submitted_at").values_list("pk", flat=True)):
        yield f"{pk}: the archive does not know it", partial(_begin, pk)
    rows = ResultArchive.objects.filter(job__owner__in=users)
    yield from acts(rows.without_timer(), ResultArchive.set_timer, "no timer")
    yield from acts(rows.without_window(), _begin_window, "kept, though the plan has a window")


@transaction.atomic
def _begin(job_id: object) -> bool:
    job = Job.objects.select_for_update().filter(pk=job_id, deleted_at=None).first()
    return job is not None and bool(ResultArchive.of(job))


@transaction.atomic
def _begin_window(row: ResultArchive) -> bool:
    window = row.job.owner.hold_plan().download_window if row.job else None
    if window is None:
        return False
    Job.objects.filter(archive=row).restart_download_windows(window)
    ResultArchive.objects.filter(pk=row.pk).let_go(window)
    return True
