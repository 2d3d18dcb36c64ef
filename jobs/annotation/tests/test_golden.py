"""Whole results, word for word: of small files of every kind (golden/*.vcf), and of the real ones by digest.

Where a change is meant: `pytest jobs/annotation/tests/test_golden.py --renew-golden`, and look at the difference in git.
"""

import difflib
import hashlib
import json
import re
from pathlib import Path

import pytest

from jobs.annotation import annotate

GOLDEN = Path(__file__).parent / "golden"
# what changes with each upgrade or build of a reference, and is tested elsewhere
_VERSIONS = re.compile(r'\b((?:gas_annotation|pysam|bcftools|htslib|Digest|SHA256|Version)=)"[^"]*"')
_LOGGED = re.compile(r"^(Reference|Sources|Engine): .*", re.MULTILINE)


@pytest.fixture
def renew(request):
    return request.config.getoption("--renew-golden")


def whole_text(out, text_of):
    """The result, the count log and the table of skipped records, without versions and digests."""
    result = _VERSIONS.sub(r'\1"*"', text_of(out / "in.annot.vcf.gz"))
    log = _LOGGED.sub(r"\1: *", (out / "in.vcf.count.log").read_text())
    return f"{result}\n== count log\n{log}\n== skipped\n{(out / 'skipped.tsv').read_text()}"


@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.glob("*.vcf")))
def test_whole_result(name, request, renew, out, text_of):
    """Files made-* are of the made genome, all others of rCRS."""
    if name.startswith("made"):
        request.getfixturevalue("made")
    annotate(GOLDEN / name, out, stem="in")
    found, path = whole_text(out, text_of), GOLDEN / f"{name}.expected"
    if renew:
        path.write_text(found)
    expected = path.read_text()
    difference = difflib.unified_diff(
        expected.splitlines(), found.splitlines(), path.name, "found now", lineterm="", n=0
    )
    assert found == expected, "\n".join(difference)


@pytest.mark.parametrize("name", ["test", "free_1", "premium_1"])
def test_digest_of_a_real_file(name, samples, renew, out, text_of):
    """The records of the result; the files themselves are no part of the project."""
    annotate(samples / f"{name}.vcf", out, stem="in")
    records = [line for line in text_of(out / "in.annot.vcf.gz").splitlines() if not line.startswith("#")]
    found = {"records": len(records), "sha256": hashlib.sha256("\n".join(records).encode()).hexdigest()}
    path = GOLDEN / "samples.json"
    if renew:
        known = json.loads(path.read_text()) if path.is_file() else {}
        path.write_text(json.dumps(known | {name: found}, indent=2, sort_keys=True) + "\n")
    assert found == json.loads(path.read_text())[name]
