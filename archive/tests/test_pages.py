"""What the pages say of a result that is locked, archived or on its way back; never a link that leads nowhere."""

import re
from datetime import timedelta

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import Plan
from accounts.plans import change_plan
from archive import steps
from archive.models import ResultArchive, Retrieval
from archive.tests.conftest import settle
from gas.objects import LocalObjectStorage
from gas.vaults import vault
from jobs.models import Job

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(client, researcher):
    client.force_login(researcher, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def job_page(browser, row):
    return browser.get(reverse("annotation", args=[row.job_id])).content.decode()


def links_hold(browser, page, row):
    """Each download that a page offers answers with a file."""
    for name in ("annotation_result", "annotation_index"):
        url = reverse(name, args=[row.job_id])
        if url in page:
            answer = browser.get(url, follow=True)
            assert answer.status_code == 200
            assert b"".join(answer.streaming_content)
            assert "attachment" in answer.headers["Content-Disposition"]


def steps_of_a_life(row):
    """Every state in turn."""
    yield "hot"
    settle(row)
    yield "archived"
    change_plan(row.job.owner, Plan.PREMIUM)
    yield "restoring"
    row.refresh_from_db()
    steps.restore(row)
    yield "thawing"
    settle(row)
    yield "back"


def test_no_link_leads_nowhere(browser, archive):
    """Seed defect 25: the link was shown while the result was on its way back."""
    offered = []
    for state in steps_of_a_life(archive):
        for page in (job_page(browser, archive), browser.get(reverse("annotations")).content.decode()):
            links_hold(browser, page, archive)
            if reverse("annotation_result", args=[archive.job_id]) in page:
                offered.append(state)
    assert offered == ["back", "back"]


def test_locked_says_so_and_offers_the_upgrade_wherever_the_result_lies(browser, archive):
    for _ in range(2):
        page = job_page(browser, archive)
        assert "The result is locked" in page
        assert reverse("subscribe") in page
        assert "hx-get" not in page
        settle(archive)
    assert archive.status == "ARCHIVED"


@pytest.mark.parametrize(("left", "most"), [(300, 300), (10**8, 3600)])
def test_an_open_page_looks_again_when_the_time_is_over(browser, archive, left, most):
    Job.objects.update(download_until=Now() + timedelta(seconds=left))
    for page in (job_page(browser, archive), browser.get(reverse("annotations")).content.decode()):
        (polls,) = re.findall(r'hx-trigger="every (\d+)s"', page)
        assert most - 60 < int(polls) <= most


def test_on_its_way_back(browser, archive, settings):
    settings.LOCAL_VAULT_DELAYS = {"Expedited": 300, "Standard": 600, "Bulk": 900}
    settle(archive)
    change_plan(archive.job.owner, Plan.PREMIUM)
    assert "It is being asked for." in job_page(browser, archive)
    archive.refresh_from_db()
    steps.restore(archive)
    retrieval = archive.retrievals.get()
    page = job_page(browser, archive)
    assert "Expedited retrieval, expected by" in page
    assert f"{retrieval.expected_by:%H:%M} UTC" in page
    assert 'hx-trigger="every 5s"' in page
    Retrieval.objects.update(expected_by=Now() - timedelta(seconds=1))
    assert "takes longer than usual" in job_page(browser, archive)
    assert ">Restoring<" in browser.get(reverse("annotations")).content.decode()


@pytest.mark.parametrize("held", [False, True])
def test_what_a_downgrade_leaves_in_the_archive_is_locked_and_not_said_to_come(browser, archive, settings, held):
    settings.FREE_RETENTION = timedelta(days=30)
    settle(archive)
    change_plan(archive.job.owner, Plan.PREMIUM)
    archive.refresh_from_db()
    if held:
        assert archive.claim_step()
    change_plan(archive.job.owner, Plan.FREE)
    settle(archive)
    assert archive.status == "ARCHIVED"
    assert "The result is locked" in job_page(browser, archive)


def test_released_into_the_archive_after_a_downgrade_it_is_locked(browser, archive, settings):
    settings.FREE_RETENTION = timedelta(days=30)
    settle(archive)
    assert archive.quarantine("a test")
    for plan in (Plan.PREMIUM, Plan.FREE):
        change_plan(archive.job.owner, plan)
    archive.refresh_from_db()
    assert "We check this result" in job_page(browser, archive)
    assert steps.release(archive)
    assert archive.status == "ARCHIVED"
    assert "The result is locked" in job_page(browser, archive)


def test_in_quarantine(browser, archive):
    settle(archive)
    change_plan(archive.job.owner, Plan.PREMIUM)
    vault("local").delete_archive(archive.archive_id)
    settle(archive)
    page = job_page(browser, archive)
    assert "We check this result" in page
    assert "Being checked" in browser.get(reverse("annotations")).content.decode()


@pytest.mark.parametrize(("left", "longest"), [(20, 20), (3600, 300)])
def test_a_link_dies_when_the_result_is_locked(browser, archive, left, longest, settings, monkeypatch):
    settings.LINK_LIFETIME = timedelta(minutes=5)
    Job.objects.update(download_until=Now() + timedelta(seconds=left))
    links, make = [], LocalObjectStorage.download_url
    monkeypatch.setattr(
        LocalObjectStorage, "download_url", lambda store, key, **how: links.append(how) or make(store, key, **how)
    )
    browser.get(reverse("annotation_result", args=[archive.job_id]))
    assert longest - 2 <= links[0]["lifetime"].total_seconds() <= longest


def test_a_click_on_an_old_page_is_answered_in_words(browser, archive):
    settle(archive)
    change_plan(archive.job.owner, Plan.PREMIUM)
    answer = browser.get(reverse("annotation_result", args=[archive.job_id]))
    assert answer.headers["Location"] == reverse("annotation", args=[archive.job_id])
    (message,) = get_messages(answer.wsgi_request)
    assert "not back from the archive yet" in str(message)


def test_twelve_of_thirtyseven(browser, make_archive, researcher, settings):
    rows = [make_archive(researcher) for _ in range(3)]
    for row in rows:
        settle(row)
    for name in ("subscribe", "profile", "annotations"):
        assert "restored." not in browser.get(reverse(name)).content.decode()
    change_plan(researcher, Plan.PREMIUM)
    settle(rows[0])
    settings.LOCAL_VAULT_DELAYS = {"Expedited": 300, "Standard": 600, "Bulk": 900}
    for name in ("subscribe", "profile", "annotations"):
        page = browser.get(reverse(name)).content.decode()
        assert "1 of 3 restored." in page
        assert "The others are being asked for from the archive, which usually takes up to 5 minutes." in page
    for row in rows[1:]:
        row.refresh_from_db()
        steps.restore(row)
    Retrieval.objects.update(expected_by=Now() + timedelta(hours=1))
    assert "The others are expected by" in browser.get(reverse("profile")).content.decode()
    Retrieval.objects.update(expected_by=Now() - timedelta(hours=1))
    assert "longer than usual" in browser.get(reverse("profile")).content.decode()
    rows[1].job.delete_soon()
    assert "1 of 2 restored." in browser.get(reverse("profile")).content.decode()
    vault("local").delete_archive(rows[2].archive_id)
    settle(rows[2])
    assert "The others are being checked by us." in browser.get(reverse("profile")).content.decode()
    rows[2].job.delete_soon()
    assert "restored." not in browser.get(reverse("profile")).content.decode()


def test_queries_of_the_list_do_not_grow(browser, make_archive, researcher):
    counts = []
    browser.get(reverse("annotations"))  # the first of a session writes its row
    for _ in range(2):
        settle(make_archive(researcher))
        with CaptureQueriesContext(connection) as queries:
            browser.get(reverse("annotations"))
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_the_results_of_others_are_404(browser, make_archive, outsider):
    row = make_archive(outsider)
    for name in ("annotation", "annotation_result"):
        assert browser.get(reverse(name, args=[row.job_id])).status_code == 404
    assert ResultArchive.objects.count() == 1
