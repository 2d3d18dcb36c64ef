"""One order to a vault to bring an archive within reach."""

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from gas.leases import after

if TYPE_CHECKING:
    from gas.vaults import Vault


class Retrieval(models.Model):
    """Written before the vault is asked, so that after a crash it is asked about, not asked again. Open until `ended_at`.

    `tier` is the one that was granted, or the one that is asked for as long as `initiated_at` is empty.
    """

    class Outcome(models.TextChoices):
        THAWED = "thawed", "Thawed"
        EXPIRED = "expired", "Expired before the thaw"
        FAILED = "failed", "Failed in the vault"
        ABANDONED = "abandoned", "No longer wanted"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    archive = models.ForeignKey("archive.ResultArchive", models.CASCADE, related_name="retrievals")
    tier = models.CharField(max_length=10)
    vault_id = models.CharField(max_length=200, blank=True, help_text="The vault's own id of it.")
    requested_at = models.DateTimeField(auto_now_add=True)
    initiated_at = models.DateTimeField(null=True, blank=True)
    expected_from = models.DateTimeField(null=True, blank=True, help_text="By the tier's shortest typical duration.")
    expected_by = models.DateTimeField(null=True, blank=True, help_text="By the tier's longest typical duration.")
    available_at = models.DateTimeField(null=True, blank=True, help_text="First seen to be within reach.")
    ended_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=9, choices=Outcome.choices, blank=True)

    objects: ClassVar = models.Manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["archive"], condition=Q(ended_at=None), name="retrieval_one_open"),
            models.CheckConstraint(condition=Q(ended_at=None) ^ ~Q(outcome=""), name="retrieval_outcome"),
            models.CheckConstraint(condition=Q(initiated_at=None) | ~Q(tier=""), name="retrieval_tier"),
        ]

    def __str__(self) -> str:
        return f"{self.tier} retrieval of {self.archive_id}"

    def ask_for(self, tier: str) -> None:
        """The vault is about to be asked for this tier."""
        self._update(tier=tier)

    def granted(self, vault_id: str, vault: "Vault", size: int) -> None:
        """The vault has begun it; `size` are the bytes of the archive."""
        shortest, longest = vault.typical_duration(self.tier, size)
        expected = {"expected_from": after(shortest), "expected_by": after(longest)}
        self._update(vault_id=vault_id, initiated_at=Now(), **expected)

    def seen_available(self) -> None:
        self._update(available_at=Coalesce(F("available_at"), Now()))

    def end(self, outcome: "Retrieval.Outcome") -> None:
        self._update(ended_at=Now(), outcome=outcome)

    @property
    def age(self) -> timedelta:
        return timezone.now() - (self.initiated_at or self.requested_at)

    @property
    def is_late(self) -> bool:
        """Whether it takes longer than it usually does."""
        return self.expected_by is not None and self.expected_by < timezone.now()

    def _update(self, **changes: object) -> None:
        type(self).objects.filter(pk=self.pk, ended_at=None).update(**changes)
        self.refresh_from_db()
