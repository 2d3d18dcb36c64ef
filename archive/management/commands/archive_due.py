"""manage.py archive_due: enqueue what is to be archived, or say what that is and costs."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.template.defaultfilters import filesizeformat

from archive.costs import cost_of
from archive.management.choosing import acts, add_options, carry_out, owners
from archive.models import ResultArchive


class Command(BaseCommand):
    help = (
        "Sends a hint for every hot result whose time to download is over, and for what the archiver has left half done. "
        "The dispatcher does that too; here a pause after a failure counts for nothing. With --dry-run: what would be "
        "archived, and what it costs in S3."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_options(parser)

    def handle(self, *, user: str | None, limit: int | None, dry_run: bool, **_: Any) -> None:
        due = ResultArchive.objects.filter(job__owner__in=owners(user)).due_for_archiving()
        if dry_run:
            self._tell(list(due.order_by("created_at").values_list("size", flat=True)[:limit]))
        carry_out(self.stdout, acts(due, _archive), limit=limit, dry_run=dry_run)

    def _tell(self, sizes: list[int]) -> None:
        where, storage_class = settings.VAULT, settings.S3_ARCHIVE_CLASS if settings.VAULT == "s3" else "GLACIER"
        self.stdout.write(f"{len(sizes)} results with {filesizeformat(sum(sizes))} are to go to the vault {where}")
        if where != "local":
            self.stdout.write(f"{storage_class}: {cost_of(sizes, storage_class)}")


def _archive(row: ResultArchive) -> bool:
    return row.archive_now() if row.status == ResultArchive.Status.HOT else row.go_on()
