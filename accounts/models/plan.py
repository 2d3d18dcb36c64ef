"""What a researcher may do, and for how long results stay."""

from datetime import timedelta
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q


class PlanManager(models.Manager["Plan"]):
    def keeping(self) -> "list[Plan]":
        """The plans on which results can be downloaded for ever."""
        return [plan for plan in self.all() if plan.download_window is None]


class Plan(models.Model):
    """The limits of an account, each with its check. The rows come with the migrations; operators edit them."""

    FREE, PREMIUM = "free", "premium"

    code = models.SlugField(primary_key=True, max_length=20)
    name = models.CharField(max_length=50)
    max_upload_bytes = models.BigIntegerField(null=True, blank=True, help_text="Empty: no limit of its own.")
    retention = models.DurationField(
        null=True,
        blank=True,
        help_text="How long a result that is completed from now on can be downloaded. Empty: for ever.",
    )
    concurrent_jobs = models.PositiveIntegerField(
        null=True, blank=True, help_text="Jobs of an account that may wait or run at a time. Empty: no limit."
    )
    monthly_jobs = models.PositiveIntegerField(
        null=True, blank=True, help_text="Jobs that an account may submit in a calendar month (UTC). Empty: no limit."
    )
    priority = models.PositiveSmallIntegerField(
        default=0, help_text="Minutes by which its jobs go ahead of others in the queue."
    )

    objects: ClassVar[PlanManager] = PlanManager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(max_upload_bytes__lte=0), name="plan_max_upload_bytes"),
            models.CheckConstraint(condition=~Q(concurrent_jobs=0), name="plan_concurrent_jobs"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def upload_limit(self) -> int:
        """Bytes that one file may have."""
        return self.max_upload_bytes if self.max_upload_bytes is not None else settings.MAX_UPLOAD_BYTES

    @property
    def download_window(self) -> timedelta | None:
        """How long a result can be downloaded, None for ever; FREE_RETENTION overrides the row of the Free plan."""
        if self.code == self.FREE and settings.FREE_RETENTION is not None:
            return settings.FREE_RETENTION
        return self.retention

    @property
    def head_start(self) -> timedelta:
        """By how much its jobs go ahead in the queue: a head start, so that nobody waits for ever."""
        return timedelta(minutes=self.priority)

    def allows(self, size: int) -> bool:
        """Whether a file of `size` bytes may be uploaded."""
        return size <= self.upload_limit

    def allows_another(self, active: int) -> bool:
        """Whether an account with `active` jobs that wait or run may submit one more."""
        return self.concurrent_jobs is None or active < self.concurrent_jobs

    def allows_this_month(self, submitted: int) -> bool:
        """Whether an account that has `submitted` jobs in this month may submit one more."""
        return self.monthly_jobs is None or submitted < self.monthly_jobs
