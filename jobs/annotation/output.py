"""Writes the annotated file: BGZF and its tabix index, with a plain reason when writing fails."""

import errno
import os
import resource
import shutil
from pathlib import Path
from types import TracebackType

import pysam
import pysam.bcftools
from pysam.utils import SamtoolsError

from .errors import AnnotationError, from_os_error
from .lines import BGZF_EOF


class BgzfWriter:
    """A BGZF file open for writing. Raises AnnotationError disk_full, output_too_large, output_unwritable."""

    def __init__(self, path: Path, what: str) -> None:
        self.path, self.what = path, what
        try:
            # level 4: genotypes compress six times as fast as at the usual 6, into 3 to 8 % more
            self.file = pysam.BGZFile(str(path), "wb4", None)  # type: ignore[arg-type]
        except OSError as error:
            raise write_error(path, what) from error

    def write(self, text: bytes) -> None:
        try:
            self.file.write(text)
        except OSError as error:
            raise write_error(self.path, self.what) from error

    def __enter__(self) -> "BgzfWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        try:
            self.file.close()
        except OSError as close_error:
            if kind is None:
                raise write_error(self.path, self.what) from close_error


def append_members(path: Path, more: Path) -> None:
    """Appends the BGZF blocks of one file to those of another, which may be empty, without packing them again."""
    with path.open("r+b") as file, more.open("rb") as source:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - len(BGZF_EOF)))
        shutil.copyfileobj(source, file, 1 << 20)


def index(path: Path) -> int:
    """Makes `<path>.tbi` and returns its count of records: the receipt of what was written."""
    try:
        pysam.bcftools.index("--tbi", "--force", "--threads", "1", str(path))
        return int(str(pysam.bcftools.index("-n", str(path))))
    except (OSError, SamtoolsError) as error:
        raise write_error(path, "the index of the results") from error


def write_error(path: Path, what: str) -> AnnotationError:
    """Why writing `path` failed, looked up afterwards: htslib says only that it did."""
    return no_room(path, what) or from_os_error(OSError(errno.EIO, os.strerror(errno.EIO)), what)


def no_room(path: Path, what: str = "the results") -> AnnotationError | None:
    """The error when `path` has reached the limit on file sizes or its disk is full."""
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = path.stat().st_size if path.exists() else 0
    if limit != resource.RLIM_INFINITY and size + (64 << 10) > limit:
        return from_os_error(OSError(errno.EFBIG, ""), what)
    if shutil.disk_usage(path.parent).free < 1 << 20:
        return from_os_error(OSError(errno.ENOSPC, ""), what)
    return None
