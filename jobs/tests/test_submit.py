"""manage.py submit: the same way as an upload, from the command line, with or without a running site."""

import json
from io import StringIO

import pytest
from django.core import mail
from django.core.management import CommandError, call_command

from accounts.models import User
from conftest import HEADER, VCF
from gas.objects import objects
from jobs.models import Job, Upload


@pytest.fixture
def vcf(tmp_path):
    path = tmp_path / "mine.vcf"
    path.write_bytes(VCF)
    return path


def submit(*args) -> str:
    out = StringIO()
    call_command("submit", *map(str, args), stdout=out)
    return out.getvalue()


def test_it_makes_a_pending_job_of_that_user(researcher, vcf):
    told = submit(vcf, "--email", "Rosalind@Example.org")
    job = Job.objects.get()
    assert (job.owner, job.status, job.file_name) == (researcher, "PENDING", "mine.vcf")
    assert told.split() == ["id:", str(job.pk), "status:", "PENDING"]
    assert objects("uploads").read(job.input_key, 10_000) == VCF


def test_wait_does_the_work_and_sends_the_mail(researcher, vcf):
    told = json.loads(submit(vcf, "--email", researcher.email, "--wait", "--json"))
    job = Job.objects.get()
    assert told == {
        "id": str(job.pk),
        "status": "COMPLETED",
        "result": objects("results").address(job.result_key),
        "log": objects("results").address(job.log_key),
        "error": None,
    }
    assert len(mail.outbox) == 1


def test_a_reference_is_chosen_and_an_unknown_one_begins_nothing(researcher, vcf):
    submit(vcf, "--email", researcher.email, "--reference", "GRCh38")
    assert Job.objects.get().reference == "GRCh38"
    with pytest.raises(CommandError, match=r"'\.\./GRCh38' was asked for; there are: GRCh38, rCRS\."):
        submit(vcf, "--email", researcher.email, "--reference", "../GRCh38")
    assert (Job.objects.count(), Upload.objects.count()) == (1, 1)


def test_a_failed_job_is_a_failed_command(researcher, tmp_path):
    path = tmp_path / "empty.vcf"
    path.write_text(HEADER)
    out = StringIO()
    with pytest.raises(CommandError, match="is FAILED") as error:
        call_command("submit", str(path), "--email", researcher.email, "--wait", "60", "--json", stdout=out)
    assert error.value.returncode == 1
    assert json.loads(out.getvalue())["status"] == "FAILED"
    assert "record" in json.loads(out.getvalue())["error"]


def test_an_unknown_user_is_made_only_when_asked(db, vcf):
    with pytest.raises(CommandError, match="Add --create"):
        submit(vcf, "--email", "new@example.org")
    assert not User.objects.exists()
    submit(vcf, "--email", "new@example.org", "--create")
    submit(vcf, "--email", "new@example.org", "--create")
    user = User.objects.get()
    assert (user.mail_address, user.plan.code, user.jobs.count()) == ("new@example.org", "free", 2)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("big.vcf", VCF * 2000, "too large for your plan"),
        ("notes.txt", VCF, "not a VCF file by its name"),
        ("junk.vcf", b"junk", "not a VCF file"),
        ("void.vcf", b"", "empty"),
    ],
)
def test_the_checks_of_an_upload_hold(researcher, tmp_path, name, content, sentence):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CommandError, match=sentence):
        submit(path, "--email", researcher.email)
    assert not Job.objects.exists()
    assert not Upload.objects.filter(status="OPEN").exists()


def test_an_address_that_is_none(db, vcf):
    with pytest.raises(CommandError, match="no e-mail address"):
        submit(vcf, "--email", "not an address", "--create")
    assert not User.objects.exists()


def test_a_folder_leaves_no_session(researcher, tmp_path):
    (tmp_path / "folder.vcf").mkdir()
    with pytest.raises(CommandError, match="cannot be read"):
        submit(tmp_path / "folder.vcf", "--email", researcher.email)
    assert not Upload.objects.exists()


def test_a_file_that_is_not_there(researcher, tmp_path):
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        submit(tmp_path / "nothing.vcf", "--email", researcher.email)
