"""Rows that something must happen to: a durable timer, and claims that are leases with a fencing token.

The row is the truth, the message is a hint: `next_action_at` says when a worker should look at the row again, and the
dispatcher sends a hint for every row that is due. A claim is one conditional UPDATE that raises `attempt`; every later write of
the claimer is conditional on the `attempt` that it got, so a worker that lost its lease changes nothing.
All times are the database's, so that the clocks of the machines do not matter.
"""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any, ClassVar, Self

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

FIRST_HINT_AFTER = timedelta(
    seconds=5
)  # whoever changes a row sends the first hint himself; this is the dispatcher's turn
LONGEST_HINT_PAUSE = timedelta(seconds=60)


class IllegalMove(Exception):
    """A change of status that the model's table of moves does not have: a mistake in the code."""


def after(delay: timedelta) -> Any:
    """The database expression for `delay` from now."""
    return Now() + delay


class LeasedQuerySet(models.QuerySet[Any]):
    def due(self) -> Self:
        return self.filter(next_action_at__lte=Now()).order_by("next_action_at")


class Leased(models.Model):
    """A row with a status, a lease and a timer. Subclasses declare `status`, MOVES and `actor_name`.

    Only `_move` writes `status`. It does so with one UPDATE filtered on the status and attempt that this instance was loaded
    with: False means that somebody else was first, and nothing has changed.
    """

    MOVES: ClassVar[Mapping[str, Collection[str]]]
    status: Any

    attempt = models.PositiveIntegerField(
        default=0, editable=False, help_text="The fencing token: rises with every claim."
    )
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    next_action_at = models.DateTimeField(null=True, blank=True, editable=False)
    not_before = models.DateTimeField(null=True, blank=True, editable=False, help_text="No claim before: a back-off.")
    hints = models.PositiveIntegerField(
        default=0, editable=False, help_text="Sent by the dispatcher since the last change."
    )

    class Meta:
        abstract = True

    @staticmethod
    def _free(waiting: str) -> Q:
        """For `only` of a claim: the row waits, and not for a back-off to end, or its holder's lease has run out."""
        ready = Q(not_before=None) | Q(not_before__lte=Now())
        return Q(status=waiting) & ready | Q(lease_until__lte=Now())

    @property
    def actor_name(self) -> str:
        """The Dramatiq actor that takes the next step with this row."""
        raise TypeError(f"{type(self).__name__} names no actor")

    def _move(self, to: str, *, only: Q | None = None, **changes: Any) -> bool:
        if to not in self.MOVES[self.status]:
            raise IllegalMove(f"{type(self).__name__} {self.pk}: {self.status} -> {to}")
        return self._change(only=only, status=to, hints=0, **changes)

    def _change(self, *, only: Q | None = None, **changes: Any) -> bool:
        """Update this row if its status and attempt are still those of this instance, which is then read afresh."""
        mine = Q(pk=self.pk, status=self.status, attempt=self.attempt)
        changed = type(self)._base_manager.filter(mine, only or Q()).update(**changes)
        if changed:
            self.refresh_from_db()
        return bool(changed)

    def postpone(self) -> bool:
        """Put the next hint off, twice as far as the last; False when another dispatcher did so, or the row moved on."""
        pause = min(FIRST_HINT_AFTER * 2 ** min(self.hints, 10), LONGEST_HINT_PAUSE)
        due = type(self)._base_manager.filter(pk=self.pk, hints=self.hints, next_action_at__lte=Now())
        return bool(due.update(next_action_at=after(pause), hints=F("hints") + 1))
