"""`kill -9` of a worker in the middle of a copy, on each vault: the next goes on from there when the lease has run out."""

import hashlib
import random
import sys
import time
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.db.models.functions import Now

from accounts.models import Plan
from accounts.plans import change_plan
from archive.models import ResultArchive
from archive.tests.conftest import KINDS, archives, hot_copies
from gas.embedded import local_workers
from gas.hints import dispatch_due
from gas.objects import objects
from gas.testing.processes import Process, wait_until
from gas.vaults import vault

pytestmark = [pytest.mark.django_db(transaction=True, serialized_rollback=True), pytest.mark.timeout(180)]
CONTENT = b"##fileformat=VCFv4.3\n" + random.Random(1).randbytes(12 * 1024**2)  # some seconds of work
LEASE = 3  # seconds
ON_S3 = {"BACKEND": "gas.aws.s3.S3ObjectStorage", "OPTIONS": {"bucket_name": "results", "region_name": "us-east-1"}}


@pytest.fixture
def worker(kind, settings, monkeypatch, request):
    """A slow worker, not yet started. With the s3 vault, results are on S3 too."""
    monkeypatch.setattr("gas.heartbeat.BEAT_SECONDS", 0.5)
    settings.JOB_LEASE = timedelta(seconds=LEASE)
    env = {
        "DJANGO_SETTINGS_MODULE": "gas.settings",
        "DATABASE_URL": _database_url(),
        "VAR_DIR": str(settings.VAR_DIR),
        "SCRATCH_DIR": str(settings.SCRATCH_DIR),
        "JOB_LEASE": str(LEASE),
        "VAULT": kind,
        "LOCAL_VAULT_DELAYS": "Expedited=0,Standard=0,Bulk=0",
        "LOG_LEVEL": "INFO",
    }
    if kind != "local":
        env |= request.getfixturevalue("vaults").environment
        env |= {"S3_ARCHIVE_BUCKET": vault("s3").bucket_name, "GLACIER_VAULT": vault("glacier").vault_name}
    if kind == "s3":
        _empty_bucket("results")
        settings.STORAGES = {**settings.STORAGES, "results": ON_S3, "default": ON_S3}
        env |= {"STORAGE": "s3", "S3_RESULTS_BUCKET": "results", "S3_UPLOADS_BUCKET": "uploads"}
    return Process([sys.executable, "-m", "archive.tests.slow_worker"], env=env, cwd=django_settings.BASE_DIR)


def _database_url():
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{database['NAME']}"
    who = f"{database['USER']}:{quote(database['PASSWORD'])}"
    return f"postgres://{who}@{database['HOST']}:{database['PORT']}/{database['NAME']}"


def _empty_bucket(name):
    client = vault("s3").client
    client.create_bucket(Bucket=name)
    for found in client.list_objects_v2(Bucket=name).get("Contents", ()):
        client.delete_object(Bucket=name, Key=found["Key"])


def kill_in(worker, row, status):
    """Kill the worker in the middle: 2 s after it has claimed the row, where a copy takes it 3.6 s at least."""
    with worker:
        wait_until(lambda: _is_claimed(row, status), f"{status}, claimed", 30)
        held = _now(row)
        time.sleep(2)
        worker.kill()
        output = worker.output()
    now = _now(row)
    assert (now.status, now.attempt) == (status, held.attempt), output
    assert now.lease_until > held.lease_until, f"no heartbeat: {output}"
    return held


def _is_claimed(row, status):
    rested = ResultArchive.objects.filter(pk=row.pk, status="THAWING", lease_until=None)
    rested.update(next_action_at=Now())  # AWS is usually not looked at for a minute
    return _now(row).status == status and _now(row).lease_until


def _now(row):
    return ResultArchive.objects.get(pk=row.pk)


def unfinished(kind):
    """What of a killed upload lies in the vault."""
    store = vault(kind)
    if kind == "glacier":
        return store.client.list_multipart_uploads(vaultName=store.vault_name)["UploadsList"]
    if kind == "s3":
        return store.client.list_multipart_uploads(Bucket=store.bucket_name).get("Uploads")
    return [path for path in (store.folder / "unfinished").rglob("*") if path.is_file()]


def finish(row, status):
    """What the dispatcher and the workers do with it from here on."""

    def is_over():
        dispatch_due()
        return (_now(row).status, _now(row).next_action_at) == (status, None)

    with local_workers():
        wait_until(is_over, status, 60)


@pytest.mark.parametrize("kind", KINDS, indirect=True)
def test_killed_while_it_archives_and_while_it_thaws(kind, worker, make_archive, researcher):
    row = make_archive(researcher, CONTENT)
    held = kill_in(worker, row, "ARCHIVING")
    assert hot_copies(CONTENT) == {row.hot_key}
    assert unfinished(kind)
    finish(row, "ARCHIVED")
    assert _now(row).attempt > held.attempt
    assert not hot_copies(CONTENT)
    assert archives(kind) == {_now(row).archive_id}

    change_plan(researcher, Plan.PREMIUM)
    held = kill_in(worker, row, "THAWING")
    assert not hot_copies(CONTENT)
    finish(row, "HOT")
    row = _now(row)
    assert row.attempt > held.attempt
    assert row.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert objects("results").read(row.hot_key, len(CONTENT) + 1) == CONTENT
    assert row.retrievals.count() == 1
    assert not archives(kind)
    assert kind == "glacier" or not unfinished(kind)  # Glacier itself removes it, after a day
    assert hot_copies(CONTENT) == {row.hot_key}
