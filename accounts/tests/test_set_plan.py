from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.models import AuditEvent, Profile, User


def set_plan(*words):
    out = StringIO()
    call_command("set_plan", *words, stdout=out)
    return out.getvalue()


def plan_of(user):
    return User.objects.get(pk=user.pk).plan.code


@pytest.fixture(autouse=True)
def operator(monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "olga")


def test_up_and_down(researcher, outsider):
    assert (
        set_plan("Rosalind@Example.org", "premium", "--reason", " A gift ") == f"{researcher.pk} is on premium now.\n"
    )
    assert (plan_of(researcher), plan_of(outsider)) == ("premium", "free")
    noted = AuditEvent.objects.get(action="plan.changed")
    assert (noted.actor, noted.actor_name, noted.subject) == (None, "manage.py set_plan (olga)", researcher)
    assert noted.reason == researcher.subscriptions.get().reason == "A gift"
    assert set_plan("rosalind@example.org", "free", "--reason", "It ended") == f"{researcher.pk} is on free now.\n"
    assert plan_of(researcher) == "free"


def test_twice(researcher):
    set_plan("rosalind@example.org", "premium", "--reason", "A gift")
    assert "was on premium already" in set_plan("rosalind@example.org", "premium", "--reason", "Again")
    assert AuditEvent.objects.count() == 1


def test_operator_without_a_name(researcher, monkeypatch):
    def nobody():
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr("getpass.getuser", nobody)
    monkeypatch.setattr("os.getuid", lambda: 1234)
    set_plan("rosalind@example.org", "premium", "--reason", "A gift")
    assert AuditEvent.objects.get().actor_name == "manage.py set_plan (uid 1234)"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["nobody@example.org", "premium", "--reason", "A gift"],
            "Nobody has confirmed the address nobody@example.org",
        ),
        (["rosalind@example.org", "premium"], "--reason"),
        (["rosalind@example.org", "premium", "--reason", "  "], "Say why"),
        (["rosalind@example.org", "platinum", "--reason", "A gift"], "invalid choice"),
    ],
)
def test_refused(researcher, words, told):
    with pytest.raises(CommandError, match=told):
        set_plan(*words)
    assert plan_of(researcher) == "free"


def test_an_address_of_two(researcher, outsider, monkeypatch):
    both = User.objects.filter(pk__in=[researcher.pk, outsider.pk])
    monkeypatch.setattr(User.objects, "by_address", lambda _: both)
    with pytest.raises(CommandError, match="belongs to several accounts") as refused:
        set_plan("rosalind@example.org", "premium", "--reason", "A gift")
    assert str(researcher.pk) in str(refused.value)
    assert str(outsider.pk) in str(refused.value)
    assert plan_of(researcher) == "free"


def test_who_pays_is_told_of(researcher, stripe):
    Profile.objects.filter(user=researcher).update(stripe_customer="cus_1")
    assert "cancel it at Stripe" not in set_plan("rosalind@example.org", "premium", "--reason", "A gift")
    assert "cancel it at Stripe too" in set_plan("rosalind@example.org", "free", "--reason", "A mistake")
