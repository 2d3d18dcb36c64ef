"""All that is stored about a researcher, in one file."""

import json
from datetime import timedelta

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.apps import apps
from django.test import Client
from social_django.models import UserSocialAuth

from accounts.exporting import export
from accounts.models import ApiToken, AuditEvent, Erasure, Plan, Profile, User
from accounts.plans import change_plan
from accounts.roles import NONE, set_role

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
IN_THE_FILE = {
    "accounts.User": "account",
    "accounts.Profile": "profile",
    "account.EmailAddress": "addresses",
    "social_django.UserSocialAuth": "globus_identities",
    "mfa.Authenticator": "second_factors",
    "usersessions.UserSession": "sessions",
    "accounts.ApiToken": "api_tokens",
    "accounts.Subscription": "subscriptions",
    "accounts.AuditEvent": "audit_events",
    "accounts.Erasure": "erasures",
    "jobs.Upload": "uploads",
    "jobs.Job": "jobs",
    "jobs.Notification": "mails",
    "jobs.MonthlyUse": "monthly_use",
    "archive.ResultArchive": "archives",
    "archive.Retrieval": "retrievals",
    "archive.Restoration": "restorations",
}
LEFT_OUT = {
    "admin.LogEntry": "what staff did by the admin's own log; it is in audit_events, where staff is named by role",
    "account.EmailConfirmation": "a link under way to one of the addresses: a secret, and short-lived",
}


@pytest.fixture
def at_home(researcher, fresh):
    browser = Client()
    browser.force_login(researcher, backend=BACKEND)
    return fresh(browser)


def exported(user):
    return json.loads("".join(export(user)))


def test_every_model_about_a_user_is_in_it_or_left_out_for_a_reason():
    about = {User}
    while more := {
        model
        for model in apps.get_models()
        if model not in about and any(field.related_model in about for field in model._meta.fields)
    }:
        about |= more
    assert {model._meta.label for model in about} == IN_THE_FILE.keys() | LEFT_OUT.keys()


def test_it_has_all_sections_and_no_other(researcher):
    assert set(exported(researcher)) == {"format", "exported_at", *IN_THE_FILE.values()}


def test_what_accounts_knows(researcher, make_staff):
    staff = make_staff("support", "doris@desk.example.org")
    UserSocialAuth.objects.create(user=researcher, provider="globus", uid="1-2-3", extra_data={"sub": "1-2-3"})
    Authenticator.objects.create(user=researcher, type="totp", data={"secret": "sealed"})
    UserSession.objects.create(user=researcher, session_key="k" * 32, ip="192.0.2.7", user_agent="Firefox", data={})
    Profile.objects.filter(user=researcher).update(institution="King's “College”", globus_username="rf@kcl")
    token, secret = ApiToken.issue(researcher, "laptop", ["read"], timedelta(days=1))
    change_plan(researcher, Plan.PREMIUM, by=staff, reason="a gift")
    change_plan(researcher, Plan.FREE)
    change_plan(researcher, Plan.PREMIUM, by="manage.py set_plan (doris)")
    erasure, _ = Erasure.ask(researcher)
    erasure.withdraw()
    told = exported(researcher)
    assert told["account"][0]["full_name"] == "Rosalind Free"
    assert told["profile"][0]["institution"] == "King's “College”"
    assert told["profile"][0]["globus_username"] == "rf@kcl"
    assert told["addresses"] == [{"email": "rosalind@example.org", "verified": True, "primary": True}]
    assert told["globus_identities"][0]["uid"] == "1-2-3"
    assert told["second_factors"][0]["type"] == "totp"
    assert told["sessions"][0]["ip"] == "192.0.2.7"
    assert (told["api_tokens"][0]["name"], told["api_tokens"][0]["scopes"]) == ("laptop", ["read"])
    assert [(row["previous"], row["plan"], row["changed_by"], row["reason"]) for row in told["subscriptions"]] == [
        ("free", "premium", "support", "a gift"),
        ("premium", "free", "owner", ""),
        ("free", "premium", "", ""),
    ]
    assert [(row["action"], row["by"]) for row in told["audit_events"]] == [
        ("plan.changed", "support"),
        ("plan.changed", "owner"),
        ("plan.changed", "manage.py set_plan"),
    ]
    assert told["audit_events"][0]["after"] == {"plan": "premium"}
    assert told["erasures"][0]["status"] == "WITHDRAWN"
    text = json.dumps(told)
    for hidden in ("doris", "sealed", "k" * 32, secret, token.digest, researcher.password):
        assert hidden not in text


def test_staff_of_old_are_not_taken_for_the_owner(researcher, make_staff):
    staff = make_staff("operator")
    change_plan(researcher, Plan.PREMIUM, by=staff, reason="a trial")
    change_plan(researcher, Plan.FREE)
    set_role(staff, NONE, by="test", reason="r")
    told = exported(researcher)
    assert [row["changed_by"] for row in told["subscriptions"]] == ["operator", "owner"]
    assert [row["by"] for row in told["audit_events"]] == ["operator", "owner"]


def test_nothing_of_others(researcher, outsider, make_job):
    make_job(outsider)
    ApiToken.issue(outsider, "theirs", ["read"], timedelta(days=1))
    change_plan(outsider, Plan.PREMIUM)
    told = exported(researcher)
    assert "outsider" not in json.dumps(told)
    for name in ("jobs", "uploads", "mails", "api_tokens", "audit_events", "subscriptions", "monthly_use"):
        assert told[name] == []


def test_as_a_download(at_home, researcher):
    answer = at_home.get("/profile/data/download/")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="gas-export-20')
    assert "no-store" in answer.headers["Cache-Control"]
    assert answer.streaming
    told = json.loads(b"".join(answer.streaming_content))
    assert told["account"][0]["id"] == str(researcher.pk)
    assert AuditEvent.objects.get(action="account.exported").subject == researcher
    assert at_home.head("/profile/data/download/").status_code == 200
    assert at_home.post("/profile/data/download/").status_code == 405
    assert AuditEvent.objects.filter(action="account.exported").count() == 1


def test_the_page_leads_there(at_home):
    page = at_home.get("/profile/data/").content.decode()
    assert 'href="/profile/data/download/"' in page
    assert 'href="/profile/erase/"' in page


def test_needs_a_fresh_sign_in(at_home, fresh):
    fresh(at_home, False)
    answer = at_home.get("/profile/data/download/")
    assert answer.headers["Location"] == "/step-up/?next=%2Fprofile%2Fdata%2Fdownload%2F"
    assert at_home.get("/profile/data/").status_code == 200
    assert not AuditEvent.objects.exists()


def test_not_without_signing_in(client, db):
    for path in ("/profile/data/", "/profile/data/download/", "/profile/erase/"):
        assert client.get(path).headers["Location"].startswith("/login/?next=")
