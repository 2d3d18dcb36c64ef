"""`make bench-jobs`: from submission to completion in the embedded default, one by one and in a burst.

Signs in, uploads and reads over HTTP like a browser, with the real processes of `manage.py run`. Times are those of the rows
(finished - submitted, seconds). Beside them stand those of the floor: the annotation alone, by a warm engine, nothing else.
"""

import os
import sqlite3
import statistics
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gas.settings")

import django

django.setup()

from django.conf import settings  # noqa: E402

from accounts.fakeglobus.identities import PREMIUM  # noqa: E402
from gas.benchmarks.samples import small_vcf  # noqa: E402
from gas.testing.site import Site, Visitor, memory_kb, processes_of  # noqa: E402
from jobs.annotation.forkserver import ForkServer  # noqa: E402

ONE_BY_ONE = 20
BURST = 100
SENDERS = 4


class Sampler:
    """Watches the processes of a site: the most annotators at once, and the most memory of all together (PSS, MB)."""

    def __init__(self, var: Path, pause: float = 0.05) -> None:
        self._var, self._pause = var, pause
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.annotators = self.megabytes = 0

    def __enter__(self) -> "Sampler":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(self._pause):
            processes = processes_of(self._var)
            self.annotators = max(self.annotators, sum(map(is_annotator, processes)))
            self.megabytes = max(self.megabytes, sum(memory_kb(p, "Pss") for p in processes) // 1024)


def is_annotator(process: Path) -> bool:
    """A child of the warm engine, which leads a session of its own; not the warm engine, nor the child's own children."""
    try:
        _, parent, _, session = (process / "stat").read_text().rpartition(")")[2].split()[:4]
        commands = [(p / "cmdline").read_bytes() for p in (process, Path("/proc", parent))]
        return session == process.name and all(b"forkserver" in command for command in commands)
    except OSError:
        return False


def seconds_of(var: Path, job_urls: list[str]) -> tuple[list[float], float]:
    """Latency of each job, and the time from the first submission to the last end."""
    rows = (
        sqlite3.connect(var / "gas.sqlite3")
        .execute("SELECT id, submitted_at, finished_at, status FROM jobs_job")
        .fetchall()
    )
    wanted = {url.strip("/").rpartition("/")[2].replace("-", "") for url in job_urls}
    chosen = [row for row in rows if row[0] in wanted]
    assert len(chosen) == len(job_urls) and all(row[3] == "COMPLETED" for row in chosen), "not all jobs completed"
    times = [(datetime.fromisoformat(row[1]), datetime.fromisoformat(row[2])) for row in chosen]
    span = max(end for _, end in times) - min(begin for begin, _ in times)
    return [(end - begin).total_seconds() for begin, end in times], span.total_seconds()


def report(what: str, latencies: list[float], span: float) -> None:
    p95 = statistics.quantiles(latencies, n=20)[-1]
    print(
        f"{what:28} n={len(latencies):<4} median {statistics.median(latencies):6.3f} s   p95 {p95:6.3f} s   "
        f"max {max(latencies):6.3f} s   {len(latencies) / span:6.1f} jobs/s"
    )


def floor(vcf: Path, folder: Path) -> None:
    engine, latencies = ForkServer(), []
    begin = time.monotonic()
    for n in range(ONE_BY_ONE):
        (output := folder / f"floor-{n}").mkdir()
        started = time.monotonic()
        outcome = engine.start(vcf, output, stem="x").wait(60)
        assert outcome and outcome.ok
        latencies.append(time.monotonic() - started)
    report("engine alone (the floor)", latencies, time.monotonic() - begin)
    engine.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        vcf, what = small_vcf(folder)
        print(f"{what}, {os.cpu_count()} cores, {settings.ANNOTATORS} annotators\n")
        floor(vcf, folder)
        with Site(folder / "var") as site:
            visitor = Visitor(site.url)
            visitor.sign_in(identity=PREMIUM.sub)  # a burst of the Free plan's would meet its limit
            one_by_one, begin = [], time.monotonic()
            for _ in range(ONE_BY_ONE):
                one_by_one.append(visitor.upload(vcf))
                visitor.wait_for_end(one_by_one[-1], pause=0.02)
            latencies, _ = seconds_of(folder / "var", one_by_one)
            report("one by one", latencies, time.monotonic() - begin)
            with Sampler(folder / "var") as sampler, ThreadPoolExecutor(SENDERS) as senders:
                burst = list(senders.map(lambda _: visitor.upload(vcf), range(BURST)))
                for job in burst:
                    visitor.wait_for_end(job, pause=0.2, timeout=120)
            latencies, span = seconds_of(folder / "var", burst)
            report("burst, from 4 senders", latencies, span)
            print(
                f"{'':28} at most {sampler.annotators} annotators at once, {sampler.megabytes} MB (PSS) in all processes"
            )


if __name__ == "__main__":
    main()
