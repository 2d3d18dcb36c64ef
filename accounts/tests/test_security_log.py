"""One JSON line per security event, with nothing in it that is secret or names a person."""

import io
import json
import logging
import logging.config
import time
from datetime import datetime
from urllib.parse import urlsplit

import pytest
from allauth.mfa.totp.internal import auth as totp
from django.conf import settings as django_settings
from django.core import mail
from django.test import Client, RequestFactory

from accounts.models import User
from accounts.plans import change_plan
from accounts.security_log import log_security_event
from conftest import STAFF_PASSWORD
from gas.log_lines import LogLines

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
EMAIL = "support@desk.example.org"


@pytest.fixture
def events(caplog):
    """Takes what was logged since: dictionaries without their times and addresses."""

    def take() -> list[dict]:
        lines = [json.loads(r.getMessage()) for r in caplog.records if r.name == "gas.security"]
        caplog.clear()
        return [{k: v for k, v in line.items() if k not in ("at", "address")} for line in lines]

    return take


@pytest.fixture
def staff(make_staff):
    return make_staff("support")


def sign_in(client: Client, password: str = STAFF_PASSWORD):
    return client.post("/accounts/login/", {"login": EMAIL, "password": password})


def test_sign_in_and_sign_out(client, staff, events):
    sign_in(client)
    assert events() == [{"event": "sign_in.passed", "user": str(staff.pk), "method": "password"}]
    client.post("/logout/")
    assert events() == [{"event": "session.ended", "user": str(staff.pk)}]


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_sign_in_by_globus(browser, events):
    browser.sign_in()
    assert events() == [{"event": "sign_in.passed", "user": str(User.objects.get().pk), "method": "globus"}]


def test_failed_sign_in_tells_attempts_on_one_account_apart_and_names_none(client, staff, events, caplog):
    sign_in(client, "wrong")
    client.post("/accounts/login/", {"login": f" {EMAIL.upper()}", "password": "wrong too"})
    client.post("/accounts/login/", {"login": "other@example.org", "password": "wrong"})
    text = caplog.text
    first, second, other = events()
    assert first == second
    assert (first["event"], first["user"], first["method"]) == ("sign_in.refused", None, "password")
    assert len(first["account"]) == 16
    assert other["account"] != first["account"]
    for private in ("support@", "SUPPORT@", "other@", "wrong"):
        assert private not in text


@pytest.mark.parametrize("was", [{"is_active": False}, {"is_staff": False}])
def test_refused_account(client, staff, events, was):
    User.objects.filter(pk=staff.pk).update(**was)
    sign_in(client)
    assert ("sign_in.refused", str(staff.pk)) in [(event["event"], event["user"]) for event in events()]


def test_second_factor(client, staff, events, monkeypatch):
    monkeypatch.setattr(totp, "yield_hotp_counters_from_time", lambda: iter([1]))
    totp.TOTP.activate(staff, SECRET)
    sign_in(client)
    assert events() == []
    client.post("/accounts/2fa/authenticate/", {"code": "000000"})
    assert events() == [{"event": "second_factor.refused", "user": str(staff.pk), "type": "totp"}]
    client.post("/accounts/2fa/authenticate/", {"code": totp.format_hotp_value(totp.hotp_value(SECRET, 1))})
    assert events() == [
        {"event": "second_factor.passed", "user": str(staff.pk), "type": "totp"},
        {"event": "sign_in.passed", "user": str(staff.pk), "method": "password+totp"},
    ]


@pytest.mark.parametrize(
    "credential", ['{"id": "x"}', "[1]", '"x"', '{"id": "x", "rawId": "eA", "response": {}, "type": "public-key"}']
)
def test_passkey_that_is_none(client, db, events, credential):
    client.get("/accounts/2fa/webauthn/login/", headers={"X-Requested-With": "XMLHttpRequest"})
    client.post("/accounts/2fa/webauthn/login/", {"credential": credential})
    assert events() == [{"event": "second_factor.refused", "user": None, "type": "webauthn"}]


def test_step_up_of_staff(client, staff, events):
    sign_in(client)
    events()
    client.post("/accounts/reauthenticate/", {"password": "wrong"})
    refused = events()
    assert [(e["event"], e["user"], e["method"]) for e in refused] == [("step_up.refused", str(staff.pk), "password")]
    client.post("/accounts/reauthenticate/", {"password": STAFF_PASSWORD})
    assert events() == [{"event": "step_up.passed", "user": str(staff.pk), "method": "password"}]


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_change_of_second_factors(make_staff, events, monkeypatch):
    monkeypatch.setattr(totp, "yield_hotp_counters_from_time", lambda: iter([1]))
    staff, client = make_staff("support"), Client()
    sign_in(client)
    client.post("/accounts/reauthenticate/", {"password": STAFF_PASSWORD})
    events()
    client.get("/accounts/2fa/totp/activate/")
    secret = client.session[totp.SECRET_SESSION_KEY]
    client.post("/accounts/2fa/totp/activate/", {"code": totp.format_hotp_value(totp.hotp_value(secret, 1))})
    added = events()
    assert sorted(e["type"] for e in added) == ["recovery_codes", "totp"]
    assert {(e["event"], e["user"]) for e in added} == {("second_factor.added", str(staff.pk))}
    client.post("/accounts/2fa/recovery-codes/generate/")
    assert events() == [{"event": "recovery_codes.renewed", "user": str(staff.pk)}]
    client.post("/accounts/2fa/totp/deactivate/")
    removed = events()
    assert sorted(e["type"] for e in removed) == ["recovery_codes", "totp"]
    assert {e["event"] for e in removed} == {"second_factor.removed"}


def test_change_of_password(client, staff, events):
    sign_in(client)
    events()
    new = "another long password"
    client.post("/accounts/password/change/", {"oldpassword": STAFF_PASSWORD, "password1": new, "password2": new})
    assert {"event": "password.changed", "user": str(staff.pk)} in events()
    client.post("/logout/")
    client.post("/accounts/password/reset/", {"email": EMAIL})
    link = urlsplit(mail.outbox[-1].body.split("http://testserver")[1].split()[0]).path
    form = client.get(link, follow=True)
    events()
    client.post(form.redirect_chain[-1][0], {"password1": STAFF_PASSWORD, "password2": STAFF_PASSWORD})
    assert events() == [{"event": "password.changed", "user": str(staff.pk)}]


def test_rate_limits(client, staff, events):
    for _ in range(5):
        sign_in(client, "wrong")
    events()
    sign_in(client)
    assert events() == [{"event": "rate_limit.hit", "user": None, "page": "/accounts/login/"}]
    for _ in range(21):
        answer = client.post("/auth/login/globus/")
    assert answer.status_code == 429
    assert events()[-1] == {"event": "rate_limit.hit", "user": None, "page": "/auth/login/globus/"}


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_acts_that_are_audited(researcher, make_staff, events):
    staff = make_staff("operator")
    change_plan(researcher, "premium", by=staff, reason="a grant")
    changed = [event for event in events() if event["event"] == "plan.changed"]
    assert [event["user"] for event in changed] == [str(staff.pk)]


@pytest.mark.parametrize(
    ("count", "forwarded", "address"),
    [
        (0, "203.0.113.9", "127.0.0.1"),
        (1, "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        (2, "198.51.100.1, 203.0.113.9", "198.51.100.1"),
        (2, "198.51.100.1", ""),
    ],
)
def test_address_is_the_clients_behind_the_trusted_proxies(settings, caplog, count, forwarded, address):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = count
    log_security_event("test.logged", request=RequestFactory().get("/", headers={"X-Forwarded-For": forwarded}))
    line = json.loads(caplog.records[-1].getMessage())
    assert line["address"] == address
    assert abs(time.time() - datetime.fromisoformat(line["at"]).timestamp()) < 60


def test_line_is_printed_once_as_it_is_even_where_only_warnings_are(capsys):
    configuration = django_settings.LOGGING | {"root": {"handlers": ["console"], "level": "WARNING"}}
    root, security = logging.getLogger(), logging.getLogger("gas.security")
    before = (root.level, root.handlers[:], security.level)
    try:
        logging.config.dictConfig(configuration)
        stream = io.StringIO()
        root.handlers[0].setStream(stream)
        log_security_event("test.logged", answer=42)
        logging.getLogger("gas.other").info("not shown")
        logging.getLogger("gas.other").warning("shown")
    finally:
        root.setLevel(before[0])
        root.handlers[:] = before[1]
        security.setLevel(before[2])
    event, other = stream.getvalue().splitlines()
    assert json.loads(event) | {"at": ""} == {"event": "test.logged", "at": "", "user": None, "answer": 42}
    assert other.endswith("WARNING gas.other shown")


@pytest.mark.parametrize("logger", ["gas.security", "django.request"])
@pytest.mark.parametrize(
    "path",
    ["/accounts/password/reset/key/{}/", "/accounts/confirm-email/{}/", "/accounts/confirm-email/{}", "/objects/{}/"],
)
def test_keys_of_mailed_links_are_in_no_log(logger, path):
    """Django logs the path of each request that it refuses: of a staff's link that a researcher's browser opened, say."""
    record = logging.makeLogRecord({"name": logger, "msg": "Not Found: %s", "args": (path.format("a-s:e_c.ret"),)})
    line = LogLines("{message}", style="{").format(record)
    assert line == "Not Found: " + path.format("...")
