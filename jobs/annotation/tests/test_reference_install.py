"""Installing a reference: what is fetched, declared and handed to the build."""

import fcntl
import tomllib

import pytest

from jobs.annotation import AnnotationError
from jobs.annotation.reference import install
from jobs.annotation.tests.download_site import BODY, free_space, sha256

TABLE = """
[[references]]
name = "Mini"
build = "GRCh38"
description = "A small \\"reference\\""
promoter = 500
contigs = [{{ name = "21", length = 100, aliases = ["chr21", "NC_000021.9"], genetic_code = 1 }}]
[references.genome]
url = "{site}/genome.fa.gz"
source = "Ensembl"
version = "115"
licence = "free"
sha256 = "{sha256}"
bytes = 3_000_000
built = 5_000_000
[references.genes]
url = "{site}/Homo.gff3.gz"
file = "genes.gff3.gz"
source = "Ensembl"
version = "115"
[[references.tracks]]
name = "ClinVar"
kind = "allele"
url = "{site}/clinvar.vcf.gz"
source = "NCBI ClinVar"
version = "latest"
licence = "public domain"
[[references.tracks.fields]]
info = "GAS_CLINVAR"
column = "CLNSIG"
type = "String"
description = "Significance"
[[references.tracks]]
name = "CpG islands"
kind = "interval"
format = "tsv"
url = "{site}/cpg.txt.gz"
version = "latest"
columns = {{ chrom = 2, start = 3, end = 4 }}
fields = [{{ info = "GAS_CPG_ISLAND", column = 5, type = "String", description = "CpG" }}]
"""


@pytest.fixture
def table(site, tmp_path):
    site.files |= {"/Homo.gff3.gz": b"genes", "/clinvar.vcf.gz": b"clinvar", "/cpg.txt.gz": b"cpg"}
    path = tmp_path / "sources.toml"
    path.write_text(TABLE.format(site=site.address, sha256=sha256(BODY)))
    return path


@pytest.fixture
def built(monkeypatch):
    """The declarations that the build was given, in place of building."""
    declarations = []

    def build(folder, into, log):
        declarations.append(tomllib.loads((folder / "reference.toml").read_text()))
        for name in listed_files(declarations[-1]):
            assert (folder / name).is_file()
        return into / "Mini"

    monkeypatch.setattr(install, "build", build)
    return declarations


def listed_files(facts):
    entries = [facts["genes"]] if "genes" in facts else []
    return [entry["file"] for entry in [*entries, *facts["tracks"]]] + ([facts["fasta"]] if "fasta" in facts else [])


def run(table, tmp_path, **options):
    return install.install("Mini", tmp_path / "root", tmp_path / "cache", table, **options)


def test_install_fetches_declares_and_builds(site, table, tmp_path, built):
    told = []
    assert run(table, tmp_path, told=lambda *what: told.append(what)) == tmp_path / "root" / "Mini"
    (facts,) = built
    assert facts["description"] == 'A small "reference"'
    assert (facts["name"], facts["build"], facts["fasta"], facts["promoter"]) == ("Mini", "GRCh38", "genome.fa.gz", 500)
    assert facts["contigs"] == tomllib.loads(table.read_text())["references"][0]["contigs"]
    assert (facts["genes"]["file"], facts["genes"]["version"]) == ("genes.gff3.gz", "115")
    clinvar, cpg = facts["tracks"]
    assert clinvar == {
        "name": "ClinVar",
        "kind": "allele",
        "file": "clinvar.vcf.gz",
        "url": site.url("/clinvar.vcf.gz"),
        "source": "NCBI ClinVar",
        "version": "2024-12-15",
        "licence": "public domain",
        "fields": [
            {"info": "GAS_CLINVAR", "column": "CLNSIG", "type": "String", "description": "Significance"},
        ],
    }
    assert cpg["columns"] == {"chrom": 2, "start": 3, "end": 4}
    assert {entry["name"]: (entry["version"], entry["sha256"]) for entry in facts["sources"]} == {
        "Ensembl (genome)": ("115", sha256(BODY)),
        "Ensembl (genes)": ("115", sha256(b"genes")),
        "NCBI ClinVar (ClinVar)": ("2024-12-15", sha256(b"clinvar")),
        "CpG islands": ("2024-12-15", sha256(b"cpg")),
    }
    assert {file for file, _, _ in told} == {"genome.fa.gz", "genes.gff3.gz", "clinvar.vcf.gz", "cpg.txt.gz"}


def test_install_again_fetches_nothing(site, table, tmp_path, built):
    run(table, tmp_path)
    run(table, tmp_path)
    assert len(site.asked) == 4
    assert built[0] == built[1]


def test_refresh_fetches_what_may_be_newer(site, table, tmp_path, built):
    run(table, tmp_path)
    site.files["/clinvar.vcf.gz"] = b"newer"
    site.asked.clear()
    run(table, tmp_path, refresh=True)
    assert sorted(path for path, _, _ in site.asked) == ["/clinvar.vcf.gz", "/cpg.txt.gz"]
    assert sha256(b"newer") in {entry["sha256"] for entry in built[1]["sources"]}


def test_skipped_parts_are_neither_fetched_nor_declared(site, table, tmp_path, built):
    run(table, tmp_path, skip=["genome", "GENES", "clinvar"])
    assert [path for path, _, _ in site.asked] == ["/cpg.txt.gz"]
    (facts,) = built
    assert "fasta" not in facts
    assert "genes" not in facts
    assert [track["name"] for track in facts["tracks"]] == ["CpG islands"]
    assert len(facts["sources"]) == 1


def test_skipping_what_there_is_not(table, tmp_path, built):
    with pytest.raises(AnnotationError, match=r"no part dbsnp.*Its parts are: genome, genes, ClinVar, CpG islands"):
        run(table, tmp_path, skip=["dbSNP"])
    assert built == []


def test_failure_of_one_source_builds_nothing_and_keeps_the_others(site, table, tmp_path, built):
    body = site.files.pop("/cpg.txt.gz")
    with pytest.raises(AnnotationError, match=r"cpg\.txt\.gz could not be fetched: the server answered 404"):
        run(table, tmp_path)
    assert built == []
    site.files["/cpg.txt.gz"] = body
    site.asked.clear()
    run(table, tmp_path)
    assert [path for path, _, _ in site.asked] == ["/cpg.txt.gz"]


def test_space_is_compared_before_anything_is_fetched(site, table, tmp_path, built, monkeypatch):
    free_space(monkeypatch, 4_000_000)
    with pytest.raises(AnnotationError) as caught:
        run(table, tmp_path)
    assert caught.value.code == "disk_full"
    assert "has 4.0 MB free, and the reference needs about 8.0 MB" in str(caught.value)
    assert "genome (8.0 MB)" in str(caught.value)
    assert site.asked == []
    run(table, tmp_path, skip=["genome"])
    assert len(built) == 1


def test_space_of_what_is_here_already_is_not_needed_again(table, tmp_path, built, monkeypatch):
    run(table, tmp_path)
    free_space(monkeypatch, 5_000_000)
    run(table, tmp_path)
    assert len(built) == 2


def test_two_installations_at_once(table, tmp_path, built):
    folder = tmp_path / "cache" / "Mini"
    folder.mkdir(parents=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(AnnotationError, match="Another installation is at work"):
            run(table, tmp_path)
    run(table, tmp_path)


@pytest.mark.parametrize("name", ["T2T", "", "..", "../Mini"])
def test_unknown_reference(table, tmp_path, name):
    with pytest.raises(AnnotationError, match="There are for: Mini"):
        install.install(name, tmp_path, tmp_path, table)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "x = [",
        "references = 3",
        "references = [3]",
        '[[references]]\nname = "Mini"',
        '[[references]]\nname = "Mini"\nbuild = ""\ndescription = ""\ncontigs = []\ngenome = {}',
        '[[references]]\nname = "Mini"\nbuild = ""\ndescription = ""\ncontigs = []\ntracks = [{url = "x"}]',
    ],
)
def test_table_that_cannot_be_read(tmp_path, text):
    path = tmp_path / "sources.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(AnnotationError, match=r"table of sources .* cannot be read"):
        install.install("Mini", tmp_path, tmp_path, path)


def test_file_name_that_leaves_the_folder(table, tmp_path, built):
    table.write_text(table.read_text().replace('"genes.gff3.gz"', '"../genes.gff3.gz"'))
    with pytest.raises(AnnotationError, match="a name without a folder"):
        run(table, tmp_path)


def test_progress_in_a_log_is_a_line_for_each_tenth(capsys):
    printer = install.Printer()
    for done in range(0, 2001):
        printer("genome.fa.gz", done * 1000, 2_000_000)
    printer("empty", 0, 0)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "genome.fa.gz: 0 bytes of 2.0 MB, 0 %"
    assert lines[-2:] == ["genome.fa.gz: 2.0 MB of 2.0 MB, 100 %", "empty: 0 bytes of 0 bytes, 0 %"]
    assert len(lines) == 12
