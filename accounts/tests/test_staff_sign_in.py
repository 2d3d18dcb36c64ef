"""Staff come by e-mail and password at /accounts/; nobody else does, and staff never come by Globus."""

import re
from smtplib import SMTPRecipientsRefused

import pytest
from allauth.account import app_settings as account_settings
from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.core import mail
from django.test import Client
from django.urls import reverse
from social_django.models import UserSocialAuth

from accounts.fakeglobus import FREE
from accounts.models import User
from accounts.staff_pages import BEFORE_SIGN_IN, SIGNED_IN
from conftest import STAFF_PASSWORD

KEY = {"account_reset_password_from_key": {"uidb36": "1", "key": "a-b"}}
CLOSED = [
    "/accounts/signup/", "/accounts/logout/", "/accounts/inactive/", "/accounts/email/", "/accounts/confirm-email/",
    "/accounts/password/set/", "/accounts/login/code/confirm/", "/accounts/2fa/webauthn/signup/", "/accounts/2fa/trust/",
]  # fmt: skip


@pytest.fixture
def staff(make_staff):
    return make_staff("support")


def address_of(page: str) -> str:
    pk = {"mfa_edit_webauthn": {"pk": 1}, "mfa_remove_webauthn": {"pk": 1}}
    return reverse(page, kwargs=KEY.get(page, pk.get(page)))


def sign_in(client: Client, email: str = "support@desk.example.org", password: str = STAFF_PASSWORD, to: str = ""):
    return client.post("/accounts/login/", {"login": email, "password": password, "next": to})


def who(client: Client) -> str | None:
    return client.session.get("_auth_user_id")


@pytest.mark.parametrize("page", CLOSED)
def test_closed_to_everybody(client, desk, page):
    assert client.get(page).status_code == client.post(page).status_code == 404
    assert desk().get(page).status_code == 404


@pytest.mark.parametrize("page", sorted(BEFORE_SIGN_IN | SIGNED_IN))
def test_not_there_for_a_researcher(client, researcher, page):
    client.force_login(researcher)
    where = address_of(page)
    assert client.get(where).status_code == client.post(where).status_code == 404
    assert who(client) == str(researcher.pk)


@pytest.mark.parametrize("page", sorted(SIGNED_IN))
def test_an_anonymous_visitor_signs_in_first_with_his_password(db, client, page):
    where = address_of(page)
    assert client.get(where).headers["Location"] == f"/accounts/login/?next={where}"
    assert client.post(where).headers["Location"] == f"/accounts/login/?next={where}"


def test_password_opens_a_session_with_a_new_key(client, staff):
    client.get("/accounts/login/")
    client.session["x"] = 1
    before = client.session.session_key
    assert sign_in(client).headers["Location"] == "/admin/"
    assert who(client) == str(staff.pk)
    assert client.session.session_key != before
    assert UserSession.objects.get().user == staff


def test_next_is_kept(client, staff):
    assert 'name="next" value="/admin/jobs/job/"' in client.get("/accounts/login/?next=/admin/jobs/job/").text
    assert sign_in(client, to="/admin/jobs/job/").headers["Location"] == "/admin/jobs/job/"


@pytest.mark.parametrize(
    "hostile",
    [
        "https://evil.example/",
        "//evil.example/",
        "///evil.example/",
        "/\\evil.example/",
        "http:evil.example",
        "javascript:alert(1)",
        "https://testserver@evil.example/",
        "\thttps://evil.example/",
    ],
)
def test_hostile_next_goes_to_the_desk(client, staff, hostile):
    assert sign_in(client, to=hostile).headers["Location"] == "/admin/"


def test_wrong_password_and_unknown_address_get_the_same_page(client, staff):
    pages = set()
    for email in (staff.email, "nobody@desk.example.org"):
        answer = sign_in(client, email, "a wrong password of sixteen")
        pages.add(re.sub(r'value="[^"]*"', "", answer.text))
    assert len(pages) == 1
    assert 'role="alert"' in pages.pop()
    assert who(client) is None


def test_five_failures_lock_the_account_for_a_while(client, staff):
    for _ in range(5):
        sign_in(client, password="a wrong password of sixteen")
    answer = sign_in(Client())
    assert answer.status_code == 200
    assert "Too many failed login attempts" in answer.text


def test_thirty_attempts_a_minute_from_one_address(db, client):
    assert [sign_in(client, f"{n}@example.org").status_code for n in range(31)][-1] == 429


@pytest.mark.parametrize("was", [{"is_active": False}, {"is_staff": False}])
def test_password_of_a_closed_or_former_staff_account_opens_nothing(client, staff, was):
    User.objects.filter(pk=staff.pk).update(**was)
    assert sign_in(client).headers["Location"] == "/login/"
    assert who(client) is None
    assert "account_authentication_methods" not in client.session


def test_a_researcher_has_no_password_to_try(client, researcher):
    assert sign_in(client, researcher.email, "").status_code == 200
    assert sign_in(client, researcher.email, "x" * 20).status_code == 200
    assert who(client) is None


# --- Globus ---------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_globus_identity_that_claims_the_address_is_another_account_and_cannot_confirm_it(browser, make_staff):
    staff = make_staff("support", FREE.email)
    browser.sign_in()
    assert browser.complete_profile().status_code in (200, 302)
    other = User.objects.exclude(pk=staff.pk).get()
    assert (other.is_staff, other.email) == (False, "")
    for claim in EmailAddress.objects.filter(user=other):
        assert not claim.verified
        assert not claim.can_set_verified()
    assert browser.get("/admin/login/").status_code == 404


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
@pytest.mark.parametrize(
    ("steps", "sentence"),
    [("all", "Staff sign in with their password"), ("without no_staff", "This account signs in another way.")],
)
def test_staff_never_come_by_globus(browser, make_staff, settings, steps, sentence):
    """The pipeline refuses; were its step gone, the adapter would."""
    UserSocialAuth.objects.create(user=make_staff(), provider="globus", uid=FREE.sub, id_key="sub")
    if steps != "all":
        names = settings.SOCIAL_AUTH_PIPELINE
        settings.SOCIAL_AUTH_PIPELINE = tuple(name for name in names if name != "accounts.pipeline.no_staff")
    assert browser.sign_in() == "/login/"
    assert sentence in browser.get("/login/").text
    assert not browser.is_signed_in
    assert browser.get("/accounts/2fa/").headers["Location"] == "/accounts/login/?next=/accounts/2fa/"


# --- password -------------------------------------------------------------------------------------------------------------


def reset_link() -> str:
    return re.search(r"http://testserver(/accounts/password/reset/key/\S+)", mail.outbox[-1].body)[1]


def test_reset_is_mailed_to_staff_and_to_nobody_else(client, staff, researcher):
    answers = []
    for email in (researcher.email, "nobody@example.org", staff.email):
        answers.append(client.post("/accounts/password/reset/", {"email": email}).headers["Location"])
        assert [sent.to for sent in mail.outbox] == ([[staff.email]] if email == staff.email else [])
    assert set(answers) == {"/accounts/password/reset/done/"}
    assert "24 hours" in mail.outbox[0].body


def test_reset_link_holds_for_one_use_and_signs_nobody_in(client, staff):
    client.post("/accounts/password/reset/", {"email": staff.email})
    link = reset_link()
    form = client.get(link, follow=True)
    new = {"password1": "another long password", "password2": "another long password"}
    assert client.post(form.redirect_chain[-1][0], new).headers["Location"] == "/accounts/password/reset/key/done/"
    assert who(client) is None
    assert "/accounts/login/?next=/admin/" in client.get("/accounts/password/reset/key/done/").text
    assert "does not hold any more" in Client().get(link).text
    assert sign_in(client, password=new["password1"]).headers["Location"] == "/admin/"
    assert "Your password has been reset" in mail.outbox[-1].body


def test_a_dead_mail_server_does_not_tell_who_is_staff(client, staff, monkeypatch, caplog):
    def refuse(*_):
        raise SMTPRecipientsRefused({staff.email: (550, b"no")})

    monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", refuse)
    answers = [client.post("/accounts/password/reset/", {"email": e}) for e in (staff.email, "nobody@example.org")]
    assert {answer.headers["Location"] for answer in answers} == {"/accounts/password/reset/done/"}
    assert f"was not sent to user {staff.pk}: SMTPRecipientsRefused" in caplog.text
    assert staff.email not in caplog.text


def test_mails_to_one_address_are_few(client, staff):
    answers = [client.post("/accounts/password/reset/", {"email": staff.email}).status_code for _ in range(6)]
    assert answers == [302] * 5 + [429]
    limits = account_settings.RATE_LIMITS
    assert limits["reset_password"].endswith("5/h/key")
    assert limits["confirm_email"].endswith("5/d/key")
    assert limits["manage_email"].endswith("50/d/user")


def test_the_page_that_sets_a_password_is_in_no_cache(client, staff):
    client.post("/accounts/password/reset/", {"email": staff.email})
    form = client.get(reset_link(), follow=True)
    assert (form.status_code, form.headers["Cache-Control"]) == (200, "no-store")


def test_short_password_is_refused(client, staff):
    client.post("/accounts/password/reset/", {"email": staff.email})
    form = client.get(reset_link(), follow=True)
    answer = client.post(form.redirect_chain[-1][0], {"password1": "short", "password2": "short"})
    assert "at least 15 characters" in answer.text


def test_change_of_password_needs_the_old_one_and_is_told_by_mail(client, staff):
    sign_in(client)
    new = {"password1": "another long password", "password2": "another long password"}
    assert client.post("/accounts/password/change/", new | {"oldpassword": "wrong"}).status_code == 200
    assert mail.outbox == []
    assert client.post("/accounts/password/change/", new | {"oldpassword": STAFF_PASSWORD}).status_code == 302
    assert "Your password has been changed" in mail.outbox[0].body


def test_a_mail_server_out_of_reach_breaks_no_change(client, staff, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_PORT = 1
    sign_in(client)
    new = {"password1": "another long password", "password2": "another long password"}
    assert client.post("/accounts/password/change/", new | {"oldpassword": STAFF_PASSWORD}).status_code == 302
    staff.refresh_from_db()
    assert staff.check_password("another long password")


# --- sessions -------------------------------------------------------------------------------------------------------------


def test_ending_the_other_sessions_asks_for_the_password(client, staff):
    other = Client()
    sign_in(client)
    sign_in(other)
    assert client.get("/accounts/sessions/").status_code == 200
    assert (
        client.post("/accounts/sessions/").headers["Location"]
        == "/accounts/reauthenticate/?next=%2Faccounts%2Fsessions%2F"
    )
    assert who(other)
    before = client.session.session_key
    answer = client.post("/accounts/reauthenticate/", {"password": STAFF_PASSWORD, "next": "/accounts/sessions/"})
    assert answer.status_code == 302
    assert client.session.session_key != before
    client.post("/accounts/sessions/")
    assert who(other) is None
    assert who(client)
