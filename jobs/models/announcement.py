"""What the operators tell everybody, on every page; and the switch that takes no new files for a while."""

from typing import Any, ClassVar, Self

from django.core.cache import cache
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Greatest, Now
from django.utils import timezone

SHOWN = "announcements"  # their key in the cache
SHOWN_FOR = 30  # seconds


class AnnouncementQuerySet(models.QuerySet["Announcement"]):
    def current(self) -> Self:
        """Begun and not ended, by the database's clock; the newest first."""
        begun = self.filter(Q(ends_at=None) | Q(ends_at__gt=Now()), starts_at__lte=Now())
        return begun.order_by("-starts_at", "-pk")

    def shown(self) -> "list[Announcement]":
        """The current ones for the banner of every page: read from the cache, which is at most 30 seconds behind."""
        return cache.get_or_set(SHOWN, lambda: list(self.current()), SHOWN_FOR) or []

    def pause(self) -> "Announcement | None":
        """The announcement for which no submissions are taken now; None: they are."""
        return self.current().filter(pauses_submissions=True).first()


class Announcement(models.Model):
    """A banner on every page, from `starts_at` until `ends_at` (empty: until an operator ends it)."""

    class Severity(models.TextChoices):
        INFO = "info", "Information"
        WARNING = "warning", "Warning"
        DANGER = "danger", "Outage"

    text = models.TextField(max_length=500, help_text="Plain text: what is the case, until when, what to do.")
    severity = models.CharField(max_length=7, choices=Severity.choices, default=Severity.INFO)
    starts_at = models.DateTimeField(default=timezone.now)
    ends_at = models.DateTimeField(null=True, blank=True, help_text="Empty: until it is ended here.")
    pauses_submissions = models.BooleanField(
        default=False, help_text="As long as it lasts, no new files are taken; jobs that wait or run go on."
    )

    objects: ClassVar = AnnouncementQuerySet.as_manager()

    class Meta:
        default_permissions = ["view", "add", "change"]  # it is ended, never deleted
        indexes = [models.Index(fields=["-starts_at", "-id"], name="announcement_list")]
        constraints = [
            models.CheckConstraint(
                condition=Q(severity__in=["info", "warning", "danger"]), name="announcement_severity"
            ),
            models.CheckConstraint(
                condition=Q(ends_at=None) | Q(ends_at__gte=F("starts_at")),
                name="announcement_ends_at",
                violation_error_message="It ends before it starts: mend one of the two times.",
            ),
        ]

    def __str__(self) -> str:
        return self.text[:60]

    def save(self, *args: Any, **kwargs: Any) -> None:
        super().save(*args, **kwargs)
        transaction.on_commit(_show_anew)

    @property
    def role(self) -> str:
        """How a screen reader tells it: what is urgent at once, the rest when there is a pause."""
        return "alert" if self.severity == self.Severity.DANGER else "status"

    @property
    def has_ended(self) -> bool:
        return self.ends_at is not None and self.ends_at <= timezone.now()

    def end(self) -> bool:
        """Take it down now; one that has not begun never begins. False: it has ended."""
        going_on = type(self).objects.filter(Q(ends_at=None) | Q(ends_at__gt=Now()), pk=self.pk)
        ended = going_on.update(ends_at=Greatest(Now(), F("starts_at")))
        if ended:
            self.refresh_from_db()
            transaction.on_commit(_show_anew)
        return bool(ended)


def _show_anew() -> None:
    cache.delete(SHOWN)
