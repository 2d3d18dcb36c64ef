"""The wish of a researcher that his account be erased, and how far that has come."""

from datetime import timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models.user import User
from gas.hints import hint_on_commit
from gas.leases import FIRST_HINT_AFTER, Leased, LeasedQuerySet, after

LONGEST_PAUSE = timedelta(minutes=5)
MAILS_GIVEN_UP_AFTER = timedelta(days=3)  # the erasure does not wait for ever for a mail server


class ErasureQuerySet(LeasedQuerySet):
    def open_for(self, user: Any) -> "Erasure | None":
        """The erasure of the account that waits or is under way."""
        erasure: Erasure | None = self.filter(user=user, ended_at=None).first()
        return erasure

    def held_up(self) -> "ErasureQuerySet":
        """Overdue by a minute, or in a pause after a step that had to wait; nobody holds them."""
        overdue = Q(next_action_at__lte=Now() - timedelta(minutes=1))
        free = Q(lease_until=None) | Q(lease_until__lte=Now())
        return self.filter(free, overdue | Q(pauses__gt=0), ended_at=None)


class Erasure(Leased):
    """One wish to be erased.

        PENDING --grace is over--> ERASING --nothing left--> ERASED
           `----undone by him----> WITHDRAWN

    While PENDING a worker holds it only to send the mail that says so. `attempt` is the fencing token. `_move` is the only
    setter of `status`. The row stays, with its times, and so does the bare row of the user.
    """

    class Status(models.TextChoices):
        PENDING = "PENDING", "Pending"
        ERASING = "ERASING", "Erasing"
        ERASED = "ERASED", "Erased"
        WITHDRAWN = "WITHDRAWN", "Withdrawn"

    MOVES: ClassVar = {
        Status.PENDING: {Status.PENDING, Status.ERASING, Status.WITHDRAWN},
        Status.ERASING: {Status.ERASING, Status.ERASED},
        Status.ERASED: {},
        Status.WITHDRAWN: {},
    }
    actor_name = "erase_account"

    user = models.ForeignKey(User, models.PROTECT, related_name="erasures", editable=False)
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.PENDING, editable=False)
    asked_at = models.DateTimeField(default=timezone.now, editable=False)
    due_at = models.DateTimeField(editable=False, help_text="When the grace is over.")
    told_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="The mail with the date was sent.")
    farewell_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="The last mail was sent.")
    ended_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="Erased or withdrawn.")
    pauses = models.PositiveSmallIntegerField(default=0, editable=False, help_text="In a row; they grow.")
    waits_for = models.CharField(max_length=200, blank=True, editable=False, help_text="What the last step waited for.")

    objects: ClassVar = ErasureQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["next_action_at"], condition=Q(next_action_at__isnull=False), name="erasure_due"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["user"], condition=Q(ended_at=None), name="erasure_one_open"),
            models.CheckConstraint(
                condition=Q(status__in=["PENDING", "ERASING", "ERASED", "WITHDRAWN"]), name="erasure_status"
            ),
            models.CheckConstraint(
                condition=Q(status__in=["PENDING", "ERASING"]) ^ Q(ended_at__isnull=False), name="erasure_ended_at"
            ),
            models.CheckConstraint(condition=Q(ended_at=None) ^ Q(next_action_at=None), name="erasure_timer"),
            models.CheckConstraint(condition=Q(ended_at=None) | Q(lease_until=None), name="erasure_lease"),
        ]

    def __str__(self) -> str:
        return f"erasure {self.pk} ({self.status})"

    @classmethod
    def ask(cls, user: User) -> "tuple[Erasure, bool]":
        """The open erasure of the account, and whether it was made now. Runs in a transaction of the caller."""
        begun: dict[str, Any] = {"due_at": after(settings.ERASURE_GRACE), "next_action_at": after(FIRST_HINT_AFTER)}
        erasure, made = cls.objects.get_or_create(user=user, ended_at=None, defaults=begun)
        if made:
            erasure.refresh_from_db()
            hint_on_commit(erasure)
        return erasure, made

    def withdraw(self) -> bool:
        """Undone by its user. False: the erasing has begun, or it has ended."""
        for _ in range(3):  # a worker may just be sending the mail
            if self.status != self.Status.PENDING:
                return False
            if self._move(self.Status.WITHDRAWN, **self._ended()):
                return True
            self.refresh_from_db()
        return False

    def claim(self) -> bool:
        """Take the next step: to erase when it is due, else to send the first mail. False: there is nothing to do."""
        if self.ended_at is not None:
            return False
        free = (Q(lease_until=None) & (Q(not_before=None) | Q(not_before__lte=Now()))) | Q(lease_until__lte=Now())
        if self._take(self.Status.ERASING, only=free & Q(due_at__lte=Now())):
            return True
        return self.status == self.Status.PENDING and self._take(self.Status.PENDING, only=free & Q(told_at=None))

    def renew(self) -> bool:
        """Renew the lease. False: it is lost, and whoever held it changes nothing more."""
        return self._change(**self._lease())

    def told(self) -> bool:
        """The mail with the date is sent, or nobody can be told."""
        return self._change(told_at=Now(), next_action_at=F("due_at"), hints=0, **self._rested())

    def farewell(self) -> bool:
        """The last mail is sent, or can never be; the lease is kept."""
        return self._change(farewell_at=Now())

    def wait(self, what: str) -> bool:
        """Look again in 5 s, 10 s ... 5 min; `what` it waits for names no person, address or file."""
        pause = after(min(FIRST_HINT_AFTER * 2 ** min(self.pauses, 10), LONGEST_PAUSE))
        when = {"lease_until": None, "not_before": pause, "next_action_at": pause, "hints": 0}
        return self._change(pauses=F("pauses") + 1, waits_for=what[:200], **when)

    def erased(self) -> bool:
        """Nothing is left; in the transaction that takes the last. False: the lease is lost."""
        return self._move(self.Status.ERASED, **self._ended())

    def go_on(self) -> bool:
        """The pause is over: the next step is taken now. False: somebody holds it, or it has ended."""
        free = Q(lease_until=None) | Q(lease_until__lte=Now())
        gone_on = self._change(only=free & Q(ended_at=None), next_action_at=Now(), not_before=None, hints=0)
        if gone_on:
            hint_on_commit(self)
        return gone_on

    @property
    def mails_are_given_up(self) -> bool:
        """Whether the last mail has been waited for long enough."""
        return self.due_at + MAILS_GIVEN_UP_AFTER < timezone.now()

    def _take(self, to: str, *, only: Q) -> bool:
        return self._move(to, only=only, attempt=F("attempt") + 1, not_before=None, **self._lease())

    @staticmethod
    def _lease() -> dict[str, Any]:
        return {"lease_until": after(settings.JOB_LEASE), "next_action_at": after(settings.JOB_LEASE)}

    @staticmethod
    def _rested() -> dict[str, Any]:
        return {"lease_until": None, "not_before": None, "pauses": 0, "waits_for": ""}

    @classmethod
    def _ended(cls) -> dict[str, Any]:
        return {**cls._rested(), "ended_at": Now(), "next_action_at": None}
