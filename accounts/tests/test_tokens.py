"""The page of API tokens: made behind step-up, shown once, revoked; and what of them is kept."""

import json
import logging
import re
import threading
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.core.serializers import serialize
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import ApiToken, AuditEvent
from accounts.models.api_token import digest

FIELDS = {"name": "my laptop", "scopes": ["read", "submit"], "days": "30"}


@pytest.fixture
def browser(client, researcher, fresh):
    client.force_login(researcher)
    return fresh(client)


def make(client, **fields):
    return client.post(reverse("tokens"), FIELDS | fields)


def secret_on(page) -> str:
    found = re.search(r'id="new-token" value="(gas_[\w-]{43})"', page.content.decode())
    return found.group(1) if found else ""


def test_a_token_is_made_and_shown_once(browser, researcher):
    answer = make(browser)
    secret = secret_on(answer)
    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
    token = ApiToken.objects.get()
    assert (token.user, token.name, token.scopes) == (researcher, "my laptop", ["read", "submit"])
    assert abs(token.expires_at - timezone.now() - timedelta(days=30)) < timedelta(minutes=1)
    assert ApiToken.objects.find(secret) == token
    assert secret not in browser.get(reverse("tokens")).content.decode()


def test_the_secret_is_kept_nowhere(browser, caplog, django_capture_on_commit_callbacks):
    caplog.set_level(0)
    with django_capture_on_commit_callbacks(execute=True):
        secret = secret_on(make(browser))
    assert secret
    kept = serialize("json", [*ApiToken.objects.all(), *AuditEvent.objects.all()])
    kept += str([session.get_decoded() for session in Session.objects.all()])
    assert secret not in kept + caplog.text
    assert ApiToken.objects.get().digest == digest(secret)


def test_making_and_revoking_are_noted(browser, researcher, caplog, django_capture_on_commit_callbacks):
    caplog.set_level(logging.INFO, "gas.security")
    with django_capture_on_commit_callbacks(execute=True):
        make(browser)
        token = ApiToken.objects.get()
        for _ in range(2):
            browser.post(reverse("token_revoke", args=[token.pk]))
    revoked, issued = AuditEvent.objects.about(researcher)
    assert (issued.action, issued.actor, issued.actor_name, issued.object_id) == (
        "token.issued", researcher, "owner", str(token.pk)
    )  # fmt: skip
    assert issued.after == {"scopes": ["read", "submit"], "days": 30}
    assert (revoked.action, revoked.actor) == ("token.revoked", researcher)
    events = [json.loads(record.getMessage())["event"] for record in caplog.records]
    assert [event for event in events if event.startswith("token.")] == ["token.issued", "token.revoked"]


def test_a_new_token_needs_step_up_and_a_revocation_does_not(browser, researcher, fresh):
    make(browser)
    fresh(browser, False)
    answer = make(browser, name="another")
    assert (answer.status_code, answer["Location"]) == (302, "/step-up/?next=%2Fprofile%2Ftokens%2F")
    assert ApiToken.objects.count() == 1
    page = browser.get(reverse("tokens"))
    assert 'id="to-step-up"' in page.content.decode()
    assert 'id="make-token"' not in page.content.decode()
    assert browser.post(reverse("token_revoke", args=[ApiToken.objects.get().pk])).status_code == 302
    assert not ApiToken.objects.get().is_usable


def test_the_list_tells_the_state_of_each(browser, researcher):
    day = timedelta(days=1)
    for name, lifetime in (("usable", day), ("expired", -day), ("revoked", day)):
        token, _ = ApiToken.issue(researcher, name, ["read"], lifetime)
    token.revoke()
    rows = re.findall(r'<th scope="row".*?</tr>', browser.get(reverse("tokens")).content.decode(), re.S)
    revoked, expired, usable = rows
    assert re.search("revoked <time [^>]+>", revoked)
    assert re.search(r"expired\s*</td>", expired)
    assert 'aria-label="Revoke usable"' in usable
    assert "<form" not in revoked + expired


@pytest.mark.parametrize(
    "fields",
    [{"name": ""}, {"name": "x" * 61}, {"scopes": []}, {"scopes": ["admin"]}, {"days": "8"}, {"days": ""}],
)
def test_what_the_form_refuses(browser, fields):
    answer = make(browser, **fields)
    assert 'role="alert"' in answer.content.decode()
    assert not ApiToken.objects.exists()


def test_a_form_that_is_sent_twice_makes_one_token(browser):
    first, second = make(browser), make(browser)
    assert secret_on(first)
    assert not secret_on(second)
    assert "You have a token of this name" in second.content.decode()
    assert ApiToken.objects.count() == 1


def test_20_tokens_are_the_most(browser, researcher):
    for n in range(19):
        ApiToken.issue(researcher, f"n{n}", ["read"], timedelta(days=1))
    ApiToken.issue(researcher, "over", ["read"], -timedelta(days=1))
    assert secret_on(make(browser))
    refused = make(browser, name="one more")
    assert "You have 20 tokens" in refused.content.decode()
    assert ApiToken.objects.count() == 21
    browser.post(reverse("token_revoke", args=[ApiToken.objects.get(name="n0").pk]))
    assert secret_on(make(browser, name="one more"))


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_one_token_of_a_name_also_when_asked_for_many_times_at_once(researcher, fresh):
    start, answers = threading.Barrier(4), []

    def one() -> None:
        try:
            client = Client()
            client.force_login(researcher)
            fresh(client)
            start.wait()
            answers.append(secret_on(make(client)))
        finally:
            connection.close()

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4
    assert len(list(filter(None, answers))) == ApiToken.objects.count() == 1


def test_names_are_escaped(browser):
    page = make(browser, name="<script>alert(1)</script>").content.decode()
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


# --- other people ------------------------------------------------------------------------------------------------------------


def test_an_outsider_gets_404(client, researcher, outsider, fresh):
    token, _ = ApiToken.issue(researcher, "mine and nobody else's", ["read"], timedelta(days=1))
    client.force_login(outsider)
    assert fresh(client).post(reverse("token_revoke", args=[token.pk])).status_code == 404
    assert "nobody else" not in client.get(reverse("tokens")).content.decode()
    assert ApiToken.objects.get().is_usable


@pytest.mark.parametrize("role", ["support", "operator", None])
def test_staff_have_no_tokens(desk, researcher, role):
    client = desk(role)
    token, _ = ApiToken.issue(client.user, "from before", ["read"], timedelta(days=1))
    answers = [client.get(reverse("tokens")), make(client), client.post(reverse("token_revoke", args=[token.pk]))]
    assert [answer.status_code for answer in answers] == [404] * 3
    assert ApiToken.objects.count() == 1


def test_signed_out_is_led_to_sign_in(client, db):
    for answer in (client.get(reverse("tokens")), make(client), client.post(reverse("token_revoke", args=[1]))):
        assert answer["Location"].startswith("/login/?next=")


def test_nothing_changes_by_get_nor_without_the_csrf_token(browser, researcher, fresh):
    token, _ = ApiToken.issue(researcher, "a", ["read"], timedelta(days=1))
    assert browser.get(reverse("token_revoke", args=[token.pk])).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(researcher)
    fresh(strict)
    assert [make(strict).status_code, strict.post(reverse("token_revoke", args=[token.pk])).status_code] == [403, 403]
    assert [t.is_usable for t in ApiToken.objects.all()] == [True]


# --- the rows ---------------------------------------------------------------------------------------------------------------


def test_a_secret_is_256_random_bits_with_a_prefix_that_scanners_know(researcher):
    secrets = {ApiToken.issue(researcher, "a", ["read"], timedelta(days=1))[1] for _ in range(3)}
    assert len(secrets) == 3
    assert all(re.fullmatch(r"gas_[\w-]{43}", secret) for secret in secrets)


def test_what_does_not_begin_like_a_token_is_not_looked_up(researcher, django_assert_num_queries):
    _, secret = ApiToken.issue(researcher, "a", ["read"], timedelta(days=1))
    ApiToken.objects.update(digest=digest(secret.removeprefix("gas_")))
    with django_assert_num_queries(0):
        assert ApiToken.objects.find(secret.removeprefix("gas_")) is None
