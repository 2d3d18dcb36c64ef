"""Who did what to whom, when and why: rows that are added and read, and nothing else."""

from typing import Any, ClassVar, NoReturn

from django.db import models
from django.utils import timezone

from accounts.models.user import User


class AppendOnly(TypeError):
    """An audit event was to be changed or deleted: a mistake in the code."""


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    def about(self, user: User) -> "AuditEventQuerySet":
        return self.filter(subject=user)

    def scrub(self, user: User) -> None:
        """The one exception, for an erased account: that something was done to it stays, what was said of it goes."""
        models.QuerySet.update(self.filter(subject=user), reason="", before={}, after={})
        models.QuerySet.update(self.filter(actor=user), actor_name="owner")

    def update(self, **_: Any) -> NoReturn:
        raise AppendOnly("Audit events are not changed.")

    def delete(self) -> NoReturn:
        raise AppendOnly("Audit events are not deleted.")


class AuditEvent(models.Model):
    """One act. `accounts.audit.note` writes it, in the transaction of the act.

    `before` and `after` hold what the act changed: statuses, plans, times; never a person's name, address or file.
    """

    at = models.DateTimeField(default=timezone.now, editable=False)
    actor = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+", editable=False)
    actor_name = models.CharField(
        max_length=100, editable=False, help_text="The staff's user name, 'owner', or the command."
    )
    action = models.CharField(max_length=40, editable=False, help_text="A noun and a past participle: job.retried")
    subject = models.ForeignKey(
        User, models.SET_NULL, null=True, blank=True, related_name="+", editable=False, help_text="Whose data it was."
    )
    object_type = models.CharField(max_length=40, editable=False)
    object_id = models.CharField(max_length=64, editable=False)
    reason = models.TextField(blank=True, editable=False)
    before = models.JSONField(default=dict, editable=False)
    after = models.JSONField(default=dict, editable=False)

    objects: ClassVar = AuditEventQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [
            models.Index(fields=["-at", "-id"], name="audit_at"),
            models.Index(fields=["subject", "-at"], name="audit_subject"),
            models.Index(fields=["object_id", "-at"], name="audit_object"),
        ]
        permissions = [("export_auditevent", "Can export audit events")]
        default_permissions = ["view"]

    def __str__(self) -> str:
        return f"{self.action} by {self.actor_name}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None:
            raise AppendOnly("An audit event is not changed.")
        super().save(*args, **kwargs)

    def delete(self, *_: Any, **__: Any) -> NoReturn:
        raise AppendOnly("An audit event is not deleted.")
