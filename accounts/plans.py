"""The one door to a user's plan."""

from django.db import transaction

from accounts.audit import note
from accounts.models import Plan, Profile, Subscription, User
from gas.followers import follow


def change_plan(user: User, code: str, *, by: "User | str | None" = None, reason: str = "") -> bool:
    """Put `user` on a plan, with its history and all that follows for his results; `by` is himself unless named.

    False when he was on it, however many ask at a time, or his account is erased.
    """
    Profile.objects.get_or_create(user=user)
    with transaction.atomic():
        previous = user.hold_plan()
        if User.objects.filter(pk=user.pk, erased_at__isnull=False).exists():
            Profile.objects.filter(user=user).delete()  # made above
            return False
        if previous.code == code:
            return False
        plan = Plan.objects.get(pk=code)
        Profile.objects.filter(user=user).update(plan=plan)
        who = by or user
        changed_by = who if isinstance(who, User) else None
        Subscription.objects.create(user=user, plan=plan, previous=previous, changed_by=changed_by, reason=reason)
        note("plan.changed", user, by=who, reason=reason, before={"plan": previous.code}, after={"plan": code})
        follow("plan_changed", user, plan)
    return True
