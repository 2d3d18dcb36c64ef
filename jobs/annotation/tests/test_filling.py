"""Lines with ID and INFO filled in are what filling in each line by itself gives; and BGZF is packed as htslib reads it."""

import gzip
import os

import numpy as np
import pysam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.annotation.block import parse
from jobs.annotation.filling import Filling
from jobs.annotation.lines import BGZF_EOF
from jobs.annotation.output import MEMBER, BgzfWriter
from jobs.annotation.tracks import Column

INFO = st.sampled_from([".", "DP=1", "DP=1;", "A;B", "A;;B", ";", ".;", "BCSQ=x|y;DP=1", "GAS_X=1", "DP=1;GAS_X=1;Y"])
ADDED = st.sampled_from([b"", b"", b";GAS_A=1", b";GAS_B=2,3;GAS_C"])
RECORD = st.tuples(INFO, st.sampled_from([None, b"rs1", b"rs1;x"]), st.tuples(ADDED, ADDED, ADDED))
AFTER = "\tGT\t0|1\t1|1"


def column(texts):
    made = Column.empty(len(texts))
    made.put(np.flatnonzero(texts), list(filter(None, texts)))
    return made


def expected(info, name, added, *, again):
    """One line, by itself."""
    items = info.split(";")
    if again:
        items = [item for item in items if item and not item.startswith(("BCSQ", "GAS_"))]
    own, text = ";".join(items).rstrip(";") or ".", b"".join(added).decode()
    if text:
        own = text[1:] if own == "." else own + text
    return f"1\t5\t{(name or b'old').decode()}\tA\tC\t9\tPASS\t{own}{AFTER}"


@settings(deadline=None)
@given(st.lists(RECORD, min_size=1, max_size=8), st.booleans())
def test_each_line_is_filled_in_by_itself(records, skipped):
    texts = [f"1\t5\told\tA\tC\t9\tPASS\t{info}{AFTER}\n" for info, _, _ in records]
    text = ("1\t0x\tnot a record\n" * skipped).join(["", *texts]).encode()
    block = parse(text, 1, 11)
    columns = [column([added[place] for _, _, added in records]) for place in range(3)]
    ids = {row: name for row, (_, name, _) in enumerate(records) if name}
    filling = Filling(slice(0, len(records)), columns, ids)
    assert filling.filled().tolist() == [any(added) for _, _, added in records]
    again = any(word in text for word in (b"GAS_", b"BCSQ", b";;"))
    assert filling.text(block).decode().splitlines() == [expected(*record, again=again) for record in records]


@pytest.mark.parametrize("pieces", [[], [1], [MEMBER], [MEMBER - 1, 1, 1], [3 * MEMBER + 7, 5, 2 * MEMBER]])
@pytest.mark.parametrize("kind", [os.urandom, bytes, lambda size: b"ACGT\t" * (size // 5) + b"\n" * (size % 5)])
def test_bgzf(tmp_path, pieces, kind):
    """Random bytes cannot be packed, and must fit all the same."""
    texts, path = [kind(size) for size in pieces], tmp_path / "x.gz"
    with BgzfWriter(path, "the results") as out:
        for text in texts:
            out.write(text)
    whole = b"".join(texts)
    assert gzip.decompress(path.read_bytes()) == whole
    with pysam.BGZFile(str(path), "rb") as file:
        assert file.read(len(whole) + 1) == whole
    assert path.read_bytes().endswith(BGZF_EOF)
    assert len(out.sizes) == -(-len(whole) // MEMBER)
    assert sum(out.sizes) == path.stat().st_size - len(BGZF_EOF)
    at = 0
    for size in out.sizes:  # BSIZE is where the next member starts
        assert int.from_bytes(path.read_bytes()[at + 16 : at + 18], "little") + 1 == size
        at += size
