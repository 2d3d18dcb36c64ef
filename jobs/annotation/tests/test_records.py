"""What a record's alleles are."""

import pytest

from jobs.annotation.block import parse
from jobs.annotation.records import left_aligned, record_class, trimmed


@pytest.mark.parametrize(
    ("ref", "alts", "expected"),
    [
        ("A", "G", "SNV"),
        ("AC", "AG", "SNV"),
        ("AC", "GT", "MNV"),
        ("A", "AC", "insertion"),
        ("AC", "A", "deletion"),
        ("ACG", "AT", "delins"),
        ("A", "<DEL>", "symbolic"),
        ("A", "*", "symbolic"),
        ("A", "A[2:5[", "symbolic"),
        ("A", ".", "no_alt"),
        ("A", "G,T", "SNV"),
        ("A", "G,AT", "mixed"),
        ("A", "G,*", "mixed"),
    ],
)
def test_class(ref, alts, expected):
    assert record_class(ref.encode(), [alt.encode() for alt in alts.split(",")]) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((5, b"A", b"G"), (5, b"A", b"G")),
        ((5, b"AC", b"A"), (6, b"C", b"")),
        ((5, b"A", b"AC"), (6, b"", b"C")),
        ((5, b"AAA", b"A"), (5, b"AA", b"")),
        ((5, b"CAT", b"CGT"), (6, b"A", b"G")),
    ],
)
def test_trimmed(given, expected):
    assert trimmed(*given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((3, b"AA", b"A"), (0, b"A", b"")),
        ((4, b"", b"A"), (0, b"", b"A")),
        ((5, b"A", b""), (5, b"A", b"")),  # beyond the end: POS is not checked yet
        ((-1, b"AA", b"A"), (-1, b"A", b"")),  # POS 0, before the start
    ],
)
def test_left_aligned(given, expected):
    assert left_aligned(*given, b"AAAA") == expected


@pytest.mark.parametrize(
    "alt",
    [
        "A",
        "acgtn",
        "A,C",
        "*",
        ".",
        "<DEL>",
        "<INS:ME:ALU>",
        "A[chr1:5[",
        "]1:5]A",
        "[<c1>:5[T",
        ".A",
        "A.",
        "<*>",
    ],
)
def test_legal_alleles(alt):
    assert len(parse(f"1\t5\t.\tA\t{alt}\t.\t.\t.\n".encode(), 1, 8)) == 1


@pytest.mark.parametrize("alt", ["", "A,", ",A", "-", "A;C", "X", "<DEL", "A C", "..", "0"])
def test_illegal_alleles(alt):
    assert len(parse(f"1\t5\t.\tA\t{alt}\t.\t.\t.\n".encode(), 1, 8)) == 0
