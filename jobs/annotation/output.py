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


class BgzfWriter:
    """A BGZF file open for writing. Raises AnnotationError disk_full, output_too_large, output_unwritable."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            # level 4: genotypes compress six times as fast as at the usual 6, into 3 to 8 % more
            self.file = pysam.BGZFile(str(path), "wb4", None)  # type: ignore[arg-type]
        except OSError as error:
            raise write_error(path) from error

    def write(self, text: bytes) -> None:
        try:
            self.file.write(text)
        except OSError as error:
            raise write_error(self.path) from error

    def __enter__(self) -> "BgzfWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        try:
            self.file.close()
        except OSError as close_error:
            if kind is None:
                raise write_error(self.path) from close_error


def index(path: Path) -> int:
    """Makes `<path>.tbi` and returns its count of records: the receipt of what was written."""
    try:
        pysam.tabix_index(str(path), preset="vcf", force=True)
        return int(str(pysam.bcftools.index("-n", str(path))))
    except (OSError, SamtoolsError) as error:
        raise write_error(path) from error


def write_error(path: Path) -> AnnotationError:
    """Why writing `path` failed, looked up afterwards: htslib says only that it did."""
    return no_room(path) or from_os_error(OSError(errno.EIO, os.strerror(errno.EIO)), path.name)


def no_room(path: Path) -> AnnotationError | None:
    """The error when `path` has reached the limit on file sizes or its disk is full."""
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = path.stat().st_size if path.exists() else 0
    if limit != resource.RLIM_INFINITY and size + (64 << 10) > limit:
        return from_os_error(OSError(errno.EFBIG, ""), path.name)
    if shutil.disk_usage(path.parent).free < 1 << 20:
        return from_os_error(OSError(errno.ENOSPC, ""), path.name)
    return None
