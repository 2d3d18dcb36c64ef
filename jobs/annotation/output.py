"""Writes the annotated file: BGZF and its tabix index, with a plain reason when writing fails."""

import errno
import os
import resource
import shutil
import struct
import zlib
from pathlib import Path
from types import TracebackType

import pysam.bcftools
from isal import isal_zlib
from pysam.utils import SamtoolsError

from .errors import AnnotationError, from_os_error
from .lines import BGZF_EOF

MEMBER = 0xFF00  # bytes of text in a BGZF member, as htslib has it: even if it cannot be packed, it stays below 64 KiB
LEVEL = 1  # docs/decisions/0009-isal.md
_HEAD = bytes.fromhex("1f8b08040000000000ff060042430200")  # SAM specification, section 4.1
_LARGEST = 1 << 16


class BgzfWriter:
    """A BGZF file open for writing. Raises AnnotationError disk_full, output_too_large, output_unwritable.

    `sizes` are those of the members (bytes), of which each but the last has MEMBER bytes of text.
    """

    def __init__(self, path: Path, what: str) -> None:
        self.what = what
        self.sizes: list[int] = []
        self._rest = b""
        try:
            self._file = path.open("wb")
        except OSError as error:
            raise from_os_error(error, what) from error

    def write(self, text: bytes) -> None:
        text = self._rest + text if self._rest else text
        whole = len(text) // MEMBER * MEMBER
        self._rest = text[whole:]
        self._write([_member(memoryview(text)[at : at + MEMBER]) for at in range(0, whole, MEMBER)])

    def _write(self, members: list[bytes]) -> None:
        self.sizes += map(len, members)
        try:
            self._file.writelines(members)
        except OSError as error:
            raise from_os_error(error, self.what) from error

    def __enter__(self) -> "BgzfWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                if self._rest:
                    self._write([_member(self._rest)])
                self._file.write(BGZF_EOF)
            self._file.close()
        except OSError as close_error:
            if kind is None:
                raise from_os_error(close_error, self.what) from close_error


def _member(text: bytes | memoryview) -> bytes:
    packed = isal_zlib.compress(text, LEVEL, -zlib.MAX_WBITS)
    size = len(_HEAD) + 2 + len(packed) + 8
    assert size <= _LARGEST
    return b"".join([_HEAD, struct.pack("<H", size - 1), packed, struct.pack("<II", isal_zlib.crc32(text), len(text))])


def append_members(path: Path, more: Path) -> None:
    """Appends the BGZF blocks of one file to those of another, which may be empty, without packing them again."""
    with path.open("r+b") as file, more.open("rb") as source:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - len(BGZF_EOF)))
        shutil.copyfileobj(source, file, 1 << 20)


def index(path: Path) -> int:
    """Makes `<path>.tbi` of any BGZF file of records, and returns its count of them."""
    try:
        pysam.bcftools.index("--tbi", "--force", "--threads", "1", str(path))
        return int(str(pysam.bcftools.index("-n", str(path))))
    except (OSError, SamtoolsError) as error:
        what = "the index of the results"
        raise no_room(path, what) or from_os_error(OSError(errno.EIO, os.strerror(errno.EIO)), what) from error


def no_room(path: Path, what: str = "the results") -> AnnotationError | None:
    """The error when `path` has reached the limit on file sizes or its disk is full."""
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = path.stat().st_size if path.exists() else 0
    if limit != resource.RLIM_INFINITY and size + (64 << 10) > limit:
        return from_os_error(OSError(errno.EFBIG, ""), what)
    if shutil.disk_usage(path.parent).free < 1 << 20:
        return from_os_error(OSError(errno.ENOSPC, ""), what)
    return None
