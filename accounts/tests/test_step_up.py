import re
import time
from datetime import timedelta
from html import unescape
from urllib.parse import urlencode

import pytest
from allauth.account.internal.flows.reauthentication import did_recently_reauthenticate
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.models import Session
from django.http import HttpResponse
from django.middleware.csrf import get_token

from accounts.fakeglobus import FREE, PREMIUM
from accounts.models import User
from accounts.step_up import authenticated_at, is_fresh, step_up_required
from accounts.tests.conftest import FAULTS, HOSTILE, query_of

BACK = "/step-up/?next=%2Fprofile%2F"


@pytest.fixture
def signed_in(browser):
    browser.sign_in()
    browser.complete_profile()
    return browser


def make_old(browser):
    """The sign-in of this session, and of the one at Globus, was an hour ago."""
    session = Session.objects.get(session_key=browser.session_key)
    data = session.get_decoded()
    for record in data["account_authentication_methods"]:
        record["at"] -= 3600
    Session.objects.save(session.session_key, data, session.expire_date)


def age_of(browser) -> float:
    data = Session.objects.get(session_key=browser.session_key).get_decoded()
    return time.time() - max(record["at"] for record in data["account_authentication_methods"])


def alerts(browser, path):
    return [unescape(text) for text in re.findall(r'alert-danger" role="alert">(.+?)</div>', browser.get(path).text)]


def test_step_up_signs_in_afresh_renews_the_keys_and_leads_on(signed_in, globus, security_log):
    make_old(signed_in)
    address = signed_in.begin_step_up("/subscribe/")
    assert query_of(address)["prompt"] == "login"
    assert signed_in.session.get(address, allow_redirects=False).status_code == 200  # a session at Globus is not enough
    before, csrf_before = signed_in.session_key, signed_in.session.cookies["csrftoken"]

    assert signed_in.get(signed_in.choose(address)).headers["Location"] == "/subscribe/"

    assert age_of(signed_in) < 60
    assert signed_in.session_key != before
    assert signed_in.session.cookies["csrftoken"] != csrf_before
    assert not Session.objects.filter(session_key=before).exists()
    assert list(UserSession.objects.values_list("session_key", flat=True)) == [signed_in.session_key]
    assert [(line["event"], line["user"], line["method"]) for line in security_log()][-1:] == [
        ("step_up.passed", str(User.objects.get().pk), "globus")
    ]
    assert "prompt" not in query_of(signed_in.begin())


def test_old_session_at_globus_is_refused(signed_in, globus, security_log):
    """Whoever takes prompt=login out of the address gets the answer of the session at Globus."""
    make_old(signed_in)
    globus.sessions = {key: (sub, at - 3600) for key, (sub, at) in globus.sessions.items()}
    address = signed_in.begin_step_up().replace("prompt=login", "prompt=none")
    callback = signed_in.session.get(address, allow_redirects=False).headers["Location"]

    assert signed_in.get(callback).headers["Location"] == BACK

    assert alerts(signed_in, BACK) == [
        "Globus did not ask you to sign in afresh, so nothing was opened. Try once more."
    ]
    assert age_of(signed_in) > 3000
    assert signed_in.is_signed_in
    [refused] = [line for line in security_log() if line["event"] == "step_up.refused"]
    assert (refused["user"], refused["why"]) == (str(User.objects.get().pk), "authentication_disallowed")


def test_sign_in_by_an_old_session_at_globus_is_no_step_up(browser, new_browser, globus):
    browser.sign_in()
    globus.sessions = {key: (sub, at - 3600) for key, (sub, at) in globus.sessions.items()}
    other = new_browser()
    other.session.cookies.set("fakeglobus", browser.session.cookies["fakeglobus"])

    callback = other.session.get(other.begin(), allow_redirects=False).headers["Location"]

    assert other.get(callback).headers["Location"] == "/"
    assert other.is_signed_in
    assert age_of(other) > 3000


def test_sign_in_with_the_password_of_just_now_is_fresh(browser):
    browser.sign_in()
    assert age_of(browser) < 60


def test_answer_without_last_authentication_is_refused(signed_in, globus):
    make_old(signed_in)
    globus.faults.add("no_last_authentication")
    assert signed_in.get(signed_in.choose(signed_in.begin_step_up())).headers["Location"] == BACK
    assert age_of(signed_in) > 3000
    assert len(alerts(signed_in, BACK)) == 1


def test_another_identity_is_refused(signed_in):
    make_old(signed_in)
    assert signed_in.get(signed_in.choose(signed_in.begin_step_up(), PREMIUM.sub)).headers["Location"] == BACK
    assert alerts(signed_in, BACK) == ["You are signed in as somebody else; sign out before you change the identity."]
    assert age_of(signed_in) > 3000
    assert FREE.sub in signed_in.get("/profile/").text


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: " ".join(sorted(fault)))
def test_wrong_answer_is_refused(signed_in, globus, fault):
    make_old(signed_in)
    address = signed_in.begin_step_up()
    globus.faults |= fault
    assert signed_in.get(signed_in.choose(address)).headers["Location"] == BACK
    assert len(alerts(signed_in, BACK)) == 1
    assert age_of(signed_in) > 3000
    assert signed_in.is_signed_in


def test_denied_at_globus(signed_in):
    answer = signed_in.session.post(signed_in.begin_step_up(), {"action": "deny"}, allow_redirects=False)
    assert signed_in.get(answer.headers["Location"]).headers["Location"] == BACK
    assert len(alerts(signed_in, BACK)) == 1


def test_answer_works_once_and_in_the_browser_that_began(signed_in, new_browser):
    make_old(signed_in)
    callback = signed_in.choose(signed_in.begin_step_up("/subscribe/"))
    other = new_browser()
    other.sign_in()
    make_old(other)
    assert other.get(callback).headers["Location"] == "/login/"
    assert age_of(other) > 3000
    assert signed_in.get(callback).headers["Location"] == "/subscribe/"
    make_old(signed_in)
    assert signed_in.get(callback).headers["Location"] == "/login/"
    assert age_of(signed_in) > 3000


@pytest.mark.parametrize("hostile", HOSTILE)
def test_open_redirect(signed_in, hostile):
    page = signed_in.get("/step-up/?" + urlencode({"next": hostile})).text
    assert 'name="next" value="/"' in page
    assert signed_in.get(signed_in.choose(signed_in.begin_step_up(hostile))).headers["Location"] == "/"


def test_refusal_forgets_a_hostile_heading(signed_in):
    answer = signed_in.session.post(signed_in.begin_step_up(HOSTILE[0]), {"action": "deny"}, allow_redirects=False)
    assert signed_in.get(answer.headers["Location"]).headers["Location"] == "/step-up/?next=%2F"


def test_all_tokens_of_the_session_are_revoked_at_its_end(signed_in, globus):
    signed_in.get(signed_in.choose(signed_in.begin_step_up()))
    issued = set(globus.tokens.grants)
    assert len(issued) == 2
    signed_in.post("/logout/", page="/profile/")
    assert set(globus.tokens.revoked) == issued


def test_begins_by_post_with_a_csrf_token(signed_in):
    assert signed_in.post_bare("/step-up/", {"next": "/profile/"}).status_code == 403
    assert signed_in.get("/step-up/").status_code == 200


def test_before_the_profile_is_complete(browser):
    browser.sign_in()
    assert browser.get("/step-up/").status_code == 200


def test_anonymous_is_sent_to_sign_in(client, db):
    assert client.get("/step-up/").headers["Location"] == "/login/?next=/step-up/"
    assert client.post("/step-up/").headers["Location"] == "/login/?next=/step-up/"


def test_staff_are_sent_to_their_own_page(desk):
    answer = desk("support").get("/step-up/?next=/profile/tokens/")
    assert answer.headers["Location"] == "/accounts/reauthenticate/?next=%2Fprofile%2Ftokens%2F"


def test_begin_is_rate_limited(signed_in):
    token = {
        "csrfmiddlewaretoken": re.search(r'csrfmiddlewaretoken" value="(\w+)"', signed_in.get("/step-up/").text)[1]
    }
    answers = [signed_in.post_bare("/step-up/", token).status_code for _ in range(20)]
    assert answers == [302] * 19 + [429]  # with the first sign-in


# --- what others build upon


@step_up_required
def grave(request, number):
    return HttpResponse(f"done {number} by {request.method}")


def request_of(client, rf, method="get", path="/grave/?a=b"):
    request = getattr(rf, method)(path)
    request.session = client.session
    request.user = User.objects.filter(pk=client.session.get("_auth_user_id")).first() or AnonymousUser()
    get_token(request)
    return request


def test_grave_act_needs_a_fresh_sign_in(client, researcher, fresh, rf, settings):
    client.force_login(researcher, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert grave(request_of(client, rf), 1).headers["Location"] == "/step-up/?next=%2Fgrave%2F%3Fa%3Db"
    assert grave(request_of(client, rf, "post"), 1).headers["Location"] == "/step-up/?next=%2Fgrave%2F"

    fresh(client)
    assert grave(request_of(client, rf), 1).content == b"done 1 by GET"
    assert grave(request_of(client, rf, "post"), 2).content == b"done 2 by POST"

    settings.STEP_UP_AGE = timedelta(0)
    assert grave(request_of(client, rf, "post"), 1).status_code == 302
    settings.STEP_UP_AGE = timedelta(minutes=5)
    assert grave(request_of(fresh(client, False), rf), 1).status_code == 302


def test_grave_act_is_for_the_signed_in(client, rf, db):
    assert grave(request_of(client, rf), 1).headers["Location"] == "/login/?next=/grave/%3Fa%3Db"


def test_record_of_another_user_counts_for_nothing(client, researcher, outsider, fresh, rf):
    client.force_login(researcher, backend="allauth.account.auth_backends.AuthenticationBackend")
    request = request_of(fresh(client), rf)
    assert is_fresh(request)
    request.user = outsider
    assert not is_fresh(request)


def test_allauths_own_check_lets_researchers_through(client, researcher, rf):
    """Why there is one of our own."""
    client.force_login(researcher, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert did_recently_reauthenticate(request_of(client, rf))


@pytest.mark.parametrize("claims", [None, {}, {"last_authentication": None}, {"last_authentication": True},
                                    {"last_authentication": "2026"}])  # fmt: skip
def test_what_is_not_said_is_long_ago(claims):
    assert authenticated_at(claims) == 0


def test_clock_of_globus_opens_nothing_for_longer():
    assert authenticated_at({"last_authentication": int(time.time()) + 3600}) <= time.time()
    assert authenticated_at({"last_authentication": 1_000_000_000}) == 1_000_000_000
