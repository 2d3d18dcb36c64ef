"""The data of `make bench-annotate`, in small: it agrees with itself, and is the same each time."""

import gzip

import pysam
import pytest
from pysam.bcftools import csq

from gas.benchmarks import annotate_data
from gas.benchmarks.annotate_data import Sizes, prepare
from jobs.annotation.processes import call_in_child
from jobs.annotation.reference import declaration

INPUTS = {"sites": "sites", "many": "many", "genotyped": "genotyped", "ungenotyped": "genotyped", "small": "small"}
SIZES = [
    Sizes(length=150_000, sites=400, many=1000, genotyped=40, small=20, known=600, scale=0.01),
    Sizes(length=400_000, sites=2000, many=4000, genotyped=100, small=35, known=1500, scale=0.02),
]


@pytest.fixture(scope="module", params=SIZES, ids=lambda sizes: f"{sizes.length} bp")
def sizes(request):
    return request.param


@pytest.fixture(scope="module")
def folder(tmp_path_factory, sizes):
    return prepare(tmp_path_factory.mktemp("data") / "made", sizes)


def records(path):
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    return [line.split("\t") for line in text.splitlines() if not line.startswith("#")]


@pytest.fixture(scope="module")
def sequence(folder):
    with pysam.FastaFile(str(folder / "source-12" / "genome.fa")) as fasta:
        return fasta.fetch("21")


@pytest.mark.parametrize("name", ["sites.vcf", "many.vcf", "genotyped.vcf", "small.vcf", "source-12/dbsnp.vcf.gz"])
def test_refs_are_what_the_sequence_has(folder, sequence, name):
    rows = records(folder / name)
    places = [int(row[1]) for row in rows]
    assert places == sorted(set(places))
    for row, place in zip(rows, places, strict=True):
        assert sequence[place - 1 : place - 1 + len(row[3])] == row[3]
        assert row[3] not in row[4].split(",")
        assert len(set(row[4].split(","))) == len(row[4].split(","))
        assert set(row[3] + row[4]) <= set("ACGT,")


def test_there_are_as_many_records_as_asked_for(folder, sizes, sequence):
    assert len(sequence) == sizes.length
    assert {name: len(records(folder / f"{name}.vcf")) for name in INPUTS} == {
        name: getattr(sizes, size) for name, size in INPUTS.items()
    }
    assert records(folder / "tenth.vcf")[1][:5] == records(folder / "many.vcf")[10][:5]
    assert len(records(folder / "source-12" / "dbsnp.vcf.gz")) == sizes.known
    assert {len(row) for row in records(folder / "genotyped.vcf")} == {9 + annotate_data.SAMPLES}
    known = {tuple(row[1:2] + row[3:5]) for row in records(folder / "source-12" / "dbsnp.vcf.gz")}
    sites = {tuple(row[1:2] + row[3:5]) for row in records(folder / "sites.vcf")}
    assert len(known & sites) == sizes.sites * 6 // 10


def coding_sequence(sequence, parts):
    """Bases of a transcript's CDS lines in its own direction."""
    if parts[0][6] == "+":
        return "".join(sequence[int(part[3]) - 1 : int(part[4])] for part in parts)
    reverse = "".join(sequence[int(part[3]) - 1 : int(part[4])] for part in parts[::-1])
    return reverse[::-1].translate(str.maketrans("ACGT", "TGCA"))


def test_the_longest_transcripts_are_open_reading_frames(folder, sequence):
    transcripts = {}
    for row in records(folder / "source-12" / "genes.gff3.gz"):
        if row[2] == "CDS":
            transcripts.setdefault(row[8].partition("Parent=")[2].partition(";")[0], []).append(row)
    longest = {name: parts for name, parts in transcripts.items() if name.endswith("T0")}
    assert longest
    for parts in longest.values():
        bases = coding_sequence(sequence, parts)
        codons = [bases[n : n + 3] for n in range(0, len(bases), 3)]
        assert codons[0] == "ATG"
        assert codons[-1] == "TAA"
        assert not {"TAA", "TAG", "TGA"} & set(codons[:-1])


def test_csq_reads_sequence_and_genes(folder, tmp_path):
    out, source = tmp_path / "csq.vcf", folder / "source-12"
    files = ["-f", str(source / "genome.fa"), "-g", str(source / "genes.gff3.gz"), "-o", str(out)]
    # in a child: csq remembers the last position for the next call in its process
    assert not call_in_child(lambda: csq("-l", *files, str(folder / "many.vcf"), catch_stdout=False))
    terms = {value.partition("|")[0] for row in records(out) for value in row[7].partition("BCSQ=")[2].split(",")}
    assert {"missense", "intron"} <= terms


def test_made_again_it_is_the_same(folder, sizes, tmp_path):
    again = prepare(tmp_path / "again", sizes)
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        assert (again / file.relative_to(folder)).read_bytes() == file.read_bytes(), file.name


def test_what_is_there_is_not_made_again(folder, sizes, monkeypatch):
    monkeypatch.setattr(annotate_data, "_make", lambda *_: pytest.fail("made again"))
    assert prepare(folder, sizes) == folder


def test_both_references_are_declared_as_the_builder_wants_it(folder):
    for source, tracks in (("source-12", 12), ("source-24", 24)):
        assert len(declaration.read(folder / source).tracks) == tracks
