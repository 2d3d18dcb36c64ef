"""Lift-over of whole files, by the command and before annotating; chain files kept with a reference."""

import gzip
import json

import pysam
import pytest

from jobs.annotation import AnnotationError, annotate, lines, reference, sorting
from jobs.annotation.liftover import __main__ as command
from jobs.annotation.reference import __main__ as upkeep
from jobs.annotation.reference import chains
from jobs.annotation.reference.build import build
from jobs.annotation.reference.upkeep import remove, verify
from jobs.annotation.tests.strict_vcf import check

# source chr1:  0 ACGTACGTAC 10 [GG] 12 TTTTGGGG 20, chain 1 to chr1:2 with TTTTGGGG at 15;
#               30 CCATTTGA 38, chain 2 to chr2, of 20 bases, on its minus strand
CHAINS = """\
chain 900 chr1 40 + 0 20 chr1 25 + 2 23 1
10 2 3
8

chain 800 chr1 40 + 30 38 chr2 20 - 7 15 2
8
"""
FASTA = ">1\nNNACGTACGTACNNNTTTTGGGGNN\n>2\nGGGGGTCAAATGGAAAAAAA\n>MT\nACGTACGTAC\n"
DECLARED = """
name = "small"
build = "GRCh38"
fasta = "genome.fa"
[[tracks]]
name = "bands"
kind = "interval"
file = "bands.bed"
[[tracks.fields]]
info = "GAS_BAND"
column = 4
"""
HEADER = """\
##fileformat=VCFv4.3
##reference=hg18.fa
##GATKCommandLine=<ID=UnifiedGenotyper,CommandLineOptions="reference_sequence=/data/hg18.fa">
##contig=<ID=chr1,length=40>
##contig=<ID=chrM,length=10>
##INFO=<ID=END,Number=1,Type=Integer,Description="end">
##INFO=<ID=OriginalStart,Number=1,Type=Integer,Description="of before">
##INFO=<ID=GAS_BAND,Number=.,Type=String,Description="of before">
##FORMAT=<ID=GT,Number=1,Type=String,Description="genotype">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1
"""
RECORDS = """\
chr1\t33\tr1\tAT\tA\t50\tPASS\tDP=3;END=34\tGT\t0/1
chr1\t11\tr2\tG\tC\t50\tPASS\t.\tGT\t0/1
chr1\t14\tr3\tT\tC\t.\tlow\tOriginalStart=9;GAS_BAND=old;BCSQ=x\tGT\t1|1

chr1\t1\tr4\tA\tG\t.\t.\tSOMATIC\tGT\t0/1
chr1\tx\tr5\tA\tG\t.\t.\t.\tGT\t0/1
chr1\t5
chr1\t14\tr6\tT\tG\t.\t.\t.\tGT\t0/1
chr3\t5\tr7\tA\tG\t.\t.\t.\tGT\t0/1
chr1\t2\tr8\tC\t.\t.\t.\tEND=9\tGT\t0/0
chr1\t3\tr9\tC\tG\t.\t.\t.\tGT\t0/1
chrM\t3\tr10\tG\tA\t.\t.\t.\tGT\t1/1
"""
LIFTED = """\
chr1\t3\tr4\tA\tG\t.\t.\tSOMATIC;OriginalContig=chr1;OriginalStart=1\tGT\t0/1
chr1\t17\tr3\tT\tC\t.\tlow\tOriginalContig=chr1;OriginalStart=14\tGT\t1|1
chr1\t17\tr6\tT\tG\t.\t.\tOriginalContig=chr1;OriginalStart=14\tGT\t0/1
chr2\t7\tr1\tCA\tC\t50\tPASS\tDP=3;END=8;OriginalContig=chr1;OriginalStart=33;ReverseComplementedAlleles\tGT\t0/1
chrM\t3\tr10\tG\tA\t.\t.\tOriginalContig=chrM;OriginalStart=3\tGT\t1/1
"""
NOT = "does not lift over to GRCh38"
REJECTS = [
    ["12", "chr1:11", f"Line 12 {NOT}: the target has nothing in the place of REF."],
    ["16", "chr1:x", "Line 16: POS is 'x', expected a whole number from 0 to 536,870,911."],
    ["17", "chr1:5", "Line 17 has 2 columns and the #CHROM line has 10."],
    ["19", "chr3:5", f"Line 19 {NOT}: the chain file has no such contig."],
    ["20", "chr1:2", f"Line 20 {NOT}: END is not where REF ends, and only REF is lifted."],
    ["21", "chr1:3", f"Line 21 {NOT}: the target has the bases of an ALT where this build has REF."],
]
NOT_LIFTED = {"vanished": 1, "contig_unknown": 1, "end_differs": 1, "ref_alt_swapped": 1}


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A root with the reference `small`, which no chain file leads to yet."""
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "reference.toml").write_text(DECLARED)
    (sources / "genome.fa").write_text(FASTA)
    (sources / "bands.bed").write_text("1\t0\t10\tp1\n1\t10\t25\tq1\n2\t0\t20\tp2\n")
    monkeypatch.setenv("GAS_REFERENCE_DIR", str(tmp_path / "root"))
    build(sources, tmp_path / "root")
    return tmp_path / "root"


@pytest.fixture
def chain_file(tmp_path):
    path = tmp_path / "hg18ToSmall.over.chain.gz"
    path.write_bytes(gzip.compress(CHAINS.encode()))
    return path


@pytest.fixture
def small(root, chain_file):
    """The reference `small` with its chain file from NCBI36."""
    chains.add(reference.load("small"), chain_file, "hg18")
    return reference.load("small")


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in.vcf"
    path.write_text(HEADER + RECORDS)
    return path


def read(path):
    return (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode()


def rows(path):
    return [line.split("\t") for line in path.read_text().splitlines()][1:]


@pytest.mark.parametrize("small_runs", [False, True])
@pytest.mark.parametrize("name", ["out.vcf", "out.vcf.gz"])
def test_command(name, small_runs, small, source, tmp_path, monkeypatch, capsys):
    if small_runs:
        monkeypatch.setattr(sorting, "RUN", 1)
        monkeypatch.setattr(lines, "BLOCK", 100)
    out = tmp_path / "results" / name
    out.parent.mkdir()
    assert command.main([str(source), str(out), "--to", "small"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "Lifted over from NCBI36 to small along hg18ToSmall.over.chain.gz: 5",
        "  on the other strand: 1",
        "Not lifted, see out.unlifted.tsv: 6",
        "  the target has nothing in the place of REF: 1",
        "  the chain file has no such contig: 1",
        "  END is not where REF ends, and only REF is lifted: 1",
        "  the target has the bases of an ALT where this build has REF: 1",
        "  the record cannot be read: 2",
        "Receipt: 11 records read, 5 lifted, 6 not lifted",
    ]
    text = read(out)
    at = text.index("\nchr1\t") + 1
    assert text[at:] == LIFTED
    assert check(out) == 5
    assert rows(out.with_name("out.unlifted.tsv")) == REJECTS
    made = {path.name for path in out.parent.iterdir()}
    assert made == {name, "out.unlifted.tsv"} | ({"out.vcf.gz.tbi"} if name.endswith("gz") else set())


def test_header(small, source, tmp_path):
    command.lift_file(source, tmp_path / "out.vcf", "small")
    header = read(tmp_path / "out.vcf").splitlines()[:-5]
    digest = chains.installed(small)["NCBI36"].sha256
    chain = 'Chain="hg18ToSmall.over.chain.gz"'
    assert f'##gas_liftover=<ID=GAS,From="NCBI36",To="GRCh38",{chain},SHA256="{digest}">' in header
    assert [line for line in header if line.startswith("##contig")] == [
        f"##contig=<ID={name},length={length},assembly=small>"
        for name, length in (("chr1", 25), ("chr2", 20), ("chrM", 10))
    ]
    told = [line for line in header if "hg18." in line]
    assert [line.partition("=")[0] for line in told] == [
        "##beforeLiftover_reference",
        "##beforeLiftover_GATKCommandLine",
    ]
    assert "of before" not in "".join(header)
    assert sum("ID=DP," in line or "ID=SOMATIC," in line or "ID=low," in line for line in header) == 3


def test_contigs_are_named_as_in_the_file(small, tmp_path):
    plain = tmp_path / "plain.vcf"
    plain.write_text((HEADER + RECORDS).replace("chrM", "MT").replace("chr", ""))
    command.lift_file(plain, tmp_path / "out.vcf", "small")
    text = read(tmp_path / "out.vcf")
    assert text[text.index("\n1\t") + 1 :] == LIFTED.replace("chrM", "MT").replace("chr", "")


def test_older_versions_become_vcf_4_3(small, tmp_path, vcf):
    path = vcf(("chr1", 1, "A", "G", "X=5%"), header="##fileformat=VCFv4.1\n##reference=hg18\n")
    command.lift_file(path, tmp_path / "out.vcf", "small")
    text = read(tmp_path / "out.vcf")
    assert text.startswith("##fileformat=VCFv4.3\n")
    assert text.endswith("\tX=5%25;OriginalContig=chr1;OriginalStart=1\n")
    assert check(tmp_path / "out.vcf") == 1


def test_a_lifted_file_is_of_the_new_build(small, source, tmp_path):
    """It is annotated as it is, and lifting it over once more is refused."""
    command.lift_file(source, tmp_path / "lifted.vcf", "small")
    summary = annotate(tmp_path / "lifted.vcf", tmp_path / "out", reference="small")
    assert (summary.records, summary.skipped, summary.lift_over) == (5, 0, {})
    assert "##gas_liftover=" in read(tmp_path / "out" / "lifted.annot.vcf.gz")


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("block", [100, 4 << 20])
def test_annotate_lifts_first(block, processes, small, source, tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "BLOCK", block)
    monkeypatch.setattr(sorting, "MERGED_BLOCK", 1)
    told = []
    out = tmp_path / "out"
    summary = annotate(
        source, out, lift_from="header", processes=processes, progress=lambda *counts: told.append(counts)
    )
    assert (summary.records, summary.written, summary.skipped) == (11, 5, 6)
    assert summary.lift_over == {
        "from": "NCBI36",
        "chain": "hg18ToSmall.over.chain.gz",
        "chain_sha256": chains.installed(small)["NCBI36"].sha256,
        "lifted": 5,
        "other_strand": 1,
        "not_lifted": NOT_LIFTED,
    }
    assert json.loads((out / "summary.json").read_text())["lift_over"] == summary.lift_over
    assert summary.notes[0] == (
        "Records lifted over from NCBI36 to GRCh38 along 'hg18ToSmall.over.chain.gz': 5, 1 of them to the other strand. "
        "Left out, as they do not lift, see skipped.tsv: 4."
    )
    assert "Records that could not be read were left out, see skipped.tsv: 2." in summary.mends
    assert (told[0], told[-1]) == ((1, 5), (11, 11))
    assert rows(out / "skipped.tsv") == REJECTS
    result = out / "in.annot.vcf.gz"
    assert check(result) == 5
    records = [line.split("\t") for line in read(result).splitlines() if line[0] != "#"]
    unlike = [[*record[:7], *record[8:]] for record in records]
    assert unlike == [[*fields[:7], *fields[8:]] for fields in (line.split("\t") for line in LIFTED.splitlines())]
    assert [field for record in records for field in record[7].split(";") if field.startswith("GAS_BAND")] == [
        "GAS_BAND=p1", "GAS_BAND=q1", "GAS_BAND=q1", "GAS_BAND=p2",
    ]  # fmt: skip
    log = (out / "in.vcf.count.log").read_text()
    assert "Not lifted over, the target has nothing in the place of REF: 1\n" in log
    assert "Receipt: 11 records read, 5 written, 6 skipped\n" in log
    with pysam.TabixFile(str(result)) as index:
        assert index.contigs == ["chr1", "chr2", "chrM"]


def test_all_lift(small, tmp_path, vcf):
    path = vcf(("chr1", 1, "A", "G"), header="##fileformat=VCFv4.2\n##reference=hg18\n")
    summary = annotate(path, tmp_path / "out", lift_from="hg18")
    assert summary.notes[0].endswith("along 'hg18ToSmall.over.chain.gz': 1. All lift.")
    assert rows(tmp_path / "out" / "skipped.tsv") == []


def test_lift_over_is_offered(root, source, chain_file, tmp_path):
    with pytest.raises(AnnotationError) as caught:
        annotate(source, tmp_path / "out")
    assert caught.value.code == "wrong_build"
    chains.add(reference.load("small"), chain_file, "NCBI36")
    for name in (None, "small"):
        with pytest.raises(AnnotationError) as caught:
            annotate(source, tmp_path / "out", reference=name)
        assert caught.value.code == "needs_lift_over"
        offer = "Or lift it over to GRCh38: a chain file is installed. What has no place there is left out."
        assert caught.value.faults[-1] == offer
    assert not (tmp_path / "out").exists()


def test_refusals(small, source, tmp_path, vcf):
    def faults(path, build, name=None):
        with pytest.raises(AnnotationError) as caught:
            annotate(path, tmp_path / "out", reference=name, lift_from=build)
        return caught.value.code, " ".join(caught.value.faults)

    code, text = faults(source, "GRCh37")
    assert (code, text[:49]) == ("wrong_build", "The file was made against NCBI36, not GRCh37: its")
    silent = vcf(("chr1", 1, "A", "G"))
    assert "name it, such as GRCh37." in faults(silent, "header")[1]
    code, text = faults(silent, "hg19", "small")
    assert code == "reference_missing"
    assert text.startswith(
        "There is no chain file from GRCh37 to small, so that the file cannot be lifted over. Add one with"
    )
    assert faults(silent, "hg18", "nothing")[0] == "reference_missing"
    assert faults(vcf(("chr9", 1, "A", "G"), ("chr9", 2, "A", "G")), "hg18") == (
        "wrong_build",
        "No record of the file lifts over from NCBI36 to GRCh38: the chain file has no such contig (2).",
    )
    assert faults(vcf(), "hg18")[0] == "no_records"
    wrong = [("chr1", pos, "T", "N") for pos in range(1, 10)]
    code, text = faults(vcf(*wrong), "hg18")
    assert code == "wrong_build"
    assert "7 of 9 records had another REF than GRCh38 has in their place" in text
    assert not (tmp_path / "out").exists()


def test_another_length_of_the_contig(small, tmp_path, vcf):
    """UCSC's hg19 has another mitochondrion than GRCh37: a chain file for one does not fit the other."""
    header = "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=41>\n##contig=<ID=chrM,length=11>\n"
    with pytest.raises(AnnotationError, match="the header gives its contig another length than the chain file"):
        annotate(vcf(("chr1", 1, "A", "G"), ("chrM", 1, "A", "G"), header=header), tmp_path / "out", lift_from="hg18")


def test_command_line(small, source, tmp_path, capsys):
    words = [str(source), str(tmp_path / "out.vcf"), "--to", "small", "--from", "hg19"]
    assert command.main(words) == 1
    assert capsys.readouterr().err.startswith("The file was made against NCBI36, not GRCh37: ")
    assert not (tmp_path / "out.vcf").exists()
    with pytest.raises(SystemExit):
        command.main([str(source), str(tmp_path / "out.bcf"), "--to", "small"])
    assert command.main([str(source), str(tmp_path / "no" / "out.vcf"), "--to", "small"]) == 1
    assert capsys.readouterr().err.endswith("Writing out.vcf failed: No such file or directory.\n")


def test_a_failure_leaves_what_was_there(small, source, tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "BLOCK", 100)
    out = tmp_path / "out.vcf.gz"
    out.write_bytes(b"of yesterday")
    source.write_text(HEADER + RECORDS + "\0\n")
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(AnnotationError, match="NUL"):
        command.lift_file(source, out, "small")
    assert out.read_bytes() == b"of yesterday"
    assert sorted(path.name for path in tmp_path.iterdir()) == before


# Chain files kept with a reference


def test_upkeep_of_chain_files(root, chain_file, capsys):
    digest = reference.load("small").digest
    assert upkeep.main(["chain", str(chain_file), "--to", "small", "--from", "hg18"]) == 0
    assert "Files of NCBI36 can be lifted over to small, along hg18ToSmall.over.chain.gz." in capsys.readouterr().out
    assert upkeep.main(["list"]) == 0
    assert "lifts over from NCBI36, along hg18ToSmall.over.chain.gz\n" in capsys.readouterr().out
    assert reference.load("small").digest == digest
    assert verify("small", root) == []
    kept = chains.installed(reference.load("small"))["NCBI36"].path
    kept.write_bytes(kept.read_bytes() + b"x")
    assert verify("small", root) == [f"small: chains/{kept.name} was changed or is damaged; its SHA-256 differs."]
    kept.unlink()
    assert verify("small", root) == [f"small: chains/{kept.name} cannot be read: No such file or directory."]
    (kept.parent / "NCBI36.toml").write_text("what")
    assert "chains/NCBI36.toml is damaged. Add the chain file again" in verify("small", root)[0]
    remove("small", root)
    assert not (root / "small").exists()


def test_a_chain_file_is_replaced_and_outlasts_a_version(small, root, tmp_path):
    newer = tmp_path / "newer.chain"
    newer.write_text(CHAINS.replace("900", "901"))
    added = chains.add(small, newer, "NCBI36")
    kept = sorted(path.name for path in added.path.parent.iterdir())
    assert kept == sorted(["NCBI36.toml", added.path.name])
    (tmp_path / "sources" / "reference.toml").write_text(DECLARED.replace("small", "small", 1) + 'description = "new"')
    build(tmp_path / "sources", root)
    assert reference.load("small").folder != small.folder
    assert chains.installed(reference.load("small"))["NCBI36"] == added


def test_a_declared_chain_file_is_built_in(root, chain_file, tmp_path):
    sources = tmp_path / "sources"
    chain_file.rename(sources / "a.chain.gz")
    declared = DECLARED + '[[chains]]\nfrom = "hg18"\nfile = "a.chain.gz"\nlicence = "none"\n'
    before = reference.load("small").digest
    (sources / "reference.toml").write_text(declared)
    build(sources, root)
    found = reference.load("small")
    assert found.digest == before
    assert [(chain.build, chain.name) for chain in chains.installed(found).values()] == [("NCBI36", "a.chain.gz")]
    assert 'licence = "none"' in (root / "small" / "chains" / "NCBI36.toml").read_text()


def test_a_chain_file_that_does_not_fit(root, tmp_path):
    def fault(text, build):
        path = tmp_path / "x.chain"
        path.write_text(text)
        with pytest.raises(AnnotationError) as caught:
            chains.add(reference.load("small"), path, build)
        assert not (root / "small" / "chains").exists()
        return caught.value.faults[0]

    assert fault(CHAINS.replace("chr2 20 - 7 15", "chr2 21 - 7 15"), "hg18") == (
        "The chain file x.chain does not lead to small (GRCh38): 2 has 21 bp in it and 20 bp in the reference."
    )
    assert "leads to contigs that small does not have (chr7...)" in fault(
        CHAINS.partition("\n\n")[0].replace("chr1 25", "chr7 25"), "hg18"
    )
    assert "does not tell its build: name it with --from BUILD" in fault(CHAINS, None)
    assert "The build '../x' may hold" in fault(CHAINS, "../x")
    length = "249250621"  # of GRCh37
    assert "leads from GRCh37, by its lengths, not from NCBI36." in fault(
        CHAINS.replace("chr1 40", f"chr1 {length}"), "hg18"
    )


def test_the_build_of_a_chain_file_is_found_out(root, tmp_path):
    path = tmp_path / "x.chain"
    path.write_text(CHAINS.replace("chr1 40", "chr1 249250621"))
    assert chains.add(reference.load("small"), path).build == "GRCh37"


def test_a_reference_without_bases_is_not_offered(root, tmp_path, chain_file, source):
    sources = tmp_path / "bare"
    sources.mkdir()
    contigs = '[[contigs]]\nname = "1"\nlength = 25\n[[contigs]]\nname = "2"\nlength = 20\n'
    (sources / "reference.toml").write_text('name = "bare"\nbuild = "GRCh38"\n' + contigs)
    build(sources, root)
    chains.add(reference.load("bare"), chain_file, "hg18")
    assert chains.find("NCBI36", ["bare"]) is None
    with pytest.raises(AnnotationError) as caught:
        annotate(source, tmp_path / "out", reference="bare")
    assert caught.value.code == "wrong_build"
