"""A row for every mail that must go out."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import Profile, User
from gas.leases import FIRST_HINT_AFTER, Leased, LeasedQuerySet, after

GIVE_UP_AFTER = timedelta(days=3)
LONGEST_PAUSE = timedelta(minutes=15)
NO_ADDRESS = "There is no address that this user may be written to."


def wants_mail(user: User, kind: str) -> bool:
    """Whether `user` wants mails of that kind ("completed", "failed", "expiring"), as the database has it now."""
    return not Profile.objects.filter(user=user, **{f"mail_{kind}": False}).exists()


class MailQuerySet(LeasedQuerySet):
    def without_address(self) -> Self:
        """Those that have failed for want of an address, and go out once there is one."""
        return self.filter(status=Mail.Status.FAILED, error=NO_ADDRESS)


class Mail(Leased):
    """A mail that must go out once; twice only if a worker dies between the mail server's yes and its own note of it.

        PENDING ---claim---> SENDING ---sent---> SENT
           ^                   |  `---refused, or no luck for three days---> FAILED
           `---mail server out of reach: later---'
        FAILED, SENT ---resend (staff)---> PENDING

    `_move` is the only setter of `status`.
    """

    class Status(models.TextChoices):
        PENDING = "PENDING", "Pending"
        SENDING = "SENDING", "Sending"
        SENT = "SENT", "Sent"
        FAILED = "FAILED", "Failed"

    MOVES: ClassVar[Mapping[str, Any]] = {
        Status.PENDING: {Status.SENDING},
        Status.SENDING: {Status.SENDING, Status.SENT, Status.PENDING, Status.FAILED},
        Status.SENT: {Status.PENDING},
        Status.FAILED: {Status.PENDING},
    }

    status = models.CharField(max_length=7, choices=Status.choices, default=Status.PENDING, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    waiting_since = models.DateTimeField(default=timezone.now, editable=False, help_text="Since it was made or resent.")
    sent_at = models.DateTimeField(null=True, blank=True, editable=False)
    error = models.TextField(blank=True, editable=False)

    objects: ClassVar = MailQuerySet.as_manager()

    class Meta:
        abstract = True
        indexes = [
            models.Index(fields=["next_action_at"], condition=Q(next_action_at__isnull=False), name="%(class)s_due")
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["PENDING", "SENDING", "SENT", "FAILED"]), name="%(class)s_status"
            ),
            models.CheckConstraint(
                condition=Q(status="SENDING", lease_until__isnull=False)
                | ~Q(status="SENDING") & Q(lease_until__isnull=True),
                name="%(class)s_lease",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["PENDING", "SENDING"]) ^ Q(next_action_at__isnull=True),
                name="%(class)s_timer",
            ),
            models.CheckConstraint(condition=Q(status="SENT") ^ Q(sent_at__isnull=True), name="%(class)s_sent_at"),
        ]

    def claim(self) -> bool:
        if self.status not in (self.Status.PENDING, self.Status.SENDING):
            return False
        lease = after(settings.JOB_LEASE)
        taken: dict[str, Any] = {
            "attempt": F("attempt") + 1,
            "lease_until": lease,
            "next_action_at": lease,
            "not_before": None,
        }
        return self._move(self.Status.SENDING, only=self._free(self.Status.PENDING), **taken)

    def sent(self) -> bool:
        return self._move(self.Status.SENT, sent_at=Now(), error="", lease_until=None, next_action_at=None)

    def failed(self, error: str) -> bool:
        return self._move(self.Status.FAILED, error=error, lease_until=None, next_action_at=None)

    def try_later(self, error: str) -> bool:
        """After a mail server out of reach: 15 s, 30 s ... 15 min, and FAILED once the mail is three days late."""
        if type(self).objects.filter(pk=self.pk, waiting_since__lte=Now() - GIVE_UP_AFTER).exists():
            return self.failed(error)
        pause = min(timedelta(seconds=15) * 2 ** min(self.attempt - 1, 10), LONGEST_PAUSE)
        when = {"next_action_at": after(pause), "not_before": after(pause)}
        return self._move(self.Status.PENDING, error=error, lease_until=None, **when)

    @property
    def can_resend(self) -> bool:
        return self.status in (self.Status.SENT, self.Status.FAILED)

    def resend(self) -> bool:
        """Send again what was sent or has failed; False while it is under way."""
        if not self.can_resend:
            return False
        when = {"next_action_at": after(FIRST_HINT_AFTER), "waiting_since": Now()}
        return self._move(self.Status.PENDING, sent_at=None, **when)
