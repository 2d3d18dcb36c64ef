"""Payment: who pays is what Stripe says when it is asked, whatever events and browsers say."""

import json
import logging
import threading
import time
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts import billing
from accounts.fakestripe.events import event
from accounts.models import AuditEvent, Profile, StripeEvent, User
from accounts.plans import change_plan

UPGRADE = {"plan": "premium", "confirm": "on"}
DOWNGRADE = {"plan": "free", "confirm": "on"}
WEBHOOK = "/billing/webhook/"


@pytest.fixture
def signed_in(client, researcher, fresh):
    client.force_login(researcher, backend="allauth.account.auth_backends.AuthenticationBackend")
    return fresh(client)


@pytest.fixture
def deliver(stripe):
    """Post an event as Stripe does: without session, cookie or CSRF token."""
    client = Client(enforce_csrf_checks=True)

    def post(told, **headers):
        body, signature = stripe.webhook.signed(told)
        headers = {"HTTP_STRIPE_SIGNATURE": signature} | headers
        return client.post(WEBHOOK, body, content_type="application/json", **headers)

    return post


@pytest.fixture
def pay(stripe, signed_in):
    """The researcher goes to the payment page and pays; the subscription. No event has been delivered yet."""

    def go():
        address = signed_in.post("/subscribe/", UPGRADE).headers["Location"]
        session = stripe.sessions[address.removeprefix(f"{stripe.url}/pay/")]
        stripe.pay(session)
        return stripe.subscriptions[session["subscription"]]

    return go


def plan_of(user):
    return User.objects.get(pk=user.pk).plan.code


def customer_of(user):
    return Profile.objects.get(user=user).stripe_customer


# --- paying


def test_upgrade_leads_to_the_payment_page_and_changes_nothing(stripe, signed_in, researcher):
    address = signed_in.post("/subscribe/", UPGRADE).headers["Location"]
    (session,) = stripe.sessions.values()
    assert address == session["url"]
    assert session["customer"] == customer_of(researcher) != ""
    assert (session["mode"], session["price"]) == ("subscription", "price_stand_in")
    assert session["client_reference_id"] == str(researcher.pk)
    assert session["success_url"] == "https://gas.example.org/billing/done/"
    assert session["cancel_url"] == "https://gas.example.org/subscribe/"
    assert plan_of(researcher) == "free"


def test_stripe_learns_nothing_of_a_person(stripe, signed_in, researcher):
    signed_in.post("/subscribe/", UPGRADE)
    told = json.dumps([[call.form, call.query] for call in stripe.calls])
    assert str(researcher.pk) in told
    assert "rosalind" not in told.lower()


def test_calls_pin_the_version_and_carry_keys(stripe, signed_in, monkeypatch):
    monkeypatch.setattr(billing, "API_VERSION", "2026-01-28.clover")  # not the library's own
    signed_in.post("/subscribe/", UPGRADE)
    assert {call.headers["stripe-version"] for call in stripe.calls} == {"2026-01-28.clover"}
    made = [call for call in stripe.calls if call.method == "POST"]
    keys = [call.headers["idempotency-key"].partition("-")[0] for call in made]
    assert keys == ["customer", "checkout"]


def test_the_page_of_two_clicks_is_one(stripe, signed_in):
    assert len({signed_in.post("/subscribe/", UPGRADE).headers["Location"] for _ in range(2)}) == 1
    assert len(stripe.sessions) == len(stripe.customers) == 1


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_the_page_of_two_clicks_at_once_is_one(stripe, researcher):
    pages, together = [], threading.Barrier(4)

    def click():
        together.wait()
        pages.append(billing.payment_page(researcher, paid_url="https://a.example/", back_url="https://b.example/"))
        connection.close()

    threads = [threading.Thread(target=click) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pages) == 4
    assert len(set(pages)) == len(stripe.customers) == len(stripe.sessions) == 1


def test_a_page_that_is_over_is_not_offered_again(stripe, signed_in):
    first = signed_in.post("/subscribe/", UPGRADE).headers["Location"]
    (session,) = stripe.sessions.values()
    session |= {"status": "expired", "url": None}
    assert signed_in.post("/subscribe/", UPGRADE).headers["Location"] not in (first, "/subscribe/")


def test_the_customer_that_another_request_made_first_is_kept(stripe, researcher, monkeypatch):
    stale = Profile.objects.get(user=researcher)
    Profile.objects.filter(user=researcher).update(stripe_customer="cus_of_the_first")
    monkeypatch.setattr(Profile.objects, "get_or_create", lambda **_: (stale, False))
    assert billing._customer_of(researcher) == customer_of(researcher) == "cus_of_the_first"
    assert len(stripe.customers) == 1


def test_premium_comes_with_the_event_and_says_why(stripe, signed_in, researcher, pay, deliver):
    subscription = pay()
    assert "is being confirmed" in signed_in.get("/billing/done/").content.decode()
    assert plan_of(researcher) == "free"
    assert deliver(stripe.webhook.sent[0]).status_code == 200
    assert plan_of(researcher) == "premium"
    page = signed_in.get("/billing/done/").content.decode()
    assert "You are on the Premium plan" in page
    assert "hx-get" not in page
    noted = AuditEvent.objects.get(action="plan.changed")
    assert (noted.actor, noted.actor_name, noted.subject) == (None, "Stripe", researcher)
    assert noted.reason == researcher.subscriptions.get().reason == f"subscription {subscription['id']} is active"
    assert "Manage or cancel at Stripe" in signed_in.get("/subscribe/").content.decode()


def test_waiting_polls_and_works_without_javascript(stripe, signed_in):
    page = signed_in.get("/billing/done/").content.decode()
    assert 'hx-get="/billing/done/" hx-trigger="every 3s"' in page
    assert '<a href="/billing/done/">Look again</a>' in page


def test_who_pays_already_does_not_pay_again(stripe, signed_in, researcher, pay):
    """All events are lost; he clicks again instead."""
    pay()
    page = signed_in.post("/subscribe/", UPGRADE, follow=True).content.decode()
    assert "You pay for Premium already" in page
    assert plan_of(researcher) == "premium"
    assert len(stripe.sessions) == 1


def test_who_was_given_premium_is_not_asked_to_pay(stripe, signed_in, researcher):
    change_plan(researcher, "premium", by="the desk")
    page = signed_in.post("/subscribe/", UPGRADE, follow=True).content.decode()
    assert "You were on the Premium plan already." in page
    assert not stripe.sessions


def test_who_pays_no_more_is_not_given_premium(stripe, signed_in, researcher, pay, deliver):
    """He cancels, the events are lost, and a page from before is sent."""
    subscription = pay()
    deliver(stripe.webhook.sent[0])
    stripe.change(subscription["id"], "canceled")
    assert signed_in.post("/subscribe/", UPGRADE).headers["Location"].startswith(stripe.url)
    assert plan_of(researcher) == "free"


# --- events


@pytest.mark.parametrize(
    ("status", "plan"),
    [
        ("active", "premium"),
        ("trialing", "premium"),
        ("past_due", "premium"),
        ("unpaid", "free"),
        ("canceled", "free"),
        ("incomplete", "free"),
        ("incomplete_expired", "free"),
        ("paused", "free"),
    ],
)
def test_states_of_a_subscription(stripe, researcher, pay, deliver, status, plan):
    subscription = pay()
    deliver(stripe.webhook.sent[0])
    stripe.change(subscription["id"], status)
    assert deliver(stripe.webhook.sent[-1]).status_code == 200
    assert plan_of(researcher) == plan
    if plan == "free":
        assert researcher.subscriptions.last().reason == f"subscription {subscription['id']} is {status}"


def test_any_paid_subscription_counts(stripe, researcher, pay, deliver):
    first = pay()
    stripe.pay(stripe._new_session({"customer": first["customer"]}))
    stripe.change(first["id"], "canceled")
    for told in stripe.webhook.sent:
        deliver(told)
        assert plan_of(researcher) == "premium"
    second = next(row for row in stripe.subscriptions.values() if row is not first)
    stripe.change(second["id"], "canceled")
    deliver(stripe.webhook.sent[-1])
    assert plan_of(researcher) == "free"


def test_more_subscriptions_than_a_page_of_answers(stripe, researcher, pay, deliver):
    first = pay()
    for _ in range(130):
        stripe._new(stripe.subscriptions, "sub", "subscription", customer=first["customer"], status="canceled")
    deliver(stripe.webhook.sent[0])
    assert plan_of(researcher) == "premium"


def test_an_event_is_not_believed(stripe, researcher, pay, deliver):
    subscription = pay()
    deliver(stripe.webhook.sent[0])
    subscription["status"] = "canceled"
    assert deliver(event("customer.subscription.updated", subscription | {"status": "active"})).status_code == 200
    assert plan_of(researcher) == "free"


def test_out_of_order(stripe, researcher, pay, deliver):
    subscription = pay()
    stripe.change(subscription["id"], "canceled")
    for told in reversed(stripe.webhook.sent):
        assert deliver(told).status_code == 200
        assert plan_of(researcher) == "free"
    assert not AuditEvent.objects.exists()


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_of_two_answers_the_later_counts(stripe, researcher, pay, deliver, monkeypatch):
    """He cancels while the first event is seen to: its answer is old when the second event comes."""
    subscription = pay()
    answer, others = stripe.answer, []

    def another():
        deliver(stripe.webhook.sent[-1])
        connection.close()

    def slowly(call):
        told = answer(call)
        if not others:
            stripe.change(subscription["id"], "canceled")
            others.append(threading.Thread(target=another))
            others[0].start()
            others[0].join(1)  # it waits for the first
        return told

    monkeypatch.setattr(stripe, "answer", slowly)
    assert deliver(stripe.webhook.sent[0]).status_code == 200
    others[0].join()
    assert plan_of(researcher) == "free"
    history = researcher.subscriptions.order_by("pk").values_list("plan", flat=True)
    assert list(history) == ["premium", "free"]


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_events_that_go_wrong_on_their_way(stripe, signed_in, researcher, pay, live_server):
    stripe.webhook.url = live_server.url + WEBHOOK
    stripe.faults = {"duplicate", "out_of_order"}
    subscription = pay()
    stripe.webhook.settle()
    assert plan_of(researcher) == "premium"
    stripe.faults = {"delayed"}
    stripe.change(subscription["id"], "canceled")
    stripe.webhook.settle()
    assert plan_of(researcher) == "premium"
    stripe.webhook.release()
    stripe.webhook.settle()
    assert plan_of(researcher) == "free"
    assert {status for _, status in stripe.webhook.deliveries} == {200}
    assert AuditEvent.objects.count() == 2


def test_a_duplicate_is_not_even_asked_about(stripe, researcher, pay, deliver):
    pay()
    told = stripe.webhook.sent[0]
    deliver(told)
    stripe.calls.clear()
    assert deliver(told).status_code == 200
    assert not stripe.calls
    assert StripeEvent.objects.get().pk == told["id"]
    assert AuditEvent.objects.count() == 1


@pytest.mark.parametrize("signature", [{}, {"HTTP_STRIPE_SIGNATURE": ""}, {"HTTP_STRIPE_SIGNATURE": "t=1,v1=0"}, "old"])
def test_no_signature_of_stripe(stripe, researcher, pay, deliver, signature, monkeypatch):
    pay()
    told = stripe.webhook.sent[0]
    if signature == "old":
        now = time.time()
        with monkeypatch.context() as patch:
            patch.setattr("accounts.fakestripe.events.time.time", lambda: now - 301)
            body, value = stripe.webhook.signed(told)
        answer = Client().post(WEBHOOK, body, content_type="application/json", HTTP_STRIPE_SIGNATURE=value)
    elif signature:
        answer = deliver(told, **signature)
    else:
        stripe.faults = {"bad_signature"}
        answer = deliver(told)
    assert answer.status_code == 400
    assert plan_of(researcher) == "free"
    assert not StripeEvent.objects.exists()


def test_a_signature_that_is_not_ascii(stripe, db):
    value = f"t={int(time.time())},v1=\xe9"
    answer = Client().post(WEBHOOK, b"{}", content_type="application/json", HTTP_STRIPE_SIGNATURE=value)
    assert answer.status_code == 400


@pytest.mark.parametrize("body", [b"", b"no JSON", b"\xff\xfe"])
def test_rubbish(stripe, db, body):
    answer = Client().post(WEBHOOK, body, content_type="application/json", HTTP_STRIPE_SIGNATURE="t=1,v1=0")
    assert answer.status_code == 400


def test_an_event_about_nobody_here(stripe, researcher, outsider, make_staff, pay, deliver):
    make_staff("support")
    pay()
    told = stripe.webhook.sent[0]
    told["data"]["object"]["customer"] = "cus_of_somebody_else"
    stripe.calls.clear()
    assert deliver(told).status_code == 200
    for nobody in ("", None):  # and not whoever is no customer, or has no profile
        told["data"]["object"]["customer"] = nobody
        assert deliver(told).status_code == 200
    assert not stripe.calls
    assert not StripeEvent.objects.exists()
    assert plan_of(researcher) == "free"


def test_an_event_about_something_else(stripe, researcher, pay, deliver):
    row = pay()
    stripe.calls.clear()
    assert deliver(event("invoice.paid", row)).status_code == 200
    assert not stripe.calls


def test_stripe_does_not_answer_the_webhook(stripe, researcher, pay, deliver):
    """It delivers the event again, and then it is not a duplicate."""
    pay()
    told = stripe.webhook.sent[0]
    stripe.faults = {"down"}
    assert deliver(told).status_code == 503
    assert not StripeEvent.objects.exists()
    stripe.faults = set()
    assert deliver(told).status_code == 200
    assert plan_of(researcher) == "premium"


def test_a_failure_of_ours_is_delivered_again(stripe, researcher, pay, deliver, settings):
    pay()
    told = stripe.webhook.sent[0]
    followers = settings.FOLLOWERS
    settings.FOLLOWERS = {**followers, "plan_changed": ["accounts.tests.test_billing.fail"]}
    with pytest.raises(ZeroDivisionError):
        deliver(told)
    assert plan_of(researcher) == "free"
    assert not StripeEvent.objects.exists()
    settings.FOLLOWERS = followers
    assert deliver(told).status_code == 200
    assert plan_of(researcher) == "premium"


def fail(*_):
    raise ZeroDivisionError


def test_what_the_desk_gave_no_old_subscription_takes_away(stripe, researcher, pay, deliver, make_staff):
    subscription = pay()
    stripe.change(subscription["id"], "canceled")
    change_plan(researcher, "premium", by=make_staff("support"), reason="A gift")
    for told in stripe.webhook.sent:
        deliver(told)
    assert plan_of(researcher) == "premium"


def test_a_gift_after_a_payment_that_ended(stripe, researcher, pay, deliver, make_staff):
    subscription = pay()
    deliver(stripe.webhook.sent[0])
    stripe.change(subscription["id"], "canceled")
    deliver(stripe.webhook.sent[-1])
    change_plan(researcher, "premium", by=make_staff("support"), reason="A gift")
    deliver(event("customer.subscription.deleted", subscription))
    assert plan_of(researcher) == "premium"


def test_a_paid_subscription_brings_premium_back(stripe, researcher, pay, deliver, make_staff):
    """The desk ends it at Stripe; else the payment would be for nothing."""
    subscription = pay()
    deliver(stripe.webhook.sent[0])
    change_plan(researcher, "free", by=make_staff("support"), reason="A mistake")
    deliver(event("customer.subscription.updated", subscription))
    assert plan_of(researcher) == "premium"


# --- out of reach


@pytest.mark.parametrize("fault", ["down", "slow", "wrong key", "nobody there"])
def test_out_of_reach(stripe, signed_in, researcher, fault, settings, monkeypatch, caplog):
    monkeypatch.setattr(billing, "TIMEOUT", 0.2)
    stripe.faults = {fault}
    if fault == "wrong key":
        settings.STRIPE_SECRET_KEY = "sk_live_secret"
    if fault == "nobody there":
        settings.STRIPE_API_BASE = "http://127.0.0.1:1"
    begin = time.monotonic()
    page = signed_in.post("/subscribe/", UPGRADE, follow=True).content.decode()
    assert time.monotonic() - begin < 10
    assert "The payment service cannot be reached. Nothing was changed or charged" in page
    assert plan_of(researcher) == "free"
    assert customer_of(researcher) == ""
    told = [record.getMessage() for record in caplog.records if record.name == "accounts.billing"]
    assert len(told) == 1
    assert "sk_live_secret" not in caplog.text


def test_a_wrong_key_takes_nobodys_plan(stripe, researcher, pay, deliver, settings):
    pay()
    deliver(stripe.webhook.sent[0])
    settings.STRIPE_SECRET_KEY = "sk_test_other"
    assert deliver(stripe.webhook.sent[1]).status_code == 503
    assert plan_of(researcher) == "premium"


def test_a_customer_who_is_unknown_there_keeps_his_plan(stripe, researcher, pay, deliver):
    """As after test and live keys were mixed up."""
    pay()
    deliver(stripe.webhook.sent[0])
    stripe.customers.clear()
    assert deliver(stripe.webhook.sent[1]).status_code == 503
    assert plan_of(researcher) == "premium"


def test_the_portal_is_out_of_reach(stripe, signed_in, researcher, pay):
    pay()
    stripe.faults = {"down"}
    page = signed_in.post("/billing/manage/", follow=True).content.decode()
    assert "The payment service cannot be reached" in page


# --- managing


def test_manage_leads_to_the_portal(stripe, signed_in, researcher, pay):
    pay()
    address = signed_in.post("/billing/manage/").headers["Location"]
    (portal,) = stripe.portals.values()
    assert address == portal["url"]
    assert portal["customer"] == customer_of(researcher)
    assert portal["return_url"] == "https://gas.example.org/subscribe/"


def test_manage_needs_a_fresh_sign_in(stripe, signed_in, pay, fresh):
    pay()
    fresh(signed_in, False)
    assert signed_in.post("/billing/manage/").headers["Location"] == "/step-up/?next=%2Fsubscribe%2F"
    assert not stripe.portals


def test_manage_is_a_post_of_a_customer_with_a_token(stripe, signed_in, researcher, fresh):
    assert signed_in.get("/billing/manage/").status_code == 405
    assert signed_in.post("/billing/manage/").status_code == 404
    assert Client().post("/billing/manage/").headers["Location"] == "/login/?next=/billing/manage/"
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(researcher, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert strict.post("/billing/manage/").status_code == 403


def test_who_pays_cancels_at_stripe(stripe, signed_in, researcher, pay, deliver):
    pay()
    deliver(stripe.webhook.sent[0])
    assert 'id="downgrade"' not in signed_in.get("/subscribe/").content.decode()
    page = signed_in.post("/subscribe/", DOWNGRADE, follow=True).content.decode()
    assert "You pay for Premium already. Manage or cancel it below." in page
    assert plan_of(researcher) == "premium"


def test_who_was_given_premium_goes_back_by_the_form(stripe, signed_in, researcher):
    change_plan(researcher, "premium", by="the desk")
    assert 'id="downgrade"' in signed_in.get("/subscribe/").content.decode()
    signed_in.post("/subscribe/", DOWNGRADE)
    assert plan_of(researcher) == "free"


def test_without_stripe_there_is_no_payment(signed_in, researcher):
    assert signed_in.get("/billing/done/").status_code == 404
    assert signed_in.post("/billing/manage/").status_code == 404
    assert signed_in.post(WEBHOOK, b"{}", content_type="application/json").status_code == 404
    page = signed_in.get("/subscribe/").content.decode()
    assert "No payment is taken." in page
    assert "Stripe" not in page


# --- the end of an account


def test_end_of_an_account(stripe, signed_in, researcher, pay):
    subscription = pay()
    subscription_of_another = stripe._new(
        stripe.subscriptions, "sub", "subscription", customer="cus_x", status="active"
    )
    open_page = stripe._new_session({"customer": subscription["customer"]})
    billing.end_subscriptions(researcher)
    assert subscription["status"] == "canceled"
    assert subscription_of_another["status"] == "active"
    assert open_page["status"] == "expired"
    assert not stripe.customers
    assert customer_of(researcher) == ""
    stripe.calls.clear()
    billing.end_subscriptions(researcher)
    assert not stripe.calls


def test_end_of_an_account_that_stripe_has_forgotten(stripe, researcher, pay):
    pay()
    stripe.customers.clear()
    billing.end_subscriptions(researcher)
    assert customer_of(researcher) == ""


def test_end_of_an_account_while_stripe_is_down(stripe, researcher, pay):
    subscription = pay()
    stripe.faults = {"down"}
    with pytest.raises(billing.BillingUnavailable):
        billing.end_subscriptions(researcher)
    stripe.faults = set()
    billing.end_subscriptions(researcher)
    assert subscription["status"] == "canceled"


def test_end_of_an_account_that_never_paid(researcher, outsider, settings, caplog):
    billing.end_subscriptions(researcher)
    assert not caplog.records
    Profile.objects.filter(user=outsider).update(stripe_customer="cus_1")
    with caplog.at_level(logging.WARNING):
        billing.end_subscriptions(outsider)
    assert "cus_1 stays a customer" in caplog.text


# --- lost events


def backfill(*options):
    out = StringIO()
    call_command("backfill_subscriptions", *options, stdout=out)
    return out.getvalue()


def test_backfill(stripe, researcher, pay):
    subscription = pay()
    line = f"{researcher.pk} from free to premium: subscription {subscription['id']} is active\n"
    assert backfill("--dry-run") == line + "1 customers, 1 would be changed, 0 could not be asked for.\n"
    assert plan_of(researcher) == "free"
    assert backfill() == line + "1 customers, 1 changed, 0 could not be asked for.\n"
    assert plan_of(researcher) == "premium"
    assert backfill() == "1 customers, 0 changed, 0 could not be asked for.\n"
    stripe.change(subscription["id"], "canceled")
    assert "1 changed" in backfill()
    assert plan_of(researcher) == "free"


def test_backfill_goes_on_after_a_failure(stripe, researcher, outsider, pay):
    Profile.objects.filter(user=outsider).update(stripe_customer="cus_unknown")
    pay()
    with pytest.raises(CommandError, match="did not answer for all"):
        backfill()
    assert (plan_of(researcher), plan_of(outsider)) == ("premium", "free")


def test_backfill_forgets_old_events(stripe, db):
    for days in (29, 31):
        StripeEvent.objects.create(id=f"evt_{days}", seen_at=timezone.now() - timedelta(days=days))
    backfill("--dry-run")
    assert StripeEvent.objects.count() == 2
    backfill()
    assert StripeEvent.objects.get().pk == "evt_29"


def test_backfill_without_stripe(db):
    with pytest.raises(CommandError, match="STRIPE_SECRET_KEY"):
        backfill()
