"""Mails about a job: one row per job and kind, made in the transaction in which it happens."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from jobs.models.job import Job
from jobs.models.mail import Mail


class Notification(Mail):
    """A mail to the owner of a job."""

    class Kind(models.TextChoices):
        COMPLETED = "completed", "Completed"
        FAILED = "failed", "Failed"
        EXPIRING = "expiring", "Expiring"

    actor_name = "notify_job"

    job = models.ForeignKey(Job, models.CASCADE, related_name="notifications")
    kind = models.CharField(max_length=9, choices=Kind.choices)

    class Meta(Mail.Meta):
        constraints: ClassVar = [
            *Mail.Meta.constraints,
            models.UniqueConstraint(fields=["job", "kind"], name="notification_once"),
            models.CheckConstraint(condition=Q(kind__in=["completed", "failed", "expiring"]), name="notification_kind"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} mail of {self.job_id} ({self.status})"
