"""manage.py backfill_subscriptions: plans become what is paid for, whatever events were lost."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts import billing
from accounts.models import Profile, StripeEvent

EVENTS_KEPT = timedelta(days=30)  # Stripe delivers an event again for three days


class Command(BaseCommand):
    help = (
        "Asks Stripe for the subscriptions of every customer and changes the plans that differ: after the webhook was out of "
        "reach for days, and every night. Forgets events of more than 30 days ago. Safe to run twice."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only print what would be changed")

    def handle(self, *, dry_run: bool, **_: Any) -> None:
        if not billing.is_on():
            raise CommandError("No STRIPE_SECRET_KEY is set, so nobody pays.")
        customers, changed, failed = 0, 0, 0
        profiles = Profile.objects.exclude(stripe_customer="").select_related("user").order_by("pk")
        for profile in profiles.iterator():
            customers += 1
            try:
                standing = billing.look_up(profile.user, profile.stripe_customer)
                if standing.plan in (None, profile.plan_id):
                    continue
                if not dry_run:
                    billing.refresh(profile.user)
            except billing.BillingUnavailable:
                failed += 1
                continue
            changed += 1
            self.stdout.write(f"{profile.user_id} from {profile.plan_id} to {standing.plan}: {standing.reason}")
        if not dry_run:
            StripeEvent.objects.filter(seen_at__lt=timezone.now() - EVENTS_KEPT).delete()
        does = "would be changed" if dry_run else "changed"
        self.stdout.write(f"{customers} customers, {changed} {does}, {failed} could not be asked for.")
        if failed:
            raise CommandError("Stripe did not answer for all; the log says why. Run it again.")
