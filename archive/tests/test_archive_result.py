"""archive_result: from the bucket into the vault."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import Plan, Profile
from archive import steps
from archive.models import ResultArchive
from archive.tasks import archive_result
from archive.tests.conftest import CONTENT, archives, check_no_orphans, end_window, hot_copies, pass_time, settle
from gas.objects import StorageUnavailable, objects
from gas.vaults import VaultClosed, VaultUnavailable, vault

pytestmark = pytest.mark.django_db


def test_a_free_result_is_looked_at_when_its_window_ends(make_archive, researcher):
    row = make_archive(researcher, due=False)
    assert (row.status, row.archive_at) == ("HOT", row.job.download_until)
    assert abs(row.next_action_at - row.job.download_until) < timedelta(seconds=1)
    steps.archive(row)
    assert row.status == "HOT"


def test_a_premium_result_stays(make_archive, premium):
    row = make_archive(premium, due=False)
    assert (row.archive_at, row.next_action_at) == (None, None)
    archive_result.fn(str(row.pk))
    assert ResultArchive.objects.get().status == "HOT"


def test_a_small_result_is_locked_but_stays(make_archive, researcher, settings):
    settings.ARCHIVE_MIN_BYTES = len(CONTENT) + 1
    row = make_archive(researcher, due=False)
    assert row.archive_at == row.job.download_until is not None
    assert row.next_action_at is None
    settings.ARCHIVE_MIN_BYTES = len(CONTENT)
    assert make_archive(researcher, due=False).next_action_at is not None


def test_archived(archive):
    key = archive.hot_key
    archive_result.fn(str(archive.pk))
    archive.refresh_from_db()
    assert (archive.status, archive.vault, archive.generation) == ("ARCHIVED", "local", 1)
    assert (archive.next_action_at, archive.lease_until, archive.error) == (None, None, "")
    assert timezone.now() - archive.archived_at < timedelta(minutes=1)
    assert archives("local") == {archive.archive_id}
    assert not objects("results").exists(key)
    assert objects("results").exists(archive.job.log_key)


def test_a_damaged_hot_copy_is_not_archived(archive):
    path = objects("results").folder / archive.hot_key
    path.write_bytes(b"x" + path.read_bytes()[1:])
    steps.archive(archive)
    assert archive.status == "QUARANTINED"
    assert "not what the annotator wrote" in archive.error
    assert path.exists()
    assert not archives("local")


def test_a_missing_hot_copy_is_told(archive):
    objects("results").delete(archive.hot_key)
    steps.archive(archive)
    assert (archive.status, archive.error) == ("QUARANTINED", f"The hot copy is missing: {archive.hot_key}")


def test_what_does_not_verify_is_archived_again(archive, monkeypatch):
    """Seed defect 15: the bucket's copy was deleted although the vault had nothing."""
    local = type(vault("local"))
    whole = local.archive

    def cut(self, stream, name, size, sha256=""):
        archived = whole(self, stream, name, size, sha256)
        path = self._path(name)
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:-1])
        return archived

    with monkeypatch.context() as patched:
        patched.setattr(local, "archive", cut)
        steps.archive(archive)
    assert archive.status == "ARCHIVING"
    assert "did not hold" in archive.error
    assert hot_copies() == {archive.hot_key}
    assert settle(archive).status == "ARCHIVED"
    check_no_orphans(archive)


@pytest.mark.parametrize("error", [VaultUnavailable("busy"), VaultClosed("use s3"), StorageUnavailable("away")])
def test_a_vault_out_of_reach_delays_and_nothing_else(archive, monkeypatch, error):
    """Seed defects 15 and 20: a failed upload, or a failed note of it, lost the result."""

    def refuse(*_, **__):
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(type(vault("local")), "archive", refuse)
        pauses = []
        for _ in range(3):
            steps.archive(archive)
            pauses.append((archive.next_action_at - timezone.now()).total_seconds())
            pass_time(archive)
            archive.refresh_from_db()
    assert (archive.status, archive.failures, archive.error) == ("ARCHIVING", 3, str(error))
    assert pauses == pytest.approx([5, 10, 20], abs=2)
    assert hot_copies() == {archive.hot_key}
    assert settle(archive).status == "ARCHIVED"
    assert (archive.failures, archive.error) == (0, "")


def test_a_held_row_is_left_alone(archive):
    assert archive.claim_archiving(vault("local"))
    other = ResultArchive.objects.get()
    steps.archive(other)
    assert (other.status, other.attempt) == ("ARCHIVING", archive.attempt)
    assert not archives("local")


def test_an_unexpected_error_is_tried_again(archive, monkeypatch, caplog):
    def fail(*_, **__):
        raise KeyError("surprise")

    with monkeypatch.context() as patched:
        patched.setattr(type(vault("local")), "archive", fail)
        archive_result.fn(str(archive.pk))
    archive.refresh_from_db()
    assert (archive.status, archive.error) == ("ARCHIVING", "KeyError: 'surprise'")
    assert "unexpected error" in caplog.text
    assert settle(archive).status == "ARCHIVED"


def test_a_warning_before_it_when_the_window_is_long(make_archive, researcher, settings):
    settings.FREE_RETENTION = timedelta(days=30)
    row = make_archive(researcher, due=False)
    assert abs(row.next_action_at - row.archive_at + timedelta(hours=48)) < timedelta(seconds=1)
    pass_time(row)
    steps.archive(ResultArchive.objects.get())
    row.refresh_from_db()
    assert (row.status, row.next_action_at) == ("HOT", row.archive_at)
    assert row.job.notifications.filter(kind="expiring").count() == 1
    end_window(row)
    assert settle(row).status == "ARCHIVED"
    assert row.job.notifications.filter(kind="expiring").count() == 1


def test_no_warning_for_whoever_wants_none(make_archive, researcher, settings):
    settings.FREE_RETENTION = timedelta(days=30)
    row = make_archive(researcher, due=False)
    Profile.objects.filter(user=researcher).update(mail_expiring=False)
    assert row.wait_for_window()
    assert not row.job.notifications.filter(kind="expiring").exists()


@pytest.mark.parametrize(("window", "warning"), [(timedelta(hours=24), 48 * 3600), (timedelta(days=30), 0)])
def test_no_warning(make_archive, researcher, settings, window, warning):
    settings.FREE_RETENTION, settings.ARCHIVE_WARNING = window, timedelta(seconds=warning)
    row = make_archive(researcher, due=False)
    assert abs(row.next_action_at - row.archive_at) < timedelta(seconds=1)
    end_window(row)
    settle(row)
    assert not row.job.notifications.filter(kind="expiring").exists()


def test_the_database_refuses_a_premium_row_in_the_vault(archive):
    settle(archive)
    with pytest.raises(IntegrityError, match="archive_wished"), transaction.atomic():
        ResultArchive.objects.update(archive_at=None)
    assert Plan.objects.get(pk=Plan.FREE).download_window is not None
