"""The real files, where they are (fixture `samples`)."""

import subprocess
import sys

import pytest

from jobs.annotation import annotate

READ = """
import sys, pysam, pysam.bcftools
for path in sys.argv[1:]:
    print(len(list(pysam.VariantFile(path))))
    pysam.bcftools.view("-o", "/dev/null", path, catch_stdout=False)
    sys.stderr.write(pysam.bcftools.view.get_messages())
"""


def read(path):
    """(record count, what htslib says on standard error) of a file read by pysam and by bcftools view."""
    done = subprocess.run([sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=True)
    return int(done.stdout), done.stderr


@pytest.mark.parametrize(("name", "records"), [("test", 350), ("free_1", 1141), ("premium_1", 3000)])
def test_every_record_comes_back(name, records, samples, out, annotated):
    summary, found = annotated(samples / f"{name}.vcf")
    assert summary.records == summary.written == len(found) == records
    given = [line.split("\t") for line in (samples / f"{name}.vcf").read_text().splitlines() if line[0] != "#"]
    for before, after in zip(given, found, strict=True):
        assert after[:7] + after[8:] == before[:7] + before[8:]
        assert after[7] == before[7] or after[7].startswith(before[7] + ";")


@pytest.mark.parametrize("name", ["test", "free_1", "premium_1"])
def test_no_warning_that_the_users_header_does_not_give(name, samples, out):
    """The samples declare AC as Number=. or 1, of which htslib warns: the user's own words, kept."""
    annotate(samples / f"{name}.vcf", out)
    _, said = read(out / f"{name}.annot.vcf.gz")
    assert {line for line in said.splitlines() if "AC should be declared as Number=A" not in line} == set()


def test_test_vcf(samples, out):
    summary = annotate(samples / "test.vcf", out)
    assert summary.annotated == 350
    assert summary.not_annotated == {}
    assert summary.regions == {
        "CDS": 134,
        "rRNA": 103,
        "D_loop": 77,
        "tRNA": 27,
        "intergenic_region": 9,
    }
    assert summary.consequences == {"non_coding": 130, "synonymous": 85, "missense": 48, "start_lost": 1}
    assert summary.classes == {"SNV": 336, "insertion": 9, "deletion": 5}


def test_free_1(samples, out):
    summary = annotate(samples / "free_1.vcf", out)
    assert (summary.not_annotated, summary.overlap_only) == ({}, 1)
    assert summary.regions == {
        "CDS": 767,
        "D_loop": 192,
        "rRNA": 103,
        "tRNA": 64,
        "intergenic_region": 15,
    }
    assert summary.consequences == {
        "synonymous": 510,
        "missense": 253,
        "non_coding": 167,
        "stop_gained": 7,
        "start_lost": 3,
        "stop_retained": 2,
    }


def test_premium_1_is_not_of_this_reference(samples, out):
    summary = annotate(samples / "premium_1.vcf", out)
    assert summary.annotated == 0
    assert summary.not_annotated == {"contig_not_in_reference": 3000}
    assert len(summary.contigs_not_in_reference) == 18
    assert summary.genes == summary.consequences == summary.regions == {}
