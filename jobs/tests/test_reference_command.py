"""manage.py reference passes its words on to the engine's own command line, and its exit code back."""

import gzip

import pytest
from django.core.management import call_command

from jobs.annotation import reference
from jobs.management.commands import reference as command

GENES = """##gff-version 3
21\tensembl\tgene\t1\t21\t.\t+\t.\tID=gene:ENSG1;Name=SOD1;biotype=protein_coding
21\tensembl\tmRNA\t1\t21\t.\t+\t.\tID=transcript:ENST1;Parent=gene:ENSG1;biotype=protein_coding;tag=Ensembl_canonical
21\tensembl\texon\t1\t21\t.\t+\t.\tParent=transcript:ENST1
21\tensembl\tCDS\t1\t21\t.\t+\t0\tID=CDS:ENSP1;Parent=transcript:ENST1
"""
TABLE = """
[[references]]
name = "Mini"
build = "GRCh38"
description = "A small reference"
contigs = [{{ name = "21", length = 500, aliases = ["chr21"] }}]
genes = {{ url = "{genes}", file = "genes.gff3.gz", source = "Ensembl", version = "115" }}
[[references.tracks]]
name = "cytoBand"
kind = "interval"
format = "tsv"
url = "{bands}"
columns = {{ chrom = 1, start = 2, end = 3 }}
fields = [{{ info = "GAS_CYTOBAND", column = 4, description = "Band" }}]
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("GAS_REFERENCE_DIR", str(tmp_path / "root"))
    return tmp_path / "root"


@pytest.fixture
def table(tmp_path):
    (tmp_path / "genes").write_bytes(gzip.compress(GENES.encode()))
    (tmp_path / "bands").write_text("chr21\t0\t500\tp11.2\tgneg\n")
    path = tmp_path / "sources.toml"
    path.write_text(TABLE.format(genes=(tmp_path / "genes").as_uri(), bands=(tmp_path / "bands").as_uri()))
    return path


@pytest.mark.parametrize(
    "words",
    [
        ["list"],
        ["install", "GRCh38", "--skip", "dbSNP", "--refresh"],
        ["build", "--help"],
        ["verify", "--settings=x"],
        [],
    ],
)
def test_words_are_passed_on_as_they_are(monkeypatch, words):
    seen = []
    monkeypatch.setattr(command, "main", seen.append)
    call_command("reference", *words)
    assert seen == [words]


def test_exit_code_is_that_of_the_engine(monkeypatch):
    monkeypatch.setattr(command, "main", lambda _words: 3)
    with pytest.raises(SystemExit) as stopped:
        call_command("reference", "verify")
    assert stopped.value.code == 3


def test_needs_no_database(root):
    """No mark django_db: a query would fail."""
    call_command("reference", "list")


def test_install_from_a_table(root, table, tmp_path, capsys):
    call_command("reference", "install", "Mini", "--sources", str(table), "--cache", str(tmp_path / "cache"))
    assert "Reference Mini installed" in capsys.readouterr().out
    found = reference.load("Mini")
    assert [track.name for track in found.tracks] == ["cytoBand"]
    assert found.contig(b"chr21").data.gene.values(0) == [b"SOD1"]
    call_command("reference", "list")
    assert "Mini" in capsys.readouterr().out


def test_failure_is_told_in_a_sentence(root, table, tmp_path, capsys):
    (tmp_path / "bands").unlink()
    with pytest.raises(SystemExit) as stopped:
        call_command("reference", "install", "Mini", "--sources", str(table), "--cache", str(tmp_path / "cache"))
    assert stopped.value.code == 1
    error = capsys.readouterr().err
    assert "cannot be read: No such file or directory." in error
    assert "Traceback" not in error


def test_skip_on_the_command_line(root, table, tmp_path):
    (tmp_path / "bands").unlink()
    words = ["install", "Mini", "--sources", str(table), "--cache", str(tmp_path / "cache"), "--skip", "cytoband"]
    call_command("reference", *words)
    assert reference.load("Mini").tracks == []
