"""The way of a job on PostgreSQL, S3 and SQS, with real worker and dispatcher processes that are killed and cut off."""

import gzip
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conftest import VCF
from gas.benchmarks.samples import made_vcf
from gas.testing.processes import Process, wait_until
from gas.testing.production import BUCKETS, Production, alive, child_processes, client, fresh_database, services
from gas.testing.require import needs
from gas.testing.site import Visitor

pytestmark = [pytest.mark.aws, pytest.mark.timeout(180)]
EMAIL = "ada@example.org"


@pytest.fixture(scope="module")
def running_services():
    needs("postgresql")
    with services() as running:
        yield running


@pytest.fixture
def production(running_services, tmp_path, request):
    cluster, aws, sqs = running_services
    name = f"gas{abs(hash(request.node.name))}"
    return Production(cluster, aws, sqs, tmp_path / "var", fresh_database(cluster, name))


@pytest.fixture
def vcf(tmp_path) -> Path:
    path = tmp_path / "small.vcf"
    path.write_bytes(VCF)
    return path


@pytest.fixture
def long_vcf(tmp_path) -> Path:
    """Some seconds of work."""
    path = tmp_path / "long.vcf"
    path.write_text(made_vcf(300_000))
    return path


def submit(production: Production, path: Path) -> str:
    """The id of a new job; the plans of this database have no limit."""
    production.rows("UPDATE accounts_plan SET max_upload_bytes = NULL RETURNING code")
    told = production.manage("submit", str(path), "--email", EMAIL, "--create", "--json")
    return json.loads(told.splitlines()[-1])["id"]


def status(production: Production, job: str) -> str:
    return production.value("SELECT status FROM jobs_job WHERE id = %s", job)


def wait_for_end(production: Production, job: str, timeout: float = 60) -> None:
    wait_until(lambda: status(production, job) not in ("PENDING", "RUNNING"), f"end of {job}", timeout)


def assert_done_once(production: Production, job: str) -> None:
    """One COMPLETED job, one result that is what the row says, one mail."""
    assert status(production, job) == "COMPLETED"
    wait_until(
        lambda: production.value("SELECT status FROM jobs_notification WHERE job_id = %s", job) == "SENT",
        "the mail",
    )
    assert len([mail for mail in production.mails() if job in mail.read_text().replace("=\n", "")]) == 1
    attempt = production.value("SELECT attempt FROM jobs_job WHERE id = %s", job)
    wanted = {f"results/{job}/{attempt}/{name}" for name in ("annotated.vcf.gz", "annotated.vcf.gz.tbi", "count.log")}
    assert {key for key in production.objects(BUCKETS[1]) if job in key} == wanted
    assert production.value("SELECT result_key FROM jobs_job WHERE id = %s", job) in wanted
    assert production.value("SELECT count(*) FROM jobs_notification WHERE job_id = %s", job) == 1


@contextmanager
def started(process: Process) -> Iterator[Process]:
    with process:
        process.wait_for("Worker process is ready" if "rundramatiq" in process.command else "Dispatching")
        yield process


def stop_engine(production: Production, worker: Process, job: str) -> int:
    """Catch the annotator of a running job and hold it; returns its process id."""
    wait_until(lambda: status(production, job) == "RUNNING", "a running job")

    def annotator() -> int:
        for pid in child_processes(worker.pid):
            try:
                parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
                if all(b"forkserver" in Path(f"/proc/{p}/cmdline").read_bytes() for p in (pid, parent)):
                    os.kill(pid, signal.SIGSTOP)
                    return pid
            except OSError:
                continue
        return 0

    found: list[int] = []
    wait_until(lambda: found.append(annotator()) or found[-1], "the annotator", timeout=10)
    assert status(production, job) == "RUNNING", "it had ended before it could be caught"
    return found[-1]


def test_from_the_browser_to_the_mail(production, vcf):
    """The slices go straight to S3, by signed URLs; the result comes from there by a link that expires."""
    with (
        production.globus(),
        production.web(),
        started(production.worker()),
        started(production.dispatcher()),
    ):
        visitor = Visitor(production.url)
        wait_until(lambda: _answers(visitor), "the site")
        visitor.sign_in(name="Ada", email=EMAIL, organization="Analytical Engines")
        job_url = visitor.upload(vcf)
        job = job_url.split("/")[2]
        assert "It is annotated" in visitor.wait_for_end(job_url)
        link = visitor.get(production.url + job_url + "result/", allow_redirects=False).headers["Location"]
        assert link.startswith(production.aws.url)
        assert "X-Amz-Expires=300" in link
        result = visitor.get(link)
        assert 'filename="small.annot.vcf.gz"' in result.headers["Content-Disposition"]
        assert b"MT-ND4" in gzip.decompress(result.content)
        assert_done_once(production, job)
        assert [key.split("/")[0] for key in production.objects(BUCKETS[0]) if vcf.name not in key][-1] == "uploads"


def _answers(visitor: Visitor) -> bool:
    try:
        return visitor.get(visitor.url, timeout=2).ok
    except OSError:
        return False


def test_kill_9_in_the_middle_of_a_job(production, long_vcf):
    with started(production.dispatcher()):
        with started(production.worker()) as worker:
            job = submit(production, long_vcf)
            annotator = stop_engine(production, worker, job)
            worker.kill()
            wait_until(lambda: not alive(annotator), "end of the annotator", timeout=5)
        assert status(production, job) == "RUNNING"
        with started(production.worker()):
            wait_for_end(production, job)
            assert_done_once(production, job)
    assert production.value("SELECT attempt FROM jobs_job WHERE id = %s", job) == 2


def test_sigterm_gives_the_job_back_at_once(production, long_vcf):
    with started(production.worker()) as worker:
        job = submit(production, long_vcf)
        annotator = stop_engine(production, worker, job)
        begin = time.monotonic()
        os.kill(worker.pid, signal.SIGTERM)
        wait_until(lambda: status(production, job) == "PENDING", "the job given back", timeout=10)
        assert time.monotonic() - begin < 3
        worker.wait(40)
        assert not alive(annotator)
    assert production.rows("SELECT attempt, tries FROM jobs_job WHERE id = %s", job) == [(1, 0)]
    with started(production.worker()), started(production.dispatcher()):
        wait_for_end(production, job)
        assert_done_once(production, job)


def test_a_job_that_kills_its_worker_three_times_fails(production, long_vcf):
    with started(production.dispatcher()):
        job = submit(production, long_vcf)
        for attempt in (1, 2, 3):
            with started(production.worker()) as worker:
                wait_until(
                    lambda n=attempt: production.value("SELECT attempt FROM jobs_job WHERE id = %s", job) == n,
                    "a claim",
                    30,
                )
                stop_engine(production, worker, job)
                worker.kill()
        with started(production.worker()):
            wait_for_end(production, job)
            wait_until(production.mails, "the mail")
    assert production.rows("SELECT status, error_code, attempt FROM jobs_job WHERE id = %s", job) == [
        ("FAILED", "worker_died", 3)
    ]
    assert len(production.mails()) == 1


def test_a_doubled_message_runs_the_job_once(production, vcf):
    job = submit(production, vcf)
    send = f"from jobs.tasks import annotate_job; [annotate_job.send('{job}') for _ in range(4)]"
    production.manage("shell", "-c", send)
    assert production.messages("annotate") == 5
    with started(production.worker()):
        wait_for_end(production, job)
        wait_until(lambda: production.messages("annotate") == 0, "empty queue")
        assert_done_once(production, job)
    assert production.value("SELECT attempt FROM jobs_job WHERE id = %s", job) == 1


def test_a_lost_message_delays_the_job_by_one_round(production, vcf):
    with started(production.worker()) as worker:
        os.kill(worker.pid, signal.SIGTERM)  # it has made the queues
        worker.wait(40)
    job = submit(production, vcf)
    production.lose_messages("annotate")
    assert production.messages("annotate") == 0
    with started(production.worker()), started(production.dispatcher()):
        wait_for_end(production, job, timeout=30)
        assert_done_once(production, job)
    assert production.value("SELECT attempt FROM jobs_job WHERE id = %s", job) == 1


def test_sqs_gone_for_20_seconds_loses_nothing(production, vcf):
    with started(production.dispatcher()), started(production.worker()) as worker:
        before = submit(production, vcf)
        wait_for_end(production, before)
        production.sqs.stop()
        gone_at = time.monotonic()
        during = [submit(production, vcf) for _ in range(2)]
        assert [status(production, job) for job in during] == ["PENDING", "PENDING"]
        time.sleep(max(0, gone_at + 20 - time.monotonic()))  # the outage itself
        production.sqs.resume()
        for job in [before, *during]:
            wait_for_end(production, job, timeout=60)
            assert_done_once(production, job)
        assert worker.running


def test_the_list_page_uses_indexes_only(production, vcf):
    """EXPLAIN of what the list page asks, on PostgreSQL with 10,000 jobs of one user among others."""
    submit(production, vcf)
    script = Path(__file__).with_name("explain_list_page.py")
    plans = json.loads(production.manage("shell", "-c", script.read_text()).splitlines()[-1])
    assert len(plans) == 7
    for sql, plan in plans:
        assert "Seq Scan" not in plan, f"{sql}\n{plan}"


def test_poison_in_the_queue_goes_to_the_dead_letter_queue_and_harms_nobody(production, vcf):
    """Seed defect 33: a message that is no JSON killed the process, and the next one."""
    job = submit(production, vcf)
    client("sqs", production.aws).send_message(QueueUrl=production.queue_url("annotate"), MessageBody="not a message")
    with started(production.worker()) as worker:
        wait_for_end(production, job)
        assert_done_once(production, job)
        assert worker.running
