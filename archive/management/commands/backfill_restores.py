"""manage.py backfill_restores: results come back that should, and do not."""

from collections.abc import Iterable
from functools import partial
from itertools import groupby
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction

from accounts.models import User
from archive.management.choosing import Act, acts, add_options, carry_out, owners
from archive.models import ResultArchive
from archive.models.querysets import ResultArchiveQuerySet
from jobs.models import Job


class Command(BaseCommand):
    help = (
        "Archived results of users whose plan keeps results come back, as after an upgrade: after an import, or when the "
        "database or a plan was edited. Those that are RESTORING and overdue, or in a pause after a failure, are asked for "
        "at once. Safe to run twice: a retrieval that the vault has begun is not asked for again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_options(parser)

    def handle(self, *, user: str | None, limit: int | None, dry_run: bool, **_: Any) -> None:
        rows = ResultArchive.objects.filter(job__owner__in=owners(user))
        carry_out(self.stdout, _choose(rows, limit), limit=limit, dry_run=dry_run)


def _choose(rows: ResultArchiveQuerySet, limit: int | None) -> Iterable[Act]:
    """Those of one user together: they are one upgrade, and one mail says that all are back."""
    wanted = rows.to_bring_back().order_by("job__owner", "created_at")[:limit]
    chosen = list(wanted.values_list("job__owner", "pk", "job", "status"))
    for owner, group in groupby(chosen, key=lambda line: line[0]):
        lines = list(group)
        together = partial(_bring_back, owner, [pk for _, pk, _, _ in lines])
        for number, (_, _, job, status) in enumerate(lines):
            yield f"{job} {status}: the plan keeps it", _with_the_first if number else together
    yield from acts(rows.filter(status="RESTORING").held_up(), ResultArchive.go_on)


@transaction.atomic
def _bring_back(owner: UUID, pks: list[UUID]) -> None:
    Job.objects.filter(archive__in=pks).restart_download_windows(None)
    ResultArchive.objects.filter(pk__in=pks).to_bring_back().bring_back(User.objects.get(pk=owner))


def _with_the_first() -> None:
    """It came back together with the first one of its owner."""
