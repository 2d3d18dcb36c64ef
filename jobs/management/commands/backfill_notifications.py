"""manage.py backfill_notifications: send again the mails that are stuck or failed."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from gas.hints import send_hint
from jobs.management.commands.backfill_jobs import count
from jobs.models import Notification


class Command(BaseCommand):
    help = (
        "Sends a hint for every notification that is not sent yet; with --failed, sets FAILED ones back to PENDING first. "
        "A mail that was sent is not sent again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--failed", action="store_true", help="FAILED notifications too.")
        parser.add_argument("--limit", type=count, help="At most so many, the oldest first.")
        parser.add_argument("--dry-run", action="store_true", help="Only list them.")

    def handle(self, *, failed: bool, limit: int | None, dry_run: bool, **_: Any) -> None:
        chosen = Notification.objects.filter(status__in=["PENDING", "SENDING", *(["FAILED"] if failed else [])])
        notifications, enqueued = list(chosen.order_by("created_at")[:limit]), 0
        for notification in notifications:
            self.stdout.write(f"{notification.pk} {notification.kind} {notification.status} job {notification.job_id}")
            if not dry_run and (notification.status != Notification.Status.FAILED or notification.resend()):
                send_hint(notification)
                enqueued += 1
        self.stdout.write(f"{len(notifications)} chosen, {enqueued} enqueued{' (dry run)' if dry_run else ''}")
