"""Objects: the files of uploads and results, in folders of this machine or on S3; STORAGES picks which.

A key is a relative path that the server chose ("uploads/<user>/<upload>/input"). Everything is streamed:
memory does not grow with the size of an object. `LocalObjectStorage` is the embedded default,
`gas.aws.s3.S3ObjectStorage` production.
"""

import fcntl
import os
import shutil
import time
import unicodedata
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import quote

from django.conf import settings
from django.core import signing
from django.core.files.base import File
from django.core.files.storage import Storage, storages
from django.urls import reverse
from django.utils.deconstruct import deconstructible

LINK_SALT = "gas.object_link"
_BLOCK = 1024**2  # bytes


class ObjectError(Exception):
    """Anything that an object storage raises on purpose; nothing of the vendor's leaks."""


class ObjectNotFound(ObjectError):
    pass


class StorageUnavailable(ObjectError):
    """Try again later: S3 does not answer, the disk is full, somebody else is busy with the object."""


class PartMismatch(ObjectError):
    """A part or the whole upload is shorter or longer than announced."""


class UploadGone(ObjectError):
    """The upload token is not known, or no longer."""


class InvalidKey(ObjectError, ValueError):
    pass


@dataclass(frozen=True)
class Listed:
    """A line of a bucket's listing."""

    key: str
    size: int  # bytes
    modified: datetime


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class TranslatedReads:
    """A stream whose errors come out as what `translation`, a context manager, makes of them."""

    def __init__(self, stream: Readable, translation: Callable[[], AbstractContextManager[None]]) -> None:
        self._stream, self._translation = stream, translation

    def read(self, size: int, /) -> bytes:
        with self._translation():
            return self._stream.read(size)


class ExactReads:
    """A stream that has exactly `size` bytes: reading raises PartMismatch when it ends before or goes on after them."""

    def __init__(self, stream: Readable, size: int) -> None:
        self._stream, self._size, self._left = stream, size, size

    def read(self, size: int = -1, /) -> bytes:
        """`size` bytes, fewer only at the end, even of a stream that gives them in smaller pieces."""
        wanted = self._left + 1 if size < 0 else size
        pieces = []
        while wanted and (piece := self._stream.read(wanted)):
            pieces.append(piece)
            wanted -= len(piece)
            self._left -= len(piece)
        if self._left < 0 or (wanted and self._left):
            raise PartMismatch(f"{self._size - self._left} bytes instead of {self._size}")
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def objects(alias: str) -> "ObjectStorage":
    """The storage that STORAGES names `alias` ("uploads", "results")."""
    storage = storages[alias]
    assert isinstance(storage, ObjectStorage), f'STORAGES["{alias}"] is no object storage'
    return storage


def check_key(key: str) -> str:
    """`key`, if it is a plain relative path that S3 (1,024 bytes) and file systems (255 a name) both take."""
    names = key.split("/")
    if (
        not key.isprintable()  # refuses control characters and lone surrogates
        or "\\" in key
        or any(name in {"", ".", ".."} or len(name.encode()) > 255 for name in names)
        or len(key.encode()) > 1000
    ):
        raise InvalidKey(f"Not an object key: {key!r}")
    return key


def folder_prefix(prefix: str) -> str:
    """`prefix` ending in exactly one slash, so that "uploads/1" never means "uploads/10" too."""
    return check_key(prefix.removesuffix("/")) + "/"


def attachment(filename: str) -> str:
    """Content-Disposition that saves as `filename`, whatever characters it has (RFC 6266, RFC 5987)."""
    name = unicodedata.normalize("NFC", "".join(filter(str.isprintable, filename)))
    name = name.replace("\\", "/").rpartition("/")[2].strip(" .") or "download"
    name = name if len(name) <= 200 else name[:150] + name[-50:]  # the end: ".annot.vcf.gz" says what it is
    plain = "".join(c if c.isascii() and c not in '"%' else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def files_below(folder: Path | os.DirEntry[str]) -> "Iterator[os.DirEntry[str]]":
    """All files in a folder and those below it; memory does not grow with them, as it does with `rglob`."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from files_below(entry)
            elif entry.is_file(follow_symlinks=False):
                yield entry


class ObjectStorage(Storage, ABC):
    """One bucket. Every method raises InvalidKey, ObjectNotFound where it reads, and StorageUnavailable."""

    @abstractmethod
    def put_file(self, key: str, path: Path) -> None:
        """Store the file at `path` as `key`. Replaces; nobody ever sees half of it."""

    @abstractmethod
    def fetch_file(self, key: str, path: Path) -> None:
        """Write the object to the file at `path`."""

    @abstractmethod
    def read(self, key: str, limit: int) -> bytes:
        """At most the first `limit` bytes."""

    def read_head(self, key: str, count: int) -> bytes:
        """The first `count` bytes, or all when there are fewer."""
        return self.read(key, count)

    @abstractmethod
    def put_stream(self, key: str, stream: Readable, size: int) -> None:
        """Store the `size` bytes of `stream` as `key`, as `put_file` does. PartMismatch when there are more or fewer.

        What `stream` raises comes out, and nothing is stored.
        """

    @abstractmethod
    def open_stream(self, key: str) -> AbstractContextManager[Readable]:
        """The object, to read from its beginning; reading raises StorageUnavailable too."""

    @abstractmethod
    def size(self, key: str) -> int:
        """In bytes."""

    def exists(self, key: str) -> bool:
        try:
            self.size(key)
        except ObjectNotFound:
            return False
        return True

    @abstractmethod
    def listing(self) -> Iterator[Listed]:
        """All objects of the bucket, in no order."""

    @abstractmethod
    def address(self, key: str) -> str:
        """Where the object lies, for operators: a path or an s3:// URI."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Delete the object; no error when it is not there."""

    @abstractmethod
    def delete_prefix(self, prefix: str) -> int:
        """Delete all below the folder `prefix`: objects (returns how many), and what no listing shows.

        That is older versions, unfinished uploads and half-written files.
        """

    @abstractmethod
    def download_url(self, key: str, *, filename: str, content_type: str, lifetime: timedelta) -> str:
        """A link that saves the object as `filename` and dies after `lifetime`."""

    @abstractmethod
    def begin_upload(self, key: str) -> str:
        """Begin an upload in parts; returns its token, which the other methods want back."""

    @abstractmethod
    def part_url(self, key: str, token: str, number: int, size: int, lifetime: timedelta) -> str | None:
        """Where the browser PUTs part `number` (from 1) of exactly `size` bytes.

        None: the application takes it, with `write_part`.
        """

    def write_part(  # noqa: PLR0913, PLR0917
        self, key: str, token: str, number: int, size: int, offset: int, stream: Readable
    ) -> None:
        """Take part `number`: exactly `size` bytes that belong at `offset`. PartMismatch, UploadGone.

        Only where `part_url` gives None.
        """
        raise NotImplementedError

    @abstractmethod
    def received_parts(self, key: str, token: str) -> dict[int, int]:
        """Number -> size of every part that is there whole. UploadGone."""

    @abstractmethod
    def finish_upload(self, key: str, token: str, total_size: int) -> None:
        """Make the parts the object. Doing it again is fine. PartMismatch unless they add up; UploadGone."""

    @abstractmethod
    def abort_upload(self, key: str, token: str) -> None:
        """Forget the upload and its parts; no error when it is not there."""


@deconstructible
class LocalObjectStorage(ObjectStorage):
    """Objects as files below VAR_DIR/objects/<bucket>/.

    What is not whole lies beside it, on the same file system, in a folder <bucket>.unfinished/<token>/: `key`
    says of which object, `data` is the content, into which an upload's parts are written at their offset, and
    there is an empty file `<number>.<size>` for every part that is whole and on the disk.
    """

    def __init__(self, bucket: str) -> None:
        self.bucket = check_key(bucket)

    @property
    def folder(self) -> Path:
        return Path(settings.VAR_DIR) / "objects" / self.bucket

    @property
    def unfinished(self) -> Path:
        return self.folder.with_name(f"{self.bucket}.unfinished")

    def put_file(self, key: str, path: Path) -> None:
        with path.open("rb") as source, self._writing(key) as copy:
            shutil.copyfileobj(source, copy, _BLOCK)

    def put_stream(self, key: str, stream: Readable, size: int) -> None:
        with self._writing(key) as copy:
            _copy_exactly(stream, copy, size)

    @contextmanager
    def open_stream(self, key: str) -> Iterator[Readable]:
        with self._reading(key) as source:
            yield TranslatedReads(source, lambda: _translated(key))

    def fetch_file(self, key: str, path: Path) -> None:
        with self._reading(key) as source, path.open("wb") as copy, _translated(key):
            shutil.copyfileobj(source, copy, _BLOCK)
            copy.flush()

    def read(self, key: str, limit: int) -> bytes:
        with self._reading(key) as source, _translated(key):
            return source.read(limit)

    def size(self, key: str) -> int:
        with self._reading(key) as source:
            return os.fstat(source.fileno()).st_size

    def listing(self) -> Iterator[Listed]:
        for file in files_below(self.folder):
            with suppress(FileNotFoundError):  # deleted this moment
                found = file.stat()
                modified = datetime.fromtimestamp(found.st_mtime, UTC)
                yield Listed(os.path.relpath(file, self.folder), found.st_size, modified)

    def address(self, key: str) -> str:
        return str(self._path(key))

    def delete(self, key: str) -> None:
        with _translated(key):
            self._path(key).unlink(missing_ok=True)

    def delete_prefix(self, prefix: str) -> int:
        prefix = folder_prefix(prefix)
        folder = self._path(prefix.rstrip("/"))
        with _translated(prefix):
            count = sum(path.is_file() for path in folder.rglob("*"))
            for doomed in (folder, *self._begun(prefix)):
                if doomed.is_dir():
                    shutil.rmtree(doomed)
            return count

    def download_url(self, key: str, *, filename: str, content_type: str, lifetime: timedelta) -> str:
        link = {
            "bucket": self.bucket,
            "key": check_key(key),
            "filename": filename,
            "content_type": content_type,
            "expires": time.time() + lifetime.total_seconds(),
        }
        return reverse("object_link", args=[signing.dumps(link, salt=LINK_SALT, compress=True)])

    def begin_upload(self, key: str) -> str:
        with _translated(key, missing=StorageUnavailable):
            return self._begin(key)

    def part_url(self, *_: object) -> None:
        return None

    def write_part(  # noqa: PLR0913, PLR0917
        self, key: str, token: str, number: int, size: int, offset: int, stream: Readable
    ) -> None:
        folder = self._upload(key, token)
        with _translated(key, missing=UploadGone), (folder / "data").open("r+b") as data:
            # shared with other parts, not with finish_upload: no late writer may reach the finished object
            fcntl.flock(data, fcntl.LOCK_SH | fcntl.LOCK_NB)
            (folder / "data").stat()
            for marker in folder.glob(f"{number}.*"):
                marker.unlink(missing_ok=True)
            data.seek(offset)
            _copy_exactly(stream, data, size)
            data.flush()
            os.fsync(data.fileno())
            (folder / f"{number}.{size}").touch()

    def received_parts(self, key: str, token: str) -> dict[int, int]:
        folder = self._upload(key, token)
        with _translated(key, missing=UploadGone):
            markers = [path.name.split(".") for path in folder.glob("*.*")]
        return {int(number): int(size) for number, size in markers}

    def finish_upload(self, key: str, token: str, total_size: int) -> None:
        try:
            self._finish(key, token, total_size)
        except UploadGone:
            with _translated(key, missing=UploadGone):
                if self._path(key).stat().st_size != total_size:
                    raise
        self.abort_upload(key, token)

    def abort_upload(self, key: str, token: str) -> None:
        try:
            shutil.rmtree(self._upload(key, token), ignore_errors=True)
        except UploadGone:
            return

    def _open(self, name: str, mode: str = "rb") -> "File[bytes]":
        if mode != "rb":
            raise ValueError("Objects are opened for reading only; put_file writes them.")
        return File(self._reading(name))

    def _reading(self, key: str) -> BinaryIO:
        with _translated(key):
            return self._path(key).open("rb")

    @contextmanager
    def _writing(self, key: str) -> Iterator[BinaryIO]:
        """A file that becomes the object at the end, unless something was raised."""
        target = self._path(key)
        with _translated(key, missing=StorageUnavailable):
            folder = self.unfinished / self._begin(key)
            try:
                with (folder / "data").open("wb") as copy:
                    yield copy
                    copy.flush()
                    os.fsync(copy.fileno())
                publish(folder / "data", target)
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def _path(self, key: str) -> Path:
        path = self.folder / check_key(key)
        if not path.resolve().is_relative_to(self.folder.resolve()):  # a symbolic link that leads out
            raise InvalidKey(f"Not an object key: {key!r}")
        return path

    def _begin(self, key: str) -> str:
        token = uuid.uuid4().hex
        folder = self.unfinished / token
        make_private(folder)
        (folder / "key").write_text(check_key(key))
        (folder / "data").touch()
        return token

    def _upload(self, key: str, token: str) -> Path:
        """The folder of an upload that goes on, or UploadGone."""
        if len(token) != 32 or not token.isalnum():
            raise UploadGone(key)
        with _translated(key, missing=UploadGone):
            if (self.unfinished / token / "key").read_text() != check_key(key):
                raise UploadGone(key)
        return self.unfinished / token

    def _begun(self, prefix: str) -> Iterator[Path]:
        for path in self.unfinished.glob("*/key"):
            with suppress(FileNotFoundError):  # finished this moment
                if path.read_text().startswith(prefix):
                    yield path.parent

    def _finish(self, key: str, token: str, total_size: int) -> None:
        folder = self._upload(key, token)
        with _translated(key, missing=UploadGone), (folder / "data").open("rb") as data:
            fcntl.flock(data, fcntl.LOCK_EX | fcntl.LOCK_NB)
            size = (folder / "data").stat().st_size  # not fstat: somebody else may just have finished
            received = sum(self.received_parts(key, token).values())
            if not received == size == total_size > 0:
                raise PartMismatch(f"{key}: parts of {received} bytes instead of {total_size}")
            publish(folder / "data", self._path(key))


@contextmanager
def _translated(key: str, missing: type[ObjectError] = ObjectNotFound) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise missing(key) from error
    except OSError as error:
        raise StorageUnavailable(f"{key}: {error.strerror or error}") from error


def make_private(folder: Path) -> None:
    """`folder` and what is missing above it, for the owner alone (mkdir's own `parents` ignores the mode)."""
    for level in (*reversed(folder.parents), folder):
        if not level.exists():
            level.mkdir(mode=0o700, exist_ok=True)


def publish(temporary: Path, target: Path) -> None:
    """Move a whole file to its place, at once and for good, also over a power cut."""
    make_private(target.parent)
    temporary.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _copy_exactly(stream: Readable, target: BinaryIO, size: int) -> None:
    left = size
    while left and (block := _read(stream, min(_BLOCK, left))):
        target.write(block)
        left -= len(block)
    if left or _read(stream, 1):
        raise PartMismatch(f"{size - left} bytes instead of {size}" if left else f"more than {size} bytes")


def _read(stream: Readable, count: int) -> bytes:
    try:
        return stream.read(count)
    except OSError as error:  # Django's UnreadablePostError: the browser went away
        raise PartMismatch("the part broke off") from error
