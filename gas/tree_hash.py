"""Digests of what streams by: SHA-256 and the tree hash of S3 Glacier.

A tree hash is the SHA-256 of every 1 MiB, hashed in pairs until one is left; the odd one at the end of a row
goes up as it is (docs.aws.amazon.com/amazonglacier/latest/dev/checksum-calculations.html).
"""

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from gas.objects import Readable

LEAF = 1024**2  # bytes


class TreeHash:
    """Fed in order with pieces of any size; it keeps one digest per level of the tree."""

    def __init__(self) -> None:
        self._leaf = hashlib.sha256()
        self._missing = LEAF  # bytes, of the leaf that goes on
        self._nodes: list[tuple[int, bytes]] = []  # (level, digest), levels falling: whole subtrees from the left

    def update(self, piece: bytes) -> None:
        rest = memoryview(piece)
        while rest:
            taken, rest = rest[: self._missing], rest[self._missing :]
            self._leaf.update(taken)
            self._missing -= len(taken)
            if not self._missing:
                self._add_leaf()

    def hexdigest(self) -> str:
        nodes = [digest for _, digest in self._nodes]
        if self._missing < LEAF or not nodes:
            nodes.append(self._leaf.digest())
        whole = nodes.pop()
        while nodes:
            whole = hashlib.sha256(nodes.pop() + whole).digest()
        return whole.hex()

    def _add_leaf(self) -> None:
        level, digest = 0, self._leaf.digest()
        while self._nodes and self._nodes[-1][0] == level:
            digest = hashlib.sha256(self._nodes.pop()[1] + digest).digest()
            level += 1
        self._nodes.append((level, digest))
        self._leaf, self._missing = hashlib.sha256(), LEAF


class HashingReader:
    """A stream that counts and hashes what is read through it; the tree only if asked for: it costs as much again.

    As a context manager it hashes in a thread of its own, while the caller writes: a copy that is hashed then takes as
    long as one that is not.
    """

    def __init__(self, stream: Readable, *, tree: bool = False) -> None:
        self._stream = stream
        self._sha256 = hashlib.sha256()
        self._tree = TreeHash() if tree else None
        self._thread: ThreadPoolExecutor | None = None
        self._hashing: Future[None] | None = None
        self.size = 0  # bytes read so far

    def __enter__(self) -> Self:
        self._thread = ThreadPoolExecutor(1, "hashing")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._thread:
            self._thread.shutdown()
            self._thread = None

    def read(self, size: int, /) -> bytes:
        piece = self._stream.read(size)
        self.size += len(piece)
        self._wait()
        if self._thread:
            self._hashing = self._thread.submit(self._update, piece)
        else:
            self._update(piece)
        return piece

    @property
    def sha256(self) -> str:
        """Of what was read so far, in hexadecimal."""
        self._wait()
        return self._sha256.hexdigest()

    @property
    def tree_hash(self) -> str:
        """Of what was read so far, in hexadecimal; empty where no tree was asked for."""
        self._wait()
        return self._tree.hexdigest() if self._tree else ""

    def _update(self, piece: bytes) -> None:
        self._sha256.update(piece)
        if self._tree:
            self._tree.update(piece)

    def _wait(self) -> None:
        if self._hashing:
            self._hashing.result()
            self._hashing = None
