"""Payment by Stripe, and all that GAS knows of it.

Who pays for Premium, Stripe is asked each time: what a browser brings back from the payment page and what an event says are
only hints. So events may be lost, late, doubled or in a wrong order.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import stripe  # noqa: TID251 (the one place)
from django.conf import settings
from django.db import transaction

from accounts.models import AuditEvent, Plan, Profile, StripeEvent, User
from accounts.plans import change_plan

if TYPE_CHECKING:
    from stripe._v1_services import V1Services  # noqa: TID251

log = logging.getLogger(__name__)

API_VERSION = "2026-10-28.endive"  # a newer library must not change what the answers mean
TIMEOUT = 8  # seconds; a page waits for it
STRIPE = "Stripe"  # who changed the plan, in the audit log
PAID = {"active", "trialing", "past_due"}  # past_due: a charge has failed, and Stripe still tries it anew
TELLING = ("customer.subscription.", "checkout.session.")  # events after which somebody may pay, or no more


class BillingUnavailable(Exception):
    """Stripe is out of reach, or refuses what we ask; nothing was changed."""


class NotFromStripe(Exception):
    """An event without Stripe's signature."""


@dataclass(frozen=True)
class Standing:
    """Whether somebody pays, and what plan follows from that (None: the one that he has)."""

    pays: bool
    plan: str | None
    reason: str


def is_on() -> bool:
    return bool(settings.STRIPE_SECRET_KEY)


def payment_page(user: User, *, paid_url: str, back_url: str) -> str:
    """The address of Stripe's page on which `user` pays for Premium: one at a time, however often he asks for it."""
    customer = _customer_of(user)
    with _asking("for a payment page") as v1:
        latest = next(iter(v1.checkout.sessions.list({"customer": customer, "limit": 1}).data), None)
        if latest and latest.status == "open" and latest.url:
            return latest.url
        session = v1.checkout.sessions.create(
            {
                "mode": "subscription",
                "customer": customer,
                "client_reference_id": str(user.pk),
                "line_items": [{"price": settings.STRIPE_PRICE, "quantity": 1}],
                "success_url": paid_url,
                "cancel_url": back_url,
            },
            {"idempotency_key": _key("checkout", customer, settings.STRIPE_PRICE, latest.id if latest else "first")},
        )
    return str(session.url)


def customer_page(user: User, *, back_url: str) -> str:
    """The address of Stripe's page on which `user`, who has paid before, sees invoices, changes his card and cancels."""
    with _asking("for the customer portal") as v1:
        session = v1.billing_portal.sessions.create({"customer": user.profile.stripe_customer, "return_url": back_url})
    return session.url


def is_customer(user: User) -> bool:
    return Profile.objects.filter(user=user).exclude(stripe_customer="").exists()


def premium_is_paid(user: User) -> bool:
    """Whether the present plan came by a payment; what the desk or a command gave, no payment takes away."""
    latest = AuditEvent.objects.about(user).filter(action="plan.changed").first()
    return latest is not None and latest.actor is None and latest.actor_name == STRIPE


def refresh(user: User) -> bool:
    """Put `user` on the plan that he pays for; whether he pays. Raises BillingUnavailable."""
    with transaction.atomic():
        # held while Stripe is asked: of two answers the later one must be written last
        held = Profile.objects.select_for_update(no_key=True).filter(user=user).exclude(stripe_customer="").first()
        if held is None:
            return False
        standing = look_up(user, held.stripe_customer)
        if standing.plan:
            change_plan(user, standing.plan, by=STRIPE, reason=standing.reason)
    return standing.pays


def look_up(user: User, customer: str) -> Standing:
    """What Stripe says now about all subscriptions of a customer; any that is paid counts."""
    with _asking("for subscriptions") as v1:
        found = list(v1.subscriptions.list({"customer": customer, "status": "all", "limit": 100}).auto_paging_iter())
    telling = next((one for one in found if one.status in PAID), found[0] if found else None)
    reason = f"subscription {telling.id} is {telling.status}" if telling else "no subscription"
    if telling and telling.status in PAID:
        return Standing(pays=True, plan=Plan.PREMIUM, reason=reason)
    return Standing(pays=False, plan=Plan.FREE if premium_is_paid(user) else None, reason=reason)


def take_in(body: bytes, signature: str) -> None:
    """See to an event of Stripe's: once, and so that it is delivered again if this fails.

    Raises NotFromStripe; BillingUnavailable.
    """
    try:
        event = stripe.Webhook.construct_event(body, signature, settings.STRIPE_WEBHOOK_SECRET)
    except (ValueError, TypeError, stripe.SignatureVerificationError) as error:  # TypeError: it is not even ASCII
        raise NotFromStripe from error
    if not event.type.startswith(TELLING):
        return
    customer = getattr(event.data.object, "customer", None)
    user = User.objects.filter(profile__stripe_customer=customer).first() if customer else None
    if user is None:
        log.warning("Stripe: event %s, %s, is about nobody who is a customer here.", event.id, event.type)
        return
    with transaction.atomic():
        _, is_new = StripeEvent.objects.get_or_create(id=event.id)
        if is_new:
            refresh(user)


def end_subscriptions(user: User) -> None:
    """Have Stripe forget `user`, whose account is erased: it cancels at once what he pays for, and keeps the invoices.

    Nothing when he is no customer; may be called again. Raises BillingUnavailable.
    """
    customer = Profile.objects.filter(user=user).values_list("stripe_customer", flat=True).first()
    if not customer:
        return
    if not is_on():
        log.warning("Stripe: %s stays a customer there, for no STRIPE_SECRET_KEY is set.", customer)
        return
    with _asking("to forget a customer") as v1:
        try:
            for page in v1.checkout.sessions.list({"customer": customer, "status": "open"}).auto_paging_iter():
                v1.checkout.sessions.expire(page.id)  # or it could be paid afterwards
            v1.customers.delete(customer)
        except stripe.InvalidRequestError as error:
            if error.code != "resource_missing":
                raise
    Profile.objects.filter(user=user).update(stripe_customer="")


def _customer_of(user: User) -> str:
    """His id as a customer of Stripe's, who learns no more of him than the id of his account here."""
    profile, _ = Profile.objects.get_or_create(user=user)
    if not profile.stripe_customer:
        with _asking("for a new customer") as v1:
            made = v1.customers.create(
                {"metadata": {"user": str(user.pk)}}, {"idempotency_key": _key("customer", user.pk)}
            )
        Profile.objects.filter(user=user, stripe_customer="").update(stripe_customer=made.id)
        profile.refresh_from_db(fields=["stripe_customer"])  # another request's, if that was first
    return profile.stripe_customer


def _key(*parts: object) -> str:
    """The same for whoever asks at the same time; not for a day, as long as Stripe repeats its answers, errors too."""
    return "-".join(str(part) for part in (*parts, int(time.time() // 600)))


@contextmanager
def _asking(what: str) -> "Iterator[V1Services]":
    try:
        yield _client(settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE).v1
    except stripe.StripeError as error:
        # not its message, which may quote what was sent
        told = (type(error).__name__, error.http_status, error.code, error.request_id)
        log.error("Stripe: asked %s, it answered %s, status %s, code %s, request %s.", what, *told)
        raise BillingUnavailable from error


@cache
def _client(key: str, base: str) -> stripe.StripeClient:
    return stripe.StripeClient(
        key,
        stripe_version=API_VERSION,
        max_network_retries=1,
        base_addresses={"api": base},
        http_client=stripe.RequestsClient(timeout=TIMEOUT),
    )
