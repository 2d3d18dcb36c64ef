"""Whoever pays gets his archived results back; `set_plan` tells how many."""

from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client

from accounts import billing
from accounts.fakestripe import FakeStripe
from archive.models import Restoration
from archive.tasks import archive_result


@pytest.fixture
def stripe(settings):
    provider = FakeStripe(debug=True).start()
    settings.STRIPE_API_BASE = provider.url
    settings.STRIPE_SECRET_KEY, settings.STRIPE_WEBHOOK_SECRET = "sk_test_stand_in", "whsec_stand_in"
    settings.STRIPE_PRICE = "price_stand_in"
    yield provider
    provider.stop()


@pytest.fixture
def archived(make_archive, researcher):
    rows = [make_archive(researcher), make_archive(researcher, b"x" * 1000)]
    for row in rows:
        archive_result(str(row.pk))
        row.refresh_from_db()
        assert row.status == "ARCHIVED"
    return rows


def test_paid_by_the_webhook(stripe, archived, researcher):
    billing.payment_page(researcher, paid_url="https://a.example/", back_url="https://b.example/")
    (session,) = stripe.sessions.values()
    stripe.pay(session)
    body, signature = stripe.webhook.signed(stripe.webhook.sent[0])
    for _ in range(2):
        answer = Client().post(
            "/billing/webhook/", body, content_type="application/json", HTTP_STRIPE_SIGNATURE=signature
        )
        assert answer.status_code == 200
    assert Restoration.objects.get(user=researcher).total == 2
    for row in archived:
        row.refresh_from_db()
        assert row.status == "RESTORING"


def test_set_plan_tells_what_comes_back(archived, researcher):
    out = StringIO()
    call_command("set_plan", "rosalind@example.org", "premium", reason="A gift", stdout=out)
    assert "Archived results that are being restored: 2." in out.getvalue()
    out = StringIO()
    call_command("set_plan", "rosalind@example.org", "free", reason="It ended", stdout=out)
    assert "restored" not in out.getvalue()
