"""`python -m jobs.annotation`: exit codes, sentences, and no traceback whatever happens."""

import os
import resource
import signal
import subprocess
import sys

import pytest

from jobs.annotation.reference import CHECKOUT

# as `python -m jobs.annotation`, with something broken first
BROKEN = """
import sys, os, signal
from jobs.annotation import {module}
{broken}
from jobs.annotation.__main__ import main
sys.exit(main())
"""


def run(*arguments, program=("-m", "jobs.annotation"), **options):
    command = [sys.executable, *program, *map(str, arguments)]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False, **options)


def run_broken(module, broken, *arguments):
    return run(*arguments, program=("-c", BROKEN.format(module=module, broken=broken)))


@pytest.fixture
def path(vcf):
    return vcf(("MT", 3243, "A", "G"))


def test_success(path, out):
    done = run(path, "--output-dir", out)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert {found.name for found in out.iterdir()} == {
        *("in.annot.vcf.gz", "in.annot.vcf.gz.tbi", "in.vcf.count.log", "skipped.tsv", "summary.json"),
    }


def test_stem(path, out):
    assert run(path, "--output-dir", out, "--stem", "mine").returncode == 0
    assert (out / "mine.annot.vcf.gz").is_file()
    assert run(path, "--output-dir", out, "--stem", "../mine").returncode == 2


def test_faults(vcf, out):
    done = run(vcf(("MT", "x", "A", "G"), ("MT", "y", "A", "G")), "--output-dir", out)
    assert done.returncode == 1
    assert done.stderr == (
        "Line 3: POS is 'x', expected a whole number from 0 to 536,870,911.\n"
        "Line 4: POS is 'y', expected a whole number from 0 to 536,870,911.\n"
    )


def test_csq_is_killed(path, out):
    crash = "csq.run_csq = lambda *_: os.kill(os.getpid(), signal.SIGKILL)"
    done = run_broken("csq", crash, path, "--output-dir", out)
    assert (done.returncode, done.stderr) == (
        1,
        "bcftools csq ended without a result (killed, as the system does when memory runs out); "
        "the file may be in order, so it is worth another try.\n",
    )
    assert not out.exists()


def test_failure_of_csq(path, out):
    done = run_broken("csq", "csq.run_csq = lambda *_: 1 / 0", path, "--output-dir", out)
    assert (done.returncode, done.stderr) == (1, "bcftools csq could not compute the consequences.\n")


def test_crash_of_the_engine(path, out):
    crash = "engine.summarise = lambda *_, **__: os.kill(os.getpid(), signal.SIGABRT)"
    done = run_broken("engine", crash, path, "--output-dir", out)
    assert (done.returncode, done.stderr) == (
        1,
        "The annotation process ended without a result (SIGABRT); "
        "the file may be in order, so it is worth another try.\n",
    )


def test_fault_of_the_engine(path, out):
    done = run_broken("engine", "engine.summarise = lambda *_, **__: 1 / 0", path, "--output-dir", out)
    assert (done.returncode, done.stderr) == (1, "The engine failed unexpectedly (ZeroDivisionError).\n")


def test_folder_that_cannot_be_written(path, tmp_path):
    (tmp_path / "file").touch()
    done = run(path, "--output-dir", tmp_path / "file" / "out")
    assert (done.returncode, done.stderr) == (1, "Writing the results failed: Not a directory.\n")


def test_result_that_grows_too_large(vcf, out):
    path = vcf(*[("2", pos, "A", "G", f"X={pos * 7919}") for pos in range(1, 60_000)])
    limit = 100_000
    done = run(
        *(path, "--output-dir", out),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 1
    assert done.stderr == "Writing the results failed: the file grew beyond the size allowed for a result.\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk takes root")
def test_full_disk(vcf, tmp_path):
    path = vcf(*[("2", pos, "A", "G", f"X={pos * 7919}") for pos in range(1, 60_000)])
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", disk], check=False).returncode:
        pytest.skip("this machine does not let us mount a small disk")
    try:
        done = run(path, "--output-dir", disk / "out")
    finally:
        subprocess.run(["umount", disk], check=True)
    assert done.returncode == 1
    assert done.stderr == "Writing the results failed: there is no space left on the disk.\n"


def test_interrupt(path, out):
    wait = "import time; engine.summarise = lambda *_, **__: (print('there', flush=True), time.sleep(60))"
    command = [sys.executable, "-c", BROKEN.format(module="engine", broken=wait), path, "--output-dir", out]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        # the pipes end when the child, which holds them too, is dead as well
        assert process.communicate(timeout=10) == (b"", b"")
