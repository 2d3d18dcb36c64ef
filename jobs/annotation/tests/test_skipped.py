"""Records that cannot be read are left out and listed; all others are annotated, and the counts add up."""

import pytest

from jobs.annotation import AnnotationError, annotate, lines
from jobs.annotation.tests.strict_vcf import check

GOOD = ("MT", 3243, "A", "G")
POS = "expected a whole number from 0 to 536,870,911."


def table(out):
    return [line.split("\t") for line in (out / "skipped.tsv").read_text().splitlines()]


def test_nothing_skipped(vcf, out):
    assert annotate(vcf(GOOD), out).skipped == 0
    assert table(out) == [["line", "record", "reason"]]


def test_skipped_records_are_listed(vcf, out, annotated):
    summary, found = annotated(vcf(GOOD, ("MT", "x", "A", "G"), "MT\t4000", "", GOOD, "#CHROM\tPOS"))
    assert [fields[1] for fields in found] == ["3243", "3243"]
    assert (summary.records, summary.written, summary.skipped) == (5, 2, 3)
    reasons = [f"Line 4: POS is 'x', {POS}", "Line 5 has 2 columns and the #CHROM line has 8."]
    assert [row[:2] for row in table(out)[1:]] == [["4", "MT:x"], ["5", "MT:4000"], ["8", "#CHROM:POS"]]
    assert [row[2] for row in table(out)[1:3]] == reasons
    assert "Records that could not be read were left out, see skipped.tsv: 3." in summary.mends
    assert "Receipt: 5 records read, 2 written, 3 skipped\n" in (out / "in.vcf.count.log").read_text()


def test_zeros_before_a_position_are_no_position(vcf, out, annotated):
    """htslib, which makes the index, reads 03243 as an octal number."""
    _, found = annotated(vcf(GOOD, ("MT", "03244", "G", "A"), ("MT", "0", "G", "A"), "MT\t1\x0b\r2\tx"))
    assert [fields[1] for fields in found] == ["0", "3243"]
    expected = "expected no zeros before the number: some programs take it as octal"
    assert table(out)[1] == ["4", "MT:03244", f"Line 4: POS is '03244', {expected}."]
    assert (out / "skipped.tsv").read_text().splitlines()[2].split("\t")[:2] == ["6", "MT:1??2"]


@pytest.mark.parametrize("character", ["\x01", "\x0c", "\r", "\x7f"])
def test_control_characters_are_no_text(character, vcf, out, annotated):
    _, found = annotated(vcf(GOOD, ("MT", 3244, "G", "A", f"X=a{character}b"), ("MT", 3245, "G", "A", "X=a")))
    assert [fields[1] for fields in found] == ["3243", "3245"]
    assert table(out)[1][2] == f"Line 4: there is a control character (byte {ord(character):#04x}), expected text."


@pytest.mark.parametrize("contig", ["a,b", "<1>", '1"', "*1", "(1)", "chr\xe9"])
def test_contigs_that_no_header_can_name(contig, vcf, out, annotated):
    header = f"##fileformat=VCFv4.3\n##contig=<ID={contig},length=5>\n"
    summary, _ = annotated(vcf(GOOD, (contig, 3244, "G", "A"), header=header))
    assert (summary.written, summary.skipped) == (1, 1)
    assert "CHROM is" in table(out)[1][2]
    assert check(out / "in.annot.vcf.gz") == 1


def test_a_name_that_no_header_can_hold_is_not_declared(vcf, out, annotated, text_of):
    annotated(vcf(("MT", 3243, "A", "G", 'a,"b=1;XX=2;D\xa0P')))
    declared = [line for line in text_of(out / "in.annot.vcf.gz").splitlines() if "Not declared" in line]
    assert declared == ['##INFO=<ID=XX,Number=.,Type=String,Description="Not declared in the input">']


def test_the_same_for_unsorted_records(vcf, out, annotated, monkeypatch):
    monkeypatch.setattr(lines, "BLOCK", 100)
    records = [("MT", 8993, "T", "G"), ("MT", "x", "A", "G"), GOOD, "", ("MT", 263, "A", "G"), "nonsense"]
    summary, found = annotated(vcf(*records))
    assert [fields[1] for fields in found] == ["263", "3243", "8993"]
    assert (summary.records, summary.written, summary.skipped) == (5, 3, 2)
    assert [row[0] for row in table(out)[1:]] == ["4", "8"]


@pytest.mark.parametrize("block", [60, 500, 4 << 20])
@pytest.mark.parametrize("processes", [1, 2])
def test_blocks_and_processes_change_nothing(
    block, processes, vcf, out, tmp_path, monkeypatch, text_of, all_references
):
    records = [("MT", pos, "ACGT"[pos % 4], "N") for pos in range(3000, 4000)]
    records += (
        [("21", 5_000_000 + 1000 * n, "A", "C,AT", f"X={n}") for n in range(200)] + ["bad"] + [("21", 9e9, "A", "C")]
    )
    path = vcf(*records)
    with pytest.raises(AnnotationError):
        annotate(path, tmp_path / "no", reference="rCRS")  # most REFs are wrong
    records = records[1000:]
    path = vcf(*records)
    whole = annotate(path, tmp_path / "whole")
    monkeypatch.setattr(lines, "BLOCK", block)
    pieces = annotate(path, out, processes=processes)
    assert text_of(out / "in.annot.vcf.gz") == text_of(tmp_path / "whole" / "in.annot.vcf.gz")
    assert (out / "skipped.tsv").read_bytes() == (tmp_path / "whole" / "skipped.tsv").read_bytes()
    assert pieces == whole
    assert (whole.written, whole.skipped) == (200, 2)


def test_result_is_strictly_valid(vcf, out, all_references):
    header = "##fileformat=VCFv4.3\n##contig=<ID=21,length=46709983>\n"
    path = vcf(
        GOOD,
        ("MT", 8572, "G", "GA,A"),
        ("MT", 11778, "G", "A"),
        ("21", 26170678, "G", "A", "DP=3;FLAG"),
        ("21", 30000000, "N", "<DEL>", "END=30500000"),
        header=header,
    )
    summary = annotate(path, out)
    assert check(out / "in.annot.vcf.gz") == summary.written == 5
    assert summary.overlap_only == 1


def test_nuclear_records_of_the_default_reference(vcf, annotated, all_references):
    """APP on the minus strand of chromosome 21, and ClinVar's rs63750066 in it (GRCh38)."""
    summary, found = annotated(vcf(("chr21", 14000000, "A", "G"), ("chr21", 25891796, "C", "T")))
    info = [dict(item.partition("=")[::2] for item in fields[7].split(";")) for fields in found]
    assert info[0]["GAS_REGION"] == "intergenic_region"
    assert info[1]["GAS_LOCATION"] == "APP|APP-201|-|CDS|17/18"
    assert info[1]["GAS_CYTOBAND"] == "21q21.3"
    assert (found[1][2], info[1]["GAS_CLINVAR"]) == ("rs63750066", "Likely_pathogenic")
    assert summary.reference["name"] == "GRCh38"
    assert summary.notes == [
        "The header does not tell the genome build; GRCh38 was assumed.",
        "The reference GRCh38 is installed without the sequence of 'chr21': for records there (2) REF was not checked, and "
        "consequences and HGVS names could not be computed. It can be installed with its sequence: "
        "python manage.py reference install GRCh38",
    ]
    assert summary.consequences == {}  # there is no sequence to compute them from


@pytest.mark.parametrize(
    ("line", "build"),
    [
        ("##reference=human_b36_both.fasta\n", "NCBI36"),
        ("##contig=<ID=21,length=48129895>\n", "GRCh37"),
    ],
)
def test_file_of_another_build_is_refused(line, build, vcf, out, all_references):
    with pytest.raises(AnnotationError) as caught:
        annotate(vcf(("21", 30000000, "A", "G"), header="##fileformat=VCFv4.2\n" + line), out)
    assert caught.value.code == "wrong_build"
    assert f"made against {build}" in caught.value.faults[0]
    assert not out.exists()
