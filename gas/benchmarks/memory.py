"""`make bench-memory`: memory of the site while a 500 MB file is uploaded, annotated and downloaded.

The processes of `manage.py run` are watched (RSS, MB): the one that serves pages, workers and dispatcher, and the annotator's.
"""

import os
import tempfile
import threading
import time
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gas.settings")

import django

django.setup()

from accounts.fakeglobus import PREMIUM  # noqa: E402
from gas.benchmarks.samples import made_vcf  # noqa: E402
from gas.testing.site import Site, Visitor, memory_kb, processes_of  # noqa: E402

MEGABYTES = 500
SAMPLES = 8000
BLOCK = 1024**2


def write_large_vcf(path: Path) -> None:
    """Mitochondrial records with 8,000 genotypes each, until the file has 500 MB."""
    genotypes = "\tGT" + "\t0/0" * (SAMPLES - 1) + "\t0/1\n"
    records = MEGABYTES * BLOCK // len(genotypes) + 1
    with path.open("w") as file:
        for line in made_vcf(records).splitlines():
            if line.startswith("#CHROM"):
                names = "\t".join(f"S{n}" for n in range(SAMPLES))
                file.write('##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n')
                file.write(f"{line}\tFORMAT\t{names}\n")
            else:
                file.write(line + ("\n" if line.startswith("#") else genotypes))


class Peak:
    """The most memory that the site's server and its annotators took during a stage (RSS, MB)."""

    def __init__(self, var: Path, stage: str) -> None:
        self._var, self._stage = var, stage
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.server = self.annotator = 0

    def __enter__(self) -> "Peak":
        self._begin = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        seconds = time.monotonic() - self._begin
        print(
            f"{self._stage:34} server {self.server // 1024:4} MB   annotator {self.annotator // 1024:4} MB   {seconds:6.1f} s"
        )

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            for process in processes_of(self._var):
                engine = "forkserver" in (process / "cmdline").read_text() if process.exists() else False
                name = "annotator" if engine else "server"
                setattr(self, name, max(getattr(self, name), memory_kb(process, "Rss")))


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        var, vcf = folder / "var", folder / "large.vcf"
        write_large_vcf(vcf)
        print(f"{vcf.stat().st_size // BLOCK} MB, {SAMPLES} samples\n")
        with Site(var) as site:
            visitor = Visitor(site.url)
            visitor.sign_in(identity=PREMIUM.sub)
            with Peak(var, "before, at rest"):
                time.sleep(1)
            with Peak(var, "upload"):
                job = visitor.upload(vcf)
            with Peak(var, "annotate"):
                visitor.wait_for_end(job, timeout=1800, pause=0.5)
            with Peak(var, "download of the 500 MB"):
                received = download(visitor, f"{job}input/")
            assert received == vcf.stat().st_size


def download(visitor: Visitor, path: str) -> int:
    with visitor.get(visitor.url + path, stream=True, timeout=600) as answer:
        return sum(len(block) for block in answer.iter_content(BLOCK))


if __name__ == "__main__":
    main()
