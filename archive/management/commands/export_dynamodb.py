"""manage.py export_dynamodb: jobs as items of an annotations table."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from archive.annotations_table import Item, Skipped
from gas.aws.dynamodb import Table, TableUnavailable
from jobs.management.commands.backfill_jobs import count
from jobs.models import Job


class Command(BaseCommand):
    help = (
        "Writes completed jobs to a table with the attributes that import_dynamodb reads; it must be there, with the key "
        "job_id. Files stay where they are: the items name our buckets. Safe to run twice: items are replaced."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--table", required=True, help="The name of the table.")
        parser.add_argument("--region", required=True, help="Of the table.")
        parser.add_argument("--limit", type=count, help="At most so many, the oldest first.")
        parser.add_argument("--dry-run", action="store_true", help="Only say what would be written.")

    def handle(self, *, table: str, region: str, limit: int | None, dry_run: bool, **_: Any) -> None:
        jobs = Job.objects.filter(status=Job.Status.COMPLETED, deleted_at=None).select_related(
            "owner__profile", "archive"
        )
        self.skipped = 0
        items = self._items(jobs.order_by("submitted_at", "pk")[:limit])
        try:
            written = sum(1 for _ in items) if dry_run else Table(table, region).put(items)
        except TableUnavailable as error:
            raise CommandError(str(error)) from error
        what = "to be written (dry run)" if dry_run else "written"
        self.stdout.write(f"{written} {what}, {self.skipped} skipped")

    def _items(self, jobs: Any) -> Iterator[dict[str, Any]]:
        for job in jobs.iterator(500):
            try:
                yield Item.of_job(job).attributes()
            except Skipped as error:
                self.skipped += 1
                self.stdout.write(f"{job.pk}: {error}")
