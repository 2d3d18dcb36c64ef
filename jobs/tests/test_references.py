"""The choice of a reference: what is offered, what is refused, and that the engine gets what was chosen."""

import shutil
from pathlib import Path

import pytest
from django.urls import reverse

from conftest import HEADER
from jobs.annotation import reference
from jobs.models import Job, Upload
from jobs.references import check_reference, offered
from jobs.refusals import Refused
from jobs.tasks import annotate_job

NCBI36 = HEADER.replace("#CHROM", "##reference=human_b36_both.fasta\n#CHROM") + "21\t30000000\t.\tA\tG\t.\t.\t.\n"


@pytest.fixture
def browser(client, researcher):
    client.force_login(researcher)
    return client


@pytest.fixture
def only_rcrs(tmp_path, monkeypatch) -> Path:
    """A root of references that has a copy of rCRS."""
    root = tmp_path / "references"
    shutil.copytree(reference.root() / "rCRS", root / "rCRS", symlinks=True)
    monkeypatch.setenv("GAS_REFERENCE_DIR", str(root))
    return root


@pytest.fixture
def run(make_upload):
    """The job of an upload with a chosen reference, annotated."""

    def do(owner, content: bytes, chosen: str) -> Job:
        job = make_upload(owner, content).complete(chosen)
        annotate_job.fn(str(job.pk))
        return Job.objects.get(pk=job.pk)

    return do


def complete(browser, upload, **form):
    return browser.post(reverse("upload_complete", args=[upload.pk]), form)


def test_the_page_offers_what_is_installed(browser):
    page = browser.get(reverse("annotate")).content.decode()
    assert '<option value="">Find out from the file</option>' in page
    assert '<option value="GRCh38">GRCh38: Human genome GRCh38' in page
    assert '<option value="rCRS">rCRS, build NC_012920.1: Human mitochondrial genome' in page


def test_where_there_is_one_there_is_no_choice(browser, only_rcrs):
    assert "<select" not in browser.get(reverse("annotate")).content.decode()
    assert [offer.name for offer in offered()] == ["rCRS"]


def test_a_damaged_one_is_not_offered(only_rcrs):
    damaged = only_rcrs / "GRCh38" / "current"
    damaged.mkdir(parents=True)
    (damaged / "reference.toml").write_text("name = ")
    assert reference.installed() == ["GRCh38", "rCRS"]
    assert [offer.name for offer in offered()] == ["rCRS"]


def test_another_program_has_references_of_its_own(browser, researcher, make_upload, settings):
    settings.ANNOTATOR = "command"
    assert "<select" not in browser.get(reverse("annotate")).content.decode()
    upload = make_upload(researcher)
    refused = complete(browser, upload, reference="GRCh38")
    assert refused.json()["error"]["code"] == "no_such_reference"
    assert "none to choose" in refused.json()["error"]["detail"]
    assert complete(browser, upload).status_code == 201


def test_the_choice_is_kept_with_the_job_and_shown(browser, researcher, make_upload):
    upload = make_upload(researcher)
    answer = complete(browser, upload, reference="GRCh38")
    assert answer.status_code == 201
    assert Job.objects.get().reference == "GRCh38"
    assert "GRCh38, as you chose" in browser.get(answer.json()["job_url"]).content.decode()
    complete(browser, upload, reference="rCRS")  # asked again, the same job
    assert Job.objects.get().reference == "GRCh38"


def test_without_a_choice_none_is_shown(browser, researcher, make_upload):
    answer = complete(browser, make_upload(researcher), reference="")
    assert Job.objects.get().reference == ""
    assert "as you chose" not in browser.get(answer.json()["job_url"]).content.decode()


@pytest.mark.parametrize(
    "name",
    ["GRCh37", "grch38", " GRCh38", "..", "../reference/GRCh38", "/etc/passwd", "GRCh38/current", "*", "\0", "x" * 9999,
     "<b>", "rCRS\n", "é"],
)  # fmt: skip
def test_what_is_not_installed_is_refused_and_the_upload_stays(browser, researcher, make_upload, name):
    upload = make_upload(researcher)
    answer = complete(browser, upload, reference=name)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "no_such_reference")
    assert error["detail"].endswith("was asked for; there are: GRCh38, rCRS.")
    assert len(error["detail"]) < 150
    assert (Upload.objects.get().status, Job.objects.count()) == ("OPEN", 0)
    assert complete(browser, upload, reference="rCRS").status_code == 201


def test_names_are_compared_whole():
    check_reference("")
    check_reference("rCRS")
    with pytest.raises(Refused):
        check_reference("rCR")


def test_the_engine_gets_what_was_chosen(researcher, run):
    content = (HEADER + "MT\t3243\t.\tA\tG\t.\t.\t.\n").encode()
    assert [run(researcher, content, name).summary["reference"]["name"] for name in ("", "GRCh38")] == [
        "rCRS",
        "GRCh38",
    ]


def test_a_choice_that_contradicts_the_file_fails_and_says_so(researcher, run):
    job = run(researcher, NCBI36.encode(), "GRCh38")
    assert job.status == "FAILED"
    assert "The file was made against NCBI36 (hg18), the reference is GRCh38 (hg38)" in job.error_message


def test_one_that_was_removed_meanwhile_fails_and_names_those_that_are_there(researcher, make_job, only_rcrs):
    job = make_job(researcher)
    Job.objects.update(reference="mine", tries=2)  # the last try
    annotate_job.fn(str(job.pk))
    job.refresh_from_db()
    assert (job.status, job.error_code) == ("FAILED", "reference_missing")
    assert "The reference mine was asked for and is not installed; these are: " in job.error_message
    assert "Choose one of them, or none" in job.error_message
