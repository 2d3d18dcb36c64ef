"""Results to be archived, a vault of each kind, and what is left in the stores."""

import hashlib
from datetime import timedelta

import pytest
from django.db.models import F
from django.db.models.functions import Now

from archive import steps
from archive.models import ResultArchive
from archive.tests.interposed import Interposed
from gas.objects import objects
from gas.vaults import InventoryPending, vault
from jobs.models.job import Result

CONTENT = b"##fileformat=VCFv4.3\n" * 4000
KINDS = ["local", pytest.param("s3", marks=pytest.mark.aws), pytest.param("glacier", marks=pytest.mark.aws)]


@pytest.fixture(autouse=True)
def no_heartbeat(monkeypatch):
    """Tests run in one transaction, which another thread does not see; those of the heartbeat itself are elsewhere."""
    monkeypatch.setattr("gas.heartbeat.BEAT_SECONDS", 600)


@pytest.fixture(autouse=True)
def no_fsync(monkeypatch):
    """Who is killed loses nothing that he has written; a power cut is not tested here."""
    monkeypatch.setattr("os.fsync", lambda _: None)


@pytest.fixture
def kind(request, settings):
    """The vault that new archives go to, the local one if not told; retrievals are done at once."""
    settings.VAULT = getattr(request, "param", "local")
    settings.LOCAL_VAULT_DELAYS = {"Expedited": 0, "Standard": 0, "Bulk": 0}
    if settings.VAULT != "local":
        request.getfixturevalue("vaults").delay(settings.LOCAL_VAULT_DELAYS)
    return settings.VAULT


@pytest.fixture
def interposed(monkeypatch):
    return Interposed(monkeypatch)


@pytest.fixture
def make_archive(make_job, tmp_path, kind):
    """The row of a completed job's result; `due` to be archived now."""

    def make(owner, content=CONTENT, *, due=True):
        job = make_job(owner)
        assert job.claim("test")
        paths = {name: tmp_path / name for name in ("annotated.vcf.gz", "count.log")}
        for name, path in paths.items():
            path.write_bytes(content if name == "annotated.vcf.gz" else b"log")
            objects("results").put_file(job.attempt_key(name), path)
        result = Result(
            result_key=job.attempt_key("annotated.vcf.gz"),
            result_size=len(content),
            result_sha256=hashlib.sha256(content).hexdigest(),
            index_key="",
            log_key=job.attempt_key("count.log"),
            log_size=3,
            log_sha256=hashlib.sha256(b"log").hexdigest(),
            summary={},
        )
        assert job.complete(result)
        if due:
            end_window(job.archive)
        return job.archive

    return make


@pytest.fixture
def archive(make_archive, researcher):
    return make_archive(researcher)


def end_window(row):
    """The time to download is over."""
    past = Now() - timedelta(seconds=1)
    ResultArchive.objects.filter(pk=row.pk).update(archive_at=past, next_action_at=past)
    type(row.job).objects.filter(pk=row.job_id).update(download_until=past)
    row.refresh_from_db()


def pass_time(row):
    """All that the row waits for is over: back-offs, leases, pauses; the window of a hot result excepted."""
    past = Now() - timedelta(seconds=1)
    rows = ResultArchive.objects.filter(pk=row.pk)
    rows.filter(lease_until__isnull=False).update(lease_until=past)
    rows.filter(not_before__isnull=False).update(not_before=past)
    rows.exclude(next_action_at=None).exclude(status="HOT", archive_id="", archive_at=F("next_action_at")).update(
        next_action_at=past
    )


def take_step(row):
    """What the worker does at the next hint, if one is due."""
    row = ResultArchive.objects.filter(pk=row.pk, next_action_at__lte=Now()).first()
    if row is None:
        return False
    {
        "archive_result": steps.archive,
        "restore_result": steps.restore,
        "thaw_result": steps.thaw,
        "delete_archive": steps.delete,
    }[row.actor_name](row)
    return True


def settle(row, most=30):
    """Take steps, and let time pass, until nothing is due any more."""
    for _ in range(most):
        pass_time(row)
        if not take_step(row):
            row.refresh_from_db()
            return row
    raise AssertionError(f"{row} does not come to rest: {row.error}")


def hot_copies(content=CONTENT):
    """Keys of all results in the bucket; each must be whole."""
    keys = {listed.key for listed in objects("results").listing() if listed.key.endswith(".vcf.gz")}
    for key in keys:
        assert objects("results").read(key, len(content) + 1) == content, f"{key} is not whole"
    return keys


def archives(kind):
    """Ids of all archives in the vault."""
    try:
        stored = list(vault(kind).inventory())
    except InventoryPending as pending:
        stored = list(vault(kind).inventory(pending.job_id))
    return {archive.archive_id for archive in stored}


def check_recoverable(row, content=CONTENT):
    """Wherever the row says that the result is, it is, and whole."""
    row.refresh_from_db()
    hot = row.hot_key in hot_copies(content)
    cold = bool(row.archive_id) and row.archive_id in archives(row.vault)
    if row.status in {"HOT", "ARCHIVING"}:
        assert hot, f"{row.status} without a hot copy"
    if row.status in {"ARCHIVED", "RESTORING", "THAWING", "PURGING"}:
        assert cold, f"{row.status} without an archive"
    if cold and not hot:
        assert row.sha256 == hashlib.sha256(content).hexdigest()


def check_no_orphans(*rows):
    """Nothing lies in the stores but what the rows name."""
    for row in rows:
        row.refresh_from_db()
    alive = [row for row in rows if row.status != "DELETED"]
    assert hot_copies() == {row.hot_key for row in alive if row.is_hot}
    assert archives(rows[0].vault or "local") == {row.archive_id for row in alive if row.archive_id}
