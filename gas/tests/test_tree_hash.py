"""Digests of streams, held against those of another hand."""

import hashlib
import io
import random
import threading

import pytest
from botocore.utils import calculate_tree_hash  # noqa: TID251 (the other hand)

from gas.tree_hash import HashingReader

MIB = 1024**2


@pytest.mark.parametrize(
    "size", [0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB, 3 * MIB, 5 * MIB + 7, 7 * MIB, 8 * MIB, 13 * MIB]
)
def test_digests(size):
    random.seed(size)
    content = random.randbytes(size)
    reader = HashingReader(io.BytesIO(content), tree=True)
    seen = b"".join(iter(lambda: reader.read(random.randrange(1, 3 * MIB)), b""))
    assert seen == content
    assert reader.size == size
    assert reader.sha256 == hashlib.sha256(content).hexdigest()
    assert reader.tree_hash == calculate_tree_hash(io.BytesIO(content))


@pytest.mark.parametrize("tree", [False, True])
def test_digests_made_in_a_thread(tree):
    content = random.Random(1).randbytes(3 * MIB + 5)
    before = threading.active_count()
    with HashingReader(io.BytesIO(content), tree=tree) as reader:
        assert reader.read(MIB) + reader.read(3 * MIB) + reader.read(1) == content
        inside = (reader.size, reader.sha256, reader.tree_hash)
    assert threading.active_count() == before
    expected = calculate_tree_hash(io.BytesIO(content)) if tree else ""
    assert inside == (reader.size, reader.sha256, reader.tree_hash)
    assert inside == (len(content), hashlib.sha256(content).hexdigest(), expected)


def test_digests_of_what_was_read_so_far():
    content = bytes(range(256)) * 5 * 4096
    reader = HashingReader(io.BytesIO(content), tree=True)
    for end in (MIB, MIB + 5, 4 * MIB):
        reader.read(end - reader.size)
        assert reader.tree_hash == calculate_tree_hash(io.BytesIO(content[:end]))
        assert reader.sha256 == hashlib.sha256(content[:end]).hexdigest()


def test_no_tree_unless_asked_for():
    reader = HashingReader(io.BytesIO(b"abc"))
    assert reader.read(3) == b"abc"
    assert reader.tree_hash == ""
