"""manage.py backfill_thaws: go on with what has been retrieved, and with archives that are yet to be deleted."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db.models import Q
from django.db.models.functions import Now

from archive.management.choosing import acts, add_options, carry_out, owners
from archive.models import ResultArchive


class Command(BaseCommand):
    help = (
        "Looks at once at results that are THAWING, when they are overdue, in a pause after a failure, or longer on the way "
        "than is usual, and at archives that are yet to be deleted: those of results that are hot again, and (without "
        "--user) those of deleted jobs. Safe to run twice."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_options(parser)

    def handle(self, *, user: str | None, limit: int | None, dry_run: bool, **_: Any) -> None:
        # the rows of deleted jobs have no owner any more
        theirs = Q(job__owner__in=owners(user)) if user else Q()
        unfinished = Q(status__in=["THAWING", "DELETED"]) | Q(status="HOT") & ~Q(archive_id="")
        rows = ResultArchive.objects.filter(theirs, unfinished)
        late = Q(retrievals__ended_at=None, retrievals__expected_by__lte=Now(), status="THAWING", lease_until=None)
        chosen = rows.filter(Q(pk__in=rows.held_up().values("pk")) | late).distinct()
        carry_out(self.stdout, acts(chosen, ResultArchive.go_on), limit=limit, dry_run=dry_run)
