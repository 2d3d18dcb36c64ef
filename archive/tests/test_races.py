"""What happens at the same moment: the user upgrades, downgrades or deletes, or another worker takes the row over."""

from datetime import timedelta
from functools import partial
from io import BytesIO

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import Plan
from accounts.plans import change_plan
from archive import steps, tasks
from archive.models import ResultArchive, Retrieval
from archive.tests.conftest import (
    CONTENT,
    archives,
    check_no_orphans,
    check_recoverable,
    end_window,
    hot_copies,
    pass_time,
    settle,
    take_step,
)
from archive.tests.interposed import moments
from gas.hints import dispatch_due
from gas.objects import objects
from gas.tree_hash import HashingReader
from gas.vaults import IntegrityError, vault

pytestmark = pytest.mark.django_db


def upgrade(row):
    change_plan(row.job.owner, Plan.PREMIUM)


def downgrade(row):
    change_plan(row.job.owner, Plan.FREE)


def delete(row):
    assert row.job.delete_soon()


def take_over(row):
    """The lease runs out, and another worker goes on to the end."""
    settle(ResultArchive.objects.get(pk=row.pk))


def to_archive(row):
    end_window(row)


def to_thaw(row):
    end_window(row)
    assert settle(row).status == "ARCHIVED"
    upgrade(row)


RACES = [
    (to_archive, upgrade, {"HOT"}),
    (to_archive, delete, {"DELETED"}),
    (to_archive, take_over, {"ARCHIVED"}),
    (to_thaw, downgrade, {"HOT", "ARCHIVED"}),
    (to_thaw, delete, {"DELETED"}),
    (to_thaw, take_over, {"HOT"}),
]


@pytest.mark.parametrize(
    ("scenario", "event", "ends"), RACES, ids=[f"{scenario.__name__}-{event.__name__}" for scenario, event, _ in RACES]
)
def test_at_every_moment(scenario, event, ends, make_archive, researcher, interposed):
    """Seed defect 23: an upgrade while the archiver was at work left a Premium result in the vault, for ever."""
    moments_seen, seen = 0, set()
    for at, after in moments():
        researcher.refresh_from_db()
        change_plan(researcher, Plan.FREE)
        row = make_archive(researcher, due=False)
        scenario(row)
        pass_time(row)
        happened = []
        interposed.arm(at, after=after, act=partial(_happen, event, row, happened))
        while take_step(row):
            check_recoverable(row)
            pass_time(row)
        interposed.disarm()
        if not happened:
            break
        settle(row)
        check_recoverable(row)
        assert row.status in ends, (interposed.done, at, after)
        check_no_orphans(row)
        check_access(row)
        seen.add(row.status)
        moments_seen += 1
        if row.status != "DELETED":
            delete(row)
            settle(row)
        assert not archives("local")
        assert not hot_copies()
    assert moments_seen >= 7
    assert seen == ends


def _happen(event, row, happened):
    happened.append(event.__name__)
    event(row)


def check_access(row):
    """A link is shown exactly when the plan allows it and the hot copy is there."""
    if row.status == "DELETED":
        return
    row.job.refresh_from_db()
    row.job.archive.refresh_from_db()
    free = row.job.owner.plan.download_window is not None
    assert (row.job.download_until is not None) == free
    if not free:
        assert row.job.can_download


def test_an_upgrade_twice_retrieves_once(archive, researcher):
    """Seed defect 26."""
    settle(archive)
    upgrade(archive)
    upgrade(archive)
    copies = [ResultArchive.objects.get(pk=archive.pk) for _ in range(2)]
    for copy in copies:
        steps.restore(copy)
    assert Retrieval.objects.count() == 1
    assert researcher.restorations.get().results == 1


def test_archived_again_after_the_thaw(archive):
    settle(archive)
    first = archive.archive_id
    upgrade(archive)
    thawed = settle(archive).hot_key
    downgrade(archive)
    end_window(archive)
    assert settle(archive).status == "ARCHIVED"
    assert archive.archive_id != first
    upgrade(archive)
    assert settle(archive).hot_key != thawed
    check_no_orphans(archive)


def test_the_clock_of_the_worker_does_not_count(make_archive, researcher, monkeypatch):
    row = make_archive(researcher, due=False)
    real = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: real() + timedelta(days=1))
    steps.archive(row)
    assert row.status == "HOT"
    monkeypatch.setattr(timezone, "now", lambda: real() - timedelta(days=1))
    end_window(row)
    steps.archive(row)
    assert row.status == "ARCHIVED"


def test_two_dispatchers_send_one_hint(archive, hints):
    ResultArchive.objects.filter(pk=archive.pk).update(next_action_at=Now() - timedelta(seconds=1))
    before = hints("archive")
    dispatch_due()
    dispatch_due()
    assert hints("archive") == before + 1


@pytest.mark.parametrize("actor", [tasks.archive_result, tasks.restore_result, tasks.thaw_result, tasks.delete_archive])
def test_hints_for_what_is_gone_or_elsewhere(actor, archive):
    settle(archive)
    actor.fn(str(archive.pk))
    archive.refresh_from_db()
    assert archive.status == "ARCHIVED"
    ResultArchive.objects.all().delete()
    actor.fn(str(archive.pk))


def test_archived_again_it_goes_to_the_vault_of_now(archive, settings, monkeypatch):
    settle(archive)
    upgrade(archive)
    assert settle(archive).vault == "local"
    downgrade(archive)
    end_window(archive)
    settings.VAULT = "s3"
    asked = []
    monkeypatch.setattr(steps, "vault", lambda kind: asked.append(kind) or vault("local"))
    steps.archive(archive)
    assert asked[0] == "s3"


def test_deleted_right_after_the_upgrade_while_an_archiver_still_uploads(archive):
    store = vault("local")
    assert archive.claim_archiving(store)
    upgrade(archive)
    delete(archive)
    deleted = ResultArchive.objects.get(pk=archive.pk)
    steps.delete(deleted)
    assert deleted.next_action_at > timezone.now() + timedelta(seconds=30)  # he may write until his lease ends
    objects("results").put_stream(archive.hot_key, BytesIO(CONTENT), len(CONTENT))
    with objects("results").open_stream(archive.hot_key) as hot:
        store.archive(hot, archive.archive_name, archive.size, archive.sha256)
    assert settle(deleted).next_action_at is None
    check_no_orphans(deleted)


def test_who_uploads_what_is_deleted_meanwhile_takes_his_archive_away(archive):
    row = ResultArchive.objects.get(pk=archive.pk)
    with pytest.MonkeyPatch.context() as dry:
        dry.setattr(steps.ResultArchive, "archived_as", lambda _row, _: delete(archive))  # None: he is too late
        steps.archive(row)
    assert archives("local") == set()


def test_a_thaw_that_lost_its_lease_does_not_delete_the_hot_copy_of_another(archive, monkeypatch):
    settle(archive)
    upgrade(archive)
    archive.refresh_from_db()
    steps.restore(archive)
    stale = ResultArchive.objects.get(pk=archive.pk)
    read = HashingReader.read

    def interrupted(reader, size):
        monkeypatch.setattr(HashingReader, "read", read)
        take_over(archive)
        raise IntegrityError("cut")

    monkeypatch.setattr(HashingReader, "read", interrupted)
    pass_time(stale)
    stale.refresh_from_db()
    steps.thaw(stale)
    archive.refresh_from_db()
    assert archive.status == "HOT"
    assert hot_copies() == {archive.hot_key}


def test_upgrade_downgrade_upgrade_counts_what_is_on_its_way(archive, researcher):
    settle(archive)
    upgrade(archive)
    archive.refresh_from_db()
    steps.restore(archive)
    downgrade(archive)
    upgrade(archive)
    restoration = researcher.restorations.get()
    assert (restoration.results, restoration.back) == (1, 0)
    assert settle(archive).status == "HOT"
    assert restoration.back == 1
    assert Retrieval.objects.count() == 1
