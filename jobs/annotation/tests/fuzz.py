"""Fuzzing of the engine: odd, broken and hostile files, and nothing may come of them but a sound result or a sentence.

    python -m jobs.annotation.tests.fuzz --seconds 600     # `make fuzz`: new files, made from the corpus by mutation
    python -m jobs.annotation.tests.fuzz --repeat FILE     # one that was found, again

The mutations know what a VCF file is: bytes, fields, lines and whole headers are changed, and what comes out is packed as
gzip, BGZF or ZIP, which may be damaged too. A file that reaches lines of the engine which none before it reached joins the
corpus. What breaks a rule of `verdict` is saved in var/fuzz/.
"""

import argparse
import contextlib
import gzip
import hashlib
import io
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pysam

from jobs.annotation import AnnotationError, Summary, annotate, lines
from jobs.annotation.reference import CHECKOUT
from jobs.annotation.reference.build import build
from jobs.annotation.tests import made_genome, strict_vcf

ENGINE = str(Path(__file__).parents[1])
GOLDEN = Path(__file__).parent / "golden"
LONGEST = 20  # seconds that one small file may take
LARGEST = 20_000  # bytes of a file in the corpus: larger ones only make it slow
BLOCKS = (120, 1000, lines.BLOCK)  # bytes; small ones put the ends of blocks everywhere
# what is wrong with a file, not with us: all other codes of the engine are findings
CODES = {"empty_file", "not_vcf", "bad_header", "no_records", "bad_records", "line_too_long", "header_too_large"}
CODES |= {"truncated", "corrupt", "bomb", "wrong_build"}

WORDS = rb"""
. .. ; = , : | / \\ " ' % %25 & # ## < > <> <DEL> <INS:ME:ALU> <*> * A C G T N a R AC ACGTACGT A,C A,A .,A *,* ]1:5]A A[2:7[ .A
0 1 -1 00 007 1e9 1e999 -inf nan NaN 2147483647 2147483648 536870911 536870912 999999999 4294967296 99999999999999999999 1.5 0x1
chr1 1 2 X chrM MT M GL000192.1 HLA*01:01 contig with spaces
PASS q10 q10;s50 rs1 rs1;rs1 DP=1 DP=a DP=1;DP=2 END=5 END=99999 END=1 END=-1 SVLEN=-50 SVTYPE=DEL ;;; =;= FLAG AF=0.5,0.5
BCSQ=x GAS_GENE GAS_REGION=CDS GAS_ GT GT:DP:GT ./. 0/1 1|1 0/1:3:4 ./.:. .|.|. 7/7
##fileformat=VCFv3.3 ##fileformat=VCFv4.0 ##fileformat=VCFv4.5 ##fileformat=VCFv5.0 ##format=VCFv3.3 ##contig=<ID=1>
##contig=<ID=1,length=-1> ##contig=<ID=> ##INFO=<ID=DP,Number=1,Type=Integer,Description="x"> ##INFO=<ID=DP>
##INFO=DP,1,Integer,"x" ##INFO=<ID=GAS_X,Number=.,Type=String,Description="y"> ##FILTER=<ID=q10,Description="unclosed>
##ALT=<ID=DEL,Description="d"> ##x ##= ##reference=GRCh37 ##reference=file:///human_b36.fasta ##contig=<ID=1,length=249250621>
""".split()
WORDS += [
    b"",
    b" ",
    b"\t",
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b"\x1f\x8b",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"PK\3\4",
    b"\xc3",
    b"\xc3\xa9",
]


class Finding(Exception):
    """A rule was broken; the message says which."""


# --- making files ----------------------------------------------------------------------------------------------------


def seeds(genome: made_genome.Genome) -> list[bytes]:
    """Files to begin with: some records of each kind, without and with samples, and the golden ones."""
    some = made_genome.variants(genome, 60, 7)
    info = '##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth">\n##FILTER=<ID=q10,Description="Low">\n#CHROM'
    plain = genome.header().replace("#CHROM", info)
    texts = [
        plain + "".join(variant.line("DP=3") for variant in some[:12]),
        plain + "".join(variant.line() for variant in some[12:16]) + "1\t9\t.\tN\t<DEL>\t.\tq10\tEND=400;SVTYPE=DEL\n",
        genome.header("S1", "S2") + "".join(variant.line(".", "GT", "0/1", "1|1") for variant in some[16:24]),
        '##fileformat=VCFv3.3\n##INFO=DP,1,Integer,"Depth"\n' + plain.splitlines()[-1] + "\n" + some[30].line("DP=1"),
    ]
    return [text.encode() for text in texts] + [path.read_bytes() for path in sorted(GOLDEN.glob("*.vcf"))]


def mutated(rng: random.Random, content: bytes, corpus: list[bytes]) -> bytes:
    for _ in range(rng.choice([1, 1, 2, 3, 6])):
        content = rng.choice([_byte, _slice, _word, _field, _field, _field, _line, _line])(rng, content)
    if rng.random() < 0.1:
        other = rng.choice(corpus)
        content = content[: rng.randrange(len(content) + 1)] + other[rng.randrange(len(other) + 1) :]
    return content[: 2 * LARGEST]


def _byte(rng: random.Random, content: bytes) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + bytes([rng.randrange(256)]) + content[at + rng.randrange(2) :]


def _slice(rng: random.Random, content: bytes) -> bytes:
    """Some bytes are left out, or stand once more."""
    start, to = rng.randrange(len(content) + 1), rng.randrange(len(content) + 1)
    end = start + rng.choice([1, 5, 50, 500])
    return content[:start] + content[end:] if rng.random() < 0.5 else content[:to] + content[start:end] + content[to:]


def _word(rng: random.Random, content: bytes) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + rng.choice(WORDS) + content[at + rng.choice([0, 0, 1, 5]) :]


def _field(rng: random.Random, content: bytes) -> bytes:
    """A column of a line, or a part of it, becomes another."""
    rows = content.split(b"\n")
    at = rng.randrange(len(rows))
    separator = rng.choice([b"\t", b"\t", b"\t", b";", b",", b"=", b":"])
    fields = rows[at].split(separator)
    place = rng.randrange(len(fields))
    fields[place] = rng.choice(
        [rng.choice(WORDS), rng.choice(fields), fields[place] * 2, fields[place] + rng.choice(WORDS)]
    )
    rows[at] = separator.join(fields)
    return b"\n".join(rows)


def _line(rng: random.Random, content: bytes) -> bytes:
    """A line is left out, stands twice, changes places, or is a new one."""
    rows = content.split(b"\n")
    row = rows.pop(rng.randrange(len(rows)))
    new = rng.choice([[], [row, row], [row], [row] * 40, [rng.choice(WORDS), row]])
    at = rng.randrange(len(rows) + 1)
    return b"\n".join(rows[:at] + new + rows[at:])


def packed(rng: random.Random, content: bytes) -> bytes:
    """Plain in six of ten cases, else compressed; one in three of these is damaged."""
    way = rng.choice([_plain, _plain, _plain, gzip.compress, _bgzf, _zip])
    whole = way(content)
    if way is _plain or rng.random() < 0.66:
        return whole
    return rng.choice([_byte, _slice])(rng, whole)


def _plain(content: bytes) -> bytes:
    return content


def _bgzf(content: bytes) -> bytes:
    with tempfile.NamedTemporaryFile() as file:
        with pysam.BGZFile(file.name, "w") as out:
            out.write(content)
        return Path(file.name).read_bytes()


def _zip(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("in.vcf"), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


# --- judging them ----------------------------------------------------------------------------------------------------


def verdict(content: bytes, folder: Path) -> str:
    """Annotates a file in an empty folder; `result`, or the code of the error. Raises Finding.

    A refusal has a code that blames the file, and printable sentences; it leaves nothing behind. A result is valid, its
    receipt adds up, and it has the user's records.
    """
    path, out = folder / "in.vcf", folder / "out"
    path.write_bytes(content)
    lines.BLOCK = BLOCKS[zlib.crc32(content) % len(BLOCKS)]
    try:
        with _time_limit():
            summary = annotate(path, out)
    except AnnotationError as error:
        return _refusal(error, out)
    except TimeoutError as error:
        raise Finding(f"it took longer than {LONGEST} s") from error
    except Exception as error:
        raise Finding(f"{type(error).__name__}: {error}\n{traceback.format_exc()}") from error
    _judge(summary, out)
    return "result"


def _refusal(error: AnnotationError, out: Path) -> str:
    if error.code not in CODES:
        raise Finding(f"the engine failed: {error}") from error
    if out.exists():
        raise Finding(f"a refused file left {[path.name for path in out.iterdir()]}") from error
    if not error.faults or not all(fault.isprintable() and len(fault) < 2000 for fault in error.faults):
        raise Finding(f"no sentence to show: {error.faults!r}") from error
    return error.code


def _judge(summary: Summary, out: Path) -> None:
    result = out / "in.annot.vcf.gz"
    try:
        written = strict_vcf.check(result)
    except AssertionError as error:
        if _theirs(result) != str(error):
            raise Finding(f"the result is not valid: {error}") from error
        written = summary.written
    skipped = len((out / "skipped.tsv").read_bytes().splitlines()) - 1
    receipt = summary.records, summary.written, summary.skipped
    if receipt != (written + skipped, written, skipped):
        raise Finding(f"the receipt says {receipt} read, written, skipped; there are {written} and {skipped}")
    json.loads((out / "summary.json").read_text())


def _theirs(result: Path) -> str:
    """What is wrong with the records of a result without what we wrote into them: a user's values are not corrected."""
    with gzip.open(result) as file:
        rows = [_without_ours(line) for line in file]
    with tempfile.NamedTemporaryFile() as plain:
        Path(plain.name).write_bytes(b"".join(rows))
        try:
            strict_vcf.check(Path(plain.name))
        except AssertionError as error:
            number = int(str(error).removeprefix("Line ").partition(":")[0])
            in_records = number > sum(row.startswith(b"#") for row in rows)
            return (
                str(error) if in_records or "is no INFO key" in str(error) or "is no FORMAT key" in str(error) else ""
            )
    return ""


def _without_ours(line: bytes) -> bytes:
    if line.startswith(b"#"):
        return line
    columns = line.split(b"\t")
    last = b"\n" if len(columns) == 8 else b""
    items = columns[7].rstrip(b"\n").split(b";")
    kept = [item for item in items if not item.startswith((b"BCSQ=", b"GAS_"))]
    columns[7] = (b";".join(kept) or b".") + last
    return b"\t".join(columns)


@contextlib.contextmanager
def _time_limit() -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LONGEST)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


# --- the search ------------------------------------------------------------------------------------------------------


class Reached:
    """The lines of the engine that some file has reached."""

    def __init__(self) -> None:
        self.all: set[tuple[str, int]] = set()
        self.own: set[tuple[str, int]] = set()

    def __enter__(self) -> "Reached":
        self.own = set()
        sys.settrace(self._call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def grew(self) -> bool:
        """Whether the last file reached a new one."""
        new = not self.own <= self.all
        self.all |= self.own
        return new

    def _call(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        return self._line if frame.f_code.co_filename.startswith(ENGINE) else None

    def _line(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "line":
            self.own.add((frame.f_code.co_filename, frame.f_lineno))
        return self._line


def search(seconds: float, seed: int, genome: made_genome.Genome, log: Any = print) -> list[Path]:
    """Tries files for so long; those that were found."""
    rng, reached = random.Random(seed), Reached()
    corpus, found, outcomes = seeds(genome), dict[str, Path](), dict[str, int]()
    begun = told = time.monotonic()
    queue = list(corpus)
    while time.monotonic() - begun < seconds:
        text = queue.pop() if queue else mutated(rng, rng.choice(corpus), corpus)
        content = text if queue else packed(rng, text)
        with tempfile.TemporaryDirectory() as folder:
            try:
                with reached:
                    outcome = verdict(content, Path(folder))
            except Finding as finding:
                outcome = "found"
                reason = str(finding).splitlines()
                kind = "".join(c for c in reason[0] + reason[-1] if not c.isdigit())[:100]
                if kind not in found:
                    found[kind] = _save(content, finding)
                    log(
                        f"FOUND {found[kind]}: {finding}\nAgain: python -m jobs.annotation.tests.fuzz --repeat {found[kind]}"
                    )
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        if reached.grew() and outcome != "found" and len(text) < LARGEST:
            corpus.append(text)
        if time.monotonic() - told > 60:
            told = time.monotonic()
            log(_state(outcomes, corpus, reached))
    log(_state(outcomes, corpus, reached))
    return list(found.values())


def _state(outcomes: dict[str, int], corpus: list[bytes], reached: Reached) -> str:
    counts = ", ".join(f"{name} {count}" for name, count in sorted(outcomes.items()))
    return f"{sum(outcomes.values())} files: {counts}; corpus {len(corpus)}; {len(reached.all)} lines of the engine reached"


def _save(content: bytes, finding: Finding) -> Path:
    folder = CHECKOUT / "var" / "fuzz"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / hashlib.sha256(content).hexdigest()[:12]
    path.write_bytes(content)
    path.with_suffix(".txt").write_text(f"{finding}\n")
    return path


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--repeat", type=Path, metavar="FILE", help="judge this file only")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        genome = made_genome.make(Path(folder, "source"))
        build(genome.folder, Path(folder, "root"))
        os.environ["GAS_REFERENCE_DIR"] = str(Path(folder, "root"))
        if asked.repeat:
            print(verdict(asked.repeat.read_bytes(), Path(folder)))
            return 0
        print(f"Fuzzing for {asked.seconds:g} s, seed {asked.seed}.", flush=True)
        found = search(asked.seconds, asked.seed, genome)
    print(f"{len(found)} findings.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
