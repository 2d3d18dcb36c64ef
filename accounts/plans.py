"""The one door to a user's plan."""

from django.db import transaction

from accounts.models import Plan, Profile, User
from gas.followers import follow


def change_plan(user: User, code: str) -> bool:
    """Put `user` on a plan, with all that follows for his results. False when he was on it, however many ask at a time."""
    Profile.objects.get_or_create(user=user)
    with transaction.atomic():
        changed = Profile.objects.filter(user=user).exclude(plan=code).update(plan=code)
        if changed:
            follow("plan_changed", user, Plan.objects.get(pk=code))
    return bool(changed)
