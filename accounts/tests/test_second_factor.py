"""The admin opens to a session that has shown a second factor within STAFF_MFA_AGE."""

import re
import time
from datetime import timedelta

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from django.core import mail
from django.test import Client

from conftest import STAFF_PASSWORD

ADMIN_LOGIN = "/admin/login/?next=/admin/"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Half minutes, which pass when the test says so."""
    clock = {"now": 1}
    monkeypatch.setattr(totp, "yield_hotp_counters_from_time", lambda: iter([clock["now"]]))
    return clock


@pytest.fixture
def code(clock):
    return lambda secret=SECRET: totp.format_hotp_value(totp.hotp_value(secret, clock["now"]))


@pytest.fixture
def staff(make_staff):
    return make_staff("support")


@pytest.fixture
def enrolled(staff):
    totp.TOTP.activate(staff, SECRET)
    return staff


def sign_in(client: Client, to: str = "/admin/"):
    return client.post(
        "/accounts/login/", {"login": "support@desk.example.org", "password": STAFF_PASSWORD, "next": to}
    )


def admin_asks_for(client: Client) -> str | None:
    """Where the admin leads; None: it opens."""
    page = client.get("/admin/")
    if page.status_code == 200:
        return None
    assert page.headers["Location"] == ADMIN_LOGIN
    return client.get(ADMIN_LOGIN).headers["Location"].removesuffix("?next=%2Fadmin%2F")


def test_anonymous_visitor_is_led_to_the_sign_in_of_staff(db, client):
    assert admin_asks_for(client) == "/accounts/login/"
    assert (
        client.post(ADMIN_LOGIN, {"username": "root", "password": "x"})
        .headers["Location"]
        .startswith("/accounts/login/")
    )


def test_to_a_researcher_it_is_not_there(client, researcher):
    client.force_login(researcher)
    assert client.get("/admin/").headers["Location"] == ADMIN_LOGIN
    assert client.get(ADMIN_LOGIN).status_code == 404


@pytest.mark.parametrize("role", ["support", "operator", None])
def test_a_password_alone_does_not_open_it(desk, role):
    client = desk(role, second_factor=False)
    assert admin_asks_for(client) == "/accounts/2fa/"
    assert client.post("/admin/accounts/user/").status_code == 302
    assert admin_asks_for(desk(role, user=client.user)) is None


@pytest.mark.parametrize("hostile", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", ""])
def test_hostile_next_goes_to_the_admins_start(admin_client, hostile):
    assert admin_client.get("/admin/login/", {"next": hostile}).headers["Location"] == "/admin/"


def test_enrolment_by_the_pages_and_then_the_code_once_more(client, staff, code):
    assert sign_in(client).headers["Location"] == "/admin/"
    assert admin_asks_for(client) == "/accounts/2fa/"
    assert client.get("/accounts/2fa/totp/activate/").headers["Location"].startswith("/accounts/reauthenticate/")
    client.post("/accounts/reauthenticate/", {"password": STAFF_PASSWORD})
    page = client.get("/accounts/2fa/totp/activate/").text
    secret = re.search(r'id="totp-secret">([A-Z2-7]{32})<', page)[1]
    assert 'src="data:image/svg+xml;base64,' in page
    done = client.post("/accounts/2fa/totp/activate/", {"code": code(secret)})
    assert done.headers["Location"] == "/accounts/2fa/recovery-codes/"
    codes = re.findall(r"<code>(\d{8})</code>", client.get("/accounts/2fa/recovery-codes/").text)
    assert len(set(codes)) == 10
    assert not re.findall(r"<code>\d{8}</code>", client.get("/accounts/2fa/recovery-codes/").text)
    assert admin_asks_for(client) == "/accounts/2fa/reauthenticate/"
    shown = client.post("/accounts/2fa/reauthenticate/", {"code": code(secret), "next": "/admin/"})
    assert shown.headers["Location"] == "/admin/"
    assert admin_asks_for(client) is None


def test_its_secrets_lie_sealed(enrolled):
    RecoveryCodes.activate(enrolled)
    rows = {row.type: row.data for row in Authenticator.objects.all()}
    assert SECRET not in str(rows)
    assert rows["totp"]["secret"].startswith("gAAAA")
    assert rows["recovery_codes"]["seed"].startswith("gAAAA")


def test_sign_in_asks_for_the_code_before_there_is_a_session(client, enrolled, code):
    assert sign_in(client).headers["Location"] == "/accounts/2fa/authenticate/"
    assert "_auth_user_id" not in client.session
    before = client.session.session_key
    assert client.post("/accounts/2fa/authenticate/", {"code": "000000"}).status_code == 200
    assert "_auth_user_id" not in client.session
    assert client.post("/accounts/2fa/authenticate/", {"code": code()}).headers["Location"] == "/admin/"
    assert client.session.session_key != before
    assert admin_asks_for(client) is None


def test_a_code_is_good_once(client, enrolled, code, clock):
    sign_in(client)
    client.post("/accounts/2fa/authenticate/", {"code": code()})
    thief = Client()
    sign_in(thief)
    assert thief.post("/accounts/2fa/authenticate/", {"code": code()}).status_code == 200
    assert "_auth_user_id" not in thief.session
    clock["now"] += 1
    assert thief.post("/accounts/2fa/authenticate/", {"code": code()}).status_code == 302


def test_the_code_before_is_too_old(client, enrolled, code, clock):
    sign_in(client)
    late = code()
    clock["now"] += 1
    assert client.post("/accounts/2fa/authenticate/", {"code": late}).status_code == 200


def test_five_wrong_codes_lock_it_for_a_while(client, enrolled, code):
    sign_in(client)
    for _ in range(5):
        client.post("/accounts/2fa/authenticate/", {"code": "000000"})
    answer = client.post("/accounts/2fa/authenticate/", {"code": code()})
    assert "Too many failed" in answer.text


def test_cancelling_forgets_the_password_that_was_right(client, enrolled):
    sign_in(client)
    client.post("/logout/")
    assert client.get("/accounts/2fa/authenticate/").headers["Location"] == "/accounts/login/"


def test_a_recovery_code_opens_it_once(client, enrolled):
    spare = RecoveryCodes.activate(enrolled).get_unused_codes()[0]
    sign_in(client)
    assert client.post("/accounts/2fa/authenticate/", {"code": spare}).headers["Location"] == "/admin/"
    assert admin_asks_for(client) is None
    again = Client()
    sign_in(again)
    assert again.post("/accounts/2fa/authenticate/", {"code": spare}).status_code == 200


def test_it_closes_when_the_second_factor_is_too_long_ago_and_opens_by_the_next(
    client, enrolled, code, clock, settings
):
    sign_in(client)
    client.post("/accounts/2fa/authenticate/", {"code": code()})
    settings.STAFF_MFA_AGE = timedelta(seconds=-1)
    assert admin_asks_for(client) == "/accounts/2fa/reauthenticate/"
    settings.STAFF_MFA_AGE = timedelta(hours=12)
    records = client.session["account_authentication_methods"]
    session = client.session
    session["account_authentication_methods"] = [record | {"at": time.time() - 13 * 3600} for record in records]
    session.save()
    assert admin_asks_for(client) == "/accounts/2fa/reauthenticate/"
    clock["now"] += 1
    before = client.session.session_key
    client.post("/accounts/2fa/reauthenticate/", {"code": code(), "next": "/admin/"})
    assert admin_asks_for(client) is None
    assert client.session.session_key != before


def test_a_password_given_once_more_is_no_second_factor(client, enrolled, desk):
    client = desk(user=enrolled, second_factor=False)
    client.post("/accounts/reauthenticate/", {"password": STAFF_PASSWORD})
    assert admin_asks_for(client) == "/accounts/2fa/reauthenticate/"


def test_another_users_records_count_for_nothing(desk, enrolled, make_staff):
    client = desk(user=enrolled)
    session = client.session
    session["account_authentication_methods_user"] = str(make_staff("operator").pk)
    session.save()
    assert admin_asks_for(client) == "/accounts/2fa/reauthenticate/"


@pytest.mark.parametrize(
    ("type_", "page"), [("webauthn", "/accounts/2fa/reauthenticate/webauthn/"), ("recovery_codes", "/accounts/2fa/")]
)
def test_what_is_asked_is_what_he_has(desk, staff, type_, page):
    Authenticator.objects.create(user=staff, type=type_, data={})
    page = page.replace("reauthenticate/webauthn", "webauthn/reauthenticate")
    assert admin_asks_for(desk(user=staff, second_factor=False)) == page


def test_support_that_lost_its_role_is_out_at_once(desk, staff):
    client = desk(user=staff)
    staff.is_staff = False
    staff.save()
    assert client.get("/admin/").status_code == 302


def test_the_admin_signs_out_by_post_even_when_the_second_factor_is_too_old(desk, settings):
    client = desk("support")
    settings.STAFF_MFA_AGE = timedelta(seconds=-1)
    assert client.get("/admin/logout/").status_code == 405
    assert client.post("/admin/logout/").headers["Location"] == "/"
    assert "_auth_user_id" not in client.session


def test_the_admins_change_of_password_is_allauths(admin_client):
    assert admin_client.get("/admin/password_change/").headers["Location"] == "/accounts/password/change/"


def test_removing_and_renewing_needs_the_password_and_is_told_by_mail(desk, enrolled):
    client = desk(user=enrolled)
    for page in (
        "/accounts/2fa/totp/deactivate/",
        "/accounts/2fa/recovery-codes/generate/",
        "/accounts/2fa/webauthn/add/",
    ):
        assert client.post(page).headers["Location"] == f"/accounts/reauthenticate/?next={page.replace('/', '%2F')}"
    assert Authenticator.objects.count() == 1
    client.post("/accounts/reauthenticate/", {"password": STAFF_PASSWORD})
    client.post("/accounts/2fa/totp/deactivate/")
    assert Authenticator.objects.count() == 0
    assert mail.outbox[-1].to == [enrolled.email]
