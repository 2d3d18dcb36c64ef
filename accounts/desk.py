"""Accounts on the start page of the desk, and on the page of a user."""

from datetime import timedelta
from typing import Any

from django.db.models import Count, Min
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import Erasure, Plan, Subscription, User
from gas.desk import Counter, Section, listed, when_any


def sections(viewer: Any) -> list[Section]:
    counters: list[Counter] = []
    if viewer.has_perm("accounts.view_user"):
        counters += _by_plan()
        closed = User.objects.filter(is_active=False).count()
        counters.append(Counter("closed", closed, listed("accounts_user", is_active__exact=0)))
    if viewer.has_perm("accounts.view_subscription"):
        since = timezone.now() - timedelta(days=1)
        changes = Subscription.objects.filter(started_at__gte=since).count()
        recent = listed("accounts_subscription", started_at__gte=since.isoformat())
        counters.append(Counter("changes of plan in 24 hours", changes, recent))
    if viewer.has_perm("accounts.view_user"):
        counters.append(_erasures_due())
    return [Section("Accounts", counters)]


def _by_plan() -> list[Counter]:
    counts = dict(Plan.objects.annotate(users=Count("profile")).values_list("code", "users"))
    return [
        Counter(f"on {plan}", counts[plan.code], listed("accounts_user", profile__plan__code__exact=plan.code))
        for plan in Plan.objects.order_by("code")
    ]


def _erasures_due() -> Counter:
    """Those whose grace is over, and that have not ended."""
    due = Erasure.objects.filter(ended_at=None, due_at__lte=Now()).aggregate(rows=Count("pk"), oldest=Min("due_at"))
    age = timezone.now() - due["oldest"] if due["oldest"] else None
    address = listed("accounts_erasure", ended_at__isnull=1, due_at__lte=timezone.now().isoformat())
    return Counter("erasures due", due["rows"], address, age, when_any("warning", due["rows"]))


def about(user: User, viewer: Any) -> list[Section]:
    counters = []
    if viewer.has_perm("accounts.view_auditevent"):
        events = listed("accounts_auditevent", subject__id__exact=user.pk)
        counters.append(Counter("audit events", "all", events))
    return [Section("Account", counters)]
