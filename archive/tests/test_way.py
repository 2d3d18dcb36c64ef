"""A result goes to its vault and comes back."""

import hashlib
from datetime import timedelta

import pytest
from django.db.models.functions import Now

from accounts.models import Plan
from accounts.plans import change_plan
from archive import steps
from archive.models import ResultArchive
from gas.objects import objects
from jobs.models.job import Result

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
CONTENT = b"annotated" * 1000


@pytest.fixture
def archive(make_job, researcher, tmp_path):
    job = make_job(researcher)
    job.claim("test")
    (tmp_path / "result").write_bytes(CONTENT)
    key = job.attempt_key("annotated.vcf.gz")
    objects("results").put_file(key, tmp_path / "result")
    job.complete(
        Result(
            result_key=key,
            result_size=len(CONTENT),
            result_sha256=hashlib.sha256(CONTENT).hexdigest(),
            index_key="",
            log_key="log",
            log_size=1,
            log_sha256="00",
            summary={},
        )
    )
    return job.archive


def due(archive):
    ResultArchive.objects.filter(pk=archive.pk).update(archive_at=Now() - timedelta(seconds=1), next_action_at=Now())
    archive.refresh_from_db()


def test_there_and_back(archive, settings):
    settings.LOCAL_VAULT_DELAYS = {"Expedited": 0, "Standard": 0, "Bulk": 0}
    first_key = archive.hot_key
    assert archive.actor_name == "archive_result"
    due(archive)
    steps.archive(archive)
    assert archive.status == "ARCHIVED"
    assert not objects("results").exists(first_key)
    assert change_plan(archive.job.owner, Plan.PREMIUM)
    archive.refresh_from_db()
    assert (archive.status, archive.archive_at) == ("RESTORING", None)
    assert not archive.job.can_download
    steps.restore(archive)
    assert archive.status == "THAWING"
    steps.thaw(archive)
    assert (archive.status, archive.archive_id, archive.next_action_at) == ("HOT", "", None)
    archive.job.refresh_from_db()
    assert objects("results").read(archive.job.result_key, 10_000) == CONTENT
    assert archive.job.can_download
