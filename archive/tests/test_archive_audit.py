"""manage.py archive_audit: each thing that can be amiss is found, by its name, and mended only where nothing can be lost."""

import json
import os
import time
from datetime import timedelta
from io import BytesIO, StringIO

import pytest
from django.core.management import call_command
from django.db.models.functions import Now

from archive import steps
from archive.models import ResultArchive, Retrieval
from archive.tests.conftest import CONTENT, archives, hot_copies, settle
from archive.tests.operators import put_off
from gas.objects import objects
from gas.vaults import ArchiveNotFound, vault

HOURS_AGO = time.time() - 7200


def audit(*args):
    """What it finds, as (kind, mended), the exit status, and the line that sums up."""
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("archive_audit", "--json", *args, stdout=out)
    *findings, totals = [json.loads(line) for line in out.getvalue().splitlines()]
    return {(finding["kind"], finding["mended"]) for finding in findings}, ended.value.code, totals


def put(store, key, content=CONTENT, *, age=7200):
    """An object of the results bucket or an archive, on this machine, `age` seconds old."""
    path = store.folder / (f"archives/{key}" if store is vault("local") else key)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    os.utime(path, (time.time() - age,) * 2)
    return path


@pytest.fixture
def results(settings, tmp_path):
    return objects("results")


@pytest.fixture
def archived(make_archive, researcher):
    return settle(make_archive(researcher))


def test_all_is_well(archive, archived, make_archive, premium, results):
    settle(archive)
    restored = settle(make_archive(premium, due=False))
    deleted = settle(make_archive(premium, due=False))
    deleted.job.delete_soon()
    settle(ResultArchive.objects.get(pk=deleted.pk))
    for how in ([], ["--sample=2"], ["--full"]):
        assert audit(*how)[:2] == (set(), 0)
    assert audit()[2] == {"seen": {"results": 4, "local": 2, "rows": 3}, "found": 0, "open": 0, "not_seen": []}
    assert restored.status == "HOT"


def test_a_hot_copy_is_missing_or_cut(make_archive, researcher, results):
    missing, cut = make_archive(researcher, due=False), make_archive(researcher, due=False)
    results.delete(missing.hot_key)
    put(results, cut.hot_key, CONTENT[:-1])
    assert audit()[:2] == ({("hot-missing", ""), ("hot-size", "")}, 1)
    found, status, totals = audit("--repair")
    assert (found, status) == ({("hot-missing", "quarantined"), ("hot-size", "quarantined")}, 1)
    assert totals["open"] == 2
    assert audit("--repair")[:2] == ({("quarantined", "")}, 1)
    assert not ResultArchive.objects.get(pk=missing.pk).job.can_download


def test_a_hot_copy_is_damaged(archive, results):
    damaged = b"X" + CONTENT[1:]
    put(results, archive.hot_key, damaged)
    assert audit()[:2] == (set(), 0)  # only reading it can tell
    assert audit("--sample=5")[:2] == ({("hot-checksum", "")}, 1)
    assert audit("--full", "--repair")[:2] == ({("hot-checksum", "quarantined")}, 1)
    assert results.exists(archive.hot_key)


def test_an_archive_is_missing_cut_or_damaged(make_archive, researcher):
    rows = [settle(make_archive(researcher)) for _ in range(3)]
    cold = [put(vault("local"), row.archive_id) for row in rows]
    cold[0].unlink()
    cold[1].write_bytes(CONTENT[:-1])
    cold[2].write_bytes(b"X" + CONTENT[1:])
    assert audit()[0] == {("archive-missing", ""), ("archive-size", "")}
    assert audit("--full", "--repair")[:2] == (
        {(f"archive-{how}", "quarantined") for how in ("missing", "size", "checksum")},
        1,
    )
    assert len(archives("local")) == 2  # nothing is deleted


def test_archived_but_hot(archived, results):
    put(results, archived.hot_key)
    assert audit()[:2] == ({("archived-but-hot", "")}, 1)
    assert audit("--repair")[:2] == ({("archived-but-hot", "deleted")}, 0)
    assert hot_copies() == set()
    assert audit()[:2] == (set(), 0)


def test_a_hot_copy_is_not_deleted_when_the_archive_is_damaged(archived, results):
    put(results, archived.hot_key)
    put(vault("local"), archived.archive_id, b"X" + CONTENT[1:])
    assert audit("--repair")[:2] == ({("archived-but-hot", "")}, 1)
    assert hot_copies() == {archived.hot_key}


def test_archives_that_no_row_names(archived, archive):
    put(vault("local"), f"results/{archived.pk}/7")
    put(vault("local"), f"results/{archive.pk}/7")
    assert audit()[:2] == ({("archive-orphan", "")}, 1)
    assert audit("--repair")[:2] == ({("archive-orphan", "deleted")}, 0)
    assert archives("local") == {archived.archive_id}


def test_the_last_copy_is_never_deleted(archive, archived, results):
    """After the database was put back from an older backup, the archive that no row names may be all there is."""
    results.delete(archive.hot_key)
    put(vault("local"), f"results/{archive.pk}/7")
    put(vault("local"), archived.archive_id, CONTENT[:-1])
    put(vault("local"), f"results/{archived.pk}/7")
    put(results, f"{archived.results_prefix}/thawed-7/annotated.vcf.gz")
    before = archives("local")
    found, status, _ = audit("--repair")
    assert {(kind, mended) for kind, mended in found if kind.endswith("orphan")} == {
        ("archive-orphan", ""),
        ("thawed-orphan", ""),
    }
    assert (status, archives("local")) == (1, before)


def test_what_is_of_no_row_at_all_is_told_and_left(results, db):
    put(vault("local"), "results/00000000-0000-4000-8000-000000000000/1")
    put(vault("local"), "somebody/elses")
    put(results, "results/00000000-0000-4000-8000-000000000000/1/annotated.vcf.gz")
    assert audit("--repair")[:2] == ({("archive-unknown", ""), ("result-unknown", "")}, 1)
    assert (len(archives("local")), len(hot_copies())) == (2, 1)


def test_what_is_left_of_a_deleted_job(archived, make_archive, researcher, results):
    other = make_archive(researcher, due=False)
    for row in (archived, other):
        job = row.job
        job.delete_soon()
        row.refresh_from_db()
        put(vault("local"), f"results/{row.pk}/1")
        assert audit()[0] == set(), "it is still to be deleted"
        settle(row)
        job.refresh_from_db()
        job.purge()
    put(results, other.hot_key)
    put_off(other, next_action_at=Now() + timedelta(minutes=1))
    assert audit()[0] == set(), "a worker will look once more"
    put_off(other, next_action_at=None)
    put(vault("local"), f"results/{archived.pk}/1")
    assert audit("--repair")[:2] == ({("archive-orphan", "deleted"), ("result-orphan", "deleted")}, 0)
    assert audit()[2]["seen"] == {"results": 0, "local": 0, "rows": 0}


def test_thawed_copies_that_no_row_names(archived, archive, results):
    for row in (archived, archive):
        put(results, f"{row.results_prefix}/thawed-7/annotated.vcf.gz")
    assert audit("--repair")[:2] == ({("thawed-orphan", "deleted")}, 0)
    assert hot_copies() == {archive.hot_key}


def test_what_is_new_may_be_in_the_making(archived, results):
    put(vault("local"), f"results/{archived.pk}/7", age=60)
    put(results, f"{archived.results_prefix}/thawed-7/annotated.vcf.gz", age=60)
    assert audit("--repair")[:2] == (set(), 0)


def test_what_is_held_up(archive, hints):
    put_off(archive, next_action_at=Now() - timedelta(minutes=11))
    assert audit()[:2] == ({("stuck", "")}, 1)
    assert audit("--repair")[:2] == ({("stuck", "requeued")}, 0)
    assert audit()[:2] == (set(), 0)
    put_off(archive, hints=10, next_action_at=Now() + timedelta(minutes=1))
    assert audit()[:2] == ({("stuck", "")}, 1)


def test_retrievals_that_nobody_waits_for(archived, make_archive, researcher):
    archived.retrievals.create(tier="Standard")
    assert audit()[:2] == ({("retrieval-open", "")}, 1)
    assert audit("--repair")[:2] == ({("retrieval-open", "ended")}, 0)
    assert Retrieval.objects.get().outcome == "abandoned"


def test_a_retrieval_that_has_expired_unseen(archived, hints, settings):
    settings.LOCAL_VAULT_DELAYS = {"Expedited": 3600, "Standard": 3600, "Bulk": 3600}
    archived.restore_now()
    steps.restore(archived)
    Retrieval.objects.update(expected_by=Now() - timedelta(days=2), vault_id="gone")
    assert audit("--repair")[:2] == ({("retrieval-expired", "requeued")}, 0)
    steps.thaw(archived)
    steps.restore(archived)
    assert archived.retrievals.get(ended_at=None).vault_id != "gone"


def test_what_cannot_be_looked_at(archived, settings, monkeypatch):
    monkeypatch.setattr(vault("local"), "kind", "local")
    settings.VAULTS = {}
    found, status, totals = audit()
    assert (found, status) == (set(), 2)
    assert totals["not_seen"][0].startswith("vault local: There are archives in vault 'local'")


def test_for_people(archived, results, capsys):
    put(results, archived.hot_key)
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("archive_audit", "--repair", stdout=out)
    assert out.getvalue().splitlines() == [
        f"archived-but-hot job {archived.job_id} {archived.hot_key}: "
        "The result is archived, but its hot copy is still there [deleted]",
        "2 in results, 1 in local, 1 in rows; 1 findings, 0 open",
    ]


@pytest.mark.parametrize("kind", ["s3", "glacier"])
def test_in_the_clouds(kind, vaults, make_archive, researcher, settings, monkeypatch):
    monkeypatch.setattr("archive.audit.YOUNG", -(10**9))  # other tests put the clock of the stand-in forward
    settings.VAULT = kind
    row, lost = settle(make_archive(researcher)), settle(make_archive(researcher))
    orphan = vault(kind).archive(BytesIO(b"log"), f"results/{row.pk}/7", 3)
    vault(kind).delete_archive(lost.archive_id)
    put_off(lost, archived_at=Now() - timedelta(days=3))
    job = []
    if kind == "glacier":
        _, status, totals = audit()
        assert status == 2
        job = [f"--inventory={totals['not_seen'][0].split('job ')[-1]}"]
        time.sleep(0.6)
    found, status, _ = audit("--repair", *job)
    assert (found, status) == ({("archive-orphan", "deleted"), ("archive-missing", "quarantined")}, 1)
    with pytest.raises(ArchiveNotFound):
        vault(kind).initiate_retrieval(orphan.archive_id, "Bulk", "x")


def test_two_archives_of_one_name_in_a_classic_vault(vaults, make_archive, researcher, settings, monkeypatch):
    """What a killed archiver leaves there; the vault can tell of neither but by its inventory."""
    monkeypatch.setattr("archive.audit.YOUNG", -(10**9))  # other tests put the clock of the stand-in forward
    settings.VAULT = "glacier"
    row = settle(make_archive(researcher))
    put_off(row, archived_at=Now() - timedelta(days=3))
    other = vault("glacier").archive(BytesIO(CONTENT), row.archive_name, len(CONTENT))
    put(objects("results"), row.hot_key)
    wanted = {"Type": "inventory-retrieval", "Format": "JSON"}
    job = vault("glacier").client.initiate_job(vaultName=vault("glacier").vault_name, jobParameters=wanted)["jobId"]
    time.sleep(0.6)
    found, status, _ = audit("--repair", f"--inventory={job}")
    assert (found, status) == ({("archive-orphan", "deleted"), ("archived-but-hot", "deleted")}, 0)
    with pytest.raises(ArchiveNotFound):
        vault("glacier").initiate_retrieval(other.archive_id, "Bulk", "x")
    assert vault("glacier").initiate_retrieval(row.archive_id, "Bulk", "x")
