"""manage.py backfill_archives: rows, timers and windows for results that have none."""

import pytest
from django.utils import timezone

from accounts.models import Plan, Profile
from archive.models import ResultArchive
from archive.tests.conftest import settle
from archive.tests.operators import put_off, run


def test_a_job_without_a_row_gets_one(make_archive, researcher, make_job):
    row = make_archive(researcher)
    make_job(researcher)  # one that is not completed
    job = row.job
    row.delete()
    assert run("backfill_archives", "--dry-run")[-1] == "1 chosen, 0 enqueued (dry run)"
    assert run("backfill_archives") == [f"{job.pk}: the archive does not know it", "1 chosen, 1 enqueued"]
    made = ResultArchive.objects.get(job=job)
    assert (made.hot_key, made.size, made.sha256) == (job.result_key, job.result_size, job.result_sha256)
    assert run("backfill_archives") == ["0 chosen, 0 enqueued"]


def test_results_that_were_too_small_get_a_timer(make_archive, researcher, settings):
    settings.ARCHIVE_MIN_BYTES = 10**9
    row = make_archive(researcher, due=False)
    assert row.next_action_at is None
    assert run("backfill_archives")[-1] == "0 chosen, 0 enqueued"
    settings.ARCHIVE_MIN_BYTES = 0
    assert run("backfill_archives")[-1] == "1 chosen, 1 enqueued"
    row.refresh_from_db()
    assert row.next_action_at == pytest.approx(row.archive_at, abs=timezone.timedelta(seconds=2))
    assert run("backfill_archives") == ["0 chosen, 0 enqueued"]


def test_a_plan_changed_behind_our_back_begins_a_window(make_archive, premium, researcher):
    kept, other = make_archive(premium, due=False), make_archive(researcher, due=False)
    before = other.archive_at
    assert run("backfill_archives") == ["0 chosen, 0 enqueued"]
    Profile.objects.filter(user=premium).update(plan=Plan.FREE)
    assert run("backfill_archives")[-1] == "1 chosen, 1 enqueued"
    kept.refresh_from_db()
    window = Plan.objects.get(pk=Plan.FREE).download_window
    assert kept.archive_at - timezone.now() == pytest.approx(window, abs=timezone.timedelta(seconds=5))
    kept.job.refresh_from_db()
    assert kept.job.download_until == pytest.approx(kept.archive_at, abs=timezone.timedelta(seconds=5))
    assert kept.next_action_at is not None
    other.refresh_from_db()
    assert other.archive_at == before


def test_it_leaves_alone_what_is_archived_or_deleted(make_archive, researcher):
    assert settle(make_archive(researcher)).status == "ARCHIVED"
    deleted = make_archive(researcher)
    deleted.job.delete_soon()
    put_off(deleted, next_action_at=None)
    assert run("backfill_archives") == ["0 chosen, 0 enqueued"]
