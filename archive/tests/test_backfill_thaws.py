"""manage.py backfill_thaws: what was retrieved comes back, what is superfluous in the vault goes."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from archive import steps
from archive.models import Retrieval
from archive.tests.conftest import archives, settle
from archive.tests.operators import put_off, run


@pytest.fixture
def thawing(make_archive, researcher, settings):
    row = settle(make_archive(researcher))
    settings.LOCAL_VAULT_DELAYS = {"Expedited": 3600, "Standard": 3600, "Bulk": 3600}
    row.restore_now()
    steps.restore(row)
    assert row.status == "THAWING"
    return row


def test_a_retrieval_that_takes_longer_than_usual_is_looked_at(thawing):
    put_off(thawing, next_action_at=Now() + timedelta(minutes=5))
    assert run("backfill_thaws") == ["0 chosen, 0 enqueued"]
    Retrieval.objects.update(expected_by=Now() - timedelta(seconds=1))
    assert run("backfill_thaws", "--dry-run")[-1] == "1 chosen, 0 enqueued (dry run)"
    assert run("backfill_thaws")[-1] == "1 chosen, 1 enqueued"


def test_an_overdue_thaw_is_taken_up_unless_somebody_has_it(thawing):
    put_off(thawing, next_action_at=Now() - timedelta(minutes=2))
    assert run("backfill_thaws", "--user=rosalind@example.org")[-1] == "1 chosen, 1 enqueued"
    thawing.refresh_from_db()
    thawing.claim_step()
    Retrieval.objects.update(expected_by=Now() - timedelta(seconds=1))
    put_off(thawing, next_action_at=Now() - timedelta(minutes=2))
    assert run("backfill_thaws") == ["0 chosen, 0 enqueued"]


def test_archives_that_are_left_over(make_archive, researcher, interposed):
    hot, deleted = settle(make_archive(researcher)), settle(make_archive(researcher))
    deleted.job.delete_soon()
    deleted.refresh_from_db()
    put_off(hot, status="HOT", archive_at=None, next_action_at=Now() + timedelta(minutes=5), failures=1)
    put_off(deleted, next_action_at=Now() - timedelta(minutes=2))
    assert run("backfill_thaws", "--user=rosalind@example.org")[-1] == "2 chosen, 2 enqueued"
    assert run("backfill_thaws")[-1] == "1 chosen, 1 enqueued"  # the other is not overdue any more
    assert settle(deleted).status == "DELETED"
    assert archives("local") == {hot.archive_id}


def test_the_last_look_at_a_deleted_one_stays_after_its_last_lease(make_archive, researcher):
    row = make_archive(researcher)
    row.job.delete_soon()
    until = Now() + timedelta(minutes=1)
    put_off(row, next_action_at=Now() - timedelta(minutes=2), not_before=until)
    run("backfill_thaws")
    row.refresh_from_db()
    assert row.not_before is not None
