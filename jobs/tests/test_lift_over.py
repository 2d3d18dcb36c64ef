"""A file of another build: the offer on its page, the second run, and what is counted and listed there."""

import pytest
from django.urls import reverse

from gas.objects import objects
from jobs import annotate as annotate_module
from jobs.annotation import reference
from jobs.annotation.forkserver import ForkServer
from jobs.annotation.reference import chains
from jobs.annotation.reference.build import build
from jobs.models import Job
from jobs.tasks import annotate_job, notify_job

CHAIN = "chain 1 chr1 40 + 0 20 chr1 25 + 2 23 1\n10 2 3\n8\n"
OLD = (
    b"##fileformat=VCFv4.2\n##reference=hg18.fa\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    b"chr1\t1\t.\tA\tG\t.\t.\t.\nchr1\t11\t.\tG\tC\t.\t.\t.\nchr1\t14\t.\tT\tC\t.\t.\t.\n"
)
FAULTS = ["The file was made against NCBI36.", "Or lift it over to GRCh38: a chain file is installed."]


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Installed is a reference of 25 bp, with a chain file from NCBI36."""
    (tmp_path / "reference.toml").write_text('name = "small"\nbuild = "GRCh38"\nfasta = "genome.fa"\n')
    (tmp_path / "genome.fa").write_text(">1\nNNACGTACGTACNNNTTTTGGGGNN\n")
    (tmp_path / "hg18.chain").write_text(CHAIN)
    monkeypatch.setenv("GAS_REFERENCE_DIR", str(tmp_path / "root"))
    build(tmp_path, tmp_path / "root")
    chains.add(reference.load("small"), tmp_path / "hg18.chain", "hg18")
    server = ForkServer()
    monkeypatch.setattr(annotate_module, "engine", server)
    yield
    server.close()


@pytest.fixture
def browser(client, researcher):
    client.force_login(researcher)
    return client


@pytest.fixture
def refused(researcher, make_job):
    """A job that failed because its file is of another build."""
    job = make_job(researcher, OLD)
    assert job.claim("w")
    assert job.fail("needs_lift_over", FAULTS)
    return job


def run(job: Job) -> Job:
    annotate_job.fn(str(job.pk))
    return Job.objects.get(pk=job.pk)


def page_of(browser, job):
    return browser.get(reverse("annotation", args=[job.pk])).content.decode()


def test_from_the_refusal_to_the_result(small, browser, researcher, make_job):
    job = run(make_job(researcher, OLD))
    assert (job.status, job.error_code) == ("FAILED", "needs_lift_over")
    address = reverse("annotation_lift_over", args=[job.pk])
    assert f'action="{address}"' in page_of(browser, job)
    answer = browser.post(address)
    assert answer.url == reverse("annotation", args=[job.pk])
    job = run(job)
    assert (job.status, job.error_message, job.lift_over) == ("COMPLETED", "", True)
    assert (job.summary["records"], job.summary["written"], job.summary["skipped"]) == (3, 2, 1)
    assert job.summary["lift_over"]["not_lifted"] == {"vanished": 1}
    page = page_of(browser, job)
    assert "<dt>Lifted over</dt><dd>2 from NCBI36 to GRCh38</dd>" in page
    assert "1: the target has nothing in the place of REF" in page
    assert address not in page
    table = objects("results").read(job.skipped_key, 1000).decode().splitlines()
    assert table[1:] == ["5\tchr1:11\tLine 5 does not lift over to GRCh38: the target has nothing in the place of REF."]
    assert "lifted over from NCBI36" in objects("results").read(job.log_key, 10_000).decode()


def test_the_offer_is_made_where_lifting_over_helps(browser, refused):
    address = reverse("annotation_lift_over", args=[refused.pk])
    assert f'action="{address}"' in page_of(browser, refused)
    Job.objects.filter(pk=refused.pk).update(error_code="wrong_build")
    assert address not in page_of(browser, refused)


def test_the_mail_tells_of_the_button(refused, mailoutbox):
    notify_job.fn(str(refused.notifications.get().pk))
    [message] = mailoutbox
    for text in (message.body, message.alternatives[0][0]):
        assert "What to do: to lift it over, press the button on its page. Otherwise, where this names a fault" in text


def test_the_job_runs_again_lifted_over(browser, refused):
    browser.post(reverse("annotation_lift_over", args=[refused.pk]))
    job = Job.objects.get(pk=refused.pk)
    assert (job.status, job.lift_over, job.error_code, job.tries) == ("PENDING", True, "", 0)
    assert not job.notifications.exists()
    assert "before annotating, as you chose" in page_of(browser, job)


def test_nobody_else_lifts_it_over(client, outsider, refused):
    client.force_login(outsider)
    assert client.post(reverse("annotation_lift_over", args=[refused.pk])).status_code == 404
    assert Job.objects.get(pk=refused.pk).status == "FAILED"


@pytest.mark.parametrize("status", ["PENDING", "RUNNING", "wrong_build", "COMPLETED"])
def test_no_other_job_is_lifted_over(status, browser, researcher, make_job):
    job = make_job(researcher)
    if status != "PENDING":
        job.claim("w")
    if status == "wrong_build":
        job.fail(status, ["It is of another build."])
    if status == "COMPLETED":
        facts = {"status": status, "lease_until": None, "next_action_at": None, "finished_at": job.started_at}
        files = {"result_key": "r", "log_key": "l", "result_sha256": "a", "log_sha256": "b"}
        Job.objects.filter(pk=job.pk).update(**facts, **files, result_size=1, log_size=1)
    before = Job.objects.get(pk=job.pk)
    answer = browser.post(reverse("annotation_lift_over", args=[job.pk]), follow=True)
    after = Job.objects.get(pk=job.pk)
    assert (after.status, after.lift_over, after.attempt) == (before.status, False, before.attempt)
    assert "There is nothing to lift over of test.vcf" in answer.content.decode()


def test_two_clicks_are_one_run(refused):
    """Both requests read the job as failed; the second finds it moved on."""
    first, second = Job.objects.get(pk=refused.pk), Job.objects.get(pk=refused.pk)
    assert first.retry_lifted_over()
    assert not second.retry_lifted_over()


def test_a_deleted_job_is_not_lifted_over(refused):
    stale = Job.objects.get(pk=refused.pk)
    refused.delete_soon()
    assert not stale.retry_lifted_over()
    assert Job.objects.get(pk=refused.pk).status == "FAILED"
