"""manage.py liftover passes its words on to the engine's own command line, and its exit code back."""

import pytest
from django.core.management import call_command

from jobs.management.commands import liftover as command


def test_words_are_passed_on_as_they_are(monkeypatch):
    seen = []
    monkeypatch.setattr(command, "main", seen.append)
    call_command("liftover", "in.vcf", "out.vcf", "--to", "GRCh38", "--from", "hg18")
    assert seen == [["in.vcf", "out.vcf", "--to", "GRCh38", "--from", "hg18"]]


def test_a_failure_is_told_in_a_sentence(tmp_path, capsys):
    """No mark django_db: a query would fail."""
    with pytest.raises(SystemExit) as stopped:
        call_command("liftover", str(tmp_path / "no.vcf"), str(tmp_path / "out.vcf"), "--to", "GRCh38")
    assert stopped.value.code == 1
    assert capsys.readouterr().err == "The input file cannot be read: No such file or directory.\n"
