"""The roles of staff: groups with permissions, made and kept true by every `migrate`."""

from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db.models import Q

SUPPORT, OPERATOR = "support", "operator"

SEE = [
    "accounts.view_user", "accounts.view_profile", "accounts.view_plan", "accounts.view_subscription",
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
