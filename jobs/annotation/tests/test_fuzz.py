"""The fuzzer sees what it is for, and some seconds of it find nothing."""

import gzip

import pytest

from jobs.annotation import AnnotationError
from jobs.annotation.tests import fuzz

HEADER = b"##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


@pytest.fixture
def judged(made, tmp_path, monkeypatch):
    """The verdict on a file; `instead` stands in for annotate()."""

    def judge(content, instead=fuzz.annotate):
        monkeypatch.setattr(fuzz, "annotate", instead)
        monkeypatch.setattr(fuzz.lines, "BLOCK", fuzz.lines.BLOCK)  # which it changes
        return fuzz.verdict(content, tmp_path)

    return judge


@pytest.fixture
def record(made):
    return HEADER + f"1\t400\t.\t{made.bases['1'][399]}\tN\t.\t.\t.\n".encode()


def test_verdicts(judged, record, tmp_path):
    assert judged(HEADER) == "no_records"
    assert judged(gzip.compress(record)[:-3]) == "truncated"
    assert judged(record) == "result"


@pytest.mark.parametrize(
    ("error", "finding"),
    [
        (KeyError("x"), "KeyError: 'x'"),
        (MemoryError(), "MemoryError"),
        (AnnotationError("engine_crashed", "It crashed."), "the engine failed: engine_crashed"),
        (AnnotationError("not_vcf"), "no sentence to show"),
        (AnnotationError("not_vcf", "A line\nof theirs."), "no sentence to show"),
        (TimeoutError(), "it took longer than"),
    ],
)
def test_errors_that_are_findings(error, finding, judged, record):
    def fails(*_):
        raise error

    with pytest.raises(fuzz.Finding, match=finding):
        judged(record, fails)


def test_files_of_a_refusal_are_a_finding(judged, record):
    def leaves(_, out):
        out.mkdir()
        (out / "half").touch()
        raise AnnotationError("not_vcf", "It is no VCF file.")

    with pytest.raises(fuzz.Finding, match=r"a refused file left \['half'\]"):
        judged(record, leaves)


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        (b"##fileformat=VCFv4.3", b"##fileformat=VCFv4.3\n##fileformat=VCFv4.3", "not valid: Line 2: a second"),
        (b"GAS_REGION=", b"GAS_REGION=a b=", "not valid: Line .* has an equals sign"),
        (b"\tBCSQ=", b"\tGAS_NEW=1;BCSQ=", "not valid: Line .* GAS_NEW is not declared"),
        (b"\n1\t400", b"\n1\t399\t.\tN\tA\t.\t.\t.\n1\t400", "the receipt says"),
    ],
)
def test_results_that_are_findings(old, new, finding, judged, record):
    annotate = fuzz.annotate

    def spoils(path, out):
        summary = annotate(path, out)
        result = out / "in.annot.vcf.gz"
        text = gzip.decompress(result.read_bytes())
        assert old in text
        result.write_bytes(gzip.compress(text.replace(old, new, 1)))
        return summary

    with pytest.raises(fuzz.Finding, match=finding):
        judged(record, spoils)


def test_faults_of_the_user_are_not_ours(judged, record):
    assert judged(record.replace(b"\t.\n", b"\tDP=1;DP=2;(=3\n")) == "result"


def test_some_seconds_find_nothing(made, monkeypatch, tmp_path):
    monkeypatch.setattr(fuzz, "CHECKOUT", tmp_path)
    monkeypatch.setattr(fuzz.lines, "BLOCK", fuzz.lines.BLOCK)
    said = []
    assert fuzz.search(4, 1, made, said.append) == []
    assert "lines of the engine reached" in said[-1]
