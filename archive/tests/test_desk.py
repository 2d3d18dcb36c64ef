"""Figures of the archive at the desk."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db.models.functions import Now
from django.template.defaultfilters import filesizeformat

from archive.desk import about, sections
from archive.models import Restoration, ResultArchive
from archive.tests.conftest import CONTENT, settle


@pytest.fixture
def operator(make_staff):
    return make_staff("operator")


@pytest.fixture
def figures(operator):
    """The counters of a section by their labels, counted now."""

    def read(title):
        cache.clear()
        found = next(section for section in sections(operator) if section.title == title)
        return {counter.label: counter for counter in found.counters}

    return read


def values(counters):
    return {label: counter.value for label, counter in counters.items()}


NOTHING = dict.fromkeys(
    ("hot", "archiving", "purging", "archived", "restoring", "thawing", "quarantined", "deleted", "held up"), 0
)


def test_archives_by_state(make_archive, researcher, figures, desk):
    settle(make_archive(researcher))
    make_archive(researcher, due=False)
    assert values(figures("Archive")) == NOTHING | {"archived": 1, "hot": 1}
    client = desk("support")
    for label, counter in figures("Archive").items():
        assert client.get(counter.url).context["cl"].result_count == counter.value, label


def test_quarantine_is_to_be_looked_at(make_archive, researcher, figures):
    assert figures("Archive")["quarantined"].level == "info"
    row = make_archive(researcher)
    assert row.quarantine("the digest does not hold")
    assert (figures("Archive")["quarantined"].value, figures("Archive")["quarantined"].level) == (1, "danger")


def test_held_up(make_archive, researcher, figures, desk):
    row = make_archive(researcher)
    ResultArchive.objects.filter(pk=row.pk).update(next_action_at=Now() - timedelta(minutes=3))
    held_up = figures("Archive")["held up"]
    assert (held_up.value, held_up.level) == (1, "danger")
    assert timedelta(minutes=3) <= held_up.age < timedelta(minutes=4)
    assert list(desk("support").get(held_up.url).context["cl"].result_list) == [row]


def test_storage_by_plan(make_archive, researcher, premium, figures):
    settle(make_archive(researcher))
    make_archive(premium, due=False)
    make_archive(premium, due=False)
    one = filesizeformat(len(CONTENT))
    assert values(figures("Storage of results by plan")) == {
        "Free, hot": filesizeformat(0),
        "Free, archived": one,
        "Premium, hot": filesizeformat(2 * len(CONTENT)),
        "Premium, archived": filesizeformat(0),
    }


def test_whole_tables_are_not_counted_each_time(make_archive, researcher, operator):
    cache.clear()
    sections(operator)
    make_archive(researcher, due=False)
    found = {section.title: section for section in sections(operator)}
    assert found["Storage of results by plan"].counters[0].value == filesizeformat(0)
    assert found["Storage of results by plan"].note.startswith("Counted at ")


def test_mails_of_restores(premium, figures, desk):
    row = Restoration.objects.create(user=premium, next_action_at=Now())
    assert values(figures("Mails about restores")) == {"failed": 0}
    row.refresh_from_db()
    assert row.claim()
    assert row.failed("refused")
    failed = figures("Mails about restores")["failed"]
    assert (failed.value, failed.level) == (1, "danger")
    assert list(desk("support").get(failed.url).context["cl"].result_list) == [row]


def test_of_a_user(make_archive, researcher, outsider, operator, desk):
    row = settle(make_archive(researcher))
    mine, restores = about(researcher, operator)
    assert {each.label: each.value for each in mine.counters} == {
        "all": 1, "hot": filesizeformat(0), "archived": filesizeformat(len(CONTENT))
    }  # fmt: skip
    assert list(desk("support").get(mine.counters[0].url).context["cl"].result_list) == [row]
    assert restores.counters[0].value == 0
    assert about(outsider, operator)[0].counters[0].value == 0


def test_who_may_see_nothing_sees_nothing(researcher):
    assert sections(researcher) == []
    assert about(researcher, researcher) == []
