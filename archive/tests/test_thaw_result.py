"""restore_result, thaw_result and delete_archive: out of the vault, and back into the bucket."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Plan
from accounts.plans import change_plan
from archive import steps
from archive.models import ResultArchive, Retrieval
from archive.tests.conftest import CONTENT, archives, check_no_orphans, end_window, hot_copies, pass_time, settle
from gas.objects import objects
from gas.vaults import CapacityExceeded, RetrievalPolicyExceeded, vault

pytestmark = pytest.mark.django_db


@pytest.fixture
def archived(archive):
    assert settle(archive).status == "ARCHIVED"
    return archive


@pytest.fixture
def restoring(archived):
    assert change_plan(archived.job.owner, Plan.PREMIUM)
    archived.refresh_from_db()
    assert archived.status == "RESTORING"
    return archived


def refuse(monkeypatch, refusals):
    """The vault refuses some tiers."""
    local, asked = type(vault("local")), []
    initiate = local.initiate_retrieval

    def asked_for(self, archive_id, tier, token):
        asked.append(tier)
        if tier in refusals:
            raise refusals[tier]
        return initiate(self, archive_id, tier, token)

    monkeypatch.setattr(local, "initiate_retrieval", asked_for)
    return asked


def test_an_upgrade_says_what_comes_back(make_archive, researcher, hints, django_capture_on_commit_callbacks):
    rows = [make_archive(researcher) for _ in range(3)]
    for row in rows[:2]:
        settle(row)
    with django_capture_on_commit_callbacks(execute=True):
        change_plan(researcher, Plan.PREMIUM)
    restoration = researcher.restorations.get()
    assert (restoration.results, restoration.size) == (2, 2 * len(CONTENT))
    assert set(restoration.archives.all()) == set(rows[:2])
    assert hints("archive") == 2
    assert not ResultArchive.objects.exclude(archive_at=None).exists()
    rows[2].refresh_from_db()
    assert (rows[2].status, rows[2].next_action_at) == ("HOT", None)


@pytest.fixture
def purging(archive):
    """Archived and verified; nobody has begun to delete the hot copy."""
    store = vault("local")
    assert archive.claim_archiving(store)
    with objects("results").open_stream(archive.hot_key) as hot:
        archived = store.archive(hot, archive.archive_name, archive.size, archive.sha256)
    assert archive.archived_as(archived)
    return archive


def test_an_upgrade_before_the_hot_copy_is_deleted_keeps_it(purging, researcher):
    change_plan(researcher, Plan.PREMIUM)
    assert not purging.claim_purging()
    key = purging.hot_key
    assert settle(purging).status == "HOT"
    assert (purging.hot_key, Retrieval.objects.count()) == (key, 0)
    check_no_orphans(purging)


def test_who_has_begun_to_delete_the_hot_copy_goes_on(purging, researcher):
    assert purging.claim_purging()
    assert purging.try_later("away")
    change_plan(researcher, Plan.PREMIUM)
    assert settle(purging).status == "HOT"
    assert Retrieval.objects.get().outcome == "thawed"


def test_an_upgrade_while_the_hot_copy_is_deleted_counts_it(purging, researcher):
    archive = purging
    assert archive.claim_purging()
    change_plan(researcher, Plan.PREMIUM)
    objects("results").delete(archive.hot_key)
    assert archive.purged()
    assert archive.status == "RESTORING"
    assert (researcher.restorations.get().total, researcher.restorations.get().back) == (1, 0)
    assert settle(archive).status == "HOT"


def test_an_upgrade_without_anything_archived(make_archive, researcher):
    make_archive(researcher)
    change_plan(researcher, Plan.PREMIUM)
    assert not researcher.restorations.exists()


def test_the_results_of_others_stay(make_archive, researcher, outsider):
    row = make_archive(outsider)
    settle(row)
    change_plan(researcher, Plan.PREMIUM)
    row.refresh_from_db()
    assert row.status == "ARCHIVED"


def test_expedited_first(restoring, settings):
    settings.LOCAL_VAULT_DELAYS = {"Expedited": 60, "Standard": 600, "Bulk": 6000}
    steps.restore(restoring)
    retrieval = restoring.retrievals.get()
    assert (restoring.status, retrieval.tier) == ("THAWING", "Expedited")
    assert (retrieval.expected_by - timezone.now()).total_seconds() == pytest.approx(60, abs=3)
    pass_time(restoring)
    restoring.refresh_from_db()
    steps.thaw(restoring)
    assert restoring.status == "THAWING"
    assert (restoring.next_action_at - timezone.now()).total_seconds() == pytest.approx(5, abs=2)
    assert not hot_copies()


@pytest.mark.parametrize("refusal", [CapacityExceeded("full"), RetrievalPolicyExceeded("enough")])
def test_standard_when_expedited_is_refused(restoring, monkeypatch, refusal):
    asked = refuse(monkeypatch, {"Expedited": refusal})
    steps.restore(restoring)
    assert (asked, restoring.retrievals.get().tier) == (["Expedited", "Standard"], "Standard")
    assert settle(restoring).status == "HOT"


def test_all_tiers_refused_means_later_and_from_the_first(restoring, monkeypatch):
    """Seed defects 19 and 35: what was refused was never asked for again, or ended the worker."""
    full = {tier: CapacityExceeded("full") for tier in ("Expedited", "Standard")}
    with monkeypatch.context() as patched:
        refuse(patched, full)
        steps.restore(restoring)
    assert (restoring.status, restoring.failures) == ("RESTORING", 1)
    assert restoring.error == "No tier was granted (Expedited: full; Standard: full)"
    assert settle(restoring).status == "HOT"
    assert Retrieval.objects.get().tier == "Expedited"


def test_only_the_most_recent_by_the_dear_tier(make_archive, researcher, settings):
    settings.EXPEDITED_MAX_FILES = 1
    rows = [make_archive(researcher) for _ in range(3)]
    for row in rows:
        settle(row)
    change_plan(researcher, Plan.PREMIUM)
    for row in rows:
        row.refresh_from_db()
        steps.restore(row)
    assert [row.retrievals.get().tier for row in rows] == ["Standard", "Standard", "Expedited"]


def test_thawed(restoring):
    first = restoring.hot_key
    settle(restoring)
    assert (restoring.status, restoring.archive_id, restoring.next_action_at) == ("HOT", "", None)
    assert restoring.hot_key != first
    restoring.job.refresh_from_db()
    assert restoring.job.result_key == restoring.hot_key
    assert objects("results").read(restoring.hot_key, len(CONTENT) + 1) == CONTENT
    assert Retrieval.objects.get().outcome == "thawed"
    check_no_orphans(restoring)


def test_a_holder_that_has_lost_it_ends_no_retrieval_of_another(restoring, monkeypatch):
    steps.restore(restoring)
    retrieval = restoring.retrievals.get()
    stale = ResultArchive.objects.get()
    pass_time(restoring)
    restoring.refresh_from_db()
    assert restoring.claim_step()
    steps._ask_again(stale, retrieval, Retrieval.Outcome.EXPIRED, "late")
    assert Retrieval.objects.get().ended_at is None


def test_a_new_window_has_a_warning_of_its_own(archived, settings):
    settings.FREE_RETENTION = timedelta(days=30)
    archived.job.notifications.create(kind="expiring", status="SENT", sent_at=timezone.now())
    assert archived.restore_now()
    settle(archived)
    assert archived.status == "HOT"
    pass_time(archived)
    ResultArchive.objects.update(next_action_at=timezone.now() - timedelta(seconds=1))
    steps.archive(ResultArchive.objects.get())
    assert archived.job.notifications.get(kind="expiring").status == "PENDING"


def test_an_expired_retrieval_begins_again(restoring):
    steps.restore(restoring)
    retrieval = restoring.retrievals.get()
    (vault("local").folder / "retrievals" / restoring.archive_id / retrieval.vault_id).unlink()
    pass_time(restoring)
    restoring.refresh_from_db()
    steps.thaw(restoring)
    assert (restoring.status, Retrieval.objects.get().outcome) == ("RESTORING", "expired")
    assert settle(restoring).status == "HOT"
    assert [row.outcome for row in Retrieval.objects.order_by("requested_at")] == ["expired", "thawed"]


def test_one_look_that_fails_is_looked_again(restoring, monkeypatch):
    """Seed defect 18: one failed describe_job, and the result never came back."""
    from gas.vaults import VaultUnavailable  # noqa: PLC0415

    steps.restore(restoring)

    def fail(*_):
        raise VaultUnavailable("timeout")

    with monkeypatch.context() as patched:
        patched.setattr(type(vault("local")), "describe_retrieval", fail)
        pass_time(restoring)
        restoring.refresh_from_db()
        steps.thaw(restoring)
    assert (restoring.status, restoring.error) == ("THAWING", "timeout")
    assert settle(restoring).status == "HOT"


def corrupt(archive_id):
    path = vault("local")._path(archive_id)
    path.chmod(0o600)
    path.write_bytes(b"x" + path.read_bytes()[1:])


def test_a_flipped_bit_goes_to_quarantine_and_nothing_is_deleted(restoring):
    corrupt(restoring.archive_id)
    settle(restoring)
    assert restoring.status == "QUARANTINED"
    assert "not what the annotator wrote" in restoring.error
    assert archives("local") == {restoring.archive_id}
    assert not hot_copies(b"")
    assert not restoring.job.can_download


def test_an_archive_that_is_gone_goes_to_quarantine(restoring):
    vault("local").delete_archive(restoring.archive_id)
    settle(restoring)
    assert restoring.status == "QUARANTINED"
    assert "does not have the archive" in restoring.error


def test_the_archive_is_kept_while_the_hot_copy_is_not_whole(restoring, monkeypatch):
    """Seed defects 16 and 24: the archive was deleted although the bucket had nothing."""
    with monkeypatch.context() as patched:
        patched.setattr(steps, "delete", lambda _: None)
        for step in (steps.restore, steps.thaw):
            step(restoring)
            pass_time(restoring)
            restoring.refresh_from_db()
    assert (restoring.status, restoring.actor_name) == ("HOT", "delete_archive")
    objects("results").delete(restoring.hot_key)
    steps.delete(restoring)
    assert restoring.status == "QUARANTINED"
    assert archives("local") == {restoring.archive_id}


def test_a_downgrade_before_the_vault_was_asked_leaves_it_there(restoring):
    change_plan(restoring.job.owner, Plan.FREE)
    restoring.refresh_from_db()
    assert (restoring.status, restoring.next_action_at) == ("ARCHIVED", None)
    assert not Retrieval.objects.exists()


def test_a_downgrade_after_it_was_asked_gives_a_new_window(restoring):
    steps.restore(restoring)
    change_plan(restoring.job.owner, Plan.FREE)
    settle(restoring)
    assert restoring.status == "HOT"
    restoring.job.refresh_from_db()
    assert restoring.archive_at == restoring.job.download_until > timezone.now() + timedelta(minutes=4)
    assert restoring.job.can_download
    end_window(restoring)
    assert settle(restoring).status == "ARCHIVED"


@pytest.mark.parametrize(("days", "warning", "warned"), [(30, 48, 1), (30, 0, 0), (1, 48, 0)])
def test_the_warning_of_a_window_that_begins_with_the_thaw(restoring, settings, days, warning, warned):
    settings.FREE_RETENTION, settings.ARCHIVE_WARNING = timedelta(days=days), timedelta(hours=warning)
    steps.restore(restoring)
    change_plan(restoring.job.owner, Plan.FREE)
    settle(restoring)
    assert (restoring.status, restoring.next_action_at) == ("HOT", restoring.archive_at)
    assert restoring.job.notifications.filter(kind="expiring").count() == warned


def test_a_downgrade_starts_windows_anew(make_archive, premium):
    """Seed defect 27: after the way back to Free, results were locked at once and never archived."""
    row = make_archive(premium, due=False)
    change_plan(premium, Plan.FREE)
    row.refresh_from_db()
    row.job.refresh_from_db()
    assert row.archive_at - timezone.now() > timedelta(minutes=4)
    assert row.job.download_until - timezone.now() > timedelta(minutes=4)
    end_window(row)
    assert settle(row).status == "ARCHIVED"


@pytest.mark.parametrize("steps_before", range(4))
def test_a_deleted_job_leaves_nothing(archive, steps_before):
    settle(archive)
    change_plan(archive.job.owner, Plan.PREMIUM)
    for _ in range(steps_before):
        pass_time(archive)
        archive.refresh_from_db()
        steps.restore(archive)
        steps.thaw(archive)
    job = archive.job
    job.delete_soon()
    job.purge()
    assert settle(archive).status == "DELETED"
    assert (archive.job, archive.next_action_at) == (None, None)
    assert not archives("local")
    assert not list(objects("results").folder.rglob("*.vcf.gz"))


def test_the_last_look_is_after_the_last_lease(restoring):
    assert restoring.claim_step()
    restoring.job.delete_soon()
    restoring.refresh_from_db()
    steps.delete(restoring)
    assert restoring.next_action_at == restoring.not_before > timezone.now() + timedelta(seconds=60)
    pass_time(restoring)
    restoring.refresh_from_db()
    steps.delete(restoring)
    assert restoring.next_action_at is None
