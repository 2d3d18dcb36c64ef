"""The HTTP API: who gets in, what a token may do, what is told; and the worked example of docs/api.md, step by step."""

import gzip
import json
import logging
import re
import uuid
from datetime import timedelta
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests
from django.conf import settings as django_settings
from django.test import Client
from django.urls import get_resolver, reverse
from django.utils import timezone

from accounts.models import ApiToken, User
from conftest import VCF
from gas import heartbeat
from gas.objects import StorageUnavailable, objects
from gas.testing.processes import Process, wait_until
from gas.testing.require import needs
from jobs import api_token
from jobs.models import Job, Upload
from jobs.tasks import annotate_job
from jobs.tests.many_jobs import make_many

BOTH = ["read", "submit"]


@pytest.fixture(autouse=True)
def no_heartbeat(monkeypatch):
    """It has a connection of its own, to which the rows of a test in one transaction do not exist."""
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 600)


class Program(Client):
    """A client with a token; no cookies, no CSRF token."""

    def __init__(self, user: User, scopes=BOTH, lifetime=timedelta(days=1)) -> None:
        super().__init__(enforce_csrf_checks=True)
        self.token, self.secret = ApiToken.issue(user, "a program", list(scopes), lifetime)
        self.defaults["HTTP_AUTHORIZATION"] = f"Bearer {self.secret}"

    def post(self, path, data=b"", content_type="application/octet-stream"):
        """Without a body, unless there is one; Django's own client would make a form."""
        return self.generic("POST", path, data, content_type)

    def send_json(self, path, fields):
        return self.post(path, json.dumps(fields), content_type="application/json")


@pytest.fixture
def program(researcher):
    return Program(researcher)


def job_url(job, end=""):
    return f"/api/v1/jobs/{job.pk}{end}"


def error(answer):
    return answer.status_code, answer.json()["error"]["code"]


def annotated(job: Job) -> Job:
    annotate_job.fn(str(job.pk))
    return Job.objects.get(pk=job.pk)


# --- who gets in -------------------------------------------------------------------------------------------------------


def test_without_a_token_nobody_gets_in_whatever_the_cookies(client, researcher, make_job):
    client.force_login(researcher)
    answers = [client.get("/api/v1/jobs"), client.post("/api/v1/uploads"), client.delete(job_url(make_job(researcher)))]
    assert [error(answer) for answer in answers] == [(401, "no_token")] * 3
    assert {answer["WWW-Authenticate"] for answer in answers} == {'Bearer realm="GAS"'}
    assert {answer["Cache-Control"] for answer in answers} == {"no-store"}
    assert Job.objects.visible_to(researcher).count() == 1


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer gas_",
        "Bearer gas_wrong",
        "Basic {0}",
        "{0}",
        "Token {0}",
        "Bearer x{0}",
        "Bearer {0}x",
    ],
)
def test_what_is_no_token(client, program, header):
    answer = client.get("/api/v1/jobs", HTTP_AUTHORIZATION=header.format(program.secret))
    assert error(answer) == (401, "token_invalid" if header.startswith("Bearer") else "no_token")
    assert answer["Cache-Control"] == "no-store"


def test_a_digest_of_something_without_the_prefix_is_no_token(client, program):
    """The database may be read by somebody: what it holds must open nothing."""
    assert error(client.get("/api/v1/jobs", HTTP_AUTHORIZATION=f"Bearer {program.token.digest}"))[0] == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"revoked_at": timezone.now()},
        {"expires_at": timezone.now()},
        {"user__is_active": False},
        {"user__is_staff": True},
    ],
)
def test_tokens_end(program, researcher, changes):
    assert program.get("/api/v1/jobs").status_code == 200
    for name, value in changes.items():
        changed = researcher if name.startswith("user__") else program.token
        setattr(changed, name.removeprefix("user__"), value)
        changed.save()
    assert error(program.get("/api/v1/jobs")) == (401, "token_invalid")


def test_an_incomplete_profile_is_told(program, researcher):
    researcher.profile.completed_at = None
    researcher.profile.save()
    refused = program.get("/api/v1/jobs")
    assert error(refused) == (403, "profile_incomplete")
    assert "/profile/" in refused.json()["error"]["mend"]


def test_cookies_beside_a_token_count_for_nothing(researcher, outsider, make_job):
    """Not even one that the site would send to complete the profile."""
    program = Program(researcher)
    outsider.profile.completed_at = None
    outsider.profile.save()
    program.force_login(outsider)
    job = make_job(researcher)
    assert [line["id"] for line in program.get("/api/v1/jobs").json()["results"]] == [str(job.pk)]


READS = ["", "/result", "/index", "/log", "/skipped", "/input"]


def test_the_scope_read_only_reads(researcher, make_job, make_upload):
    job, upload, program = annotated(make_job(researcher)), make_upload(researcher), Program(researcher, ["read"])
    assert program.get("/api/v1/jobs").status_code == 200
    assert [program.get(job_url(job, end)).status_code for end in READS] == [200, 302, 302, 302, 409, 302]
    session = f"/api/v1/uploads/{upload.pk}"
    answers = [
        program.send_json("/api/v1/uploads", {"file_name": "a.vcf", "size": 1}),
        program.get(session),
        program.get(f"{session}/parts/1"),
        program.put(f"{session}/parts/1", VCF),
        program.post(f"{session}/complete"),
        program.delete(session),
        program.post(job_url(job, "/cancel")),
        program.delete(job_url(job)),
    ]
    assert [error(answer) for answer in answers] == [(403, "scope_missing")] * 8
    assert "“submit”" in answers[0].json()["error"]["detail"]
    assert Job.objects.get().deleted_at is None
    assert Upload.objects.get(pk=upload.pk).status == "OPEN"


def test_the_scope_submit_does_not_read(researcher, make_job):
    job, program = annotated(make_job(researcher)), Program(researcher, ["submit"])
    answers = [program.get("/api/v1/jobs"), *(program.get(job_url(job, end)) for end in READS)]
    assert [error(answer) for answer in answers] == [(403, "scope_missing")] * 7


def test_an_outsider_gets_404_for_everything(researcher, outsider, make_job, make_upload):
    job, upload, program = annotated(make_job(researcher)), make_upload(researcher), Program(outsider)
    session = f"/api/v1/uploads/{upload.pk}"
    answers = [program.get(job_url(job, end)) for end in READS]
    answers += [program.post(job_url(job, "/cancel")), program.delete(job_url(job))]
    answers += [program.get(session), program.get(f"{session}/parts/1"), program.put(f"{session}/parts/1", VCF)]
    answers += [program.post(f"{session}/complete"), program.delete(session)]
    assert {answer.status_code for answer in answers} == {404}
    assert {error(answer)[1] for answer in answers} == {"not_found", "no_such_upload"}
    assert program.get("/api/v1/jobs").json()["results"] == []
    assert Job.objects.get().deleted_at is None


def test_every_operation_wants_a_token(client, db):
    """Also one that is added tomorrow; the description of the API and nothing else is for everybody."""
    paths = client.get("/api/v1/openapi.json").json()["paths"]
    operations = [(method, path) for path, methods in paths.items() for method in methods]
    assert len(operations) == 11
    for method, path in operations:
        filled = path.replace("{pk}", str(uuid.uuid4())).replace("{number}", "1").replace("{kind}", "log")
        assert error(client.generic(method.upper(), filled)) == (401, "no_token")
    names = {pattern.name for pattern in get_resolver("jobs.urls").url_patterns[0].url_patterns}
    assert names - {"openapi-json", "api-root"} <= {
        "jobs", "job", "job_file", "job_cancel", "uploads", "upload", "upload_part", "upload_complete"
    }  # fmt: skip


def test_there_is_no_page_of_another_site(client, db):
    assert [client.get(f"/api/v1/{path}").status_code for path in ("", "docs")] == [404, 404]


# --- use is noted, secrets are not ------------------------------------------------------------------------------------------


def test_use_is_noted_and_logged_once_a_minute(program, caplog):
    caplog.set_level(logging.INFO)
    for _ in range(3):
        program.get("/api/v1/jobs")
    program.token.refresh_from_db()
    assert timezone.now() - program.token.last_used_at < timedelta(seconds=30)
    lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "gas.security"]
    assert [(line["event"], line["user"], line["token"]) for line in lines] == [
        ("token.used", str(program.token.user_id), program.token.pk)
    ]
    ApiToken.objects.update(last_used_at=timezone.now() - timedelta(minutes=2))
    program.get("/api/v1/jobs")
    assert len([record for record in caplog.records if record.name == "gas.security"]) == 2


@pytest.mark.parametrize("scheme", ["Bearer", "Token", "Basic"])
def test_secrets_are_not_logged(program, client, settings, caplog, scheme):
    caplog.set_level(0)
    settings.DEBUG = True
    client.get("/api/v1/jobs", HTTP_AUTHORIZATION=f"{scheme} {program.secret}")
    client.get("/api/v1/jobs", HTTP_AUTHORIZATION=f"{scheme} {program.secret}x")
    assert program.secret not in caplog.text


def test_each_token_has_a_rate_of_its_own(program, monkeypatch):
    monkeypatch.setattr(api_token, "MOST_A_MINUTE", 3)
    assert [program.get("/api/v1/jobs").status_code for _ in range(3)] == [200] * 3
    refused = program.get("/api/v1/jobs")
    assert error(refused) == (429, "too_many_requests")
    assert 1 <= int(refused["Retry-After"]) <= 61
    other = Program(program.token.user)  # of the same name
    assert other.get("/api/v1/jobs").status_code == 200


# --- jobs ----------------------------------------------------------------------------------------------------------------


def test_a_job_from_its_beginning_to_its_end(program, researcher, make_job):
    job = make_job(researcher)
    waiting = program.get(job_url(job)).json()
    assert (waiting["status"], waiting["error"], waiting["counts"]) == ("PENDING", None, {})
    assert waiting["files"] == dict.fromkeys(["result", "index", "log", "skipped"]) | {"input": job_url(job, "/input")}
    job = annotated(job)
    answer = program.get(job_url(job))
    assert answer["Cache-Control"] == "no-store"
    done = answer.json()
    assert (done["status"], done["file_name"], done["size"]) == ("COMPLETED", "test.vcf", len(VCF))
    assert (done["counts"]["records"], done["result_sha256"]) == (3, job.result_sha256)
    assert done["files"] == {kind: job_url(job, f"/{kind}") for kind in ["result", "index", "log", "input"]} | {
        "skipped": None
    }
    assert done["url"] == job_url(job)


def test_a_job_that_failed_says_why(program, researcher, make_job):
    job = make_job(researcher)
    job.claim("w")
    job.fail("bad_input", ["Line 3 is short.", "Line 4 is long."])
    told = {"code": "bad_input", "sentences": ["Line 3 is short.", "Line 4 is long."]}
    assert program.get(job_url(job)).json()["error"] == told
    assert program.get("/api/v1/jobs").json()["results"][0]["error"] == told
    assert error(program.get(job_url(job, "/result"))) == (409, "no_result")
    assert error(program.get(job_url(job, "/log"))) == (409, "no_log")


@pytest.mark.parametrize(
    ("kind", "content"), [("result", b"CHROM"), ("log", b"File: test.vcf"), ("input", b"fileformat"), ("index", b"TBI")]
)
def test_files_are_behind_a_link_that_needs_no_token(program, client, researcher, make_job, kind, content):
    job = annotated(make_job(researcher))
    answer = program.get(job_url(job, f"/{kind}"))
    assert answer.status_code == 302
    file = client.get(answer["Location"]).getvalue()
    assert content in (gzip.decompress(file) if file[:2] == b"\x1f\x8b" else file)


def test_skipped_records_are_a_file_when_there_are_some(program, client, researcher, make_job):
    job = annotated(make_job(researcher, VCF + b"MT\tx\t.\tA\tG\t.\t.\t.\n"))
    assert program.get(job_url(job)).json()["files"]["skipped"] == job_url(job, "/skipped")
    assert b"MT" in client.get(program.get(job_url(job, "/skipped"))["Location"]).getvalue()


def test_a_locked_result_is_403_and_says_how_to_open_it(program, researcher, make_job):
    job = annotated(make_job(researcher))
    Job.objects.update(download_until=timezone.now())
    answers = [program.get(job_url(job, "/result")), program.get(job_url(job, "/index"))]
    assert [error(answer) for answer in answers] == [(403, "locked")] * 2
    assert answers[0].json()["error"]["upgrade"] is True
    files = program.get(job_url(job)).json()["files"]
    assert (files["result"], files["index"], files["log"]) == (None, None, job_url(job, "/log"))
    assert program.get(job_url(job, "/log")).status_code == 302


def test_a_result_that_is_still_archived_is_409(program, researcher, make_job, monkeypatch):
    job = annotated(make_job(researcher))
    monkeypatch.setattr(Job, "is_hot", False)
    assert error(program.get(job_url(job, "/result"))) == (409, "not_back")


def test_a_file_that_was_deleted_and_a_store_out_of_reach(program, researcher, make_job, monkeypatch):
    job = annotated(make_job(researcher))
    objects("results").delete(job.log_key)
    assert error(program.get(job_url(job, "/log"))) == (404, "file_gone")

    def down(*_):
        raise StorageUnavailable("down")

    monkeypatch.setattr(type(objects("results")), "size", down)
    assert error(program.get(job_url(job, "/result"))) == (503, "storage_unavailable")


def test_cancel_and_delete(program, researcher, make_job):
    job = make_job(researcher)
    assert program.post(job_url(job, "/cancel")).json()["status"] == "CANCELLED"
    assert error(program.post(job_url(job, "/cancel"))) == (409, "not_cancelled")
    gone = program.delete(job_url(job))
    assert (gone.status_code, gone.content) == (204, b"")
    assert [error(program.get(job_url(job))), error(program.delete(job_url(job)))] == [(404, "not_found")] * 2
    assert Job.objects.get().deleted_at


def test_nothing_changes_by_get(program, researcher, make_job, make_upload):
    assert program.get(job_url(make_job(researcher), "/cancel")).status_code == 405
    assert program.get(f"/api/v1/uploads/{make_upload(researcher).pk}/complete").status_code == 405
    assert Job.objects.get().status == "PENDING"


# --- lists -----------------------------------------------------------------------------------------------------------------


def test_the_list_is_paged_newest_first_without_gap_or_double(program, researcher):
    make_many(researcher, 45)
    Job.objects.update(submitted_at=timezone.now())  # all at once: the worst case for pages
    seen, url = [], "/api/v1/jobs"
    sizes = []
    while url:
        page = program.get(url).json()
        sizes.append(len(page["results"]))
        seen += [line["id"] for line in page["results"]]
        url = page["next"]
    assert sizes == [20, 20, 5]
    assert seen == [str(pk) for pk in Job.objects.newest_first().values_list("pk", flat=True)]


def test_the_list_takes_as_many_queries_for_many_jobs(program, researcher, django_assert_num_queries):
    program.get("/api/v1/jobs")  # notes the use
    for count in (1, 30):
        make_many(researcher, count)
        with django_assert_num_queries(3):  # note_use, the token with its user, the jobs
            program.get("/api/v1/jobs?page_size=100")


def test_the_list_by_status(program, researcher, make_job):
    done, waiting = annotated(make_job(researcher)), make_job(researcher)
    for status, job in (("COMPLETED", done), ("PENDING", waiting)):
        [line] = program.get(f"/api/v1/jobs?status={status}").json()["results"]
        assert line["id"] == str(job.pk)
    assert program.get("/api/v1/jobs?status=FAILED").json()["results"] == []


def test_a_page_has_100_jobs_at_most(program, researcher):
    make_many(researcher, 101)
    assert len(program.get("/api/v1/jobs?page_size=1000").json()["results"]) == 100


@pytest.mark.parametrize(
    "query", ["status=GONE", "cursor=x", "cursor=cD1ub25zZW5zZQ==", "cursor=bz0tMQ==", "page_size=x"]
)
def test_a_list_that_is_not_understood(program, query):
    assert error(program.get(f"/api/v1/jobs?{query}")) == (400, "bad_request")


# --- uploads ---------------------------------------------------------------------------------------------------------------


def upload(program, content=VCF, name="test.vcf", **choice):
    """The whole way; the answer to `complete`."""
    session = program.send_json("/api/v1/uploads", {"file_name": name, "size": len(content)}).json()
    for n in range(session["part_count"]):
        part = content[n * session["part_size"] : (n + 1) * session["part_size"]]
        assert program.put(f"{session['url']}/parts/{n + 1}", part).status_code == 204
    return program.send_json(f"{session['url']}/complete", choice)


def test_the_whole_way_in(program, researcher, settings):
    settings.UPLOAD_PART_BYTES = 30
    answer = upload(program, reference="")
    job = Job.objects.get()
    assert (answer.status_code, answer.json()["id"], job.owner) == (201, str(job.pk), researcher)
    assert objects("uploads").read(job.input_key, 10_000) == VCF


def test_completing_needs_no_body_and_makes_one_job(program, researcher, make_upload):
    url = f"/api/v1/uploads/{make_upload(researcher).pk}/complete"
    assert [program.post(url).json()["id"] for _ in range(2)] == [str(Job.objects.get().pk)] * 2


def test_an_unknown_reference_is_refused(program):
    assert error(upload(program, reference="no-such-build"))[0] == 422
    assert not Job.objects.exists()


def test_missing_parts_are_listed_and_the_session_tells_what_is_there(program, settings):
    settings.UPLOAD_PART_BYTES = 100
    session = program.send_json("/api/v1/uploads", {"file_name": "test.vcf", "size": len(VCF)}).json()
    assert (session["received"], session["status"]) == ([], "OPEN")
    program.put(f"{session['url']}/parts/1", VCF[:100])
    assert program.get(session["url"]).json()["received"] == [1]
    missing = program.post(f"{session['url']}/complete")
    assert error(missing) == (409, "parts_missing")
    assert missing.json()["missing"] == list(range(2, session["part_count"] + 1))


def test_a_session_is_given_up(program, researcher, make_upload):
    url = f"/api/v1/uploads/{make_upload(researcher).pk}"
    assert program.delete(url).status_code == 204
    assert error(program.delete(url)) == (404, "no_such_upload")
    assert Upload.objects.get().status == "ABORTED"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("", "file"),
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        (" " * 2_000_000, "no JSON"),
        ("[]", "file"),
        ('{"file_name": 1, "size": 1}', "file_name"),
        ('{"file_name": "a.vcf", "size": "1"}', "size"),
        ('{"file_name": "a.vcf", "size": true}', "size"),
    ],
)
def test_a_request_that_is_not_understood(program, body, told):
    refused = program.post("/api/v1/uploads", body, content_type="application/json")
    assert error(refused) == (400, "bad_request")
    assert told in refused.json()["error"]["detail"]


@pytest.mark.parametrize("size", [153_601, 10**4000])
def test_the_plan_limits_what_is_uploaded(program, size):
    refused = program.send_json("/api/v1/uploads", {"file_name": "a.vcf", "size": size})
    assert error(refused) == (413, "too_large")
    assert refused.json()["error"]["upgrade"] is True


def test_a_part_of_another_length(program):
    session = program.send_json("/api/v1/uploads", {"file_name": "test.vcf", "size": len(VCF)}).json()
    assert error(program.put(f"{session['url']}/parts/1", VCF[1:])) == (400, "part_length")
    assert error(program.put(f"{session['url']}/parts/2", VCF)) == (404, "no_such_part")
    assert program.get(f"{session['url']}/parts/1").json() == {"url": f"{session['url']}/parts/1", "direct": False}


def test_the_file_never_passes_through_the_request_body(program, settings):
    session = program.send_json("/api/v1/uploads", {"file_name": "test.vcf", "size": len(VCF)}).json()
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    assert program.put(f"{session['url']}/parts/1", VCF).status_code == 204


# --- the example of the documentation ----------------------------------------------------------------------------------------


@pytest.fixture
def on_s3(local_aws, settings):
    names = {alias: f"{alias}-{uuid.uuid4().hex}" for alias in ("uploads", "results")}
    stores = {
        alias: {
            "BACKEND": "gas.aws.s3.S3ObjectStorage",
            "OPTIONS": {"bucket_name": name, "region_name": local_aws.region},
        }
        for alias, name in names.items()
    }
    settings.STORAGES = {**settings.STORAGES, **stores}
    for alias, name in names.items():
        objects(alias).client.create_bucket(Bucket=name)


def walk(site: str, secret: str, content: bytes) -> bytes:
    """What docs/api.md does with curl; the annotated file."""
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {secret}"
        answer = session.post(f"{site}/api/v1/uploads", json={"file_name": "my.vcf", "size": len(content)}, timeout=20)
        assert answer.status_code == 201, answer.text
        upload = answer.json()
        for number in range(1, upload["part_count"] + 1):
            begin = (number - 1) * upload["part_size"]
            part = content[begin : begin + upload["part_size"]]
            place = session.get(f"{site}{upload['url']}/parts/{number}", timeout=20).json()
            if place["direct"]:
                requests.put(place["url"], data=part, timeout=20).raise_for_status()
            else:
                session.put(urljoin(site, place["url"]), data=part, timeout=20).raise_for_status()
        job = session.post(f"{site}{upload['url']}/complete", timeout=20).json()
        annotate_job.fn(job["id"])  # as a worker does
        job = session.get(f"{site}{job['url']}", timeout=20).json()
        assert job["status"] == "COMPLETED", job
        return session.get(urljoin(site, job["files"]["result"]), timeout=20).content


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
@pytest.mark.parametrize("store", ["local", "s3"])
def test_the_worked_example(live_server, researcher, settings, request, store):
    if store == "s3":
        request.getfixturevalue("on_s3")
    settings.UPLOAD_PART_BYTES = 5 * 1024**2 if store == "s3" else 100
    _, secret = ApiToken.issue(researcher, "laptop", BOTH, timedelta(days=1))
    result = gzip.decompress(walk(live_server.url, secret, VCF)).decode()
    assert len([line for line in result.splitlines() if not line.startswith("#")]) == 3
    assert "MT-TL1" in result


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
@pytest.mark.parametrize("store", ["local", "s3"])
def test_the_commands_of_the_documentation(live_server, researcher, settings, tmp_path, request, store):
    needs("jq")
    if store == "s3":
        request.getfixturevalue("on_s3")
    settings.UPLOAD_PART_BYTES = 5 * 1024**2 if store == "s3" else 100
    _, secret = ApiToken.issue(researcher, "laptop", BOTH, timedelta(days=1))
    text = Path(django_settings.BASE_DIR, "docs/api.md").read_text()
    commands = re.search(r"```bash\n(.*?)```", text, re.S).group(1).replace("sleep 5", "sleep 0.2")
    for name, value in {"SITE": live_server.url, "TOKEN": secret, "FILE": "my.vcf.gz"}.items():
        commands, changed = re.subn(rf"(?m)^{name}=\S+", f"{name}={value}", commands)
        assert changed == 1
    (tmp_path / "my.vcf.gz").write_bytes(gzip.compress(VCF, mtime=0))
    with Process(["bash", "-euo", "pipefail", "-c", commands], cwd=tmp_path) as running:
        wait_until(lambda: Job.objects.exists() or not running.running, "job")
        assert running.running, running.output()
        annotate_job.fn(str(Job.objects.get().pk))
        assert running.wait(60) == 0, running.output()
    assert b"MT-TL1" in gzip.decompress((tmp_path / "my.annot.vcf.gz").read_bytes())


def test_the_documentation_names_every_operation_and_every_refusal_of_the_api(client, db):
    text = Path(django_settings.BASE_DIR, "docs/api.md").read_text()
    schema = client.get("/api/v1/openapi.json").json()
    for path, methods in schema["paths"].items():
        shown = path.removeprefix("/api/v1").replace("{pk}", "ID").replace("{number}", "N")
        for method in methods:
            assert re.search(rf"`{method.upper()} {re.escape(shown.replace('{kind}', ''))}", text), (method, path)
    sources = Path(django_settings.BASE_DIR, "jobs").glob("**/*.py")
    told = "".join(source.read_text() for source in sources if "tests" not in source.parts)
    codes = set(re.findall(r'\bRefused[(,]\s*"(\w+)"', told)) - {"signed_out"}  # that of the pages
    assert len(codes) > 25
    assert [code for code in sorted(codes) if f"`{code}`" not in text] == []
    assert reverse("api:openapi-json") in text
