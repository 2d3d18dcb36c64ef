"""How many jobs an account has submitted in a month: a deleted job counts like any other."""

from datetime import date
from typing import ClassVar

from django.db import models
from django.db.models import F
from django.utils import timezone

from accounts.models import User


def this_month() -> date:
    """The first day of the month, UTC."""
    return timezone.now().date().replace(day=1)


class MonthlyUseQuerySet(models.QuerySet["MonthlyUse"]):
    def submitted(self, user: User) -> int:
        """The jobs that `user` has submitted in this month."""
        return self.filter(user=user, month=this_month()).values_list("jobs", flat=True).first() or 0

    def add(self, user: User) -> None:
        """Count one more, in the transaction that makes the job."""
        use, _ = self.get_or_create(user=user, month=this_month())
        self.filter(pk=use.pk).update(jobs=F("jobs") + 1)


class MonthlyUse(models.Model):
    """The count of one account in one month; the rows of its jobs may be gone."""

    user = models.ForeignKey(User, models.CASCADE, related_name="monthly_use", editable=False)
    month = models.DateField(editable=False, help_text="Its first day.")
    jobs = models.PositiveIntegerField(default=0, editable=False)

    objects: ClassVar = MonthlyUseQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "month"], name="monthly_use_once")]

    def __str__(self) -> str:
        return f"{self.jobs} jobs in {self.month:%Y-%m}"
