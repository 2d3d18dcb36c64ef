"""Signing in with Globus, over HTTP, with a Globus that can be told to go wrong."""

import re
from html import unescape

import pytest
from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from social_django.models import UserSocialAuth

from accounts.fakeglobus import FREE, PREMIUM, Identity
from accounts.models import Profile, User
from accounts.tests.conftest import FAULTS, HOSTILE, query_of

MALLORY = Identity.of("Mallory", "support@example.org", "Elsewhere")


def errors(browser):
    page = browser.get("/login/").text
    return [unescape(text) for text in re.findall(r'alert-danger" role="alert">(.+?)</div>', page)]


def test_first_sign_in_makes_an_account(browser, globus):
    address = browser.begin("/annotate/")
    asked = query_of(address)
    assert asked["code_challenge_method"] == "S256"
    assert {"state", "nonce", "code_challenge"} <= asked.keys()
    before = browser.session_key

    answer = browser.get(browser.choose(address))

    assert answer.headers["Location"] == "/annotate/"
    assert browser.session_key != before
    user = User.objects.get()
    assert (user.full_name, user.email, user.mail_address) == (FREE.name, "", "")
    assert (user.plan.code, user.is_staff, user.has_usable_password()) == ("free", False, False)
    assert list(UserSocialAuth.objects.values_list("user", "provider", "uid")) == [(user.pk, "globus", FREE.sub)]
    assert list(UserSession.objects.values_list("user", "session_key")) == [(user.pk, browser.session_key)]
    profile = Profile.objects.get()
    assert (profile.globus_username, profile.suggested_institution) == (FREE.email, FREE.organization)


def test_the_code_is_redeemed_with_the_verifier_and_basic_authentication(browser, globus):
    browser.sign_in()
    [call] = [call for call in globus.calls if call.path == "/v2/oauth2/token"]
    assert call.headers["authorization"].startswith("Basic ")
    assert "code_verifier" in call.form
    assert "client_secret" not in call.form


def test_second_sign_in_finds_the_account_whatever_globus_calls_him(browser, new_browser, globus):
    browser.sign_in()
    renamed = Identity(FREE.sub, "Rosalind Free-Married", "married@example.org", "Another Institute")
    globus.identities[FREE.sub] = renamed

    new_browser().sign_in()

    user = User.objects.get()
    assert user.full_name == FREE.name
    assert (user.profile.globus_email, user.profile.suggested_institution) == (
        renamed.email,
        renamed.organization,
    )


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: " ".join(sorted(fault)))
def test_wrong_answer_is_refused(browser, globus, fault, security_log):
    globus.faults |= fault
    assert browser.sign_in() == "/login/"
    assert len(errors(browser)) == 1
    assert not browser.is_signed_in
    assert not User.objects.exists()
    assert [line["event"] for line in security_log()] == ["sign_in.refused"]


def test_globus_down_is_a_message(browser, globus):
    address = browser.choose(browser.begin())
    globus.faults.add("token_down")
    assert browser.get(address).headers["Location"] == "/login/"
    assert len(errors(browser)) == 1


def test_changed_signing_key_is_fetched(browser, new_browser, globus):
    browser.sign_in()
    globus.change_key()
    assert new_browser().sign_in(PREMIUM.sub) == "/"
    assert User.objects.count() == 2


def test_callback_works_once_and_in_the_browser_that_began(browser, new_browser):
    address = browser.choose(browser.begin())
    victim = new_browser()
    victim.get("/login/")
    assert victim.get(address).headers["Location"] == "/login/"
    assert not victim.is_signed_in

    assert browser.get(address).headers["Location"] == "/"
    assert new_browser().get(address).headers["Location"] == "/login/"
    assert browser.get(address).headers["Location"] == "/login/"


def test_code_of_another_attempt_is_refused(browser):
    first, second = browser.begin(), browser.begin()
    code = query_of(browser.choose(first))["code"]
    state = query_of(second)["state"]
    assert browser.get(f"/auth/complete/globus/?code={code}&state={state}").headers["Location"] == "/login/"
    assert not browser.is_signed_in


def test_sign_in_begins_by_post_with_a_csrf_token(browser):
    assert browser.get("/auth/login/globus/").status_code == 405
    browser.get("/login/")
    assert browser.post_bare("/auth/login/globus/").status_code == 403


def test_denied_at_globus(browser):
    answer = browser.session.post(browser.begin(), {"action": "deny"}, allow_redirects=False)
    assert browser.get(answer.headers["Location"]).headers["Location"] == "/login/"
    assert ["begin again when you like" in error for error in errors(browser)] == [True]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_open_redirect(browser, hostile):
    """Seed defect 7."""
    page = browser.session.get(f"{browser.site}/login/", params={"next": hostile})
    assert 'name="next" value="/"' in page.text
    assert browser.sign_in(next_page=hostile) == "/"


def test_no_tokens_at_rest(browser, globus):
    """Seed defect 8: there they lie in a readable cookie."""
    browser.sign_in()
    stored = str(UserSocialAuth.objects.get().extra_data)
    cookies = str(browser.session.cookies.get_dict())
    assert globus.tokens.grants
    for token in globus.tokens.grants:
        assert token not in stored
        assert token not in cookies


def test_no_takeover_by_email(browser, globus):
    victim = User.objects.create_researcher(MALLORY.email)
    globus.identities[MALLORY.sub] = MALLORY

    browser.sign_in(MALLORY.sub)
    browser.complete_profile(email=MALLORY.email)

    mallory = User.objects.get(social_auth__uid=MALLORY.sub)
    assert mallory != victim
    assert mallory.email == ""
    assert list(EmailAddress.objects.filter(verified=True).values_list("user", flat=True)) == [victim.pk]


def test_no_linking_to_a_live_session(browser):
    browser.sign_in()
    browser.complete_profile()
    assert browser.sign_in(PREMIUM.sub) == "/login/"
    assert list(UserSocialAuth.objects.values_list("uid", flat=True)) == [FREE.sub]
    assert FREE.sub in browser.get("/profile/").text


def test_the_same_identity_may_sign_in_again(browser):
    browser.sign_in()
    assert browser.sign_in(next_page="/subscribe/") == "/subscribe/"
    assert browser.is_signed_in


@pytest.mark.parametrize("role", ["is_staff", "is_superuser"])
def test_staff_do_not_come_in_by_globus(browser, role):
    staff = User.objects.create_user(**{role: True})
    UserSocialAuth.objects.create(user=staff, provider="globus", uid=FREE.sub, id_key="sub")
    assert browser.sign_in() == "/login/"
    assert errors(browser) == ["Staff sign in with their password, not with Globus."]
    assert not browser.is_signed_in


def test_closed_account_ends_its_sessions_and_opens_none(browser, new_browser, globus):
    browser.sign_in()
    User.objects.update(is_active=False)
    assert not browser.is_signed_in

    other = new_browser()
    assert other.sign_in() == "/login/"
    assert "This account is closed" in errors(other)[0]
    assert not other.is_signed_in
    assert "globus_tokens" not in Session.objects.get(session_key=other.session_key).get_decoded()


def test_sign_in_page_leads_on_whoever_is_signed_in(browser):
    browser.sign_in()
    assert browser.get("/login/").headers["Location"] == "/"
    assert browser.get("/login/?next=/subscribe/").headers["Location"] == "/subscribe/"


def test_sign_in_is_rate_limited(browser):
    answers = [browser.post("/auth/login/globus/", page="/login/").status_code for _ in range(21)]
    assert answers == [302] * 20 + [429]


@pytest.mark.parametrize(
    "page", ["signup/", "email/", "password/set/", "logout/", "inactive/", "login/code/confirm/", "confirm-email/"]
)
def test_other_pages_of_allauth_do_not_exist(client, db, page):
    assert client.get(f"/accounts/{page}").status_code == 404
