from datetime import timedelta

import pytest
from django.test import Client

from accounts.models import Plan, User
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


def test_the_way_back_to_free(signed_in, premium):
    """Seed defect 6: a GET of /unsubscribe did it."""
    signed_in.force_login(premium, backend="allauth.account.auth_backends.AuthenticationBackend")
    page = signed_in.get("/subscribe/").content.decode()
    assert "can be downloaded for 5 minutes from that moment on" in page
    assert "This field is required" in signed_in.post("/subscribe/", {"plan": "free"}).content.decode()
    assert plan_of(premium) == "premium"
    page = signed_in.post("/subscribe/", {"plan": "free", "confirm": "on"}, follow=True).content.decode()
    assert "You are on the Free plan now." in page
    assert plan_of(premium) == "free"


def test_no_other_plan(signed_in, researcher):
    signed_in.post("/subscribe/", {"plan": "platinum", "confirm": "on"})
    assert plan_of(researcher) == "free"


def test_free_retention_overrides_the_row(signed_in, settings):
    settings.FREE_RETENTION = timedelta(days=730)
    assert "for 730 days after it is done" in signed_in.get("/subscribe/").content.decode()
