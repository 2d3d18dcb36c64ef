"""All that one upgrade brings back, and the mail that says so."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Count, Max, Sum
from django.db.models.functions import Coalesce

from accounts.models import User
from gas.leases import after
from gas.vaults import vault
from jobs.models import Mail

LOOK_AGAIN = timedelta(minutes=1)


class Restoration(Mail):
    """One upgrade with archived results; they name it, so that pages can count them. Its mail goes out when all are back."""

    actor_name = "notify_restored"

    user = models.ForeignKey(User, models.CASCADE, related_name="restorations")
    results = models.PositiveIntegerField(default=0, help_text="How many were archived at the upgrade.")
    size = models.BigIntegerField(default=0, help_text="Bytes of these results.")

    class Meta(Mail.Meta):
        pass

    def __str__(self) -> str:
        return f"{self.results} results of {self.user}"

    @classmethod
    def begin(cls, user: User) -> "Restoration":
        """Its mail is looked at once a minute, and when a result comes back."""
        return cls.objects.create(user=user, next_action_at=after(LOOK_AGAIN))

    @property
    def on_the_way(self) -> models.QuerySet[Any]:
        """The results that are not back yet."""
        return self.archives.exclude(status__in=["HOT", "ARCHIVING", "DELETED"])

    @property
    def back(self) -> int:
        """How many of its results are back."""
        return self.total - self.on_the_way.count()

    @property
    def total(self) -> int:
        """How many results it brings back; those that were deleted meanwhile do not count."""
        return self.archives.exclude(status="DELETED").count()

    @property
    def expected_by(self) -> datetime | None:
        """When the last is typically back; None before all retrievals are initiated."""
        waiting = self.on_the_way.exclude(status="QUARANTINED")
        open_ones = {"retrievals__ended_at": None, "retrievals__initiated_at__isnull": False}
        known = waiting.filter(**open_ones).aggregate(last=Max("retrievals__expected_by"), count=Count("pk"))
        return known["last"] if known["count"] == waiting.count() else None

    @property
    def usual_duration(self) -> timedelta | None:
        """How long the last usually takes, by the tiers that are asked first; None: all that are not back are in quarantine."""
        waiting = self.on_the_way.exclude(status="QUARANTINED").filter(vault__in=settings.VAULTS).order_by()
        longest = []
        for kind, tier, size in waiting.values_list("vault", "tier").annotate(Max("size")):
            first = next(name for name in (tier, *settings.RETRIEVAL_TIERS) if name in vault(kind).tiers)
            longest.append(vault(kind).typical_duration(first, size)[1])
        return max(longest, default=None)

    def wait(self) -> bool:
        """Not all are back: look again in a minute."""
        return self._change(next_action_at=after(LOOK_AGAIN), hints=0)

    def count(self) -> int:
        """Note how many results it brings back, and their bytes."""
        totals = self.archives.aggregate(results=Count("pk"), size=Coalesce(Sum("size"), 0))
        self.results, self.size = totals["results"], totals["size"]
        self.save(update_fields=["results", "size"])
        return self.results

    def spare_expedited(self) -> None:
        """The cost guard: only the EXPEDITED_MAX_FILES most recent results are asked for by the first tier."""
        if settings.EXPEDITED_MAX_FILES is not None and len(settings.RETRIEVAL_TIERS) > 1:
            newest = self.archives.order_by("-job__finished_at", "pk")[: settings.EXPEDITED_MAX_FILES]
            older = self.archives.exclude(pk__in=list(newest.values_list("pk", flat=True)))
            older.update(tier=settings.RETRIEVAL_TIERS[1])
