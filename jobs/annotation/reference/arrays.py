"""Named arrays in one file, read by memory map: nothing is copied, and all processes share the pages.

The file: a line of JSON, {"name": [dtype, shape, offset], ...}, padded with spaces to a multiple of 64 bytes; then
the arrays, each at its offset from the end of that line and aligned to 64 bytes.
"""

import json
import math
import mmap
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ALIGNMENT = 64

Array = np.ndarray[Any, Any]
Arrays = dict[str, Array]


class Stored(NamedTuple):
    """An array of one dimension that fills a file, and is copied from there without passing through memory."""

    path: Path
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        return self.path.stat().st_size

    @property
    def shape(self) -> tuple[int]:
        return (self.nbytes // self.dtype.itemsize,)


def save(path: Path, arrays: Mapping[str, Array | Stored]) -> None:
    """Writes the arrays in the order of their names, so that equal arrays give equal files."""
    table: dict[str, tuple[str, tuple[int, ...], int]] = {}
    offset = 0
    for name, array in sorted(arrays.items()):
        table[name] = (array.dtype.str, array.shape, offset)
        offset = _aligned(offset + array.nbytes)
    head = json.dumps(table, separators=(",", ":")).encode()
    with path.open("wb") as file:
        file.write(head.ljust(_aligned(len(head) + 1) - 1) + b"\n")
        start = file.tell()
        for name, array in sorted(arrays.items()):
            file.write(b"\0" * (start + table[name][2] - file.tell()))
            if isinstance(array, Stored):
                with array.path.open("rb") as source:
                    shutil.copyfileobj(source, file)
            else:
                file.write(np.ascontiguousarray(array).tobytes())


def load(path: Path) -> Arrays:
    """Read-only views into the file. Raises OSError, or ValueError when it is not such a file."""
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    start = mapped.find(b"\n") + 1
    return {
        name: np.frombuffer(mapped, dtype, math.prod(shape), start + offset).reshape(shape)
        for name, (dtype, shape, offset) in json.loads(mapped[:start]).items()
    }


def texts(values: list[bytes]) -> tuple[Array, Array]:
    """Offsets (uint64[n+1]) and bytes (uint8) of some texts, laid end to end."""
    at = np.zeros(len(values) + 1, np.uint64)
    np.cumsum([len(value) for value in values], out=at[1:])
    return at, np.frombuffer(b"".join(values), np.uint8)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
