"""ANNOTATOR=command: a program of somebody else annotates (AnnTools, Ensembl VEP, SnpEff), confined as the engine is.

    worker --request--> server (python -m jobs.external TEMPLATE) --fork--> child: annotate() --exec--> the program

Server and child are those of the engine (annotation/forkserver.py, server.py, child.py), with annotate() of this module
in place of the engine's. The child leads a session and process group of its own, in which the program stays: whoever
ends the run ends the group. Orphans of the program become children of the child (PR_SET_CHILD_SUBREAPER), which ends
them with it. docs/annotators.md has the settings of known programs. This module knows no Django.
"""

import ctypes
import os
import re
import resource
import select
import shlex
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import pysam.bcftools
from pysam.utils import SamtoolsError
from pysam.version import __version__

from jobs.annotation import child
from jobs.annotation.errors import AnnotationError, from_os_error
from jobs.annotation.forkserver import ForkServer
from jobs.annotation.header import split_header
from jobs.annotation.lines import Lines
from jobs.annotation.output import BgzfWriter, index, no_room
from jobs.annotation.processes import crashed, die_with
from jobs.annotation.server import serve

# Nothing else of the worker's environment, which holds keys and passwords, is for a program of somebody else.
ENVIRONMENT = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "JAVA_HOME")
PR_SET_CHILD_SUBREAPER = 36
KEPT_OUTPUT = 8192  # bytes, the last that the program wrote to stderr (and stdout), for operators
LONGEST_LOG = 16 << 20  # bytes of the program's log that are kept
LOOK_SECONDS = 0.25
SORT_MEMORY = "256M"
_SPACED = re.compile(rb"^[^#\n].*\t .*$", re.MULTILINE)
TO_RESULT = [">", "{result}"]  # the last words of a template whose program writes VCF to standard output

Progress = Callable[[int, int], None]


class CommandServer(ForkServer):
    """A ForkServer whose runs carry out the command line `template` instead of the engine."""

    def __init__(self, template: str) -> None:
        super().__init__()
        self.COMMAND = (sys.executable, "-m", "jobs.external", template)  # type: ignore[assignment]


@cache
def command_server(template: str) -> CommandServer:
    """One for each worker process; started at its first job."""
    return CommandServer(template)


@dataclass(frozen=True)
class Summary:
    """What can be known of a run whose tracks are the program's own; keys as in the engine's summary.

    input        file name
    vcf_version  as the user's file states it
    samples      columns after FORMAT
    records      data lines of the input; `written` is the count in the index of the result, always the same
    contigs      records of each contig
    mends        sentences: what was put right
    engine       "command": the program's file name, and the versions of what wrote the index
    seconds      wall-clock time of the program
    """

    input: str
    vcf_version: str
    samples: int
    records: int
    written: int
    contigs: dict[str, int]
    mends: list[str]
    seconds: float
    engine: dict[str, str]

    def count_log(self) -> str:
        """The count log of a program that leaves none."""
        lines = [
            f"File: {self.input} (VCF {self.vcf_version}, {self.samples} samples)",
            f"Total: {self.records}",
            "Contigs:",
            *(f"  In {name}: {count}" for name, count in self.contigs.items()),
            *(f"Mended: {mend}" for mend in self.mends),
            f"Annotated by: {self.engine['command']}, in {self.seconds:.1f} s",
            f"Receipt: {self.records} records read, {self.written} written",
        ]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Paths:
    """Where a run works. The names are ours: no program is handed what a user may have put into a file name."""

    folder: Path

    @property
    def input(self) -> Path:
        return self.folder / "input.vcf"

    @property
    def result(self) -> Path:
        return self.folder / "input.annot.vcf"

    @property
    def log(self) -> Path:
        return self.folder / "input.vcf.count.log"

    def command(self, template: str) -> tuple[list[str], bool]:
        """The words of the command line, and whether its standard output is the result."""
        words = shlex.split(template)
        redirected = words[-2:] == TO_RESULT
        places = {"input": self.input, "output_dir": self.folder, "result": self.result, "log": self.log}
        filled = [self._filled(word, places) for word in words[: -2 if redirected else None]]
        return filled, redirected

    @staticmethod
    def _filled(word: str, places: dict[str, Path]) -> str:
        for name, path in places.items():
            word = word.replace(f"{{{name}}}", str(path))
        return word


def annotate(
    template: str,
    input_path: Path,
    output_dir: Path,
    *,
    stem: str | None = None,
    progress: Progress | None = None,
    **_: Any,
) -> Summary:
    """Has the program annotate a VCF file; leaves the files that the engine leaves, but summary.json.

    The program is given plain VCF, whatever the input is packed in. `progress(done, total)` counts records as far as they
    can be seen in the result while it grows. Raises AnnotationError.
    """
    stem = stem or input_path.name
    lines = Lines(input_path)
    header = split_header(lines.blocks())[0]
    try:
        with tempfile.TemporaryDirectory(prefix=".annotate-", dir=output_dir) as folder:
            paths = Paths(Path(folder))
            contigs = _write_input(lines, paths.input)
            records = sum(contigs.values())
            began = time.monotonic()
            _run_program(template, paths, lambda done: (progress or _untold)(done, records))
            seconds = time.monotonic() - began
            written, mends = _publish(paths, output_dir / f"{stem}.annot.vcf.gz", records)
            summary = Summary(
                input=input_path.name,
                vcf_version="{}.{}".format(*header.version),
                samples=header.samples,
                records=records,
                written=written,
                contigs=contigs,
                mends=[*_mends(lines), *mends],
                seconds=round(seconds, 1),
                engine={"command": program_name(template), "pysam": __version__},
            )
            _publish_log(paths.log, output_dir / f"{stem}.vcf.count.log", summary)
    except OSError as error:
        raise from_os_error(error, "the results") from error
    return summary


def _untold(done: int, total: int) -> None:
    """For who does not want to hear of progress."""


# --- before: the input --------------------------------------------------------------------------------------------------


def _write_input(lines: Lines, target: Path) -> dict[str, int]:
    """Writes the text of the user's file; returns its records by contig."""
    contigs: dict[str, int] = {}
    with target.open("wb") as file:
        for block in lines.blocks():
            file.write(re.sub(rb"^\n+", b"", block, flags=re.MULTILINE))  # AnnTools stops at a blank line
            for name in re.findall(rb"^([^#\n\t][^\n\t]*)", block, re.MULTILINE):
                contig = name.decode(errors="replace")
                contigs[contig] = contigs.get(contig, 0) + 1
    if not contigs:
        raise AnnotationError("no_records", "The file has a header and no record; there is nothing to annotate.")
    return contigs


def _mends(lines: Lines) -> list[str]:
    bom = ["A byte order mark at the start was removed."] * lines.bom
    return [*bom, *(["Line ends CRLF were turned into LF."] * lines.crlf)]


def program_name(template: str) -> str:
    """What the page calls the program: the first word that is neither env, an assignment, an interpreter nor an option."""
    words = [Path(word).name for word in shlex.split(template) if not word.startswith("-") and "=" not in word]
    starters = re.compile(r"(env|java|perl|sh|bash|python[\d.]*)$")
    return next((word for word in words if not starters.match(word) and "{" not in word), words[0])


# --- the program ---------------------------------------------------------------------------------------------------------


def _run_program(template: str, paths: Paths, tell: Callable[[int], None]) -> None:
    """Runs it to its end; whatever it started is gone afterwards. Raises AnnotationError unless it ends with exit code 0."""
    command, redirected = paths.command(template)
    parent, others = os.getpid(), _children()
    _adopt_orphans()
    reader, writer = os.pipe()
    with ExitStack() as stack, open(reader, "rb", buffering=0) as output:  # noqa: PTH123 - a descriptor
        try:
            stdout = stack.enter_context(paths.result.open("wb")) if redirected else writer
            program = subprocess.Popen(
                command,
                cwd=paths.folder,
                env=_environment(paths.folder),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=writer,
                preexec_fn=lambda: die_with(parent),  # noqa: PLW1509 - this process has one thread
            )
        except OSError as error:
            sys.stderr.write(f"{command[0]}: {error.strerror}\n")
            raise AnnotationError("command_missing", "The annotation program could not be started.") from error
        finally:
            os.close(writer)
        try:
            _watch(program, output, partial(_count_new, paths.result), tell)
        finally:
            program.kill()
            program.wait()
            _end_children(others)
    _check_sizes(paths.folder)
    _check_exit(program.returncode)


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    return {**kept, "TMPDIR": str(folder)}


def _adopt_orphans() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def _end_children(others: set[int]) -> None:
    """Ends all descendants but `others`: those whose parent dies become children of this process."""
    while pids := _children() - others:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in pids:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _children() -> set[int]:
    tasks = Path("/proc/self/task").glob("*/children")
    return {int(pid) for task in tasks for pid in task.read_text().split()}


def _watch(
    program: subprocess.Popen[bytes],
    output: Any,
    count_new: Callable[[int], tuple[int, int]],
    tell: Callable[[int], None],
) -> None:
    """Until the program ends: keeps the last of what it writes, and tells how far its result has grown."""
    tail, done, offset, next_look = b"", 0, 0, 0.0
    os.set_blocking(output.fileno(), False)
    while True:
        over = program.poll() is not None
        if select.select([output], [], [], 0 if over else LOOK_SECONDS)[0]:
            text = output.read(1 << 16) or b""
            tail = (tail + text)[-KEPT_OUTPUT:]
            if not text and not over:  # it has closed its stderr and goes on
                time.sleep(LOOK_SECONDS)
        if over or time.monotonic() >= next_look:
            _keep(tail)
            new, offset = count_new(offset)
            done += new
            tell(done)
            next_look = time.monotonic() + 4 * LOOK_SECONDS
        if over:
            return


def _keep(tail: bytes) -> None:
    """Puts `tail` in place of what stderr holds: the server reads that file when the run is over, even if it was killed."""
    if stat.S_ISREG(os.fstat(2).st_mode):
        with suppress(OSError):  # over the limit on file sizes: then without
            os.ftruncate(2, 0)
            os.lseek(2, 0, os.SEEK_SET)
            os.write(2, tail)


def _count_new(result: Path, offset: int) -> tuple[int, int]:
    """Records in plain text that came to the growing result after `offset`, and the offset to go on from."""
    with suppress(OSError), result.open("rb") as file:
        file.seek(offset)
        block = file.read(64 << 20)
        if offset or block.startswith(b"#"):
            end = block.rfind(b"\n") + 1
            return _records(block[:end]), offset + end
    return 0, offset


def _records(block: bytes) -> int:
    return len(re.findall(rb"^[^#\n]", block, re.MULTILINE))


def _check_sizes(folder: Path) -> None:
    """A program may ignore the signal of the limit on file sizes, and even end as if nothing had happened."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if limit != resource.RLIM_INFINITY and any(path.lstat().st_size >= limit for path in folder.iterdir()):
        raise _too_large()


def _too_large() -> AnnotationError:
    return AnnotationError("output_too_large", "The annotation program wrote a file beyond the size allowed for one.")


def _check_exit(code: int) -> None:
    number = -code if code < 0 else code - 128  # a shell tells the signal that ended its program so
    if number == signal.SIGXFSZ:
        raise _too_large()
    if code < 0 or number == signal.SIGXCPU:
        raise crashed("The annotation program", number)
    if code:
        raise AnnotationError(
            "command_failed",
            f"The annotation program ended with an error (exit code {code}) and gave no result.",
            "It may not take a file like this one: check that the file is VCF of the genome build that is annotated here.",
        )


# --- after: the result ---------------------------------------------------------------------------------------------------


def _publish(paths: Paths, target: Path, expected: int) -> tuple[int, list[str]]:
    """The result as BGZF with its index at `target`: its count of records, and what was mended in it."""
    counted, spaced = _compress(_found(paths.result), paths.folder / "result.vcf.gz")
    if counted != expected:
        raise AnnotationError(
            "command_result",
            f"The annotation program was given {expected:,} records and its result has {counted:,}. "
            "A result that lacks records is not handed out.",
        )
    written, sorted_here = _indexed(paths.folder)
    if written != expected:
        raise _unusable(f"only {written:,} of {expected:,} records could be indexed")
    for suffix in ("", ".tbi"):
        (paths.folder / f"result.vcf.gz{suffix}").replace(f"{target}{suffix}")
    spaces = ["Spaces that the annotation program put after tabs were removed."] * spaced
    return written, [*spaces, *(["The result was not sorted; it was sorted by contig and position."] * sorted_here)]


def _found(result: Path) -> Path:
    for suffix in ("", ".gz", ".bgz"):
        path = result.with_name(result.name + suffix)
        if path.is_file() and not path.is_symlink() and path.stat().st_size:
            return path
    raise AnnotationError("command_result", "The annotation program ended without an error, but left no result.")


def _compress(source: Path, target: Path) -> tuple[int, bool]:
    """Writes the BGZF copy; its number of records, and whether AnnTools' spaces after tabs were taken out of them."""
    records, spaced = 0, False
    with BgzfWriter(target, "the results") as out:
        for block in _readable(source):
            text = _SPACED.sub(lambda line: line[0].replace(b"\t ", b"\t"), block) if b"\t " in block else block
            spaced |= len(text) < len(block)
            records += _records(text)
            out.write(text)
    return records, spaced


def _readable(source: Path) -> Iterator[bytes]:
    try:
        split_header(Lines(source).blocks())
        yield from Lines(source).blocks()
    except AnnotationError as error:  # its sentences speak of the user's file
        sys.stderr.write(f"the result: {error}\n")
        raise _unusable("it cannot be read as VCF") from error


def _indexed(folder: Path) -> tuple[int, bool]:
    result, ordered = folder / "result.vcf.gz", folder / "sorted.vcf.gz"
    try:
        return index(result), False
    except AnnotationError:
        if error := no_room(result):
            raise error from None
    try:
        place = ("-T", str(folder / "sort"), "-o", str(ordered), "-O", "z")
        pysam.bcftools.sort("-m", SORT_MEMORY, *place, str(result), catch_stdout=False)
        ordered.replace(result)
        return index(result), True
    except (SamtoolsError, AnnotationError, OSError) as error:
        sys.stderr.write(f"sorting the result: {error}\n")
        raise no_room(ordered) or _unusable("it cannot be sorted and indexed") from error


def _unusable(why: str) -> AnnotationError:
    return AnnotationError("command_result", f"The annotation program left a result that cannot be used: {why}.")


def _publish_log(log: Path, target: Path, summary: Summary) -> None:
    """The program's log as the count log, else a short one of ours."""
    if log.is_file() and not log.is_symlink() and log.stat().st_size:
        with log.open("rb") as source, target.open("wb") as copy:
            copy.write(source.read(LONGEST_LOG))
    else:
        target.write_text(summary.count_log(), encoding="utf-8")


def _serve(template: str, control: int) -> None:
    child.annotate = partial(annotate, template)  # type: ignore[attr-defined, assignment]
    serve(socket.socket(fileno=control))


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
