"""Figures of accounts at the desk."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.closing import close_account
from accounts.desk import about, sections
from accounts.models import Erasure, Subscription
from accounts.plans import change_plan


@pytest.fixture
def operator(make_staff):
    return make_staff("operator")


@pytest.fixture
def figures(operator):
    return lambda: {counter.label: counter for counter in sections(operator)[0].counters}


def values(counters):
    return {label: counter.value for label, counter in counters.items()}


def test_accounts_by_plan_and_closed(researcher, outsider, premium, figures, desk):
    close_account(outsider, by="test", reason="r")
    found = figures()
    wanted = {"on Free": 2, "on Premium": 1, "closed": 1, "changes of plan in 24 hours": 0, "erasures due": 0}
    assert values(found) == wanted
    client = desk("support")
    for label, counter in found.items():
        assert client.get(counter.url).context["cl"].result_count == wanted[label], label


def test_changes_of_plan(researcher, outsider, figures):
    change_plan(researcher, "premium")
    change_plan(outsider, "premium")
    Subscription.objects.filter(user=outsider).update(started_at=timezone.now() - timedelta(hours=25))
    assert figures()["changes of plan in 24 hours"].value == 1


def test_erasures_due(researcher, outsider, figures, desk):
    due, _ = Erasure.ask(researcher)
    Erasure.ask(outsider)
    assert figures()["erasures due"].value == 0
    Erasure.objects.filter(pk=due.pk).update(due_at=timezone.now() - timedelta(hours=2))
    found = figures()["erasures due"]
    assert (found.value, found.level) == (1, "warning")
    assert timedelta(hours=2) <= found.age < timedelta(hours=3)
    assert list(desk("support").get(found.url).context["cl"].result_list) == [due]


def test_the_log_of_a_user(researcher, outsider, operator, desk):
    close_account(researcher, by="test", reason="r")
    close_account(outsider, by="test", reason="r")
    (section,) = about(researcher, operator)
    events = desk("operator", user=operator).get(section.counters[0].url).context["cl"].result_list
    assert [event.subject for event in events] == [researcher]


def test_who_may_see_nothing_sees_nothing(researcher, make_staff):
    assert [section.counters for section in sections(researcher)] == [[]]
    assert [section.counters for section in about(researcher, make_staff("support"))] == [[]]
