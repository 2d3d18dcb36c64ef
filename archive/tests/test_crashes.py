"""A worker killed before or after any effect, of the database, the bucket or the vault: nothing is lost, and nothing stays."""

import pytest
from django.conf import settings

from accounts.models import Plan
from accounts.plans import change_plan
from archive import steps
from archive.tests.conftest import (
    KINDS,
    archives,
    check_no_orphans,
    check_recoverable,
    end_window,
    pass_time,
    settle,
    take_step,
)
from archive.tests.interposed import Killed, moments
from gas.vaults import CapacityExceeded, vault

pytestmark = pytest.mark.django_db


def kill():
    raise Killed


def run(row, interposed):
    """The worker goes on until it is killed or nothing is due."""
    try:
        while take_step(row):
            pass_time(row)
    except Killed:
        interposed.disarm()
        check_recoverable(row)
        return True
    return False


def upgraded(row):
    assert change_plan(row.job.owner, Plan.PREMIUM)


def downgraded(row):
    assert change_plan(row.job.owner, Plan.FREE)


def archived(row):
    end_window(row)
    assert settle(row).status == "ARCHIVED"


def to_archive(row):
    end_window(row)


def to_thaw(row):
    archived(row)
    upgraded(row)


def upgraded_while_archiving(row):
    """Its archiver was killed after the upload; then the upgrade came."""
    end_window(row)
    store = steps.vault(settings.VAULT)
    assert row.claim_archiving(store)
    with steps.objects("results").open_stream(row.hot_key) as hot:
        store.archive(hot, row.archive_name, row.size, row.sha256)
    upgraded(row)


def downgraded_while_retrieving(row):
    to_thaw(row)
    pass_time(row)
    assert take_step(row)
    downgraded(row)


def deleted_while_retrieving(row):
    to_thaw(row)
    pass_time(row)
    assert take_step(row)
    assert row.job.delete_soon()


def refused_by_the_first_tier(row):
    to_thaw(row)


SCENARIOS = {
    to_archive: "ARCHIVED",
    to_thaw: "HOT",
    upgraded_while_archiving: "HOT",
    downgraded_while_retrieving: "HOT",
    deleted_while_retrieving: "DELETED",
    refused_by_the_first_tier: "HOT",
}


@pytest.mark.parametrize("kind", KINDS, indirect=True)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_killed_anywhere(scenario, kind, make_archive, researcher, interposed, monkeypatch):
    if scenario is refused_by_the_first_tier:
        _refuse_expedited(monkeypatch)
    kills, rows = 0, []
    for at, after in moments():
        researcher.refresh_from_db()
        change_plan(researcher, Plan.FREE)
        row = make_archive(researcher, due=False)
        scenario(row)
        pass_time(row)
        interposed.arm(at, after=after, act=kill)
        killed = run(row, interposed)
        interposed.disarm()
        settle(row)
        check_recoverable(row)
        assert row.status == SCENARIOS[scenario], (interposed.done, at, after)
        rows.append(row)
        _forget(rows)
        if kind == "glacier":
            delete_lost_archives(row)
        check_no_orphans(row)
        kills += killed
        if not killed:
            break
    assert kills >= 3
    print(f"{scenario.__name__}: killed {kills} times, effects {interposed.done}")


def delete_lost_archives(row):
    """Glacier chooses the ids: what it has told nobody, who was killed, only its inventory shows."""
    for lost in archives("glacier") - {row.archive_id}:
        vault("glacier").delete_archive(lost)


def _forget(rows):
    """Earlier rows leave, so that the stores hold only what the last one has."""
    for row in rows[:-1]:
        if row.status != "DELETED":
            row.job.delete_soon()
            assert settle(row).status == "DELETED"
    del rows[:-1]


def _refuse_expedited(monkeypatch):
    vault = steps.vault

    class Refusing:
        def __init__(self, target):
            self.target = target

        def __getattr__(self, name):
            return getattr(self.target, name)

        def initiate_retrieval(self, archive_id, tier, token):
            if tier == "Expedited":
                raise CapacityExceeded("no capacity")
            return self.target.initiate_retrieval(archive_id, tier, token)

    monkeypatch.setattr(steps, "vault", lambda kind: Refusing(vault(kind)))
