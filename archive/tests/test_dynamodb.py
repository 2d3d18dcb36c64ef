"""manage.py import_dynamodb and export_dynamodb: the annotations of another GAS come over, and go."""

import hashlib
import time
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import BytesIO

import pytest
from django.core.management import CommandError
from social_django.models import UserSocialAuth

from accounts.models import Profile, User
from archive.importing import Importer
from archive.models import ResultArchive
from archive.tests.conftest import CONTENT, settle
from archive.tests.operators import run
from gas.aws.dynamodb import Table
from gas.objects import objects
from gas.vaults import vault
from jobs.models import Job, Upload

REGION = "us-east-1"
LOG = b"Total: 350\n"
INPUT = b"##fileformat=VCFv4.1\n#CHROM\tPOS\n"
IDENTITY = "5f1c2d3e-0000-4000-8000-00000000aaaa"
AT_ONCE = {"Expedited": 0, "Standard": 0, "Bulk": 0}
SUBMITTED, COMPLETED = 1_700_000_000, 1_700_000_060


@pytest.fixture
def buckets(vaults, settings):
    """Ours on S3, and those of the other GAS."""
    names = {name: f"{name}-{uuid.uuid4().hex}" for name in ("uploads", "results", "inputs", "annotated")}
    for name in names.values():
        vault("s3").client.create_bucket(Bucket=name)
    backend = "gas.aws.s3.S3ObjectStorage"
    ours = {
        alias: {"BACKEND": backend, "OPTIONS": {"bucket_name": names[alias], "region_name": REGION}}
        for alias in ("uploads", "results")
    }
    settings.STORAGES = settings.STORAGES | ours
    settings.VAULT = "glacier"
    return names


@pytest.fixture
def table(buckets):
    """An empty table with the other GAS's key."""
    name = f"gas_annotations_{uuid.uuid4().hex}"
    table = Table(name, REGION)._table
    table.meta.client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "job_id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "job_id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return table


@pytest.fixture
def theirs(table, buckets):
    """Make an annotation of the other GAS, as its own code leaves it; `archived` in its Glacier vault."""

    def make(*, archived=False, files=("input", "log", "result"), content=CONTENT, **changes):
        job = str(uuid.uuid4())
        prefix = f"gas/{IDENTITY}/{job}~test"
        keys = {"input": f"{prefix}.vcf", "log": f"{prefix}.vcf.count.log", "result": f"{prefix}.annot.vcf"}
        contents = {"input": INPUT, "log": LOG, "result": content}
        for name in files:
            if not (archived and name == "result"):
                bucket = buckets["inputs" if name == "input" else "annotated"]
                vault("s3").client.put_object(Bucket=bucket, Key=keys[name], Body=contents[name])
        archive_id = ""
        if archived:
            client = vault("glacier").client
            archive_id = client.upload_archive(vaultName=vault("glacier").vault_name, body=BytesIO(content))[
                "archiveId"
            ]
        item = {
            "job_id": job,
            "user_id": IDENTITY,
            "user_name": "Barbara McClintock",
            "user_email": "Barbara@Example.org",
            "input_file_name": "test.vcf",
            "s3_inputs_bucket": buckets["inputs"],
            "s3_key_input_file": keys["input"],
            "submit_time": Decimal(SUBMITTED),
            "job_status": "COMPLETED",
            "s3_results_bucket": buckets["annotated"],
            "s3_key_result_file": keys["result"],
            "s3_key_log_file": keys["log"],
            "complete_time": Decimal(COMPLETED),
            "results_file_archive_id": archive_id,
        } | changes
        table.put_item(Item={name: value for name, value in item.items() if value is not None})
        return item

    return make


def imported(table, *args):
    return run("import_dynamodb", "--table", table.name, "--region", REGION, *args)


def inventory():
    """An inventory of the vault that is done."""
    name = vault("glacier").vault_name
    wanted = {"Type": "inventory-retrieval", "Format": "JSON"}
    job = vault("glacier").client.initiate_job(vaultName=name, jobParameters=wanted)["jobId"]
    time.sleep(0.6)
    return f"--inventory={job}"


def test_a_result_comes_over_with_its_files_and_its_owner(table, theirs, client):
    item = theirs()
    assert imported(table, "--dry-run")[-1] == "1 to be imported (dry run), 0 here already, 0 skipped"
    assert not Job.objects.exists()
    assert imported(table) == [f"{item['job_id']}: imported", "1 imported, 0 here already, 0 skipped"]
    job = Job.objects.get()
    assert (str(job.pk), job.file_name, job.status, job.result_name) == (
        item["job_id"], "test.vcf", "COMPLETED", "test.annot.vcf"
    )  # fmt: skip
    assert (job.submitted_at.timestamp(), job.finished_at.timestamp()) == (SUBMITTED, COMPLETED)
    assert objects("uploads").read(job.input_key, 999) == INPUT
    assert objects("results").read(job.log_key, 999) == LOG
    assert objects("results").read(job.result_key, len(CONTENT) + 1) == CONTENT
    assert job.result_sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert (job.log_sha256, job.result_size) == (hashlib.sha256(LOG).hexdigest(), len(CONTENT))
    owner = UserSocialAuth.objects.get(provider="globus", uid=IDENTITY).user
    assert (job.owner, owner.full_name) == (owner, "Barbara McClintock")
    assert owner.profile.globus_email == "barbara@example.org"  # what he is asked to confirm when he comes
    assert (owner.mail_address, owner.plan.code) == ("", "free")
    assert (job.is_locked, job.archive.status) == (True, "HOT")
    assert imported(table) == ["0 imported, 1 here already, 0 skipped"]
    assert settle(job.archive).status == "ARCHIVED"  # its window was over long ago


def test_its_pages(table, theirs, client):
    theirs()
    imported(table, "--plan=premium")
    job = Job.objects.get()
    assert (job.download_until, job.archive.archive_at) == (None, None)
    job.owner.profile.completed_at = job.finished_at
    job.owner.profile.save()
    client.force_login(job.owner)
    page = client.get(f"/annotations/{job.pk}/")
    assert "test.annot.vcf" in page.content.decode()
    assert "compressed with bgzip" not in page.content.decode()
    assert "Total: 350" in client.get(f"/annotations/{job.pk}/log/").content.decode()
    assert "text%2Fplain" in client.get(f"/annotations/{job.pk}/result/").url
    assert client.get(f"/annotations/{job.pk}/index/").url == f"/annotations/{job.pk}/"


def test_an_archived_result_stays_in_its_vault_and_comes_back(table, theirs, vaults):
    item = theirs(archived=True)
    lines = imported(table)
    assert lines[:2] == [
        f"{item['job_id']}: it is archived, and only the vault's inventory tells its size",
        "0 imported, 0 here already, 1 skipped",
    ]
    assert "run again in some hours with --inventory=" in lines[2]
    time.sleep(0.6)
    assert imported(table, lines[2].split()[-1])[-1] == "1 imported, 0 here already, 0 skipped"
    row = ResultArchive.objects.get()
    assert (row.status, row.vault, row.archive_id) == ("ARCHIVED", "glacier", item["results_file_archive_id"])
    assert (row.size, row.sha256, row.job.result_sha256) == (len(CONTENT), "", "")
    vaults.delay(AT_ONCE)
    row.restore_now()
    assert (settle(row).status, row.hot_key) == ("HOT", f"results/{item['job_id']}/thawed-1/annotated.vcf")
    row.job.refresh_from_db()
    assert row.job.result_sha256 == hashlib.sha256(CONTENT).hexdigest()


def test_an_archived_one_is_locked_however_long_the_window_is(table, theirs, settings):
    settings.FREE_RETENTION = timedelta(days=36500)
    theirs(archived=True)
    imported(table, inventory())
    job = Job.objects.get()
    assert (job.archive.status, job.is_locked, job.is_coming_back) == ("ARCHIVED", True, False)


def test_who_upgrades_while_files_are_copied_keeps_the_result(table, theirs, monkeypatch):
    theirs()
    copy = Importer._copy

    def upgraded_meanwhile(importer, *where):
        Profile.objects.update(plan="premium")
        return copy(importer, *where)

    monkeypatch.setattr(Importer, "_copy", upgraded_meanwhile)
    imported(table)
    job = Job.objects.get()
    assert (job.download_until, job.archive.archive_at) == (None, None)


def test_one_whose_owner_has_a_plan_that_keeps_it_comes_back_by_backfill(table, theirs, vaults):
    theirs(archived=True)
    imported(table, inventory(), "--plan=premium")
    row = ResultArchive.objects.get()
    assert row.status == "ARCHIVED"
    assert run("backfill_restores")[-1] == "1 chosen, 1 enqueued"
    vaults.delay(AT_ONCE)
    assert settle(row).status == "HOT"
    assert Job.objects.get().can_download
    assert objects("results").read(row.hot_key, len(CONTENT) + 1) == CONTENT
    assert not list(vault("glacier").inventory(inventory().split("=")[1]))


def test_what_is_skipped_and_why(table, theirs):
    expected = {
        theirs(**changes)["job_id"]: reason
        for changes, reason in [
            ({"job_status": "RUNNING"}, "its status is RUNNING, not COMPLETED"),
            ({"user_id": None}, "it has no user_id"),
            ({"s3_key_result_file": None}, "it has no s3_key_result_file"),  # where a result could not be uploaded
            ({"input_file_name": "notes.txt"}, "its file name is not that of a VCF file: 'notes.txt'"),
            ({"complete_time": "soon"}, "its complete_time is 'soon', not seconds since 1970"),
            ({"files": ("input", "log")}, "its result is missing: s3"),
            ({"files": ("log", "result")}, "its input is missing: s3"),
            ({"files": ("input", "result")}, "its log is missing: s3"),
        ]
    }
    for how in (["--dry-run"], []):
        *lines, total = imported(table, *how)
        assert {job: reason.partition("://")[0] for job, reason in (line.split(": ", 1) for line in lines)} == expected
        assert total.endswith("0 here already, 8 skipped")
    assert not Upload.objects.exists()
    assert not User.objects.exists()


def test_an_archive_that_is_no_more(table, theirs):
    item = theirs(archived=True, results_file_archive_id="gone")
    assert imported(table, inventory())[0] == f"{item['job_id']}: the vault's inventory does not have its archive gone"


def test_what_its_owner_has_deleted_does_not_come_again(table, theirs):
    theirs()
    imported(table)
    job = Job.objects.get()
    job.delete_soon()
    job.refresh_from_db()
    job.purge()
    assert imported(table) == ["0 imported, 1 here already, 0 skipped"]
    assert not Job.objects.exists()
    assert [line.key for alias in ("uploads", "results") for line in objects(alias).listing()] == []


def test_many_pages_a_limit_and_relatives(table, theirs):
    big = "x" * 300_000  # a page of a scan has 1 MB
    for number in range(5):
        theirs(job_id=f"job-{number}", padding=big, job_status="COMPLETE")
    assert imported(table, "--limit=2")[-1] == "2 imported, 0 here already, 0 skipped"
    assert imported(table)[-1] == "3 imported, 2 here already, 0 skipped"
    assert User.objects.count() == 1


def test_no_such_table_or_plan(table):
    with pytest.raises(CommandError, match="There is no table nowhere in us-east-1"):
        run("import_dynamodb", "--table=nowhere", "--region", REGION)
    with pytest.raises(CommandError, match="There is no plan gold; there are free, premium"):
        imported(table, "--plan=gold")


def facts():
    """All that an import is to keep of a job: of its row, its owner, its files and its archive."""
    return {
        job.pk: (
            job.owner.social_auth.get().uid, job.owner.full_name, job.file_name,
            int(job.submitted_at.timestamp()), int(job.finished_at.timestamp()), job.status, job.result_name,
            job.result_size, objects("uploads").read(job.input_key, 9999), objects("results").read(job.log_key, 9999),
            job.archive.vault, job.archive.archive_id, job.archive.tree_hash, job.archive.size, job.archive.status,
            job.archive.archive_id or job.result_sha256,
            job.archive.archive_id or objects("results").read(job.result_key, len(CONTENT) + 1),
        )
        for job in Job.objects.all()
    }  # fmt: skip


def test_export_then_import_gives_the_same(table, make_archive, researcher, settings):
    settings.VAULT = "glacier"
    UserSocialAuth.objects.create(user=researcher, provider="globus", uid=IDENTITY)
    hot, archived = make_archive(researcher, due=False), settle(make_archive(researcher))
    assert (hot.status, archived.status) == ("HOT", "ARCHIVED")
    Job.objects.filter(pk=hot.job_id).update(finished_at=datetime.now(UTC))
    before = facts()
    export = ["export_dynamodb", "--table", table.name, "--region", REGION]
    assert run(*export, "--dry-run") == ["2 to be written (dry run), 0 skipped"]
    assert table.scan()["Count"] == 0
    assert run(*export) == ["2 written, 0 skipped"]
    first = {item["job_id"]: item for item in table.scan()["Items"]}
    for model in (ResultArchive, Job, Upload, User):
        model.objects.all().delete()
    imported(table, inventory())
    assert facts() == before
    assert run(*export) == ["2 written, 0 skipped"]
    moved = {"s3_key_input_file", "s3_key_result_file", "s3_key_log_file"}
    for item in table.scan()["Items"]:
        old = first[item["job_id"]]
        assert {name for name in item if item[name] != old[name]} <= moved
        assert set(item) == set(old)


def test_what_is_not_exported(table, make_archive, researcher, premium, settings):
    no_identity = make_archive(premium, due=False)
    UserSocialAuth.objects.create(user=researcher, provider="globus", uid=IDENTITY)
    settings.VAULT = "s3"
    elsewhere = settle(make_archive(researcher))
    assert run("export_dynamodb", "--table", table.name, "--region", REGION) == [
        f"{no_identity.job_id}: its owner has no Globus identity",
        f"{elsewhere.job_id}: its result is archived in the vault s3, and the table knows classic vaults only",
        "0 written, 2 skipped",
    ]


def test_files_on_this_machine_cannot_be_exported(make_archive, researcher):
    UserSocialAuth.objects.create(user=researcher, provider="globus", uid=IDENTITY)
    make_archive(researcher, due=False)
    lines = run("export_dynamodb", "--table=x", "--region", REGION, "--dry-run")
    assert "its files are not on S3 (STORAGE=s3)" in lines[0]
