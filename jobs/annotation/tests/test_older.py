"""Records of older versions as VCF 4.3 has them; genotype columns stay as they are."""

import pytest

from jobs.annotation import annotate, lines
from jobs.annotation.older import OlderRecords
from jobs.annotation.tests.strict_vcf import check


def mended(text, version=(4, 2)):
    older = OlderRecords(version)
    return older.mended(text), older.sentences()


def line(alt="G", qual=".", filters="PASS", info=".", more=""):
    return f"MT\t3243\t.\tA\t{alt}\t{qual}\t{filters}\t{info}{more}\n".encode()


@pytest.mark.parametrize("version", [(3, 3), (4, 0), (4, 2)])
def test_a_percent_sign_that_encodes_nothing(version):
    before = line(info="X=50%;Y=a%3Bb;Z=%%") + line(info="X=1", more="\tF\t33.3%") + line(info="X=5%")
    after = line(info="X=50%25;Y=a%3Bb;Z=%25%25") + line(info="X=1", more="\tF\t33.3%") + line(info="X=5%25")
    told = ["A % in INFO that encodes nothing was written %25, as VCF 4.3 has it; records: 2."]
    assert mended(before, version) == (after, told)
    assert mended(after, version) == (after, [])
    assert mended(before, (4, 3)) == (before, [])


def test_values_of_vcf_3():
    before = line("D2,IAC", "-1", "0") + line("G", "-1.0", "q10") + line("<D2>", "-10", "0;q10") + line("I,DA")
    after = line("<D2>,<IAC>", ".", "PASS") + line("G", ".", "q10") + line("<D2>", "-10", "0;q10") + line("I,DA")
    text, [told] = mended(before, (3, 3))
    assert text == after
    assert told.endswith("; records: 2.")
    assert mended(before, (4, 0)) == (before, [])


@pytest.mark.parametrize("version", [(3, 3), (4, 5)])
def test_latin_1(version):
    before = line(info="X=Z\xfcrich").decode("utf-8").encode("latin-1") + line(info="X=Zürich")
    assert mended(before, version) == (
        line(info="X=Zürich") * 2,
        ["Text that is not UTF-8 was read as Latin-1; records: 1."],
    )


@pytest.mark.parametrize("block", [80, 4 << 20])
def test_the_result_is_strictly_valid_sorted_or_not(block, vcf, out, annotated, monkeypatch):
    monkeypatch.setattr(lines, "BLOCK", block)
    records = [("MT", 3243, "A", "G", "X=5%"), ("MT", 263, "A", "G", "X=1"), ("MT", 8993, "T", "G", "X=7%")]
    summary, found = annotated(vcf(*records))
    assert [fields[7].split(";")[0] for fields in found] == ["X=1", "X=5%25", "X=7%25"]
    assert "A % in INFO that encodes nothing was written %25, as VCF 4.3 has it; records: 2." in summary.mends
    assert check(out / "in.annot.vcf.gz") == 3
    again = annotate(out / "in.annot.vcf.gz", out, stem="again")
    assert not any("%25" in mend for mend in again.mends)
