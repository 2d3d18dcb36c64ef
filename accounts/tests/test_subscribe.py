from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import AuditEvent, Plan, Subscription, User
from accounts.plans import change_plan


@pytest.fixture
def signed_in(client, researcher):
    client.force_login(researcher, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def plan_of(user: User) -> str:
    return User.objects.get(pk=user.pk).plan.code


def test_page_compares_the_plans(signed_in, researcher):
    page = signed_in.get("/subscribe/").content.decode().replace("\xa0", " ")
    for text in ("150.0 KB", "5.0 GB", "5 minutes", "at any time", "You are on the Free plan"):
        assert text in page
    assert plan_of(researcher) == "free"


def test_a_free_plan_that_keeps_results_locks_nothing(signed_in, researcher, settings):
    settings.FREE_RETENTION = None
    Plan.objects.filter(pk=Plan.FREE).update(retention=None)
    change_plan(researcher, Plan.PREMIUM)
    page = signed_in.get("/subscribe/").content.decode()
    assert "your results stay open, and new files" in page
    assert "locked and archived" not in page


def test_confirmed_post_upgrades_at_once(signed_in, researcher):
    assert signed_in.post("/subscribe/", {"plan": "premium", "confirm": "on"}).headers["Location"] == "/subscribe/"
    assert plan_of(researcher) == "premium"
    page = signed_in.get("/subscribe/").content.decode()
    assert "You are on the Premium plan." in page
    assert "Go back to Free" in page


def test_unconfirmed_post_changes_nothing(signed_in, researcher):
    assert "This field is required" in signed_in.post("/subscribe/").content.decode()
    assert plan_of(researcher) == "free"


def test_get_changes_nothing(signed_in, researcher):
    """Seed defect 6: a link from another site changes the plan."""
    signed_in.get("/subscribe/?plan=premium&confirm=on")
    assert plan_of(researcher) == "free"


def test_post_without_csrf_token(researcher):
    """Seed defect 6: a form on another site does."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(researcher, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert client.post("/subscribe/", {"plan": "premium", "confirm": "on"}).status_code == 403
    assert plan_of(researcher) == "free"


def test_anonymous_is_sent_to_sign_in(client, db):
    assert (
        client.post("/subscribe/", {"plan": "premium", "confirm": "on"}).headers["Location"]
        == "/login/?next=/subscribe/"
    )


def test_upgrade_twice_happens_once(researcher, outsider):
    assert [change_plan(researcher, Plan.PREMIUM), change_plan(researcher, Plan.PREMIUM)] == [True, False]
    assert plan_of(researcher) == "premium"
    assert plan_of(outsider) == "free"


def test_second_post_says_so(signed_in, premium):
    signed_in.force_login(premium, backend="allauth.account.auth_backends.AuthenticationBackend")
    page = signed_in.post("/subscribe/", {"plan": "premium", "confirm": "on"}, follow=True).content.decode()
    assert "You were on the Premium plan already." in page
    assert plan_of(premium) == Plan.PREMIUM


def test_the_way_back_to_free(signed_in, premium, fresh):
    """Seed defect 6: a GET of /unsubscribe did it."""
    signed_in.force_login(premium, backend="allauth.account.auth_backends.AuthenticationBackend")
    fresh(signed_in)
    page = signed_in.get("/subscribe/").content.decode()
    assert "can be downloaded for 5 minutes from that moment on" in page
    assert "This field is required" in signed_in.post("/subscribe/", {"plan": "free"}).content.decode()
    assert plan_of(premium) == "premium"
    page = signed_in.post("/subscribe/", {"plan": "free", "confirm": "on"}, follow=True).content.decode()
    assert "You are on the Free plan now." in page
    assert plan_of(premium) == "free"


def test_the_way_back_needs_a_fresh_sign_in(signed_in, premium, fresh):
    signed_in.force_login(premium, backend="allauth.account.auth_backends.AuthenticationBackend")
    fresh(signed_in, False)
    answer = signed_in.post("/subscribe/", {"plan": "free", "confirm": "on"})
    assert answer.headers["Location"] == "/step-up/?next=%2Fsubscribe%2F"
    assert plan_of(premium) == "premium"


def test_the_way_up_needs_none(signed_in, researcher, fresh):
    fresh(signed_in, False)
    signed_in.post("/subscribe/", {"plan": "premium", "confirm": "on"})
    assert plan_of(researcher) == "premium"


def test_limits_on_the_page(signed_in):
    Plan.objects.filter(pk="free").update(concurrent_jobs=3, monthly_jobs=1234)
    Plan.objects.filter(pk="premium").update(concurrent_jobs=20, monthly_jobs=None)
    page = signed_in.get("/subscribe/").content.decode()
    assert "<td>3</td>\n        <td>20</td>" in page
    assert "<td>1,234</td>\n        <td>as many as you like</td>" in page


def test_history_says_when_from_what_and_why(signed_in, researcher, outsider, make_staff):
    assert 'id="history"' not in signed_in.get("/subscribe/").content.decode()
    change_plan(researcher, "premium", by=make_staff("support"), reason="A gift <for> him.")
    change_plan(researcher, "free")
    change_plan(researcher, "premium", by="a command")
    change_plan(outsider, "premium", reason="Of somebody else.")
    page = signed_in.get("/subscribe/").content.decode()
    rows = page.partition('id="history"')[2].partition("<tbody>")[2].split("<tr>")[1:]
    cells = [[cell.partition(">")[2].partition("</td>")[0] for cell in row.split("<td")[2:]] for row in rows]
    assert cells == [
        ["Free", "Premium", "By the service"],
        ["Premium", "Free", "By yourself"],
        ["Free", "Premium", "By our support: A gift &lt;for&gt; him."],
    ]
    assert page.count("<time") == 3
    assert Subscription.objects.count() == AuditEvent.objects.filter(action="plan.changed").count() == 4


def test_history_costs_no_query_per_row(signed_in, researcher, django_assert_num_queries):
    signed_in.get("/subscribe/")  # what a session's first request has to write down
    change_plan(researcher, "premium")
    with CaptureQueriesContext(connection) as one:
        signed_in.get("/subscribe/")
    for plan in ("free", "premium"):
        change_plan(researcher, plan)
    with django_assert_num_queries(len(one)):
        signed_in.get("/subscribe/")


def test_no_other_plan(signed_in, researcher):
    signed_in.post("/subscribe/", {"plan": "platinum", "confirm": "on"})
    assert plan_of(researcher) == "free"


def test_free_retention_overrides_the_row(signed_in, settings):
    settings.FREE_RETENTION = timedelta(days=730)
    assert "for 730 days after it is done" in signed_in.get("/subscribe/").content.decode()
