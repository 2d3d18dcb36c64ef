"""Users and plans at the desk: to find, to look at, and acts that each ask for a reason."""

from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.models import Group
from django.urls import reverse
from django.utils import timezone

from accounts.admin.reasons import MOST_ROWS
from accounts.models import AuditEvent, Erasure, Plan, Profile, User


@pytest.fixture
def rosalind(researcher):
    Profile.objects.filter(user=researcher).update(globus_username="rfree@globusid.org")
    return User.objects.get(pk=researcher.pk)


def page_of(user) -> str:
    return reverse("admin:accounts_user_change", args=[user.pk])


def act_page(user, name: str) -> str:
    return reverse("admin:accounts_user_act", args=[user.pk, name])


def act(client, user, name: str, **fields):
    return client.post(act_page(user, name), {"act": name, "reason": "ticket 7", **fields}, follow=True)


def events(*fields):
    return list(AuditEvent.objects.order_by("pk").values_list(*fields))


# --- what is there, and who sees it ---


@pytest.mark.parametrize(
    "hidden",
    [
        "auth/group/",
        "social_django/usersocialauth/",
        "social_django/nonce/",
        "social_django/association/",
        "usersessions/usersession/",
        "account/emailaddress/",
        "account/emailconfirmation/",
        "mfa/authenticator/",
    ],
)
def test_tokens_session_keys_and_groups_are_not_there(admin_client, hidden):
    assert admin_client.get(f"/admin/{hidden}").status_code == 404


def test_no_model_of_a_hidden_app_is_registered():
    apps = {model._meta.app_label for model in admin.site._registry}
    assert apps == {"accounts", "jobs", "archive"}


def test_api_tokens_and_stripe_events_are_not_there():
    assert {model.__name__ for model in admin.site._registry if model._meta.app_label == "accounts"} == {
        "AuditEvent",
        "Erasure",
        "Plan",
        "Subscription",
        "User",
    }


@pytest.mark.parametrize("by", ["pk", "email", "full_name", "globus_username", "part of pk"])
def test_search(desk, rosalind, outsider, by):
    wanted = {
        "pk": str(rosalind.pk),
        "part of pk": str(rosalind.pk)[:13],
        "email": "rosalind@exam",
        "full_name": "Rosalind",
        "globus_username": "rfree@globusid",
    }
    found = desk("support").get("/admin/accounts/user/", {"q": wanted[by]}).context["cl"].result_list
    assert list(found) == [rosalind]


@pytest.mark.parametrize("rows", [1, 3])
def test_the_list_costs_the_same_queries_whatever_the_rows(desk, rows, django_assert_num_queries):
    for n in range(rows):
        User.objects.create_researcher(f"r{n}@example.org")
    client = desk("support")
    client.get("/admin/accounts/user/")
    with django_assert_num_queries(8):
        client.get("/admin/accounts/user/")


def test_a_user_is_only_looked_at(admin_client, rosalind):
    page = admin_client.get(page_of(rosalind)).content.decode()
    assert "rosalind@example.org" in page
    form = page[page.index('id="user_form"') :]
    editable = ("full_name", "email", "password", "is_active", "is_staff", "groups", "institution")
    assert [name for name in editable if f'name="{name}"' in form or f'name="profile-0-{name}"' in form] == []
    assert admin_client.post(page_of(rosalind), {"full_name": "X", "is_staff": "on"}).status_code == 403
    assert admin_client.get("/admin/accounts/user/add/").status_code == 403
    assert admin_client.post(f"/admin/accounts/user/{rosalind.pk}/delete/", {"post": "yes"}).status_code == 403
    assert User.objects.get(pk=rosalind.pk).full_name == "Rosalind Free"


def test_the_page_links_to_what_he_has(desk, rosalind, make_job):
    job = make_job(rosalind)
    client = desk("operator")
    page = client.get(page_of(rosalind))
    links = {counter.url for section in page.context["sections"] for counter in section.counters if counter.url}
    assert len(links) >= 8
    for link in links:
        assert client.get(link).status_code == 200, link
    jobs = next(link for link in links if link.endswith(f"jobs/job/?owner__id__exact={rosalind.pk}"))
    assert list(client.get(jobs).context["cl"].result_list) == [job]


def test_the_page_says_nothing_of_others(desk, rosalind, outsider, make_job):
    make_job(outsider)
    page = desk("operator").get(page_of(rosalind))
    jobs = next(section for section in page.context["sections"] if section.title == "Jobs")
    assert [(counter.label, counter.value) for counter in jobs.counters if counter.label == "all"] == [("all", 0)]


def test_recent_events_are_for_operators(desk, rosalind):
    act(desk("operator"), rosalind, "plan", code="premium")
    assert [event.action for event in desk("operator", user=staff("operator")).get(page_of(rosalind)).context["events"]]
    assert desk("support").get(page_of(rosalind)).context["events"] == []


@pytest.mark.parametrize("changes", [1, 6])
def test_the_page_costs_the_same_queries_whatever_he_has(
    desk, rosalind, make_job, changes, django_assert_max_num_queries
):
    support = desk("support")
    for n in range(changes):
        make_job(rosalind)
        act(support, rosalind, "plan", code=["premium", "free"][n % 2])
    operator = desk("operator")
    operator.get(page_of(rosalind))
    with django_assert_max_num_queries(26):
        operator.get(page_of(rosalind))


def staff(role):
    return User.objects.get(email=f"{role}@desk.example.org")


# --- acts ---


BUTTONS = {
    "support": {"plan"},
    "operator": {"plan", "close"},
    None: {"plan", "close"},
}


@pytest.mark.parametrize("role", BUTTONS)
def test_buttons_of_each_role(desk, rosalind, role):
    page = desk(role).get(page_of(rosalind))
    assert {each.name for each in page.context["acts"]} == BUTTONS[role]
    for each in page.context["acts"]:
        assert f'href="{act_page(rosalind, each.name)}"' in page.content.decode()


@pytest.mark.parametrize("role", BUTTONS)
def test_actions_of_each_role(desk, rosalind, role):
    form = desk(role).get("/admin/accounts/user/").context["action_form"]
    wanted = {"plan", "close", "open"} if role != "support" else {"plan"}
    assert {name for name, _ in form.fields["action"].choices if name} == wanted


@pytest.mark.parametrize(
    ("role", "name"), [("support", "close"), ("support", "open"), ("support", "role"), ("operator", "role")]
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_no_page_for_an_act_of_others(desk, rosalind, role, name, method):
    client = desk(role)
    answer = getattr(client, method)(act_page(rosalind, name), {"act": name, "reason": "r", "role": "superuser"})
    assert answer.status_code == 403
    assert events("action") == []
    assert User.objects.get(pk=rosalind.pk).is_active


def test_no_page_for_an_act_or_a_user_that_is_not(admin_client, rosalind):
    assert admin_client.get(act_page(rosalind, "nothing")).status_code == 404
    assert admin_client.get(reverse("admin:accounts_user_act", args=["nobody", "plan"])).status_code == 404


def test_an_act_needs_to_see_the_row(desk, rosalind):
    Group.objects.get(name="support").permissions.filter(codename="view_user").delete()
    assert desk("support").get(act_page(rosalind, "plan")).status_code == 403


def test_researchers_find_no_act(client, rosalind, outsider):
    client.force_login(rosalind, backend="allauth.account.auth_backends.AuthenticationBackend")
    answer = client.post(act_page(outsider, "plan"), {"act": "plan", "reason": "r", "code": "premium"})
    assert answer.status_code in (302, 404)
    assert User.objects.get(pk=outsider.pk).plan.code == Plan.FREE


def test_support_changes_a_plan_with_a_reason(desk, rosalind):
    client = desk("support")
    page = client.get(act_page(rosalind, "plan")).content.decode()
    assert "Rosalind Free" in page
    assert 'name="reason"' in page
    assert "The user reads it too" in page
    answer = act(client, rosalind, "plan", code="premium")
    assert answer.redirect_chain == [(page_of(rosalind), 302)]
    assert "1 put on the plan." in answer.content.decode()
    assert User.objects.get(pk=rosalind.pk).plan.code == Plan.PREMIUM
    expected = (
        "plan.changed",
        client.user.pk,
        client.user.email,
        rosalind.pk,
        "ticket 7",
        {"plan": "free"},
        {"plan": "premium"},
    )
    fields = ("action", "actor", "actor_name", "subject", "reason", "before", "after")
    assert events(*fields) == [expected]
    history = rosalind.subscriptions.get()
    assert (history.changed_by, history.reason, history.previous_id) == (client.user, "ticket 7", "free")


def test_staff_have_no_plan(desk, make_staff):
    colleague = make_staff("support", email="colleague@example.org")
    client = desk("operator")
    assert act_page(colleague, "plan") not in client.get(page_of(colleague)).text
    assert "1 left as they were" in act(client, colleague, "plan", code="premium").text
    assert not hasattr(User.objects.get(pk=colleague.pk), "profile")


def test_operators_are_led_from_a_row_to_what_was_done_to_it(desk, rosalind):
    client = desk("operator")
    act(client, rosalind, "plan", code="premium")
    address = f"/admin/accounts/auditevent/?object_type__exact=user&amp;object_id__exact={rosalind.pk}"
    assert f'href="{address}"' in client.get(page_of(rosalind)).text
    assert "plan.changed" in client.get(address.replace("&amp;", "&")).text
    assert "auditevent" not in desk("support").get(page_of(rosalind)).text


@pytest.mark.parametrize(
    "fields", [{"reason": "  "}, {"reason": ""}, {"code": ""}, {"code": "gold"}, {"reason": "x" * 501}]
)
def test_without_a_reason_or_a_plan_nothing_is_done(desk, rosalind, fields):
    answer = act(desk("support"), rosalind, "plan", **{"code": "premium", **fields})
    assert answer.status_code == 200
    assert "errorlist" in answer.content.decode()
    assert User.objects.get(pk=rosalind.pk).plan.code == Plan.FREE
    assert events("action") == []


def test_the_page_of_an_act_changes_nothing_by_itself(desk, rosalind):
    """A GET, and a POST that comes from the list: it has no mark of the page."""
    client = desk("support")
    client.get(act_page(rosalind, "plan"), {"act": "plan", "reason": "r", "code": "premium"})
    client.post(act_page(rosalind, "plan"), {"reason": "r", "code": "premium"})
    assert User.objects.get(pk=rosalind.pk).plan.code == Plan.FREE


def test_an_act_is_safe_from_other_sites(make_staff, desk, rosalind):
    client = desk("support")
    client.handler.enforce_csrf_checks = True
    assert client.post(act_page(rosalind, "plan"), {"act": "plan", "reason": "r", "code": "premium"}).status_code == 403


def test_the_same_plan_again_is_said(desk, rosalind):
    page = act(desk("support"), rosalind, "plan", code="free").content.decode()
    assert "1 left as they were" in page
    assert events("action") == []


def test_many_from_the_list(desk, rosalind, outsider, premium):
    client, users = desk("support"), [rosalind, outsider, premium]
    chosen = {"action": "plan", "_selected_action": [user.pk for user in users], "index": 0}
    page = client.post("/admin/accounts/user/", chosen).content.decode()
    assert [user for user in users if str(user.pk) in page] == users
    assert events("action") == []
    del chosen["index"]
    page = client.post(
        "/admin/accounts/user/", {**chosen, "act": "plan", "reason": "a gift", "code": "premium"}, follow=True
    ).content.decode()
    assert "2 put on the plan." in page
    assert "1 left as they were" in page
    assert events("action", "reason") == [("plan.changed", "a gift")] * 2


def test_a_search_for_an_address_finds_each_once(desk, rosalind):
    EmailAddress.objects.create(user=rosalind, email="rosalind@new.example.org", verified=False)
    found = desk("support").get("/admin/accounts/user/", {"q": "rosalind@"}).context["cl"].result_list
    assert list(found) == [rosalind]


def test_one_that_is_not_done_from_the_list_is_named_and_so_is_the_rest(desk, make_staff, rosalind, outsider):
    operator, staff = desk("operator"), make_staff("support")
    chosen = {"action": "close", "_selected_action": [rosalind.pk, staff.pk, outsider.pk]}
    page = operator.post("/admin/accounts/user/", {**chosen, "act": "close", "reason": "r"}, follow=True)
    assert f"At {staff}: Nobody closes his own account" in page.content.decode()
    assert "2 that were chosen after it are left as they were" in page.content.decode()  # the newest comes first
    assert events("action") == []


def test_nothing_left_of_what_was_chosen_from_the_list(desk, rosalind):
    chosen = {"action": "plan", "_selected_action": [rosalind.pk], "act": "plan", "reason": "r", "code": "premium"}
    page = desk("support").post("/admin/accounts/user/?is_active__exact=0", chosen, follow=True).content.decode()
    assert "not in this list any more" in page
    assert events("action") == []


def test_too_many_from_the_list(desk, rosalind):
    User.objects.bulk_create(User(full_name="many") for _ in range(MOST_ROWS + 1))
    everybody = list(User.objects.filter(full_name="many").values_list("pk", flat=True))
    client = desk("support")
    chosen = {"action": "plan", "_selected_action": everybody, "act": "plan", "reason": "r", "code": "premium"}
    assert f"at most {MOST_ROWS}" in client.post("/admin/accounts/user/", chosen, follow=True).content.decode()
    assert events("action") == []


def test_an_operator_closes_and_opens_an_account(desk, client, rosalind):
    client.force_login(rosalind, backend="allauth.account.auth_backends.AuthenticationBackend")
    UserSession.objects.create(user=rosalind, session_key=client.session.session_key, ip="127.0.0.1")
    assert client.get(reverse("profile")).status_code == 200
    operator = desk("operator")
    act(operator, rosalind, "close")
    assert not UserSession.objects.filter(user=rosalind).exists()
    assert not client.session.get("_auth_user_id")
    assert client.get(reverse("profile")).status_code == 302
    client.force_login(rosalind, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert client.get(reverse("profile")).status_code == 302
    assert "1 left as they were" in act(operator, rosalind, "close").content.decode()
    act(operator, rosalind, "open")
    assert User.objects.get(pk=rosalind.pk).is_active
    assert events("action", "subject", "reason", "before", "after") == [
        ("account.closed", rosalind.pk, "ticket 7", {"is_active": True}, {"is_active": False}),
        ("account.opened", rosalind.pk, "ticket 7", {"is_active": False}, {"is_active": True}),
    ]


@pytest.mark.parametrize("name", ["close", "open"])
def test_operators_leave_staff_and_themselves_alone(desk, make_staff, name):
    operator, other = desk("operator"), make_staff("support")
    User.objects.filter(pk=other.pk).update(is_active=name == "close")
    assert "superusers alone" in act(operator, other, name).content.decode().lower()
    if name == "close":
        assert "superusers alone" in act(operator, operator.user, name).content.decode()
    assert events("action") == []


def test_superusers_close_staff_and_not_themselves(admin_client, make_staff):
    other = make_staff("support")
    act(admin_client, other, "close")
    act(admin_client, admin_client.user, "close")
    assert events("action", "subject") == [("account.closed", other.pk)]


def test_an_account_under_erasure_stays_closed(desk, rosalind):
    erasure, _ = Erasure.ask(rosalind)
    Erasure.objects.filter(pk=erasure.pk).update(due_at=timezone.now())
    erasure.refresh_from_db()
    User.objects.filter(pk=rosalind.pk).update(is_active=False)
    assert erasure.claim()
    assert "being erased" in act(desk("operator"), rosalind, "open").content.decode()
    assert not User.objects.get(pk=rosalind.pk).is_active


@pytest.mark.parametrize("name", ["open", "plan"])
def test_nothing_is_done_to_an_erased_account(desk, rosalind, name):
    bare = {"email": "", "full_name": "", "is_active": False, "last_login": None, "erased_at": timezone.now()}
    User.objects.filter(pk=rosalind.pk).update(**bare)
    client = desk("operator")
    assert client.get(page_of(rosalind)).context["acts"] == []
    assert "left as they were" in act(client, rosalind, name, code="premium").content.decode()
    rosalind = User.objects.get(pk=rosalind.pk)
    assert (rosalind.is_active, rosalind.plan.code, events("action")) == (False, "free", [])


# --- plans ---


PLAN = {
    "name": "Free",
    "max_upload_bytes": 2000,
    "retention": "00:10:00",
    "concurrent_jobs": "",
    "monthly_jobs": "",
    "priority": 0,
}


def edit_plan(client, **fields):
    return client.post("/admin/accounts/plan/free/change/", {**PLAN, "reason": "ticket 8", **fields})


def test_an_operator_edits_a_plan_with_a_reason(desk):
    client = desk("operator")
    assert edit_plan(client).status_code == 302
    free = Plan.objects.get(pk="free")
    assert (free.max_upload_bytes, free.retention) == (2000, timedelta(minutes=10))
    (event,) = events("action", "object_id", "subject", "reason", "before", "after")
    assert event[:4] == ("plan.edited", "free", None, "ticket 8")
    assert event[4]["max_upload_bytes"] == 153_600
    assert event[5]["max_upload_bytes"] == 2000
    assert (event[4]["retention"], event[5]["retention"]) == ("0:05:00", "0:10:00")
    assert "name" not in event[5]


def test_a_save_that_changes_nothing_is_no_event(desk):
    client = desk("operator")
    edit_plan(client)
    edit_plan(client)
    assert events("action") == [("plan.edited",)]


@pytest.mark.parametrize(
    "fields",
    [
        {"reason": ""},
        {"retention": "-00:00:01"},
        {"retention": "4000 00:00:00"},
        {"max_upload_bytes": 0},
        {"max_upload_bytes": -1},
        {"max_upload_bytes": 10**14},
        {"concurrent_jobs": 0},
        {"concurrent_jobs": 10_000},
        {"monthly_jobs": -1},
        {"monthly_jobs": 10**8},
        {"priority": ""},
        {"priority": -1},
        {"priority": 100_000},
        {"name": ""},
    ],
)
def test_a_slip_of_the_keyboard_is_refused(desk, fields):
    before = Plan.objects.filter(pk="free").values().get()
    answer = edit_plan(desk("operator"), **fields)
    assert answer.status_code == 200
    assert set(answer.context["adminform"].form.errors) == set(fields)
    assert Plan.objects.filter(pk="free").values().get() == before


@pytest.mark.parametrize(
    "fields", [{"retention": ""}, {"retention": "0"}, {"monthly_jobs": 0}, {"max_upload_bytes": ""}]
)
def test_no_limit_and_nothing_at_all_are_limits_too(desk, fields):
    assert edit_plan(desk("operator"), **fields).status_code == 302


def test_support_looks_at_plans_only(desk):
    client = desk("support")
    assert 'name="max_upload_bytes"' not in client.get("/admin/accounts/plan/free/change/").content.decode()
    assert edit_plan(client).status_code == 403


def test_plans_come_and_go_with_migrations(admin_client):
    assert admin_client.get("/admin/accounts/plan/add/").status_code == 403
    assert admin_client.post("/admin/accounts/plan/free/delete/", {"post": "yes"}).status_code == 403
