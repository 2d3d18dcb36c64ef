"""The roles of staff: groups with permissions, made and kept true by every `migrate`."""

from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models import Q

from accounts.audit import note
from accounts.closing import end_sessions
from accounts.models import User

SUPPORT, OPERATOR, SUPERUSER, NONE = "support", "operator", "superuser", ""

SEE = [
    "accounts.view_user", "accounts.view_profile", "accounts.view_plan", "accounts.view_subscription", "accounts.view_erasure",
    "jobs.view_job", "jobs.view_upload", "jobs.view_notification",
    "archive.view_resultarchive", "archive.view_retrieval", "archive.view_restoration",
]  # fmt: skip
ACT = [
    "accounts.change_user_plan",
    "jobs.change_job", "jobs.change_notification", "jobs.read_granted_files",
    "archive.change_restoration",
]  # fmt: skip
OPERATE = [
    "accounts.change_plan", "accounts.change_user", "accounts.view_auditevent", "accounts.export_auditevent",
    "jobs.requeue_job", "jobs.view_announcement", "jobs.add_announcement", "jobs.change_announcement",
    "archive.change_resultarchive",
]  # fmt: skip
ROLES = {SUPPORT: [*SEE, *ACT], OPERATOR: [*SEE, *ACT, *OPERATE]}


def keep_roles(using: str, **_: Any) -> None:
    """After `migrate`: each role's group has its permissions, and no other."""
    for role, names in ROLES.items():
        wanted = Q(pk=None)
        for name in names:
            app, codename = name.split(".")
            wanted |= Q(content_type__app_label=app, codename=codename)
        group, _created = Group.objects.using(using).get_or_create(name=role)
        group.permissions.set(Permission.objects.using(using).filter(wanted))


def role_of(user: User) -> str:
    """ "support", "operator", "superuser"; empty for whoever is no staff, or has none of them."""
    if not user.is_staff:
        return NONE
    if user.is_superuser:
        return SUPERUSER
    return next((group.name for group in user.groups.all() if group.name in ROLES), NONE)


def set_role(user: User, role: str, *, by: "User | str", reason: str) -> bool:
    """Give `user` of the staff this role and no other, and end his sessions; NONE: he is no staff any more.

    False: he has that role. `manage.py create_staff` makes staff.
    """
    with transaction.atomic():
        user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        before = role_of(user)
        if before == role and user.is_staff == (role != NONE):  # staff without a role is staff
            return False
        user.is_staff, user.is_superuser = role != NONE, role == SUPERUSER
        user.save(update_fields=["is_staff", "is_superuser"])
        user.groups.set(Group.objects.filter(name=role) if role in ROLES else [])
        user.user_permissions.clear()
        end_sessions(user)
        note("role.changed", user, by=by, reason=reason, before={"role": before}, after={"role": role})
    return True
