"""`make bench-annotate`: what the annotation engine costs, beside what other programs cost, in the same run.

Every figure is of a whole process, from start to files closed: CPU seconds (user and system, of it and all its children),
wall seconds, and the memory of its largest process (peak RSS). They are medians of five rounds, and in each round every
command runs once, so that a busy minute strikes all of them. Processes are pinned to one core, where not said otherwise.
Ratios are of CPU seconds, which other work on the machine hardly touches; those of two cores are of wall seconds. The
reference has one chromosome: the engine opens no other than the input needs. The floor is `bcftools view` (parse and
write), as bundled in pysam. This process imports neither numpy nor pysam: Linux counts what a parent has at the fork as
its child's peak.
"""

import argparse
import hashlib
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
FOLDER = CHECKOUT / "var" / "bench" / "annotate"
REFERENCES = FOLDER / "reference"
OUT = FOLDER / "out"
SOURCE = FOLDER / "source-12"
# with byte code, as where it is installed: the first round makes it
ENVIRONMENT = os.environ | {"GAS_REFERENCE_DIR": str(REFERENCES), "PYTHONPYCACHEPREFIX": str(FOLDER / "pycache")}
ENVIRONMENT.pop("PYTHONDONTWRITEBYTECODE", None)
ROUNDS = 5
ANNTOOLS = 28  # variants/s, the best that was measured on nuclear files; it needs MySQL and is not run here
RECORDS = {
    "sites": 300_000,
    "tenth": 300_000,
    "many": 3_000_000,
    "genotyped": 30_000,
    "ungenotyped": 30_000,
    "small": 350,
}
BCFTOOLS = "import sys, pysam.bcftools as b; getattr(b, sys.argv[1])(*sys.argv[2:], catch_stdout=False)"
BUILD = "import sys, pathlib as p; from jobs.annotation.reference.build import build; build(*map(p.Path, sys.argv[1:]))"
BED_TRACKS = [
    "cytoband", "genenames", "gad", "gwas", "targetscan", "dgv", "mccarroll", "conrad", "abparts", "segdup", "tfbs",
]  # fmt: skip


class Failed(Exception):
    """A command ended with another code than 0; the text is the end of what it wrote to standard error."""


@dataclass(frozen=True)
class Cost:
    """Of one process: CPU and wall seconds, peak RSS (MB)."""

    cpu: float
    wall: float
    megabytes: float


@dataclass
class Measured:
    """A command, the file that it reads, and what it cost in each round."""

    label: str
    file: str
    command: list[str]
    cores: int = 1
    costs: list[Cost] = field(default_factory=list)
    failure: str = ""

    @property
    def cpu(self) -> float:
        return statistics.median(cost.cpu for cost in self.costs)

    @property
    def wall(self) -> float:
        return statistics.median(cost.wall for cost in self.costs)

    @property
    def megabytes(self) -> float:
        return statistics.median(cost.megabytes for cost in self.costs)

    @property
    def records(self) -> int:
        return RECORDS.get(self.file, 0)


# --- what is measured ------------------------------------------------------------------------------------------------


def engine(file: str, tracks: int = 12, processes: int = 1) -> list[str]:
    options = ["--output-dir", str(OUT), "--reference", f"bench-{tracks}", "--processes", str(processes)]
    return [sys.executable, "-m", "jobs.annotation", str(vcf(file)), *options]


def view(file: str, form: str = "v") -> list[str]:
    out = OUT / ("view.vcf" if form == "v" else "view.vcf.gz")  # bcftools goes by the name, whatever -O says
    return [sys.executable, "-c", BCFTOOLS, "view", f"-O{form}", "-o", str(out), str(vcf(file))]


def csq(path: Path) -> list[str]:
    files = ["-f", str(SOURCE / "genome.fa"), "-g", str(SOURCE / "genes.gff3.gz"), "-o", str(OUT / "csq.vcf")]
    return [sys.executable, "-c", BCFTOOLS, "csq", "-l", "-Ov", *files, str(path)]


def vcf(name: str) -> Path:
    return FOLDER / f"{name}.vcf"


def commands() -> dict[str, Measured]:
    """Everything that can be measured here, by a short name."""
    chosen = {
        "python": Measured("python, import pysam", "", [sys.executable, "-c", "import pysam.bcftools"]),
        "floor": Measured("bcftools view: the floor", "sites", view("sites")),
        "floor-bgzf": Measured("bcftools view -Oz", "sites", view("sites", "z")),
        "csq": Measured("bcftools csq -l", "sites", csq(vcf("sites"))),
        "engine": Measured("engine, 12 tracks", "sites", engine("sites")),
        "two-cores": Measured("engine, two cores", "sites", engine("sites", processes=2), cores=2),
        "24-tracks": Measured("engine, 24 tracks", "sites", engine("sites", tracks=24)),
        "tenth": Measured("engine, a tenth of the next", "tenth", engine("tenth")),
        "many": Measured("engine, ten times as many", "many", engine("many")),
        "many-two": Measured("engine, the same, two cores", "many", engine("many", processes=2), cores=2),
        "small": Measured("engine, small file", "small", engine("small")),
        "small-view": Measured("bcftools view, small file", "small", view("small")),
        "samples": Measured("engine, 100 samples", "genotyped", engine("genotyped")),
        "no-samples": Measured("engine, same sites only", "ungenotyped", engine("ungenotyped")),
    }
    for name, file in (("samples", "genotyped"), ("no-samples", "ungenotyped")):
        label = "100 samples" if file == "genotyped" else "same sites only"
        chosen[f"{name}-view"] = Measured(f"bcftools view, {label}", file, view(file))
        chosen[f"{name}-bgzf"] = Measured(f"bcftools view -Oz, {label}", file, view(file, "z"))
    if program := shutil.which("bcftools"):
        command = [program, "view", "-Ov", "-o", str(OUT / "view.vcf"), str(vcf("sites"))]
        chosen["system-view"] = Measured("bcftools view of the system", "sites", command)
    return chosen | others()


def others() -> dict[str, Measured]:
    """The programs that do the same, where they are installed."""
    found = {}
    if program := shutil.which("vcfanno"):
        configuration = vcfanno_configuration()
        half = shlex.join([program, "-p", "1", str(configuration), str(vcf("sites"))])
        then = shlex.join(csq(OUT / "vcfanno.vcf"))
        # it adds a column FORMAT to the names of the columns, which bcftools 1.24 refuses where there are no samples
        script = f"{half} | sed '/^#CHROM/s/\\tFORMAT$//' > {shlex.quote(str(OUT / 'vcfanno.vcf'))} && {then}"
        found["vcfanno"] = Measured("vcfanno 12 tracks, then csq", "sites", ["sh", "-c", script])
    else:
        print("vcfanno is not installed, and is left out (apt-get install vcfanno)")
    if program := shutil.which("snpEff"):
        configuration = snpeff_database(program)
        script = shlex.join(
            [program, "-Xmx2g", "ann", "-noStats", "-c", str(configuration), "bench21", str(vcf("sites"))]
        )
        script += f" > {shlex.quote(str(OUT / 'snpeff.vcf'))}"
        found["snpeff"] = Measured("SnpEff, no statistics", "sites", ["sh", "-c", script])
    else:
        print("SnpEff is not installed, and is left out (apt-get install snpeff)")
    return found


def vcfanno_configuration() -> Path:
    """The same 12 tracks, as vcfanno wants them declared."""
    path = FOLDER / "vcfanno.toml"
    known = f'[[annotation]]\nfile = "{SOURCE}/dbsnp.vcf.gz"\nfields = ["ID", "GMAF"]\nnames = ["rs", "GMAF"]\n'
    blocks = [known + 'ops = ["self", "self"]\n']
    for name in BED_TRACKS:
        head = f'[[annotation]]\nfile = "{SOURCE}/{name}.bed.gz"\ncolumns = [4]\n'
        blocks.append(f'{head}names = ["{name}"]\nops = ["self"]\n')
    path.write_text("\n".join(blocks))
    return path


def snpeff_database(program: str) -> Path:
    """Has SnpEff make its database of the same genes, once; its configuration file."""
    home = FOLDER / "snpeff"
    configuration = home / "snpEff.config"
    if not (home / "data" / "bench21" / "snpEffectPredictor.bin").is_file():
        data = home / "data" / "bench21"
        data.mkdir(parents=True, exist_ok=True)
        configuration.write_text(f"data.dir = {home / 'data'}\nbench21.genome : bench21\n")
        shutil.copy(SOURCE / "genes.gff3.gz", data / "genes.gff.gz")
        shutil.copy(SOURCE / "genome.fa", data / "sequences.fa")
        checks = ["-noCheckCds", "-noCheckProtein"]
        subprocess.run(
            [program, "-Xmx2g", "build", "-gff3", *checks, "-c", str(configuration), "bench21"],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    return configuration


# --- preparing and measuring -----------------------------------------------------------------------------------------


def prepare() -> None:
    """Data and references, each in a process of its own, unless they are there."""
    subprocess.run([sys.executable, "-m", "gas.benchmarks.annotate_data"], cwd=CHECKOUT, check=True)
    package = CHECKOUT / "jobs" / "annotation"
    builders = [
        *sorted((package / "reference").glob("*.py")),
        *(package / f"{n}.py" for n in ("tracks", "far", "records", "consequences", "csq")),
    ]
    digest = hashlib.sha256((FOLDER / "made-by").read_bytes())
    for path in builders:
        digest.update(path.read_bytes() if path.is_file() else b"")
    stamp = REFERENCES / "built-by"
    if stamp.is_file() and stamp.read_text() == digest.hexdigest():
        return
    shutil.rmtree(REFERENCES, ignore_errors=True)
    for tracks in (12, 24):
        started = time.monotonic()
        source = FOLDER / f"source-{tracks}"
        command = [sys.executable, "-c", BUILD, str(source), str(REFERENCES)]
        subprocess.run(command, cwd=CHECKOUT, check=True, env=ENVIRONMENT)
        print(f"built the reference with {tracks} tracks in {time.monotonic() - started:.1f} s")
    stamp.write_text(digest.hexdigest())


def cost_of(command: list[str], cores: int) -> Cost:
    """Runs a command on so many cores. Raises Failed."""
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    errors = FOLDER / "errors.txt"
    all_cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(all_cores)[-cores:])  # the child has the same
    try:
        with errors.open("wb") as file:
            started = time.monotonic()
            process = subprocess.Popen(command, cwd=CHECKOUT, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=file)
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.monotonic() - started
    finally:
        os.sched_setaffinity(0, all_cores)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        lines = errors.read_text(errors="replace").strip().splitlines() or [""]
        raise Failed(f"exit code {process.returncode}: {lines[-1]}")
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)


def check_result(measured: Measured) -> None:
    """Whether the engine, if this was it, has annotated every record. Raises Failed."""
    summary = OUT / "summary.json"
    if summary.is_file():
        facts = json.loads(summary.read_text())
        if not facts["records"] == facts["annotated"] == measured.records:
            raise Failed(f"{facts['annotated']} of {facts['records']} records annotated, expected {measured.records}")


def measure(chosen: dict[str, Measured], rounds: int) -> None:
    """Every command once in each round; one that fails is not tried again."""
    there = len(os.sched_getaffinity(0))
    for number in range(rounds):
        for measured in chosen.values():
            if measured.cores > there:
                measured.failure = f"needs {measured.cores} cores"
            if not measured.failure:
                print(f"\rround {number + 1} of {rounds}: {measured.label:34}", end="", file=sys.stderr, flush=True)
                try:
                    measured.costs.append(cost_of(measured.command, measured.cores))
                    check_result(measured)
                except Failed as failed:
                    measured.failure, measured.costs = str(failed), []
    print(f"\r{'':60}\r", end="", file=sys.stderr)
    shutil.rmtree(OUT, ignore_errors=True)


# --- the report ------------------------------------------------------------------------------------------------------


def table(chosen: dict[str, Measured]) -> Iterator[str]:
    yield f"{'':34}{'variants':>10}{'CPU s':>9}{'wall s':>9}{'peak MB':>9}{'per CPU s':>11}{'x floor':>9}"
    floor = chosen["floor"]
    for measured in chosen.values():
        if measured.failure:
            yield f"{measured.label:34}{measured.failure}"
            continue
        rate = f"{measured.records / measured.cpu:11,.0f}" if measured.records else f"{'':11}"
        same = measured.file == floor.file and floor.costs
        ratio = f"{measured.cpu / floor.cpu:9.2f}" if same else ""
        yield (
            f"{measured.label:34}{measured.records or '':>10}{measured.cpu:9.2f}{measured.wall:9.2f}"
            f"{measured.megabytes:9.0f}{rate}{ratio}"
        )


def targets(chosen: dict[str, Measured]) -> Iterator[str]:
    """What was aimed for, and what was reached; lines whose commands did not run are left out."""

    def line(what: str, limit: str, needs: str, value: Callable[..., float], good: Callable[[float], bool]) -> str:
        needed = [chosen.get(name) for name in needs.split()]
        if not all(measured and measured.costs for measured in needed):
            return f"{what:58}{limit:>10}{'-':>12}  not measured"
        reached = value(*needed)
        return f"{what:58}{limit:>10}{reached:12,.2f}  {'yes' if good(reached) else 'NO'}"

    def extra(one: Measured, two: Measured, three: Measured, four: Measured) -> float:
        return (one.cpu - two.cpu) / (three.cpu - four.cpu)

    def rate(e: Measured) -> float:
        return e.records / e.cpu

    def ratio(a: Measured, b: Measured) -> float:
        return a.cpu / b.cpu

    def speed_up(a: Measured, b: Measured) -> float:
        return a.wall / b.wall

    yield f"{'':58}{'wanted':>10}{'reached':>12}"
    yield line("variants per CPU second, one core", "100,000", "engine", rate, lambda v: v >= 100_000)
    yield line("times the floor", "<= 15", "engine floor", ratio, lambda v: v <= 15)
    yield line("faster than vcfanno and csq", ">= 6 x", "vcfanno engine", ratio, lambda v: v >= 6)
    yield line("faster than SnpEff", ">= 25 x", "snpeff engine", ratio, lambda v: v >= 25)
    yield line(
        f"faster than AnnTools ({ANNTOOLS}/s, not in this run)",
        ">= 1000 x",
        "engine",
        lambda e: rate(e) / ANNTOOLS,
        lambda v: v >= 1000,
    )
    yield line("speed-up with two cores, 300,000 (wall)", ">= 1.7 x", "engine two-cores", speed_up, lambda v: v >= 1.7)
    yield line("speed-up with two cores, 3,000,000 (wall)", ">= 1.7 x", "many many-two", speed_up, lambda v: v >= 1.7)
    yield line("small file (wall s)", "<= 0.35", "small", lambda s: s.wall, lambda v: v <= 0.35)
    yield line("ten times the variants", "<= 10.5 x", "many tenth", ratio, lambda v: v <= 10.5)
    yield line("twice the tracks", "<= 1.5 x", "24-tracks engine", ratio, lambda v: v <= 1.5)
    yield line("memory, 3,000,000 variants (MB)", "< 400", "many", lambda m: m.megabytes, lambda v: v < 400)
    yield line("memory, 100 samples (MB)", "< 400", "samples", lambda m: m.megabytes, lambda v: v < 400)
    for name, what in (("view", "view"), ("bgzf", "view -Oz")):
        needs = f"samples no-samples samples-{name} no-samples-{name}"
        label = f"what 100 samples cost more, to what they do in {what}"
        yield line(label, "<= 1 x", needs, extra, lambda v: v <= 1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m gas.benchmarks.annotate", description="Costs of annotation.")
    parser.add_argument("--quick", action="store_true", help="one round instead of five")
    rounds = 1 if parser.parse_args().quick else ROUNDS
    prepare()
    chosen = commands()
    measure(chosen, rounds)
    load = os.getloadavg()[1]
    print(f"\n{os.cpu_count()} cores, load {load:.1f}, median of {rounds}\n")
    print("\n".join(table(chosen)), "\n", "\n".join(targets(chosen)), sep="\n")


if __name__ == "__main__":
    main()
