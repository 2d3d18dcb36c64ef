"""The history of plans, and the events of the payment service that were seen to."""

from typing import ClassVar

from django.db import models
from django.utils import timezone

from accounts.models.plan import Plan
from accounts.models.user import User


class Subscription(models.Model):
    """A plan of an account from `started_at` until the next row; `accounts.plans.change_plan` alone makes them.

    An account without a row is on the Free plan since it was made.
    """

    user = models.ForeignKey(User, models.CASCADE, related_name="subscriptions")
    plan = models.ForeignKey(Plan, models.PROTECT, related_name="+")
    previous = models.ForeignKey(Plan, models.PROTECT, related_name="+")
    started_at = models.DateTimeField(default=timezone.now, editable=False)
    changed_by = models.ForeignKey(
        User, models.SET_NULL, null=True, blank=True, related_name="+", help_text="Empty: a command, or the payment."
    )
    reason = models.TextField(blank=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["user", "-started_at"], name="subscription_history")]

    def __str__(self) -> str:
        return f"{self.previous_id} to {self.plan_id}"


class StripeEvent(models.Model):
    """An event of Stripe's that was seen to: it may be delivered again, and then changes nothing."""

    id = models.CharField(primary_key=True, max_length=100)
    seen_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return self.id
