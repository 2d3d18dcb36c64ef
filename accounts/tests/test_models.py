from datetime import timedelta
from io import StringIO

import pytest
from allauth.account.models import EmailAddress
from django.core.management import call_command
from django.db import IntegrityError, transaction

from accounts.models import Plan, Profile, User


@pytest.mark.django_db
def test_plans_come_with_the_migrations(settings):
    settings.MAX_UPLOAD_BYTES = 1_000_000
    free, premium = Plan.objects.order_by("code")
    assert (free.code, free.upload_limit, free.retention) == ("free", 153_600, timedelta(minutes=5))
    assert (premium.code, premium.upload_limit, premium.retention) == ("premium", 1_000_000, None)


@pytest.mark.parametrize(("size", "allowed"), [(153_599, True), (153_600, True), (153_601, False)])
def test_plan_allows_up_to_its_limit(size, allowed):
    assert Plan(max_upload_bytes=153_600).allows(size) is allowed


def test_plan_without_a_limit_has_the_sites(settings):
    settings.MAX_UPLOAD_BYTES = 1_000_000
    assert Plan().allows(1_000_000)
    assert not Plan().allows(1_000_001)


@pytest.mark.django_db
@pytest.mark.parametrize("limit", [0, -1])
def test_plan_that_allows_nothing_is_none(limit):
    with pytest.raises(IntegrityError), transaction.atomic():
        Plan.objects.create(code="x", name="x", max_upload_bytes=limit)


def test_user_without_profile_is_free(db):
    assert User.objects.create_user().plan.code == Plan.FREE


def test_researcher_made_by_an_operator(db):
    user = User.objects.create_researcher("Ada@Example.org", "Ada L.")
    assert (user.email, user.mail_address, user.full_name) == ("ada@example.org", "ada@example.org", "Ada L.")
    assert (user.plan.code, user.has_usable_password(), user.is_staff) == ("free", False, False)
    assert user.profile.completed_at is not None
    assert list(EmailAddress.objects.values_list("user", "email", "verified", "primary")) == [
        (user.pk, "ada@example.org", True, True)
    ]


def test_no_two_users_with_one_address(db):
    User.objects.create_researcher("ada@example.org")
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_researcher("ADA@example.org")
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create(email="ADA@example.org")
    assert User.objects.count() == 1
    assert Profile.objects.count() == 1


def test_mail_goes_to_the_confirmed_address_alone(db):
    user = User.objects.create_user()
    Profile.objects.create(user=user, globus_email="globus@example.org")
    EmailAddress.objects.create(user=user, email="typed@example.org", verified=False)
    user = User.objects.get()
    assert (user.mail_address, user.pending_address) == ("", "typed@example.org")
    address = EmailAddress.objects.get()
    address.set_verified()
    address.set_as_primary()
    user = User.objects.get()
    assert (user.mail_address, user.pending_address) == ("typed@example.org", "")


def test_by_address(db):
    verified = User.objects.create_researcher("ada@example.org")
    claimant = User.objects.create_user()
    Profile.objects.create(user=claimant, globus_email="ada@example.org")
    EmailAddress.objects.create(user=claimant, email="ada@example.org", verified=False)

    assert list(User.objects.by_address("ADA@example.org")) == [verified]
    verified.delete()
    assert list(User.objects.by_address("ada@example.org")) == []


def test_createsuperuser(db, monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "correct horse battery staple")
    call_command("createsuperuser", username="root", email="root@example.org", interactive=False, stdout=StringIO())
    root = User.objects.get(username="root")
    assert (root.is_staff, root.is_superuser, root.email) == (True, True, "root@example.org")
    assert root.check_password("correct horse battery staple")
