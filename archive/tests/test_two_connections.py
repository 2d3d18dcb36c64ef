"""Two transactions at the same moment: what one has not committed yet, the other waits for, and then goes by what is new."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import Plan
from accounts.plans import change_plan
from archive import steps
from archive.models import ResultArchive
from archive.tests.conftest import pass_time, settle, take_step
from gas.testing.processes import wait_until
from gas.vaults import vault
from jobs.models import Job

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)


def both(first, second, *, between=None):
    """`first` and `between` in a transaction that is open until `second`, in one of its own, waits for it."""
    answers = {}
    thread = threading.Thread(target=_keep, args=[second, answers])
    with transaction.atomic():
        first_answer = first()
        thread.start()
        _wait_until_it_waits(thread)
        if between:
            between()
    thread.join()
    if error := answers.get("error"):
        raise error
    return first_answer, answers["answer"]


def _keep(do, answers):
    try:
        answers["answer"] = do()
    except BaseException as error:  # noqa: BLE001 (the other thread raises it)
        answers["error"] = error
    finally:
        connection.close()


def _wait_until_it_waits(thread):
    if connection.vendor != "postgresql":
        thread.join(0.2)  # it cannot be seen there
        assert thread.is_alive()
        return
    others = "SELECT 1 FROM pg_locks WHERE NOT granted"
    with connection.cursor() as cursor:
        wait_until(lambda: cursor.execute(others).fetchone(), "a wait for our lock")


def in_either_order(upgrade_first, change, move):
    if upgrade_first:
        return both(change, move)[1]
    return both(move, change)[0]


def to(row, plan):
    return lambda: change_plan(row.job.owner, plan)


def purging(row):
    """Its archive is verified, its hot copy deleted; what is left is to say so."""
    assert row.claim_archiving(vault("local"))
    with steps.objects("results").open_stream(row.hot_key) as hot:
        archived = vault("local").archive(hot, row.archive_name, row.size, row.sha256)
    assert row.archived_as(archived)
    assert row.claim_purging()
    steps.objects("results").delete(row.hot_key)
    return row


def retrieved(row):
    """What is left is to say that the hot copy is there."""
    settle(row)
    change_plan(row.job.owner, Plan.PREMIUM)
    pass_time(row)
    assert take_step(row)
    row.refresh_from_db()
    pass_time(row)
    assert row.status == "THAWING"
    assert row.claim_step()
    with steps.vault("local").open_retrieved(row.archive_id, row.retrieval.vault_id) as cold:
        steps.objects("results").put_stream(row.thawed_key, cold, row.size)
    return row


@pytest.mark.parametrize("upgrade_first", [True, False])
def test_upgrade_while_the_archiver_says_that_the_hot_copy_is_gone(upgrade_first, archive):
    row = purging(archive)
    assert in_either_order(upgrade_first, to(row, Plan.PREMIUM), row.purged)
    row.refresh_from_db()
    assert (row.status, row.archive_at) == ("RESTORING", None)
    assert settle(row).status == "HOT"
    assert row.job.can_download


@pytest.mark.parametrize("upgrade_first", [True, False])
def test_upgrade_while_an_archiver_claims(upgrade_first, archive):
    claimed = in_either_order(upgrade_first, to(archive, Plan.PREMIUM), lambda: archive.claim_archiving(vault("local")))
    assert claimed is not upgrade_first
    archive.refresh_from_db()
    assert (archive.status, archive.archive_at) == ("HOT", None)


def test_two_archivers_claim(archive):
    rival = ResultArchive.objects.get(pk=archive.pk)
    claims = both(lambda: archive.claim_archiving(vault("local")), lambda: rival.claim_archiving(vault("local")))
    assert claims == (True, False)
    archive.refresh_from_db()
    assert archive.attempt == 1


@pytest.mark.parametrize("downgrade_first", [True, False])
def test_downgrade_while_a_restorer_claims(downgrade_first, archive):
    settle(archive)
    change_plan(archive.job.owner, Plan.PREMIUM)
    archive.refresh_from_db()
    claimed = in_either_order(downgrade_first, to(archive, Plan.FREE), archive.claim_step)
    assert claimed is not downgrade_first
    archive.refresh_from_db()
    assert archive.status == ("ARCHIVED" if downgrade_first else "RESTORING")
    assert archive.archive_at is not None


@pytest.mark.parametrize("downgrade_first", [True, False])
def test_downgrade_while_a_thaw_ends(downgrade_first, archive):
    row = retrieved(archive)
    assert in_either_order(downgrade_first, to(row, Plan.FREE), lambda: row.thawed(row.thawed_key, row.sha256))
    row = ResultArchive.objects.get(pk=row.pk)
    assert row.status == "HOT"
    assert row.job.download_until is not None
    assert row.archive_at is not None
    assert row.archive_at - timezone.now() > timedelta(minutes=4)


@pytest.mark.parametrize("upgrade_first", [True, False])
def test_upgrade_while_a_job_completes(upgrade_first, make_archive, researcher, monkeypatch):
    """Of a job that its worker holds since before: the plan that he has seen does not count."""
    orders, complete = [], Job.complete

    def completed(job, result):
        assert job.owner.plan.code == Plan.FREE
        orders.append(
            in_either_order(upgrade_first, lambda: change_plan(job.owner, Plan.PREMIUM), lambda: complete(job, result))
        )
        return orders[-1]

    monkeypatch.setattr(Job, "complete", completed)
    row = ResultArchive.objects.get(pk=make_archive(researcher, due=False).pk)
    assert orders == [True]
    assert (row.job.download_until, row.archive_at, row.next_action_at) == (None, None, None)


def test_a_purge_waits_for_whoever_holds_the_job_first(archive):
    job = archive.job
    assert job.delete_soon()
    settle(archive)
    hold = Job.objects.select_for_update().filter(pk=job.pk).first
    rows = ResultArchive.objects.filter(pk=archive.pk)
    both(hold, Job.objects.get(pk=job.pk).purge, between=lambda: rows.update(hints=F("hints") + 1))
    assert not Job.objects.filter(pk=job.pk).exists()
    assert rows.get().job is None


def test_a_warning_and_a_downgrade_take_their_rows_in_one_order(make_archive, researcher, settings):
    """Both end the mail that warns of the archive, and set the row's timer."""
    settings.FREE_RETENTION, settings.ARCHIVE_WARNING = timedelta(days=3), timedelta(days=2)
    row = make_archive(researcher, due=False)
    both(
        Job.objects.filter(pk=row.job_id).select_for_update().first,
        row.wait_for_window,
        between=lambda: ResultArchive.objects.filter(pk=row.pk).update(hints=F("hints") + 1),
    )
    assert row.job.notifications.filter(kind="expiring").count() == 1


def test_the_dispatcher_does_not_look_at_rows_that_wait_for_nothing(archive):
    settle(archive)
    _copy_rows(archive, 100_000)
    end = Now() - timedelta(seconds=1)
    some = list(ResultArchive.objects.exclude(pk=archive.pk).values_list("pk", flat=True)[:100])
    ResultArchive.objects.filter(pk__in=some).update(next_action_at=end)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE archive_resultarchive" if connection.vendor == "postgresql" else "ANALYZE")
    plan = ResultArchive.objects.due()[:100].explain()
    assert "archive_due" in plan, plan
    begin = time.process_time()
    assert len(ResultArchive.objects.due()[:100]) == 100
    assert time.process_time() - begin < 1


def _copy_rows(row, count):
    """Rows of deleted results: `count` copies of this one."""
    names = [field.column for field in ResultArchive._meta.concrete_fields]
    new = {"status": "'DELETED'", "job_id": "NULL", "deleted_at": "CURRENT_TIMESTAMP", "next_action_at": "NULL"}
    new["id"] = "gen_random_uuid()" if connection.vendor == "postgresql" else "lower(hex(randomblob(16)))"
    numbers = f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})"
    columns, values = ", ".join(names), ", ".join(new.get(name, f"archive_resultarchive.{name}") for name in names)
    with connection.cursor() as cursor:
        cursor.execute(
            f"{numbers} INSERT INTO archive_resultarchive ({columns}) SELECT {values} "
            "FROM archive_resultarchive, numbers WHERE archive_resultarchive.id = %s",
            [row.pk if connection.vendor == "postgresql" else row.pk.hex],
        )
    assert ResultArchive.objects.count() == count + 1
