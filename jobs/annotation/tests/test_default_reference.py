"""The references that come with GAS, from the packages that the set-up installs."""

import json
import shutil

import pytest

from jobs.annotation.errors import AnnotationError
from jobs.annotation.reference import default, ideogram, load
from jobs.annotation.reference.upkeep import verify

# ADAMTS5-201 on chr21 as Ensembl has it: the gene starts at 26917922
ADAMTS5 = ["ADAMTS5-201", "0", "0", "-", "2;0;6130", "1;0;6698", "1;11964;175", "1;47366;1800", "0;48470;696"]


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("GAS_REFERENCE_DIR", str(tmp_path / "root"))
    return tmp_path / "root"


@pytest.fixture
def only_rcrs(monkeypatch):
    monkeypatch.setattr(default, "write_grch38", default.write_rcrs)


def test_rcrs(root, only_rcrs):
    assert default.install(root, default.NODE_MODULES, default.CACHE)[0] == "rCRS"
    reference = load("rCRS")
    contig = reference.contig(b"chrM")
    assert (contig.length, contig.md5, contig.genetic_code) == (16569, default.SEQUENCE_MD5, 2)
    data = contig.data
    assert len(data.arrays["gene/start"]) == 37
    places = [data.location.values(number) for number in range(len(data.arrays["location/start"]))]
    assert sorted({region for _, region in places}) == [b"CDS", b"D_loop", b"rRNA", b"tRNA"]
    assert [b"MT-ND6|MT-ND6-201|-|CDS|1/1", b"CDS"] in places
    assert [b"MT-TP|MT-TP-201|-|tRNA|1/1", b"tRNA"] in places
    assert verify("rCRS", root) == []


def test_installing_again_does_nothing_until_the_recipe_changes(root, only_rcrs, monkeypatch):
    default.install(root, default.NODE_MODULES, default.CACHE)
    (root / "GRCh38").mkdir()
    shutil.copytree(root / "rCRS", root / "GRCh38", symlinks=True, dirs_exist_ok=True)
    assert default.install(root, default.NODE_MODULES, default.CACHE) == []
    (root / "rCRS" / "current" / "MT.gff3").unlink()
    assert default.install(root, default.NODE_MODULES, default.CACHE) == ["rCRS"]


def test_a_reference_made_by_hand_is_left_alone(root):
    for name in ("rCRS", "GRCh38"):
        (root / name / "current").mkdir(parents=True)
        (root / name / "current" / "reference.toml").write_text(f'name = "{name}"\n')
    assert default.install(root, default.NODE_MODULES, default.CACHE) == []


def test_a_transcript_as_ensembl_has_it():
    text = ideogram._transcript("21", 26917922, "ENSG1", ADAMTS5, canonical=True)
    rows = [line.split("\t")[2:8] for line in text.splitlines()]
    assert [(kind, int(start), int(end), phase) for kind, start, end, _, _, phase in rows] == [
        ("transcript", 26917922, 26967088, "."),
        ("exon", 26917922, 26924620, "."),
        ("exon", 26929886, 26930061, "."),
        ("exon", 26965288, 26967088, "."),
        ("CDS", 26965288, 26966391, "0"),
        ("CDS", 26929886, 26930061, "0"),
        ("CDS", 26924053, 26924620, "1"),
    ]
    assert "tag=Ensembl_canonical" in text


def test_cytobands():
    lines = list(ideogram.bed(default.NODE_MODULES))
    assert lines[0] == "1\t0\t2300000\t1p36.33\n"
    assert len(lines) == 862
    ends = {line.split("\t")[0]: int(line.split("\t")[2]) for line in lines}
    assert ends == {name: length for name, (length, _) in default.CHROMOSOMES.items()}


def test_clinvar():
    rows = [dict(zip(ideogram.CLINVAR_COLUMNS, line.rstrip("\n").split("\t"), strict=True)) for line in _clinvar()]
    assert len(rows) > 70_000
    found = next(row for row in rows if row["chrom"] == "MT" and row["pos"] == "16002")
    assert found == {
        "chrom": "MT",
        "pos": "16002",
        "ref": "T",
        "alt": "C",
        "rs": "rs1603225633",
        "variation": "690271",
        "significance": "Pathogenic/Likely_pathogenic",
        "disease": "MERRF_syndrome|MELAS_syndrome",
        "effect": "",
        "review": "criteria_provided,_multiple_submitters,_no_conflicts",
    }


def _clinvar():
    lines = iter(ideogram.clinvar(default.NODE_MODULES))
    next(lines)
    return lines


def test_names():
    assert "TP53\ttumor protein p53\tp53|LFS1\n" in list(ideogram.names(default.NODE_MODULES))


def test_another_version_of_the_package_is_refused(tmp_path):
    path = tmp_path / ideogram.BANDS.path
    with pytest.raises(AnnotationError, match="Install it with: npm ci"):
        list(ideogram.bed(tmp_path))
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"chrBands": []}))
    with pytest.raises(AnnotationError, match="its SHA-256 differs"):
        list(ideogram.bed(tmp_path))
