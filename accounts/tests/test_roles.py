"""What each role may: exactly this, after every migrate; and only a superuser says who has which."""

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.urls import reverse

from accounts.models import AuditEvent, User
from accounts.roles import NONE, OPERATOR, SUPPORT, role_of, set_role

SUPPORT_MAY = {
    "accounts.view_user", "accounts.view_profile", "accounts.view_plan", "accounts.view_subscription",
    "accounts.view_erasure", "accounts.change_user_plan",
    "jobs.view_job", "jobs.view_upload", "jobs.view_notification",
    "jobs.change_job", "jobs.change_notification", "jobs.read_granted_files",
    "archive.view_resultarchive", "archive.view_retrieval", "archive.view_restoration", "archive.change_restoration",
}  # fmt: skip
OPERATOR_MAY = SUPPORT_MAY | {
    "accounts.change_plan", "accounts.change_user", "accounts.view_auditevent", "accounts.export_auditevent",
    "jobs.requeue_job", "jobs.view_announcement", "jobs.add_announcement", "jobs.change_announcement",
    "archive.change_resultarchive",
}  # fmt: skip


@pytest.mark.parametrize(("role", "may"), [(SUPPORT, SUPPORT_MAY), (OPERATOR, OPERATOR_MAY)])
def test_exactly_this(make_staff, role, may):
    assert make_staff(role).get_all_permissions() == may


@pytest.mark.parametrize("role", [SUPPORT, OPERATOR])
def test_migrate_takes_away_what_was_added_by_hand(make_staff, role):
    group = Group.objects.get(name=role)
    group.permissions.add(Permission.objects.get(codename="delete_user"))
    group.permissions.remove(Permission.objects.get(codename="view_job"))
    call_command("migrate", verbosity=0)
    assert make_staff(role).get_all_permissions() == {SUPPORT: SUPPORT_MAY, OPERATOR: OPERATOR_MAY}[role]


LISTS = {
    "accounts_user", "accounts_plan", "accounts_subscription", "accounts_erasure",
    "jobs_job", "jobs_upload", "jobs_notification", "archive_resultarchive", "archive_restoration",
}  # fmt: skip
OPERATORS_LISTS = LISTS | {"accounts_auditevent", "jobs_announcement"}


@pytest.mark.parametrize("role", [SUPPORT, OPERATOR, None])
def test_lists_that_each_role_sees(desk, role):
    apps = desk(role).get("/admin/").context["app_list"]
    seen = {f"{app['app_label']}_{model['object_name'].lower()}" for app in apps for model in app["models"]}
    assert seen == (LISTS if role == SUPPORT else OPERATORS_LISTS)


@pytest.mark.parametrize("name", sorted(OPERATORS_LISTS))
def test_lists_that_support_may_open(desk, name):
    allowed = name in LISTS
    assert desk(SUPPORT).get(reverse(f"admin:{name}_changelist")).status_code == (200 if allowed else 403)


@pytest.mark.parametrize("role", [SUPPORT, OPERATOR, None])
def test_nobody_adds_or_deletes_a_user(desk, researcher, role):
    client = desk(role)
    assert client.get("/admin/accounts/user/add/").status_code == 403
    assert client.post(f"/admin/accounts/user/{researcher.pk}/delete/", {"post": "yes"}).status_code == 403
    actions = dict(client.get("/admin/accounts/user/").context["action_form"].fields["action"].choices)
    assert "delete_selected" not in actions


def change_role(client, user, role):
    page = reverse("admin:accounts_user_act", args=[user.pk, "role"])
    return client.post(page, {"act": "role", "reason": "she moved", "role": role}, follow=True).content.decode()


def test_a_superuser_changes_a_role(admin_client, make_staff, client):
    user = make_staff(SUPPORT)
    user.user_permissions.add(Permission.objects.get(codename="delete_user"))
    assert "1 given the role." in change_role(admin_client, user, OPERATOR)
    assert User.objects.get(pk=user.pk).get_all_permissions() == OPERATOR_MAY
    event = AuditEvent.objects.get()
    assert (event.action, event.object_id, event.reason) == ("role.changed", str(user.pk), "she moved")
    assert (event.before, event.after) == ({"role": "support"}, {"role": "operator"})
    assert "left as they were" in change_role(admin_client, user, OPERATOR)


@pytest.mark.parametrize("has_role", [True, False])
def test_a_superuser_dismisses_staff(admin_client, make_staff, has_role):
    user = make_staff(SUPPORT)
    if not has_role:
        user.groups.clear()
    assert "1 given the role." in change_role(admin_client, user, "none")
    assert not User.objects.get(pk=user.pk).is_staff


@pytest.mark.parametrize(
    ("before", "role", "flags"),
    [
        (SUPPORT, "superuser", (True, True, [])),
        (None, SUPPORT, (True, False, [SUPPORT])),
        (OPERATOR, NONE, (False, False, [])),
        (None, NONE, (False, False, [])),
    ],
)
def test_roles_exclude_each_other(make_staff, before, role, flags):
    user = make_staff(before)
    assert set_role(user, role, by="test", reason="r")
    user = User.objects.get(pk=user.pk)
    assert (user.is_staff, user.is_superuser, [group.name for group in user.groups.all()]) == flags
    assert role_of(user) == role


def test_whoever_is_dismissed_is_out_at_once(desk, make_staff):
    client = desk(OPERATOR)
    assert client.get("/admin/").status_code == 200
    UserSession.objects.create(user=client.user, session_key=client.session.session_key, ip="127.0.0.1")
    set_role(client.user, NONE, by="test", reason="r")
    assert not client.session.get("_auth_user_id")
    assert not UserSession.objects.exists()
    assert client.get("/admin/").status_code == 302


def test_a_researcher_is_made_no_staff_here(admin_client, researcher):
    """A Globus identity is no way into the desk: staff are made by `create_staff`."""
    assert "left as they were" in change_role(admin_client, researcher, OPERATOR)
    assert not User.objects.get(pk=researcher.pk).is_staff


def test_nobody_changes_his_own_role(admin_client):
    assert "another superuser has to" in change_role(admin_client, admin_client.user, SUPPORT)
    assert User.objects.get(pk=admin_client.user.pk).is_superuser
