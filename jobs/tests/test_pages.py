"""The pages of a researcher's jobs: what they show, to whom, and at what cost."""

from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import Plan
from accounts.plans import change_plan
from gas.objects import StorageUnavailable, objects
from jobs.models import Job, Upload
from jobs.models.job import Result
from jobs.tests.many_jobs import make_many

PAGES = [
    "annotation",
    "annotation_log",
    "annotation_log_file",
    "annotation_skipped",
    "annotation_result",
    "annotation_index",
    "annotation_input",
]
POSTS = ["annotation_cancel", "annotation_delete", "annotation_lift_over"]


@pytest.fixture
def browser(client, researcher):
    client.force_login(researcher)
    return client


@pytest.fixture
def complete(tmp_path):
    """Completes a job with small files in the store."""

    def do(job: Job, log: str = "Total: 3\n") -> Job:
        assert job.claim("w")
        keys = {}
        for name, content in (("result", b"result"), ("index", b"index"), ("log", log.encode())):
            (tmp_path / name).write_bytes(content)
            keys[name] = job.attempt_key(name)
            objects("results").put_file(keys[name], tmp_path / name)
        assert job.complete(
            Result(keys["result"], 6, "a" * 64, keys["index"], keys["log"], len(log), "b" * 64, {"records": 3})
        )
        return job

    return do


@pytest.fixture
def skipped(complete, tmp_path):
    """A completed job two of whose records were skipped."""

    def do(job: Job) -> Job:
        complete(job)
        key = job.attempt_key("skipped.tsv")
        (tmp_path / "skipped.tsv").write_text("line\trecord\treason\n5\tMT:0\tPOS is 0.\n7\tMT:x\tPOS.\n")
        objects("results").put_file(key, tmp_path / "skipped.tsv")
        Job.objects.filter(pk=job.pk).update(skipped_key=key, summary={"records": 5, "skipped": 2})
        return Job.objects.get(pk=job.pk)

    return do


def late(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(download_until=timezone.now() - timedelta(minutes=1))


@pytest.mark.parametrize("name", ["annotate", "annotations", "profile"])
def test_pages_ask_for_sign_in_and_come_back(client, db, name):
    answer = client.get(reverse(name))
    assert (answer.status_code, answer["Location"]) == (302, f"/login/?next={reverse(name)}")


@pytest.mark.parametrize("name", PAGES)
def test_somebody_elses_job_is_404(client, researcher, outsider, make_job, complete, name):
    job = complete(make_job(researcher))
    client.force_login(outsider)
    assert client.get(reverse(name, args=[job.pk])).status_code == 404
    client.force_login(researcher)
    assert client.get(reverse(name, args=[job.pk])).status_code in (200, 302)


@pytest.mark.parametrize("name", POSTS)
def test_nobody_changes_somebody_elses_job(client, researcher, outsider, make_job, name):
    job = make_job(researcher)
    client.force_login(outsider)
    assert client.post(reverse(name, args=[job.pk])).status_code == 404
    assert Job.objects.get(deleted_at=None).status == "PENDING"


@pytest.mark.parametrize("name", POSTS)
def test_nothing_changes_by_get(browser, researcher, make_job, name):
    job = make_job(researcher)
    assert browser.get(reverse(name, args=[job.pk])).status_code == 405
    assert Job.objects.get(deleted_at=None).status == "PENDING"


def test_reloading_a_page_resets_nothing(browser, researcher, make_job, complete):
    """Seed defect 2: a reload set a COMPLETED job back to PENDING and mailed again."""
    job = complete(make_job(researcher))
    for name in PAGES * 2:
        browser.get(reverse(name, args=[job.pk]))
    browser.post(reverse("upload_complete", args=[job.upload_id]))
    assert (Job.objects.get().status, Job.objects.get().attempt) == ("COMPLETED", 1)
    assert job.notifications.count() == 1


def test_the_list_is_paged_newest_first(browser, researcher, make_job):
    Plan.objects.update(concurrent_jobs=None)
    jobs = [make_job(researcher, name=f"run-{n:02}.vcf") for n in range(23)]
    first, second = (browser.get(f"{reverse('annotations')}?page={n}").content.decode() for n in (1, 2))
    assert [f"run-{n:02}.vcf" in first for n in range(23)] == [False] * 3 + [True] * 20
    assert [f"run-{n:02}.vcf" in second for n in range(23)] == [True] * 3 + [False] * 20
    assert first.index("run-22.vcf") < first.index("run-21.vcf")
    assert jobs[0].pk != jobs[1].pk


def test_the_list_of_nobody_has_a_way_on(browser):
    page = browser.get(reverse("annotations")).content.decode()
    assert reverse("annotate") in page
    assert "every 2s" not in page


def test_live_pages_poll_only_while_something_runs(browser, researcher, make_job, complete):
    job = make_job(researcher)
    for name, args in (("annotations", []), ("annotation", [job.pk])):
        assert b"hx-trigger" in browser.get(reverse(name, args=args)).content
    change_plan(researcher, Plan.PREMIUM)
    complete(job)
    for name, args in (("annotations", []), ("annotation", [job.pk])):
        assert b"hx-trigger" not in browser.get(reverse(name, args=args)).content
        part = browser.get(reverse(name, args=args), headers={"HX-Request": "true"}).content
        assert b"<html" not in part
        assert b"hx-trigger" not in part


@pytest.mark.parametrize("rows", [10, 10_000])
def test_the_list_costs_the_same_queries_whatever_the_number_of_jobs(
    browser, researcher, make_job, django_assert_num_queries, rows
):
    make_many(researcher, rows)
    browser.get(reverse("annotate"))  # the first page of a session notes when it began
    with django_assert_num_queries(7):  # session, user, profile, plan, count, page, erasure
        assert browser.get(reverse("annotations")).status_code == 200


def test_the_details(browser, researcher, make_job, complete):
    job = make_job(researcher, name="<b>mine.vcf")
    page = browser.get(reverse("annotation", args=[job.pk])).content.decode()
    assert str(job.pk) in page
    assert "&lt;b&gt;mine.vcf" in page
    assert "<b>mine" not in page
    assert "It is next to be annotated." in page
    assert reverse("annotation_cancel", args=[job.pk]) in page
    complete(job)
    page = browser.get(reverse("annotation", args=[job.pk])).content.decode()
    assert "a" * 64 in page
    assert reverse("annotation_result", args=[job.pk]) in page
    assert reverse("annotation_cancel", args=[job.pk]) not in page
    assert f"{job.download_until:%H:%M} UTC" in page


def test_a_failure_is_told_in_sentences(browser, researcher, make_job):
    job = make_job(researcher)
    job.claim("w")
    job.fail("bad_records", ["Line 3 has 7 columns, not 8.", "Line 5 <b> too."])
    page = browser.get(reverse("annotation", args=[job.pk])).content.decode()
    assert "Line 3 has 7 columns, not 8." in page
    assert "Line 5 &lt;b&gt; too." in page


def test_downloads_are_links_that_expire_with_the_right_name_and_type(
    browser, client, researcher, make_job, complete, settings
):
    job = complete(make_job(researcher, name="Zürich 1.vcf"))
    for name, content, type_, file_name in (
        ("annotation_result", b"result", "application/gzip", "Z%C3%BCrich%201.annot.vcf.gz"),
        ("annotation_index", b"index", "application/gzip", "Z%C3%BCrich%201.annot.vcf.gz.tbi"),
        ("annotation_input", None, "text/plain", "Z%C3%BCrich%201.vcf"),
    ):
        link = browser.get(reverse(name, args=[job.pk]))
        assert link.status_code == 302
        assert urlsplit(link["Location"]).path.startswith("/objects/")
        file = browser.get(link["Location"])
        assert file["Content-Type"].split(";")[0] == type_
        assert f"filename*=UTF-8''{file_name}" in file["Content-Disposition"]
        body = b"".join(file.streaming_content)
        assert content in (None, body)
    settings.LINK_LIFETIME = timedelta(seconds=-1)
    link = browser.get(reverse("annotation_result", args=[job.pk]))
    assert browser.get(link["Location"]).status_code in (404, 410)


def test_a_locked_result_is_neither_offered_nor_given(browser, researcher, make_job, complete):
    job = complete(make_job(researcher))
    late(job)
    page = browser.get(reverse("annotation", args=[job.pk])).content.decode()
    assert reverse("annotation_result", args=[job.pk]) not in page
    assert reverse("subscribe") in page
    for name in ("annotation_result", "annotation_index"):
        answer = browser.get(reverse(name, args=[job.pk]))
        assert (answer.status_code, answer["Location"]) == (302, reverse("annotation", args=[job.pk]))
    assert reverse("annotation_result", args=[job.pk]) not in browser.get(reverse("annotations")).content.decode()


def test_upgrading_opens_it_again_at_once(browser, researcher, make_job, complete):
    job = complete(make_job(researcher))
    late(job)
    browser.post(reverse("subscribe"), {"plan": "premium", "confirm": "on"})
    assert browser.get(reverse("annotation_result", args=[job.pk]))["Location"].startswith("/objects/")


def test_the_log(browser, researcher, make_job, complete):
    job = make_job(researcher)
    early = browser.get(reverse("annotation_log", args=[job.pk]))  # seed defect 38: a server error
    assert (early.status_code, early["Location"]) == (302, reverse("annotation", args=[job.pk]))
    complete(job, log="Total: 3\n<script>alert(1)</script>\n")
    assert browser.get(reverse("annotation_log_file", args=[job.pk]), follow=True).getvalue().startswith(b"Total: 3")
    page = browser.get(reverse("annotation_log", args=[job.pk])).content.decode()
    assert "Total: 3" in page
    assert "<script>alert" not in page


def test_skipped_records_are_told_and_their_list_is_kept_as_long_as_the_log(browser, researcher, make_job, skipped):
    job = skipped(make_job(researcher, name="my run.zip"))
    late(job)
    url = reverse("annotation_skipped", args=[job.pk])
    page = browser.get(reverse("annotation", args=[job.pk])).content.decode()
    assert "2 records were skipped" in page
    assert url in page
    file = browser.get(url, follow=True)
    assert file.getvalue().startswith(b"line\trecord\treason\n5\t")
    assert "filename=" in file["Content-Disposition"]
    assert "my run.skipped.tsv" in file["Content-Disposition"]
    job.delete_soon()
    job.purge()
    assert not objects("results").exists(job.skipped_key)


def test_what_is_to_know_of_a_result_stands_beside_it(browser, researcher, make_job, complete):
    job = complete(make_job(researcher))
    url = reverse("annotation", args=[job.pk])
    assert "Things to know" not in browser.get(url).content.decode()
    Job.objects.update(summary={"records": 3, "notes": ["GRCh38 was assumed.", "No sequence of '<b>'."]})
    page = browser.get(url).content.decode()
    assert "Things to know about this result" in page
    assert "<li>GRCh38 was assumed.</li><li>No sequence of &#x27;&lt;b&gt;&#x27;.</li>" in page


def test_without_skipped_records_there_is_no_list(browser, researcher, make_job, complete):
    job = complete(make_job(researcher))
    url = reverse("annotation_skipped", args=[job.pk])
    page = browser.get(reverse("annotation", args=[job.pk])).content.decode()
    assert "skipped" not in page
    answer = browser.get(url)
    assert (answer.status_code, answer["Location"]) == (302, reverse("annotation", args=[job.pk]))


def test_a_store_out_of_reach_is_told(browser, researcher, make_job, make_upload, complete, monkeypatch):
    def down(*_):
        raise StorageUnavailable("down")

    job, upload = complete(make_job(researcher)), make_upload(researcher)
    for method in ("size", "read", "received_parts"):
        monkeypatch.setattr(type(objects("results")), method, down)
    for url in (
        reverse("annotation_log", args=[job.pk]),
        reverse("annotation_result", args=[job.pk]),
        reverse("annotate"),
    ):
        answer = browser.get(url)
        assert (answer.status_code, b"Try again in a minute" in answer.content) == (503, True)
    api = browser.get(reverse("upload", args=[upload.pk]))
    assert (api.status_code, api.json()["error"]["code"]) == (503, "storage_unavailable")


@pytest.mark.parametrize("debug", [True, False])
def test_the_404_page_tells_nothing_of_the_site(browser, settings, debug):
    settings.DEBUG = debug
    page = browser.get(reverse("annotation", args=["00000000-0000-0000-0000-000000000000"]))
    assert page.status_code == 404
    assert b"URLconf" not in page.content
    assert b"<h1" in page.content


def test_a_file_that_is_gone_is_404(browser, researcher, make_job, complete):
    job = complete(make_job(researcher))
    objects("results").delete(job.log_key)
    objects("results").delete(job.result_key)
    for name in ("annotation_log", "annotation_result"):
        assert browser.get(reverse(name, args=[job.pk])).status_code == 404


def test_an_upload_that_the_store_never_heard_of_harms_no_page(browser, researcher, make_upload):
    Upload.objects.filter(pk=make_upload(researcher).pk).update(token="")
    assert browser.get(reverse("annotate")).status_code == 200


def test_cancel(browser, researcher, make_job):
    job = make_job(researcher)
    answer = browser.post(reverse("annotation_cancel", args=[job.pk]), follow=True)
    assert Job.objects.get().status == "CANCELLED"
    assert "It was cancelled; there is no result." in answer.content.decode()


def test_delete(browser, researcher, make_job, complete):
    job = complete(make_job(researcher))
    answer = browser.post(reverse("annotation_delete", args=[job.pk]), follow=True)
    assert answer.redirect_chain == [(reverse("annotations"), 302)]
    assert browser.get(reverse("annotation", args=[job.pk])).status_code == 404


def test_the_upload_page_tells_the_limit_before(browser, client, premium):
    page = browser.get(reverse("annotate")).content.decode()
    assert "150.0\xa0KB" in page
    assert reverse("subscribe") in page
    client.force_login(premium)
    assert "150.0\xa0KB" not in client.get(reverse("annotate")).content.decode()
