"""manage.py backfill_erasures: go on with erasures that are held up."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from accounts.models import Erasure


class Command(BaseCommand):
    help = (
        "Looks at once at erasures of accounts that are overdue by a minute or more, or in a pause because something was "
        "left or out of reach. Safe to run twice: one that somebody is at work with is left alone, and nothing is erased "
        "before its grace is over."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--limit", type=int, help="At most so many, the oldest first.")
        parser.add_argument("--dry-run", action="store_true", help="Only list them.")

    def handle(self, *, limit: int | None, dry_run: bool, **_: Any) -> None:
        erasures, enqueued = list(Erasure.objects.held_up().order_by("asked_at")[:limit]), 0
        for erasure in erasures:
            waits = f", waits for {erasure.waits_for}" if erasure.waits_for else ""
            self.stdout.write(f"{erasure.pk} {erasure.status}, due {erasure.due_at:%F %T} UTC{waits}")
            if not dry_run:
                enqueued += erasure.go_on()
        self.stdout.write(f"{len(erasures)} chosen, {enqueued} enqueued{' (dry run)' if dry_run else ''}")
