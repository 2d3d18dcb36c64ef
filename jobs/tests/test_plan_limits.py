"""How many jobs an account may have at a time and in a month: told before, enforced at the end, and no file is lost."""

import json
import threading
from datetime import UTC, date, datetime

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.urls import reverse

from accounts.models import Plan, User
from accounts.plans import change_plan
from conftest import VCF
from gas.objects import objects
from jobs import limits
from jobs.models import Job, MonthlyUse, Upload
from jobs.models.monthly_use import this_month
from jobs.refusals import Refused


@pytest.fixture
def browser(client, researcher):
    client.force_login(researcher)
    return client


def limit(code: str = Plan.FREE, **fields) -> None:
    Plan.objects.filter(pk=code).update(**fields)


def again(user: User) -> User:
    """As the next request reads him."""
    return User.objects.get(pk=user.pk)


def begin(client):
    body = json.dumps({"file_name": "a.vcf", "size": len(VCF)})
    return client.post(reverse("uploads"), body, content_type="application/json")


def send(client) -> str:
    """All but the end; the address of the session."""
    url = begin(client).json()["url"]
    assert client.put(f"{url}parts/1/", VCF, content_type="application/octet-stream").status_code == 204
    return url


# --- at a time ----------------------------------------------------------------------------------------------------------


def test_a_session_beyond_the_limit_is_refused_at_its_start(browser, researcher, make_job):
    limit(concurrent_jobs=2)
    make_job(researcher)
    make_job(researcher).claim("w")  # waits, or runs
    refused = begin(browser)
    assert refused.status_code == 429
    assert refused.json()["error"] == {
        "code": "too_many_jobs",
        "title": "You have too many jobs at a time",
        "detail": "2 of your jobs wait or run; the Free plan takes 2 at a time.",
        "mend": "Wait until one has ended, or cancel one, or upgrade to Premium.",
        "upgrade": True,
    }
    assert Upload.objects.filter(status="OPEN").count() == 0


def test_what_has_ended_or_is_deleted_and_what_others_have_does_not_count(researcher, outsider, make_job):
    limit(concurrent_jobs=1)
    assert make_job(researcher).cancel()
    assert make_job(again(researcher)).delete_soon()
    make_job(outsider)
    assert make_job(again(researcher)).status == "PENDING"


def test_premium_is_offered_only_where_it_helps(premium, researcher, make_job):
    limit(concurrent_jobs=1)
    limit(Plan.PREMIUM, concurrent_jobs=1)
    for user in (premium, researcher):
        make_job(user)
        with pytest.raises(Refused) as refused:
            Upload.start(again(user), "a.vcf", 10)
        assert refused.value.upgrade is False
        assert refused.value.mend == "Wait until one has ended, or cancel one."


def test_at_the_end_the_file_is_kept_and_can_be_completed_later(browser, researcher):
    first, second = send(browser), send(browser)
    limit(concurrent_jobs=1)
    assert browser.post(f"{first}complete/").status_code == 201
    refused = browser.post(f"{second}complete/")
    upload = Upload.objects.get(status="OPEN")
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_jobs")
    until = f"{upload.expires_at:%H:%M} UTC: complete the upload before."
    assert refused.json()["error"]["mend"].endswith(until)
    assert objects("uploads").read(upload.key, 10_000) == VCF
    assert browser.get(second).json()["received"] == [1]  # nothing is sent again
    page = browser.get(reverse("annotate")).content.decode()
    assert "1 of your jobs wait or run" in page
    assert "data-complete" in page
    Job.objects.get().cancel()
    assert browser.post(f"{second}complete/").status_code == 201
    assert Job.objects.active().get().upload == upload


def test_the_plan_of_this_moment_counts(premium, make_job, make_upload):
    limit(concurrent_jobs=1)
    make_job(premium)
    upload = make_upload(premium)
    change_plan(again(premium), Plan.FREE)  # `upload` knows the plan of before
    with pytest.raises(Refused, match="the Free plan takes 1 at a time"):
        upload.complete()
    change_plan(again(premium), Plan.PREMIUM)
    assert upload.complete()


def test_the_page_says_nothing_of_limits_below_them_and_has_no_button_for_half_a_file(browser):
    begin(browser)
    page = browser.get(reverse("annotate")).content.decode()
    assert 'id="refused"' not in page
    assert "data-complete" not in page


def test_the_command_is_refused_too(researcher, make_job, tmp_path):
    limit(concurrent_jobs=1)
    make_job(researcher)
    (path := tmp_path / "mine.vcf").write_bytes(VCF)
    with pytest.raises(CommandError, match="the Free plan takes 1 at a time"):
        call_command("submit", str(path), "--email", "rosalind@example.org")
    assert Job.objects.count() == 1


def test_staff_retries_beyond_the_limit(researcher, make_job):
    limit(concurrent_jobs=1)
    job = make_job(researcher)
    job.cancel()
    make_job(again(researcher))
    assert job.retry()
    assert Job.objects.active().count() == 2


# --- in a month -----------------------------------------------------------------------------------------------------------


def test_the_month_counts_what_is_deleted_and_purged(researcher, make_job):
    limit(monthly_jobs=2)
    for _ in range(2):
        job = make_job(again(researcher))
        job.delete_soon()
        job.purge()
    assert not Job.objects.exists()
    with pytest.raises(Refused) as refused:
        make_job(again(researcher))
    assert (refused.value.code, refused.value.status, refused.value.upgrade) == ("monthly_limit", 429, True)
    assert "2 since the first of the month; the Free plan takes 2 in a month." in refused.value.detail
    assert "or upgrade to Premium" in refused.value.mend
    MonthlyUse.objects.update(month=date(2000, 1, 1))  # a new month
    assert make_job(again(researcher))
    assert sorted(MonthlyUse.objects.values_list("month", "jobs")) == [(date(2000, 1, 1), 2), (this_month(), 1)]


def test_the_month_is_enforced_at_the_end(researcher, outsider, make_upload):
    limit(monthly_jobs=1)
    first, second, other = make_upload(researcher), make_upload(researcher), make_upload(outsider)
    first.complete()
    other.complete()
    with pytest.raises(Refused, match=r"in a month.*kept until"):
        second.complete()
    second.refresh_from_db()
    assert second.status == "OPEN"


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (datetime(2026, 12, 31, 23, 59, tzinfo=UTC), "1 Jan 2027, 00:00 UTC"),
        (datetime(2028, 2, 29, tzinfo=UTC), "1 Mar 2028, 00:00 UTC"),
    ],
)
def test_when_the_next_month_begins(monkeypatch, now, said):
    monkeypatch.setattr("django.utils.timezone.now", lambda: now)
    plan = Plan(code=Plan.PREMIUM, name="Premium", monthly_jobs=0)
    with pytest.raises(Refused) as refused:
        limits.check_month(0, plan)
    assert refused.value.mend == f"Wait until {said}, when the next month begins."
    assert this_month() == date(now.year, now.month, 1)


# --- many at once ---------------------------------------------------------------------------------------------------------


def at_once(acts) -> list:
    """What each returns or raises, all begun at the same moment on connections of their own."""
    start, results = threading.Barrier(len(acts)), []

    def run(act) -> None:
        try:
            start.wait()
            results.append(act())
        except Refused as refused:
            results.append(refused.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[act]) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
@pytest.mark.parametrize(("field", "code"), [("concurrent_jobs", "too_many_jobs"), ("monthly_jobs", "monthly_limit")])
def test_of_many_uploads_that_end_at_once_as_many_as_allowed_become_jobs(researcher, make_upload, field, code):
    uploads = [make_upload(researcher).pk for _ in range(5)]
    limit(**{field: 2})
    mine = [Upload.objects.select_related("owner__profile__plan").get(pk=pk) for pk in uploads]
    results = at_once([upload.complete for upload in mine])
    assert results.count(code) == 3
    assert Job.objects.count() == MonthlyUse.objects.submitted(researcher) == 2
    assert Upload.objects.open().count() == 3


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_an_upload_completed_many_times_at_once_is_not_in_its_own_way(researcher, make_upload):
    upload = make_upload(researcher)
    limit(concurrent_jobs=1)
    results = at_once([Upload.objects.get(pk=upload.pk).complete for _ in range(4)])
    assert [job.pk for job in results] == [Job.objects.get().pk] * 4
