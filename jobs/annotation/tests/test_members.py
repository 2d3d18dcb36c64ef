"""Text inserted into finished BGZF blocks, and where the lines went."""

import random

import numpy as np
import pysam
import pytest

from jobs.annotation.lines import BGZF_EOF
from jobs.annotation.members import Insertion, insert
from jobs.annotation.output import MEMBER, BgzfWriter, append_members


def lines_of(chance, size):
    """Lines of some 200 bytes, or rarely of several members."""
    lines, length = [], 0
    while length < size:
        line = b"%x\n" % chance.getrandbits(1_000_000 if chance.random() < 0.002 else chance.choice([10, 500, 1000]))
        lines.append(line)
        length += len(line)
    return lines


def offsets_of(lines, sizes, base):
    """Virtual offsets of the lines of a block, and of its end."""
    at = np.cumsum([0, *map(len, lines)])
    return (base + np.cumsum([0, *sizes])[at // MEMBER] << 16 | at % MEMBER).astype(np.uint64)


@pytest.mark.parametrize("seed", range(6))
def test_lines_are_where_moves_says(tmp_path, seed):
    chance = random.Random(seed)
    body, part = tmp_path / "body.gz", tmp_path / "part.gz"
    body.touch()
    ends, offsets, insertions, expected = [], [], [], []
    for number, size in enumerate((3000, 3 * MEMBER, 500_000, MEMBER, 10)):
        lines = lines_of(chance, size)
        with BgzfWriter(part, "parts") as out:
            out.write(b"".join(lines))
        offsets.append(offsets_of(lines, out.sizes, ends[-1] if ends else 0))
        append_members(body, part)
        ends.append(body.stat().st_size - len(BGZF_EOF))
        for begin, line in zip(np.cumsum([0, *map(len, lines)]).tolist(), lines, strict=False):
            place = chance.randrange(1, max(len(line) - 1, 2))
            text = b"+" * chance.choice([1, 10, 100, MEMBER, 3 * MEMBER]) if chance.random() < 0.02 * seed else b""
            insertions += [Insertion(number, begin + place, text)] if text else []
            expected.append(line[:place] + text + line[place:])
    moves = insert(body, ends, insertions)
    found = []
    with pysam.BGZFile(str(body)) as file:
        for block in offsets:
            moved = moves.of(block)
            assert (np.diff(moved.astype(np.int64)) > 0).all()
            for offset in moved[:-1].tolist():
                file.seek(offset)
                found.append(file.readline() + b"\n")
    assert found == expected
    assert bool(insertions) == (seed > 0)
