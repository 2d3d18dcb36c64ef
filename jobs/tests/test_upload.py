"""The upload session over HTTP: what it takes, what it refuses, and that nobody can make a job of it that he should not."""

import gzip
import io
import json
import threading
import zipfile
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse

from conftest import VCF
from gas.objects import StorageUnavailable, objects
from jobs.models import Job, Upload
from jobs.refusals import Refused
from jobs.tasks import clean_upload

FREE_LIMIT = 153_600
SIZE = len(VCF)


@pytest.fixture
def browser(client, researcher):
    client.force_login(researcher)
    return client


def begin(client, name="test.vcf", size=SIZE):
    return client.post(
        reverse("uploads"), json.dumps({"file_name": name, "size": size}), content_type="application/json"
    )


def put(client, upload_url, number, content):
    return client.put(f"{upload_url}parts/{number}/", content, content_type="application/octet-stream")


def send(client, content=VCF, name="test.vcf"):
    """The whole way; returns the answer to `complete`."""
    session = begin(client, name, len(content)).json()
    for n in range(session["part_count"]):
        part = content[n * session["part_size"] : (n + 1) * session["part_size"]]
        assert put(client, session["url"], n + 1, part).status_code == 204
    return client.post(session["url"] + "complete/")


def error(response):
    return response.json()["error"]["code"]


def test_the_whole_way(browser, researcher, hints, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        answer = send(browser)
    job = Job.objects.get()
    assert (answer.status_code, answer.json()) == (201, {"job_url": f"/annotations/{job.pk}/"})
    assert (job.owner, job.file_name, job.input_size, job.status) == (
        researcher,
        "test.vcf",
        len(VCF),
        "PENDING",
    )
    assert job.input_key == f"uploads/{researcher.pk}/{job.upload_id}/input"
    assert objects("uploads").read(job.input_key, 10_000) == VCF
    assert hints("annotate") == 1


def test_many_parts_in_any_order_twice_and_resumed(browser, settings):
    settings.UPLOAD_PART_BYTES = 30
    session = begin(browser).json()
    assert session["part_count"] == -(-len(VCF) // 30) > 3
    last = session["part_count"]
    for n in [last, 2, 2]:
        assert put(browser, session["url"], n, VCF[(n - 1) * 30 : n * 30]).status_code == 204
    assert browser.get(session["url"]).json()["received"] == [2, last]
    missing = browser.post(session["url"] + "complete/")
    assert (missing.status_code, missing.json()["missing"]) == (409, [n for n in range(1, last) if n != 2])
    for n in missing.json()["missing"]:
        put(browser, session["url"], n, VCF[(n - 1) * 30 : n * 30])
    assert browser.post(session["url"] + "complete/").status_code == 201
    assert objects("uploads").read(Job.objects.get().input_key, 10_000) == VCF


def test_completing_twice_makes_one_job(browser):
    session = begin(browser).json()
    put(browser, session["url"], 1, VCF)
    answers = [browser.post(session["url"] + "complete/").json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert Job.objects.count() == 1


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_completing_many_times_at_once_makes_one_job(researcher, make_upload):
    upload, made, start = make_upload(researcher), [], threading.Barrier(5)

    def complete() -> None:
        try:
            mine = Upload.objects.get(pk=upload.pk)
            start.wait()
            made.append(mine.complete().pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=complete) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 5
    assert set(made) == {Job.objects.get().pk}


def test_a_crash_between_store_and_row_is_mended_by_asking_again(browser):
    session = begin(browser).json()
    put(browser, session["url"], 1, VCF)
    upload = Upload.objects.get()
    objects("uploads").finish_upload(upload.key, upload.token, upload.size)  # and then the process died
    assert browser.post(session["url"] + "complete/").status_code == 201


# --- limits, told before and enforced after ------------------------------------------------------------------------------


def test_the_free_limit_at_session_start(browser):
    assert begin(browser, size=FREE_LIMIT).status_code == 201
    refused = begin(browser, size=FREE_LIMIT + 1)
    assert refused.status_code == 413
    assert refused.json()["error"] == {
        "code": "too_large",
        "title": "The file is too large for your plan",
        "detail": "It has 153,601 bytes (150.0\xa0KB); the Free plan takes up to 153,600 bytes (150.0\xa0KB).",
        "mend": "Compress it with bgzip, split it by chromosome, or upgrade to Premium.",
        "upgrade": True,
    }
    assert Upload.objects.count() == 1


def test_premium_has_the_ceiling_of_the_service_only(client, premium, settings):
    client.force_login(premium)
    assert begin(client, size=FREE_LIMIT * 1000).status_code == 201
    refused = begin(client, size=settings.MAX_UPLOAD_BYTES + 1)
    assert (refused.status_code, refused.json()["error"]["upgrade"]) == (413, False)


def test_the_limit_at_completion_when_the_plan_has_changed_meanwhile(client, premium, make_upload):
    upload = make_upload(premium, VCF + b"MT\t73\t.\tA\tG\t.\t.\t.\n" * 9000)
    premium.profile.plan_id = "free"
    premium.profile.save()
    client.force_login(premium)
    refused = client.post(reverse("upload_complete", args=[upload.pk]))
    assert (refused.status_code, error(refused)) == (413, "too_large")
    assert not Job.objects.exists()
    assert Upload.objects.get().status == "ABORTED"


def test_a_file_that_is_not_as_long_as_announced(browser, researcher, make_upload):
    upload = make_upload(researcher)
    Upload.objects.filter(pk=upload.pk).update(size=len(VCF) + 7)
    refused = browser.post(reverse("upload_complete", args=[upload.pk]))
    assert refused.status_code in (409, 422)
    assert not Job.objects.exists()


@pytest.mark.parametrize("length", [0, len(VCF) - 1, len(VCF) + 1])
def test_a_part_of_another_length_is_refused(browser, length):
    session = begin(browser).json()
    refused = put(browser, session["url"], 1, (VCF + b"more")[:length])
    assert (refused.status_code, error(refused)) == (400, "part_length")
    assert browser.get(session["url"]).json()["received"] == []


@pytest.mark.parametrize("number", [0, 2, 99_999])
def test_a_part_that_does_not_exist(browser, number):
    session = begin(browser).json()
    refused = put(browser, session["url"], number, VCF)
    assert (refused.status_code, error(refused)) == (404, "no_such_part")


def test_open_sessions_are_limited(browser):
    assert [begin(browser).status_code for _ in range(21)] == [201] * 20 + [429]


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_open_sessions_are_limited_also_at_once(researcher):
    start, begun = threading.Barrier(30), []

    def one() -> None:
        try:
            start.wait()
            begun.append(Upload.start(researcher, "a.vcf", 10))
        except Refused:
            pass
        finally:
            connection.close()

    threads = [threading.Thread(target=one) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(begun) == Upload.objects.count() == 20


def test_a_store_out_of_reach_leaves_no_session(browser, monkeypatch):
    def down(*_):
        raise StorageUnavailable("down")

    with monkeypatch.context() as patch:
        patch.setattr(type(objects("uploads")), "begin_upload", down)
        assert begin(browser).status_code == 503
    assert not Upload.objects.exists()
    assert browser.get(reverse("annotate")).status_code == 200


def test_completing_what_was_cleaned_meanwhile(browser, researcher, make_upload, monkeypatch):
    upload = make_upload(researcher)

    def cleaned_meanwhile(stale, *_):
        Upload.objects.filter(pk=stale.pk).delete()

    monkeypatch.setattr(Upload, "_check", cleaned_meanwhile)
    gone = browser.post(reverse("upload_complete", args=[upload.pk]))
    assert (gone.status_code, error(gone)) == (410, "aborted")


def zipped(content: bytes | None, method: int = zipfile.ZIP_DEFLATED, *, before: str = "") -> bytes:
    """A ZIP archive with this file; with an entry `before` it, or with none at all."""
    with zipfile.ZipFile(file := io.BytesIO(), "w", method) as archive:
        if before:
            archive.writestr(before, b"clutter")
        if content is not None:
            archive.writestr("a.vcf", content)
    return file.getvalue()


# --- what is no VCF file ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"\x00\x01\x02" * 20, "not_vcf"),
        (b"hello\n", "not_vcf"),
        (gzip.compress(b"hello\n", mtime=0), "not_vcf"),
        (b"\x1f\x8bnonsense", "bad_gzip"),
        (zipped(b"hello\n"), "not_vcf"),
        (zipped(b"hello\n", zipfile.ZIP_STORED), "not_vcf"),
        (zipped(VCF)[:35] + b"\xff" * 100, "bad_zip"),
        (zipped(None), "not_vcf"),
        (b"PK\x03\x04", "not_vcf"),
    ],
)
def test_what_is_no_vcf_file_is_refused_and_goes(browser, content, code):
    refused = send(browser, content)
    assert (refused.status_code, error(refused)) == (422, code)
    assert not Job.objects.exists()
    upload = Upload.objects.get()
    clean_upload.fn(str(upload.pk))
    assert not Upload.objects.exists()
    assert not objects("uploads").exists(upload.key)


@pytest.mark.parametrize(
    "content", [VCF, gzip.compress(VCF, mtime=0), b"\xef\xbb\xbf" + VCF, VCF.replace(b"\n", b"\r\n")]
)
def test_plain_gzip_bom_and_crlf_are_taken(browser, content):
    assert send(browser, content).status_code == 201


@pytest.mark.parametrize(
    "content",
    [
        zipped(VCF),
        zipped(VCF, zipfile.ZIP_STORED),
        zipped(VCF, before="__MACOSX/._a.vcf"),
        zipped(VCF, zipfile.ZIP_LZMA),  # the annotator has a sentence for it
        zipped(VCF + b"MT\t73\t.\tA\tG\t.\t.\t.\n" * 50_000),
    ],
)
def test_zip_archives_are_taken(browser, content):
    assert send(browser, content, name="my run.zip").status_code == 201


@pytest.mark.parametrize(
    ("name", "stem"),
    [("a.vcf", "a"), ("a.b.vcf.gz", "a.b"), ("a.VCF.bgz", "a"), ("a.zip", "a"), ("a.vcf.ZIP", "a"), ("vcf.zip", "vcf")],
)
def test_stems_have_no_suffix(browser, name, stem):
    assert send(browser, name=name).status_code == 201
    job = Job.objects.get()
    assert (job.stem, job.result_name) == (stem, f"{stem}.annot.vcf.gz")


def test_an_empty_file(browser):
    refused = begin(browser, size=0)
    assert (refused.status_code, error(refused)) == (422, "empty_file")


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd.vcf", "passwd.vcf"),
        ("C:\\data\\run 1.vcf", "run 1.vcf"),
        ("Ergebnis-Zürich-雪.vcf.gz", "Ergebnis-Zürich-雪.vcf.gz"),
        ("Zu\u0308rich.VCF", "Zürich.VCF"),
        ("a\r\nBcc: x@example.org.vcf", "aBcc: x@example.org.vcf"),
        ("x" * 300 + ".vcf.bgz", "x" * 192 + ".vcf.bgz"),
        ("<script>alert(1)<script>.vcf", "<script>alert(1)<script>.vcf"),
    ],
)
def test_file_names_are_cleaned_and_never_become_keys(browser, name, kept):
    assert send(browser, name=name).status_code == 201
    job = Job.objects.get()
    assert job.file_name == kept
    assert job.input_key == job.upload.key == f"uploads/{job.owner_id}/{job.upload_id}/input"


@pytest.mark.parametrize(
    "name", ["", ".vcf", "notes.txt", "my.vcf.copy", "..vcf", "dir/.vcf.gz", "vcf", ".zip", ".vcf.zip", "a.gz"]
)
def test_other_names_are_refused(browser, name):
    refused = begin(browser, name)
    assert (refused.status_code, error(refused)) == (422, "file_name")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{}",
        "[]",
        '{"file_name": 1, "size": 1}',
        '{"file_name": "a.vcf", "size": "1"}',
        '{"file_name": "a.vcf", "size": true}',
        "x" * 10_000,
        "[" * 4000,
    ],
)
def test_a_request_that_is_not_understood(browser, body):
    refused = browser.post(reverse("uploads"), body, content_type="application/json")
    assert (refused.status_code, error(refused)) == (400, "bad_request")


# --- other people, other ways in --------------------------------------------------------------------------------------------


def test_an_outsider_gets_404(client, researcher, outsider, make_upload):
    upload = make_upload(researcher)
    client.force_login(outsider)
    url = reverse("upload", args=[upload.pk])
    answers = [client.get(url), client.get(url + "parts/1/"), put(client, url, 1, VCF)]
    answers += [client.post(url + "complete/"), client.post(url + "abort/")]
    assert [a.status_code for a in answers] == [404] * 5
    assert Upload.objects.get().status == "OPEN"
    assert not Job.objects.exists()


def test_signed_out_is_told_in_json(client, researcher, make_upload):
    url = reverse("upload", args=[make_upload(researcher).pk])
    answers = [begin(client), client.get(url), put(client, url, 1, VCF), client.post(url + "complete/")]
    assert [(a.status_code, error(a)) for a in answers] == [(401, "signed_out")] * 4


def test_the_key_in_the_query_string_makes_no_job(browser, researcher, make_upload):
    """Seed defects 1 and 2: /annotate/job?bucket&key&etag made a job of any key, by GET."""
    upload = make_upload(researcher)
    assert browser.get(f"/annotate/job?bucket=uploads&key={upload.key}&etag=x").status_code == 404
    assert browser.get(f"/annotate/?bucket=uploads&key={upload.key}").status_code == 200
    assert not Job.objects.exists()


def test_nothing_changes_by_get(browser, researcher, make_upload):
    url = reverse("upload", args=[make_upload(researcher).pk])
    assert [browser.get(url + end).status_code for end in ("complete/", "abort/")] == [405, 405]
    assert browser.get(reverse("uploads")).status_code == 405
    assert Upload.objects.get().status == "OPEN"


def test_posts_need_the_csrf_token(researcher, make_upload):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(researcher)
    url = reverse("upload", args=[make_upload(researcher).pk])
    answers = [
        begin(strict),
        put(strict, url, 1, VCF),
        strict.post(url + "complete/"),
        strict.post(url + "abort/"),
    ]
    assert [a.status_code for a in answers] == [403] * 4
    assert not Job.objects.exists()


def test_the_file_never_passes_through_the_request_body(browser, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    assert put(browser, begin(browser).json()["url"], 1, VCF).status_code == 204


# --- the end of a session ---------------------------------------------------------------------------------------------


def test_abort_deletes_what_was_uploaded(browser):
    session = begin(browser).json()
    put(browser, session["url"], 1, VCF)
    assert browser.post(session["url"] + "abort/").status_code == 204
    assert put(browser, session["url"], 1, VCF).status_code == 404
    upload = Upload.objects.get()
    clean_upload.fn(str(upload.pk))
    clean_upload.fn(str(upload.pk))
    assert not Upload.objects.exists()


def test_an_expired_session_goes_but_a_live_one_stays(researcher, make_upload):
    live, expired = make_upload(researcher), make_upload(researcher)
    Upload.objects.filter(pk=expired.pk).update(expires_at=Now() - timedelta(seconds=1))
    for upload in (live, expired):
        clean_upload.fn(str(upload.pk))
    assert list(Upload.objects.all()) == [live]
    assert objects("uploads").exists(live.key)
    assert not objects("uploads").exists(expired.key)


def test_a_completed_session_is_never_cleaned(researcher, make_job):
    job = make_job(researcher)
    clean_upload.fn(str(job.upload_id))
    assert objects("uploads").exists(job.input_key)


def test_a_session_that_expired_is_told_so(browser, researcher, make_upload):
    upload = make_upload(researcher)
    upload.abort()
    gone = browser.post(reverse("upload_complete", args=[upload.pk]))
    assert (gone.status_code, error(gone)) == (410, "aborted")
