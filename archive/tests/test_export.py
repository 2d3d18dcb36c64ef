"""The part of jobs and archives in the file of all that is stored about a researcher."""

import gc
import json
import tracemalloc

import pytest

from accounts.exporting import export
from accounts.models import Plan
from accounts.plans import change_plan
from archive.tests.conftest import CONTENT, pass_time, settle, take_step
from jobs.models import Job
from jobs.tests.many_jobs import make_many

pytestmark = pytest.mark.django_db


def exported(user):
    return json.loads("".join(export(user)))


def test_jobs_with_their_files_and_archives(make_archive, make_job, make_upload, researcher, settings):
    archived, hot = settle(make_archive(researcher)), make_archive(researcher, due=False)
    failed = make_job(researcher, name="bad “name”.vcf")
    assert failed.claim("w")
    assert failed.fail("bad_record", ["Line 3 is no record."])
    open_one = make_upload(researcher)
    change_plan(researcher, Plan.PREMIUM)
    pass_time(archived)
    take_step(archived)
    told = exported(researcher)
    jobs = {job["id"]: job for job in told["jobs"]}
    assert jobs.keys() == {str(archived.job_id), str(hot.job_id), str(failed.pk)}
    files = {file["name"]: file for file in jobs[str(hot.job_id)]["files"]}
    base = f"{settings.SITE_URL}/annotations/{hot.job_id}"
    assert files["test.annot.vcf.gz"] == {
        "name": "test.annot.vcf.gz",
        "bytes": len(CONTENT),
        "sha256": hot.sha256,
        "url": f"{base}/result/",
        "can_be_downloaded": True,
        "is_archived": False,
    }
    assert files["test.vcf"] == {
        "name": "test.vcf", "bytes": hot.job.input_size, "sha256": None, "url": f"{base}/input/"
    }  # fmt: skip
    assert files["test.vcf.count.log"]["sha256"] == hot.job.log_sha256
    cold = {file["name"]: file for file in jobs[str(archived.job_id)]["files"]}["test.annot.vcf.gz"]
    assert (cold["can_be_downloaded"], cold["is_archived"]) == (False, True)
    assert jobs[str(failed.pk)]["error_message"] == "Line 3 is no record."
    assert [file["name"] for file in jobs[str(failed.pk)]["files"]] == ["bad “name”.vcf"]
    assert str(open_one.pk) in {upload["id"] for upload in told["uploads"]}
    assert sorted(mail["kind"] for mail in told["mails"]) == ["completed", "completed", "failed"]
    assert {row["job"] for row in told["archives"]} == {str(archived.job_id), str(hot.job_id)}
    assert told["retrievals"][0]["archive"] == str(archived.pk)
    assert told["restorations"][0]["results"] == 1
    assert "results/" not in json.dumps(told)  # keys are not for him


def test_many_jobs_take_no_more_memory_and_few_queries(researcher, django_assert_max_num_queries):
    peaks = []
    for count in (1100, 1100):
        make_many(researcher, count)
        gc.collect()
        tracemalloc.start()
        with django_assert_max_num_queries(40):
            size = sum(len(block) for block in export(researcher))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert Job.objects.count() == 2200
    assert size > 1_000_000
    assert peaks[1] < peaks[0] * 1.3
    print(peaks, size)
