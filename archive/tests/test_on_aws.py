"""The whole life of a result on PostgreSQL, SQS and S3, with real worker and dispatcher processes."""

import gzip
import hashlib
import json
import time

import pytest

from conftest import VCF
from gas.testing.archive_server import ArchiveServer
from gas.testing.processes import wait_until
from gas.testing.production import BUCKETS, Production, client, fresh_database, services
from gas.testing.require import needs

pytestmark = [pytest.mark.aws, pytest.mark.timeout(180)]
EMAIL = "ada@example.org"
_, RESULTS, ARCHIVE = BUCKETS


@pytest.fixture
def production(tmp_path):
    needs("postgresql")
    with services() as (cluster, aws, sqs), ArchiveServer(aws, tmp_path / "archive") as s3:
        made = Production(cluster, aws, sqs, tmp_path / "var", fresh_database(cluster, "archive"))
        queue = client("sqs", aws).create_queue(QueueName="restored")["QueueUrl"]
        told = client("sqs", aws).get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
        events = [{"QueueArn": told["Attributes"]["QueueArn"], "Events": ["s3:ObjectRestore:Completed"]}]
        client("s3", aws).put_bucket_notification_configuration(
            Bucket=ARCHIVE, NotificationConfiguration={"QueueConfigurations": events}
        )
        s3.delay({"Expedited": 4})
        made.env |= {"AWS_ENDPOINT_URL_S3": s3.url, "FREE_RETENTION": "2", "RESTORE_EVENTS_QUEUE_URL": queue}
        yield made


def row(production, *columns):
    found = production.rows(f"SELECT {', '.join(columns)} FROM archive_resultarchive")
    return found[0] if found else (None,) * len(columns)


def results(production):
    return [key for key in production.objects(RESULTS) if key.endswith(".vcf.gz")]


def change_plan(production, code):
    ask = f"change_plan(User.objects.get(email='{EMAIL}'), '{code}')"
    imports = "from accounts.models import User; from accounts.plans import change_plan"
    production.manage("shell", "-c", f"{imports}; assert {ask}")


def wait_for(production, status, timeout=60):
    wait_until(lambda: row(production, "status", "next_action_at") == (status, None), status, timeout)


def test_from_the_job_to_the_archive_and_back(production, tmp_path):
    """S3 usually takes a minute at least, so that nobody looks sooner: its own event is what brings the result back."""
    path = tmp_path / "small.vcf"
    path.write_bytes(VCF)
    with production.worker() as worker, production.dispatcher():
        told = production.manage("submit", str(path), "--email", EMAIL, "--create", "--json")
        job = json.loads(told.splitlines()[-1])["id"]
        wait_for(production, "ARCHIVED")
        assert results(production) == []
        assert production.objects(ARCHIVE) == [row(production, "archive_id")[0]]

        begin = time.monotonic()
        change_plan(production, "premium")
        wait_for(production, "HOT")
        assert time.monotonic() - begin < 40
        assert worker.running
    key, sha256, archive_id = row(production, "hot_key", "sha256", "archive_id")
    assert results(production) == [key]
    assert production.objects(ARCHIVE) == []
    assert archive_id == ""
    content = client("s3", production.aws).get_object(Bucket=RESULTS, Key=key)["Body"].read()
    assert hashlib.sha256(content).hexdigest() == sha256
    assert b"MT-ND4" in gzip.decompress(content)
    stored = production.rows("SELECT result_key, result_sha256, download_until FROM jobs_job WHERE id = %s", job)
    assert stored == [(key, sha256, None)]
    assert production.rows("SELECT tier, outcome FROM archive_retrieval") == [("Expedited", "thawed")]
