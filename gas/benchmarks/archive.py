"""`make bench-archive`: results go to each vault and come back; the dispatcher among many rows; an upgrade with 20 results.

1. One large result by the steps that the workers take, rows and leases included: MB/s beside a plain copy of the same
   bytes with fsync, and memory. S3 and Glacier are the stand-in: their figures say nothing of AWS.
2. A round of the dispatcher with 100 due rows among 1,000, and among 100,000.
3. In the processes of `manage.py run`: how long after its window's end a result is archived, and how long after the
   upgrade the last one is back.

`python -m gas.benchmarks.archive move KIND BYTES` and `... dispatch` are the processes that it measures; they print JSON.
"""

import hashlib
import json
import os
import resource
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gas.settings")

import boto3  # noqa: TID251 (makes the bucket and the vault)
import django

django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.db.models.functions import Now  # noqa: E402
from django.utils import timezone  # noqa: E402

from accounts.models import User  # noqa: E402
from archive import steps  # noqa: E402
from archive.models import ResultArchive  # noqa: E402
from gas.benchmarks.samples import small_vcf  # noqa: E402
from gas.benchmarks.vaults import BLOCK, made, written  # noqa: E402
from gas.hints import dispatch_due  # noqa: E402
from gas.objects import objects  # noqa: E402
from gas.testing import postgres  # noqa: E402
from gas.testing.archive_server import ArchiveServer  # noqa: E402
from gas.testing.aws import LocalAWS  # noqa: E402
from gas.testing.processes import Process, wait_until  # noqa: E402
from gas.testing.site import Site, Visitor  # noqa: E402
from jobs.models import Job, Upload  # noqa: E402

LARGE = {"local": 2000, "s3": 300, "glacier": 300}  # MB
ROUNDS = {"local": 3, "s3": 1, "glacier": 1}  # the median counts
ROWS, DUE = (1_000, 100_000), 100
RESULTS, WINDOW, RETRIEVAL = 20, 30, 5  # of the upgrade; the last two in seconds


# --- 1. one large result ----------------------------------------------------------------------------------------------


def completed_job(owner: User, *, size: int, sha256: str) -> Job:
    """A job that is completed in the database; its log is no file."""
    upload = Upload(owner=owner, file_name="x.vcf", size=1, part_size=1, status="COMPLETED", expires_at=timezone.now())
    job = Job(owner=owner, upload=upload, file_name="x.vcf", input_key=upload.key, input_size=1, status="COMPLETED")
    job.result_key, job.result_size, job.result_sha256 = job.attempt_key("annotated.vcf.gz"), size, sha256
    job.log_key, job.log_size, job.log_sha256 = job.attempt_key("count.log"), 1, "0" * 64
    job.finished_at = job.download_until = timezone.now() - timedelta(minutes=1)
    return job


def there_and_back(owner: User, source: Path, sha256: str) -> dict[str, float]:
    """MB/s of copy, archive and thaw. AssertionError unless the result is hot again, whole, and nothing else is left."""
    size, speeds = source.stat().st_size, {}
    job = completed_job(owner, size=size, sha256=sha256)
    job.upload.save()
    job.save()
    objects("results").put_file(job.result_key, source)
    row = ResultArchive.of(job)

    @contextmanager
    def timed(name: str) -> Iterator[None]:
        os.sync()  # each begins with a disk that has nothing left to write
        begin = time.perf_counter()
        yield
        speeds[name] = size / 1e6 / (time.perf_counter() - begin)

    with timed("copy"), source.open("rb") as file, written(source.with_suffix(".copy")) as copy:
        shutil.copyfileobj(file, copy, BLOCK)
    source.with_suffix(".copy").unlink()
    with timed("archive"):
        steps.archive(row)
    assert row.status == "ARCHIVED", row.error
    row.restore_now()
    steps.restore(row)
    time.sleep(0.5)  # the retrieval
    with timed("thaw"):
        steps.thaw(row)
    assert (row.status, row.archive_id) == ("HOT", ""), row.error
    with objects("results").open_stream(row.hot_key) as stream:
        digest = hashlib.sha256()
        while block := stream.read(BLOCK):
            digest.update(block)
    assert digest.hexdigest() == sha256
    objects("results").delete(row.hot_key)
    return speeds


def move(kind: str, size: int) -> None:
    """The child of `measured`: prints the speeds, and how many MB memory grew over that with a small file."""
    call_command("migrate", verbosity=0)
    owner, folder = User.objects.create_researcher("bench@example.org"), Path(settings.VAR_DIR)
    for name, length in (("small", BLOCK), ("large", size)):
        source = made(folder / name, length)
        with source.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        rounds = [there_and_back(owner, source, sha256) for _ in range(ROUNDS[kind])]
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(json.dumps({step: median(speeds[step] for speeds in rounds) for step in rounds[0]} | {"grown": grown}))


def child(environment: Mapping[str, str], *arguments: object) -> Any:
    """What `python -m gas.benchmarks.archive ARGUMENTS` says."""
    command = [sys.executable, "-m", "gas.benchmarks.archive", *map(str, arguments)]
    with Process(command, env=environment, cwd=settings.BASE_DIR) as process:
        if process.wait(1800):
            raise RuntimeError(process.output())
        return json.loads(process.output().splitlines()[-1])


def large_results(folder: Path) -> None:
    print(f"{'one result':12}{'MB':>6}" + "".join(f"{name:>10}" for name in ("copy", "archive", "thaw")) + "  MB/s")
    (folder / "server").mkdir()
    with LocalAWS() as aws, ArchiveServer(aws, folder / "server") as server:
        os.environ.update(server.environment)
        session = boto3.session.Session(region_name=aws.region)
        session.client("s3").create_bucket(Bucket="bench-archive")
        session.client("glacier").create_vault(vaultName="bench-archive")
        for kind, megabytes in LARGE.items():
            var = folder / kind
            ours = {"VAR_DIR": str(var), "VAULT": kind, "LOCAL_VAULT_DELAYS": "Expedited=0,Standard=0,Bulk=0"}
            names = {"S3_ARCHIVE_BUCKET": "bench-archive", "GLACIER_VAULT": "bench-archive", "LOG_LEVEL": "ERROR"}
            var.mkdir()
            found = child(server.environment | ours | names, "move", kind, megabytes * 1000**2)
            speeds = "".join(f"{found[name]:10.0f}" for name in ("copy", "archive", "thaw"))
            ratios = ", ".join(f"{name} {found[name] / found['copy']:.0%}" for name in ("archive", "thaw"))
            aim = " (aim: 70 % or more)" if kind == "local" else ""
            print(f"{kind:12}{megabytes:6}{speeds}  of the copy: {ratios}{aim}; memory + {found['grown']:.0f} MB")
            shutil.rmtree(var)


# --- 2. the dispatcher among many rows --------------------------------------------------------------------------------


def add_rows(owner: User, count: int) -> None:
    """Hot results whose windows end tomorrow."""
    tomorrow = timezone.now() + timedelta(days=1)
    jobs = [completed_job(owner, size=1, sha256="0" * 64) for _ in range(count)]
    Upload.objects.bulk_create([job.upload for job in jobs], batch_size=500)
    Job.objects.bulk_create(jobs, batch_size=500)
    waiting = {"archive_at": tomorrow, "next_action_at": tomorrow, "size": 1}
    rows = [ResultArchive(job=job, hot_key=job.result_key, **waiting) for job in jobs]
    ResultArchive.objects.bulk_create(rows, batch_size=500)


def a_round() -> float:
    """Seconds of a round in which DUE rows are due."""
    due = list(ResultArchive.objects.values_list("pk", flat=True).order_by("pk")[:DUE])
    ResultArchive.objects.filter(pk__in=due).update(next_action_at=Now() - timedelta(seconds=1), hints=0)
    begin = time.perf_counter()
    sent = dispatch_due()
    assert sent == DUE, sent
    return time.perf_counter() - begin


def dispatch() -> None:
    """The child: prints seconds of a round, for each number of rows in ROWS."""
    call_command("migrate", verbosity=0)
    owner, found = User.objects.create_researcher("bench@example.org"), []
    for count in ROWS:
        for _ in range(0, count - ResultArchive.objects.count(), 1000):
            add_rows(owner, 1000)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        found.append(median(a_round() for _ in range(7)))
    print(json.dumps(found))


def many_rows(folder: Path) -> None:
    databases = {"SQLite": f"sqlite:///{folder}/many.sqlite3"}
    print(f"\na round of the dispatcher, {DUE} rows due")
    with postgres.PostgresCluster() if postgres.available() else nothing() as cluster:
        if cluster:
            databases["PostgreSQL"] = cluster.url()
        for name, url in databases.items():
            times: list[float] = child({"DATABASE_URL": url, "VAR_DIR": str(folder), "LOG_LEVEL": "ERROR"}, "dispatch")
            speeds = ", ".join(
                f"of {rows:,}: {DUE / seconds:,.0f} rows/s" for rows, seconds in zip(ROWS, times, strict=True)
            )
            print(f"{name:12}{speeds}; {times[1] / times[0]:.2f} times as long (aim: no growth)")


@contextmanager
def nothing() -> Iterator[None]:
    print("left out: PostgreSQL, which is not installed: sudo apt-get install -y postgresql")
    yield


# --- 3. an upgrade ----------------------------------------------------------------------------------------------------


def rows_of(var: Path, columns: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(f"file:{var}/gas.sqlite3?mode=ro", uri=True) as database:
        joined = "archive_resultarchive a JOIN jobs_job j ON j.id = a.job_id"
        return database.execute(f"SELECT {columns} FROM {joined}").fetchall()


def upgrade(folder: Path) -> None:
    var = folder / "site"
    delays = f"Expedited={RETRIEVAL},Standard={RETRIEVAL},Bulk={RETRIEVAL}"
    vcf, what = small_vcf(folder)
    with Site(var, {"FREE_RETENTION": str(WINDOW), "LOCAL_VAULT_DELAYS": delays}) as site:
        interval = settings.DISPATCH_INTERVAL.total_seconds()
        visitor = Visitor(site.url)
        visitor.sign_in(name="Bench", email="bench@example.org", organization="Benchmarks")
        for job in [visitor.upload(vcf) for _ in range(RESULTS)]:
            visitor.wait_for_end(job, pause=0.2)
        archived = lambda: [row[0] for row in rows_of(var, "a.status")] == ["ARCHIVED"] * RESULTS  # noqa: E731
        wait_until(archived, f"{RESULTS} archived results", timeout=WINDOW + 60)
        times = [map(datetime.fromisoformat, row) for row in rows_of(var, "a.archived_at, j.download_until")]
        late = sorted((done - due).total_seconds() for done, due in times)
        print(f"\n{RESULTS} results of one user ({what}), windows of {WINDOW} s, in the embedded default")
        aim = interval + 10
        print(f"archived after the window's end: median {median(late):.1f} s, last {late[-1]:.1f} s (aim: {aim:.0f} s)")
        visitor.page("/subscribe/")
        begin = time.monotonic()
        visitor.submit("/subscribe/", plan="premium", confirm="on")
        wait_until(
            lambda: [row[0] for row in rows_of(var, "a.status")] == ["HOT"] * RESULTS,
            "results that are back",
            timeout=120,
        )
        back = time.monotonic() - begin
        print(f"back after the upgrade: all in {back:.1f} s, with {RETRIEVAL} s of retrieval (aim: {RETRIEVAL + 15} s)")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        large_results(Path(name))
        many_rows(Path(name))
        upgrade(Path(name))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["move", kind, size]:
            move(kind, int(size))
        case ["dispatch"]:
            dispatch()
        case _:
            main()
