"""ANNOTATOR=command, with real small programs: results, refusals, limits, and that nothing outlives its run."""

import gzip
import io
import json
import os
import shlex
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pysam
import pytest
from django.db import connection

from conftest import HEADER, VCF
from gas import heartbeat
from gas.objects import objects
from gas.testing.processes import wait_until
from jobs import external
from jobs.annotation.errors import AnnotationError
from jobs.models import Job
from jobs.tasks import annotate_job

GOOD = """
import sys
for line in open(sys.argv[1]):
    if line.startswith("#"):
        sys.stdout.write(line)
    else:
        fields = line.rstrip().split("\\t")
        fields[7] = "SEEN=1"
        print("\\t".join(fields))
"""


@pytest.fixture
def program(tmp_path, settings, monkeypatch):
    """Sets ANNOTATOR_COMMAND to a Python program of this text."""
    templates = []
    # the test's transaction holds SQLite, for which a heartbeat would wait
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 600)

    def use(text: str, arguments: str = "{input} {result} {log}") -> str:
        path = tmp_path / f"annotate-{len(templates)}.py"
        path.write_text(text)
        settings.ANNOTATOR = "command"
        settings.ANNOTATOR_COMMAND = f"{shlex.quote(sys.executable)} -S {shlex.quote(str(path))} {arguments}"
        templates.append(settings.ANNOTATOR_COMMAND)
        return settings.ANNOTATOR_COMMAND

    yield use
    for template in templates:
        external.command_server(template).close()
    external.command_server.cache_clear()


def run(job: Job) -> Job:
    Job.objects.filter(pk=job.pk).update(not_before=None)
    annotate_job.fn(str(job.pk))
    return Job.objects.get(pk=job.pk)


def records(job: Job) -> list[list[str]]:
    text = gzip.decompress(objects("results").read(job.result_key, 10**6)).decode()
    return [line.split("\t") for line in text.splitlines() if not line.startswith("#")]


def log_of(job: Job) -> str:
    return objects("results").read(job.log_key, 10**6).decode()


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def pids_in(path: Path) -> list[int]:
    return [int(word) for word in path.read_text().split()] if path.exists() else []


# --- what comes of it -----------------------------------------------------------------------------------------------------


def zipped(content: bytes) -> bytes:
    with zipfile.ZipFile(file := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside.vcf", content)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("my run.vcf", VCF),
        ("my run.vcf.gz", gzip.compress(VCF)),
        ("my run.zip", zipped(VCF)),
        ("my run.vcf", b"\xef\xbb\xbf" + VCF.replace(b"\n", b"\r\n") + b"\r\n"),
    ],
)
def test_standard_output_may_be_the_result(researcher, make_job, program, tmp_path, name, content):
    program(GOOD, "{input} > {result}")
    job = run(make_job(researcher, content, name=name))
    assert (job.status, job.error_message, job.result_name) == ("COMPLETED", "", "my run.annot.vcf.gz")
    assert [record[7] for record in records(job)] == ["SEEN=1"] * 3
    assert (job.summary["records"], job.summary["written"], job.summary["contigs"]) == (3, 3, {"MT": 3})
    assert job.summary["engine"]["command"] == "annotate-0.py"
    assert log_of(job).startswith(f"File: {name} (VCF 4.2, 0 samples)\nTotal: 3\n")
    assert "Receipt: 3 records read, 3 written" in log_of(job)
    for key, path in ((job.result_key, "a.vcf.gz"), (job.index_key, "a.vcf.gz.tbi")):
        (tmp_path / path).write_bytes(objects("results").read(key, 10**6))
    assert len(list(pysam.TabixFile(str(tmp_path / "a.vcf.gz")).fetch("MT", 8000, 9000))) == 1


@pytest.mark.parametrize(
    ("suffix", "opener"),
    [("", "open"), (".gz", "__import__('gzip').open"), (".bgz", "__import__('gzip').open")],
)
def test_a_result_file_and_a_log_of_the_program(researcher, make_job, program, suffix, opener):
    program(f"""
import sys
text = open(sys.argv[1]).read()
{opener}(sys.argv[2] + {suffix!r}, "wt").write(text)
open(sys.argv[3], "w").write("Total: 4\\n")
""")
    job = run(make_job(researcher))
    assert (job.status, len(records(job)), log_of(job)) == ("COMPLETED", 3, "Total: 4\n")


def test_files_beside_the_input_are_found_as_anntools_leaves_them(researcher, make_job, program):
    program(
        """
import sys
stem = sys.argv[1].removesuffix(".vcf")
lines = open(sys.argv[1]).read().splitlines()
text = "\\n".join(line if line.startswith("#") else line.replace("\\t", "\\t ") for line in lines)
open(stem + ".annot.vcf", "w").write(text + "\\n")
open(sys.argv[1] + ".count.log", "w").write("Total: 4\\n")
""",
        "{input}",
    )
    job = run(make_job(researcher))
    assert (job.status, log_of(job)) == ("COMPLETED", "Total: 4\n")
    assert records(job)[0] == ["MT", "3243", ".", "A", "G", ".", ".", "."]
    assert job.summary["mends"] == ["Spaces that the annotation program put after tabs were removed."]


def test_a_result_out_of_order_is_sorted(researcher, make_job, program):
    program("""
import sys
lines = open(sys.argv[1]).readlines()
head = [line for line in lines if line.startswith("#")]
open(sys.argv[2], "w").writelines(head[:-1] + ["##contig=<ID=MT,length=16569>\\n"] + head[-1:] + lines[:len(head) - 1:-1])
""")
    job = run(make_job(researcher))
    assert (job.status, job.error_message) == ("COMPLETED", "")
    assert [record[1] for record in records(job)] == ["3243", "8993", "11778"]
    assert job.summary["mends"] == ["The result was not sorted; it was sorted by contig and position."]


def test_what_the_program_gets_to_see(researcher, make_job, program, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "secret")
    seen = tmp_path / "seen"
    program(
        f"""
import json, os, sys
facts = [dict(os.environ), os.getcwd(), sys.argv[1:], os.getsid(0) == os.getpid(), os.getpgid(0) == os.getppid()]
json.dump(facts, open({str(seen)!r}, "w"))
"""
        + GOOD,
        "{input} 'two words; $(touch x)' > {result}",
    )
    job = run(make_job(researcher, name="a;touch $HOME.vcf"))
    assert job.status == "COMPLETED"
    environment, folder, words, leads, in_group = json.loads(seen.read_text())
    assert set(environment) <= {*external.ENVIRONMENT, "TMPDIR", "LC_CTYPE"}
    assert words == [f"{folder}/input.vcf", "two words; $(touch x)"]
    assert (leads, in_group) == (False, True)


# --- what goes wrong ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ("import sys; sys.stderr.write('MT 3243 secret'); sys.exit(3)", "command_failed", "exit code 3"),
        ("", "command_result", "left no result"),
        ("import sys; open(sys.argv[2], 'w')", "command_result", "left no result"),
        ("import sys; open(sys.argv[2], 'w').write('secret')", "command_result", "cannot be read as VCF"),
        ("import sys; open(sys.argv[2], 'wb').write(b'\\x1f\\x8bsecret')", "command_result", "cannot be read as VCF"),
        ("import sys, os; os.symlink(sys.argv[1], sys.argv[2])", "command_result", "left no result"),
        (
            "import sys; open(sys.argv[2], 'w').writelines(open(sys.argv[1]).readlines()[:-1])",
            "command_result",
            "was given 3 records and its result has 2",
        ),
        (
            "import sys; open(sys.argv[2], 'w').write(open(sys.argv[1]).read().replace('3243', 'secret'))",
            "command_result",
            "cannot be used",
        ),
        ("import sys; open(sys.argv[2], 'w').write('x' * 10**8)", "output_too_large", "size allowed"),
        ("while True: pass", "too_much_time", "longer than a job may take"),
    ],
)
def test_failures_have_a_sentence_and_quote_nothing(researcher, make_job, program, settings, text, code, told):
    settings.ANNOTATOR_FILE_BYTES = 10**7
    settings.ANNOTATOR_CPU_SECONDS = 1
    program(text)
    job = run(make_job(researcher))
    assert (job.status, job.error_code) == ("FAILED", code)
    assert told in job.error_message
    assert "secret" not in job.error_message
    assert "/" not in job.error_message
    assert not list(objects("results").folder.rglob("*.gz"))
    assert list(settings.SCRATCH_DIR.iterdir()) == []


def test_a_file_that_is_no_vcf_is_told_before_the_program_starts(researcher, make_job, program, tmp_path):
    program(f"open({str(tmp_path / 'started')!r}, 'w')")
    job = run(make_job(researcher, HEADER.encode()))
    assert (job.status, job.error_code) == ("FAILED", "no_records")
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize("text", ["import os; os.kill(os.getpid(), 9)", None])
def test_a_killed_or_missing_program_is_tried_again(researcher, make_job, program, settings, text):
    program(text or "")
    if text is None:
        settings.ANNOTATOR_COMMAND = "/nonexistent/vep {input}"
    job = make_job(researcher)
    statuses = [(job := run(job)).status for _ in range(3)]
    external.command_server(settings.ANNOTATOR_COMMAND).close()
    assert statuses == ["PENDING", "PENDING", "FAILED"]
    assert job.error_code == ("engine_crashed" if text else "command_missing")


def test_a_flood_on_stderr_is_kept_for_operators_only_and_only_its_end(researcher, make_job, program, caplog):
    program("import sys\nfor n in range(200000): sys.stderr.write('flood %d\\n' % n)\nsys.exit(1)")
    job = run(make_job(researcher))
    assert (job.status, job.error_code) == ("FAILED", "command_failed")
    assert "flood" not in job.error_message
    assert "flood 199999" in caplog.text
    assert len(caplog.text) < 10_000


def test_a_program_that_closes_its_output_is_waited_for(researcher, make_job, program):
    program(
        "import os, sys, time\nos.close(1); os.close(2); time.sleep(0.5)\n"
        "open(sys.argv[2], 'w').write(open(sys.argv[1]).read())"
    )
    assert run(make_job(researcher)).status == "COMPLETED"


# --- nothing outlives its run -----------------------------------------------------------------------------------------------

FAMILY = """
import os, sys, time
def note():
    with open({pids!r}, "a") as file:
        file.write("%d " % os.getpid())
note()
for _ in range(2):
    if not os.fork():
        {first}
        if not os.fork():
            note(); time.sleep(600)
        note(); time.sleep(600)
while len(open({pids!r}).read().split()) < 5:
    time.sleep(0.01)
{then}
"""


@pytest.mark.parametrize("first", ["pass", "os.setsid()"])
def test_what_a_program_leaves_running_ends_with_it(researcher, make_job, program, tmp_path, first):
    then = "open(sys.argv[2], 'w').write(open(sys.argv[1]).read())"
    program(FAMILY.format(pids=str(tmp_path / "pids"), first=first, then=then))
    assert run(make_job(researcher)).status == "COMPLETED"
    pids = pids_in(tmp_path / "pids")
    assert len(pids) == 5
    assert all(map(gone, pids))


def test_a_program_that_hangs_is_ended_with_its_children(researcher, make_job, program, tmp_path, settings):
    settings.ANNOTATOR_WALL_SECONDS = 2
    program(FAMILY.format(pids=str(tmp_path / "pids"), first="pass", then="time.sleep(600)"))
    job = run(make_job(researcher))
    assert (job.status, job.error_code) == ("FAILED", "too_much_time")
    assert len(pids_in(tmp_path / "pids")) == 5
    wait_until(lambda: all(map(gone, pids_in(tmp_path / "pids"))), "end of the family")


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
@pytest.mark.parametrize("act", ["cancel", "lost lease"])
def test_cancelling_and_a_lost_lease_end_the_family(researcher, make_job, program, tmp_path, monkeypatch, act):
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.05)
    program(FAMILY.format(pids=str(tmp_path / "pids"), first="pass", then="time.sleep(600)"))
    job = make_job(researcher)

    def work() -> None:
        try:
            annotate_job.fn(str(job.pk))
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    wait_until(lambda: len(pids_in(tmp_path / "pids")) == 5, "a running family")
    if act == "cancel":
        assert Job.objects.get().cancel()
    else:
        Job.objects.update(attempt=2)
    thread.join(20)
    assert not thread.is_alive()
    wait_until(lambda: all(map(gone, pids_in(tmp_path / "pids"))), "end of the family")
    assert Job.objects.get().status == ("CANCELLED" if act == "cancel" else "RUNNING")


WORKER = """
import sys, time
from pathlib import Path
from jobs.external import CommandServer
run = CommandServer(sys.argv[1]).start(sys.argv[2], sys.argv[3], stem="x")
print(run.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("victim", ["worker", "child"])
def test_the_program_dies_with_its_worker(program, tmp_path, victim):
    (tmp_path / "in.vcf").write_bytes(VCF)
    (tmp_path / "out").mkdir()
    template = program(
        f"import os, time; open({str(tmp_path / 'pids')!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    )
    arguments = [sys.executable, "-c", WORKER, template, str(tmp_path / "in.vcf"), str(tmp_path / "out")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as worker:
        child = int(worker.stdout.readline())
        wait_until(lambda: pids_in(tmp_path / "pids"), "a running program")
        if victim == "worker":
            worker.kill()
        else:
            os.kill(child, 9)
        wait_until(lambda: gone(pids_in(tmp_path / "pids")[0]), "end of the program")
        worker.kill()


# --- the small parts ------------------------------------------------------------------------------------------------------


def test_progress_counts_the_records_in_the_growing_result(program, tmp_path):
    (tmp_path / "in.vcf").write_bytes(VCF)
    (tmp_path / "out").mkdir()
    template = program(
        """
import sys, time
for line in open(sys.argv[1]):
    sys.stdout.write(line); sys.stdout.flush()
    time.sleep(0 if line.startswith("#") else 1.2)
""",
        "{input} > {result}",
    )
    told = []
    summary = external.annotate(
        template,
        tmp_path / "in.vcf",
        tmp_path / "out",
        stem="x",
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == sorted(told)
    assert told[-1] == (3, 3)
    assert {(1, 3), (2, 3)} & set(told)
    assert summary.seconds > 3


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("python3 /opt/anntools/run.py {input}", "run.py"),
        ("env PERL5LIB=/opt/lib vep --fork 2 -i {input} > {result}", "vep"),
        ("java -Xmx3g -jar /opt/snpEff/snpEff.jar ann GRCh38.99 {input} > {result}", "snpEff.jar"),
        ("sh {input}", "sh"),
    ],
)
def test_the_name_of_the_program(template, name):
    assert external.program_name(template) == name


def test_a_quick_program_is_not_held_up(tmp_path, program):
    """The clock of LOOK_SECONDS does not hold up a program that is quick."""
    (tmp_path / "in.vcf").write_bytes(VCF)
    (tmp_path / "out").mkdir()
    template = program(GOOD, "{input} > {result}")
    with subprocess.Popen(["sleep", "60"]) as other:
        began = time.monotonic()
        external.annotate(template, tmp_path / "in.vcf", tmp_path / "out", stem="x")
        assert time.monotonic() - began < 5
        assert other.poll() is None, "it ended a process that was there before"
        other.kill()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "x.annot.vcf.gz",
        "x.annot.vcf.gz.tbi",
        "x.vcf.count.log",
    ]


def test_a_limit_met_while_the_input_is_written_is_a_sentence(tmp_path, program):
    (tmp_path / "in.vcf").write_bytes(VCF)
    template = program(GOOD, "{input} > {result}")
    with pytest.raises(AnnotationError, match="output_unwritable"):
        external.annotate(template, tmp_path / "in.vcf", tmp_path / "missing", stem="x")
