"""manage.py backfill_restores: results come back that their owner's plan keeps."""

from datetime import timedelta

from django.db.models.functions import Now

from accounts.models import Plan, Profile
from archive.models import Restoration
from archive.tests.conftest import CONTENT, check_no_orphans, settle
from archive.tests.operators import put_off, run


def test_a_plan_changed_behind_our_back_brings_all_back(make_archive, researcher, outsider):
    rows = [settle(make_archive(researcher)) for _ in range(3)]
    theirs = settle(make_archive(outsider))
    assert run("backfill_restores") == ["0 chosen, 0 enqueued"]
    Profile.objects.filter(user=researcher).update(plan=Plan.PREMIUM)
    assert run("backfill_restores", "--dry-run")[-1] == "3 chosen, 0 enqueued (dry run)"
    assert run("backfill_restores") == [
        *(f"{row.job_id} ARCHIVED: the plan keeps it" for row in rows),
        "3 chosen, 3 enqueued",
    ]
    assert Restoration.objects.get().results == 3  # one mail says that all are back
    for row in rows:
        assert settle(row).status == "HOT"
        row.job.refresh_from_db()
        assert row.job.can_download
    theirs.refresh_from_db()
    assert theirs.status == "ARCHIVED"
    check_no_orphans(*rows, theirs)
    assert run("backfill_restores") == ["0 chosen, 0 enqueued"]


def test_a_deleted_one_stays_deleted(make_archive, researcher):
    row = settle(make_archive(researcher))
    row.job.delete_soon()
    Profile.objects.filter(user=researcher).update(plan=Plan.PREMIUM)
    assert run("backfill_restores") == ["0 chosen, 0 enqueued"]
    row.refresh_from_db()
    assert (row.status, Restoration.objects.count()) == ("DELETED", 0)


def test_limit_and_user(make_archive, researcher, outsider):
    rows = [settle(make_archive(owner)) for owner in (researcher, researcher, outsider)]
    Profile.objects.update(plan=Plan.PREMIUM)
    assert run("backfill_restores", "--limit=1", "--user=rosalind@example.org")[-1] == "1 chosen, 1 enqueued"
    for row in rows:
        row.refresh_from_db()
    assert [row.status for row in rows] == ["RESTORING", "ARCHIVED", "ARCHIVED"]


def test_what_waits_after_a_failure_is_asked_for_at_once(make_archive, researcher, hints, interposed):
    row = settle(make_archive(researcher))
    row.restore_now()
    row.claim_step()
    row.try_later("The vault is out of reach")
    before = hints("archive")
    assert row.not_before is not None
    assert run("backfill_restores")[-1] == "1 chosen, 1 enqueued"
    row.refresh_from_db()
    assert row.not_before is None
    row.claim_step()  # now somebody has it
    assert run("backfill_restores") == ["0 chosen, 0 enqueued"]
    put_off(row, lease_until=Now() - timedelta(minutes=2))
    assert run("backfill_restores") == [
        f"{row.job_id} RESTORING {len(CONTENT)} bytes",
        "1 chosen, 1 enqueued",
    ]
    assert hints("archive") >= before
