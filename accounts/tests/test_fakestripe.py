"""The stand-in for Stripe, by Stripe's own library; and what it does wrong when told to."""

import os
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import requests
import stripe as library  # noqa: TID251 (checks the stand-in as Stripe's own library sees it)
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured

from accounts.fakestripe import FakeStripe
from accounts.fakestripe.events import Webhook, event
from gas.testing.processes import Process
from gas.tests.test_settings import PRODUCTION


@pytest.fixture
def fake():
    provider = FakeStripe(debug=True).start()
    yield provider
    provider.stop()


@pytest.fixture
def client(fake):
    http = library.RequestsClient(timeout=5)
    yield library.StripeClient(
        "sk_test_stand_in", base_addresses={"api": fake.url}, http_client=http, max_network_retries=0
    )
    http.close()


@pytest.fixture
def session(client):
    customer = client.v1.customers.create({})
    return client.v1.checkout.sessions.create(
        {
            "customer": customer.id,
            "mode": "subscription",
            "line_items": [{"price": "price_1", "quantity": 1}],
            "success_url": "https://gas.example.org/done/",
            "cancel_url": "https://gas.example.org/back/",
        }
    )


@contextmanager
def taker(*statuses):
    """A webhook that answers with these statuses, the last for ever; yields its address and the bodies it got."""
    left, got = list(statuses), []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((body, self.headers["Stripe-Signature"]))
            self.send_response(left.pop(0) if len(left) > 1 else left[0])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_only_with_debug():
    with pytest.raises(ImproperlyConfigured, match="only with DEBUG on"):
        FakeStripe()


@pytest.mark.parametrize("debug", ["0", "1"])
def test_program_starts_with_debug_on_only(debug):
    command = [sys.executable, "-m", "accounts.fakestripe", "--port", "0", "--webhook", "http://127.0.0.1:1/"]
    env = os.environ | PRODUCTION | {"DEBUG": debug}
    with Process(command, env=env, cwd=django_settings.BASE_DIR) as program:
        if debug == "1":
            program.wait_for("The stand-in for Stripe is at http://127.0.0.1:")
        else:
            assert program.wait(60) == 1
            assert "only with DEBUG on" in program.output()


def test_pay_cancel(fake, client, session):
    assert client.v1.checkout.sessions.list({"customer": session.customer, "status": "open"}).data == [session]
    assert "Pay <small>price_1</small>" in requests.get(session.url, timeout=5).text
    answer = requests.post(session.url, timeout=5, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (303, "https://gas.example.org/done/")
    (subscription,) = client.v1.subscriptions.list({"customer": session.customer}).data
    assert subscription.status == "active"
    assert "cannot be paid any more: it is complete" in requests.post(session.url, timeout=5).text
    assert len(fake.subscriptions) == 1

    portal = client.v1.billing_portal.sessions.create(
        {"customer": session.customer, "return_url": "https://a.example/"}
    )
    assert "https://a.example/" in requests.get(portal.url, timeout=5).text
    page = requests.post(portal.url, {"act": "later"}, timeout=5).text
    assert "active, until its period ends" in page
    assert "You pay for nothing" in requests.post(portal.url, {"act": "cancel"}, timeout=5).text
    assert client.v1.subscriptions.list({"customer": session.customer}).data == []
    (subscription,) = client.v1.subscriptions.list({"customer": session.customer, "status": "all"}).data
    assert subscription.status == "canceled"
    kinds = [told["type"].rpartition(".")[2] for told in fake.webhook.sent]
    assert kinds == ["created", "completed", "updated", "updated", "deleted"]


def test_a_page_that_has_expired(fake, client, session):
    assert client.v1.checkout.sessions.expire(session.id).status == "expired"
    assert "cannot be paid any more" in requests.post(session.url, timeout=5).text
    assert not fake.subscriptions


def test_idempotency_keys(fake, client):
    key = {"idempotency_key": "one"}
    first = client.v1.customers.create({"metadata": {"user": "1"}}, key)
    assert client.v1.customers.create({"metadata": {"user": "1"}}, key).id == first.id
    assert client.v1.customers.create({"metadata": {"user": "1"}}).id != first.id
    with pytest.raises(library.IdempotencyError):
        client.v1.customers.create({"metadata": {"user": "2"}}, key)


def test_a_customer_who_is_deleted(fake, client, session):
    fake.pay(fake.sessions[session.id])
    assert client.v1.customers.delete(session.customer).deleted
    assert [row["status"] for row in fake.subscriptions.values()] == ["canceled"]
    with pytest.raises(library.InvalidRequestError) as refused:
        client.v1.customers.delete(session.customer)
    assert refused.value.code == "resource_missing"


def test_errors(fake, client):
    with pytest.raises(library.AuthenticationError):
        library.StripeClient("sk_wrong", base_addresses={"api": fake.url}).v1.customers.create({})
    fake.faults = {"down"}
    with pytest.raises(library.APIError):
        client.v1.customers.create({})


def test_rows_are_there_after_a_restart(tmp_path):
    path = tmp_path / "fakestripe.json"
    headers = {"Authorization": "Bearer sk_test_stand_in"}
    for count in (1, 2):
        fake = FakeStripe(path=path, debug=True).start()
        requests.post(f"{fake.url}/v1/customers", headers=headers, timeout=5)
        fake.stop()
        assert len(fake.customers) == count


# --- events


def test_events_are_signed_and_delivered_until_they_are_taken(monkeypatch):
    monkeypatch.setattr("accounts.fakestripe.events.FIRST_PAUSE", 0.01)
    with taker(500, 400, 200) as (url, got):
        webhook = Webhook(url, "whsec_1")
        told = event("customer.subscription.created", {"id": "sub_1"})
        webhook.send(told)
        webhook.settle()
    assert webhook.deliveries == [(told["id"], 500), (told["id"], 400), (told["id"], 200)]
    for body, signature in got:
        assert library.Webhook.construct_event(body, signature, "whsec_1").id == told["id"]
        with pytest.raises(library.SignatureVerificationError):
            library.Webhook.construct_event(body, signature, "whsec_2")


def test_nobody_takes_them():
    webhook = Webhook("http://127.0.0.1:1/", "whsec_1")
    webhook.send(event("a", {}))
    webhook.stop()
    assert {status for _, status in webhook.deliveries} == {0}


@pytest.mark.parametrize(
    ("fault", "at_once", "later"),
    [
        ("", "ab", "ab"),
        ("duplicate", "aabb", "aabb"),
        ("out_of_order", "ba", "ba"),
        ("lost", "", ""),
        ("delayed", "", "ab"),
    ],
)
def test_faults(fault, at_once, later):
    with taker(200) as (url, got):
        webhook = Webhook(url, "whsec_1")
        webhook.faults = {fault}
        webhook.send(event("a", {}), event("b", {}))
        for expected in (at_once, later):
            webhook.settle()
            assert "".join(library.Webhook.construct_event(*one, "whsec_1").type for one in got) == expected
            webhook.release()


def test_a_wrong_signature():
    webhook = Webhook("", "whsec_1")
    webhook.faults = {"bad_signature"}
    with pytest.raises(library.SignatureVerificationError):
        library.Webhook.construct_event(*webhook.signed(event("a", {})), "whsec_1")
