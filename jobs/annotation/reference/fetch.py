"""Fetches one file over https or http, or from a file: URL, however often the connection breaks.

The bytes grow in `<path>.part`, with `<path>.part.json` beside it saying which version of which file they are of.
A later attempt asks for the rest only (Range), on condition that the file is still that version (If-Range, RFC 9110
section 13.1.5), and begins anew when it is not. What came whole is renamed to `path`, and `<path>.json` records its
URL, size, SHA-256 and date.
"""

import http.client
import json
import os
import re
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, BinaryIO, Protocol, cast
from urllib.parse import urlsplit
from urllib.response import addinfourl

from jobs.annotation.errors import AnnotationError, from_os_error

from .digest import sha256_of

FAILED = "reference_missing"  # the code of every failure that is not the disk's
CHUNK = 1 << 20  # bytes
TIMEOUT = 60  # seconds without one byte
WAITS = (1.0, 4.0, 15.0, 60.0)  # seconds before each further attempt; the count begins anew when bytes have come
LONGEST_WAIT = 120.0  # seconds that a server's Retry-After may ask for
BUSY = {408, 425, 429, 500, 502, 503, 504}  # HTTP statuses that pass

Progress = Callable[[int, int], None]  # bytes that are here, bytes of the whole file


class _Body(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class Fetched:
    """What is known of a fetched file; `version` is the server's ETag or Last-Modified, empty without one."""

    url: str
    size: int  # bytes
    sha256: str
    version: str
    modified: str  # Last-Modified as the server wrote it
    fetched: str  # date and time in UTC, ISO 8601


class _Broken(Exception):
    """This attempt failed and another may not; `wait` is how many seconds the server asked for."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass
class _State:
    """Which file the bytes in `.part` belong to; `length` is that of the whole, `validator` goes into If-Range."""

    url: str
    length: int
    validator: str = ""
    modified: str = ""


def download(
    url: str,
    path: Path,
    sha256: str | None = None,
    progress: Progress | None = None,
    *,
    waits: Sequence[float] = WAITS,
) -> Fetched:
    """Brings the file at `url` to `path`, unless it is there already and its recorded checksum still holds.

    `sha256`, where given, is what the file must have; otherwise the one that it came with is recorded. Raises
    AnnotationError: `disk_full` or `output_unwritable` for the disk, else `reference_missing` with what the server did.
    """
    _require_known_scheme(url)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        present = _present(url, path, sha256)
        return present or _Transfer(url, path, sha256, progress).run(waits)
    except OSError as error:
        raise from_os_error(error, str(path)) from error


def recorded(path: Path) -> Fetched | None:
    """What `<path>.json` says of the file, None when there is no such record or it cannot be read."""
    try:
        return Fetched(**json.loads(_beside(path, ".json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _require_known_scheme(url: str) -> None:
    if urlsplit(url).scheme not in ("https", "http", "file"):
        raise AnnotationError(FAILED, f"{url} cannot be fetched: the address must begin with https:, http: or file:.")


def _present(url: str, path: Path, sha256: str | None) -> Fetched | None:
    """The record of the file at `path` if that is the file asked for, whole and unchanged."""
    known = recorded(path)
    if known is None or known.url != url or not path.is_file() or path.stat().st_size != known.size:
        return None
    return known if known.sha256 == (sha256 or known.sha256).lower() == sha256_of(path) else None


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


class _Transfer:
    """The fetching of one file, over as many attempts as it takes."""

    def __init__(self, url: str, path: Path, sha256: str | None, progress: Progress | None) -> None:
        self.url = url
        self.path = path
        self.sha256 = sha256.lower() if sha256 else None
        self.progress = progress or (lambda _done, _total: None)
        self.part = _beside(path, ".part")
        self.state_file = _beside(path, ".part.json")

    def run(self, waits: Sequence[float]) -> Fetched:
        failures = 0
        while True:
            before = self._here()
            try:
                return self._attempt()
            except _Broken as broken:
                failures = 1 if self._here() > before else failures + 1
                if failures > len(waits):
                    raise self._given_up(broken, failures) from broken
                time.sleep(max(waits[failures - 1], min(broken.wait, LONGEST_WAIT)))

    def _given_up(self, broken: _Broken, attempts: int) -> AnnotationError:
        kept = self._here()
        rest = f" {kept} bytes of it are here, and the next run goes on from there." if kept else ""
        times = "once" if attempts == 1 else f"{attempts} times"
        return AnnotationError(
            FAILED, f"{self.url} could not be fetched: {broken}.", f"It was tried {times} in a row.{rest}"
        )

    def _attempt(self) -> Fetched:
        state = self._resumable()
        at = self._here() if state else 0
        if state is None or at < state.length:
            state = self._receive(at, state)
        return self._finish(state, resumed=at > 0)

    def _here(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _resumable(self) -> _State | None:
        """The state of `.part` if it can be continued. Without a validator of the server only a given SHA-256 can
        tell, at the end, that the two pieces are of one file."""
        try:
            state = _State(**json.loads(self.state_file.read_text()))
            usable = state.url == self.url and bool(state.validator or self.sha256) and self._here() <= state.length
        except (OSError, ValueError, TypeError):
            return None
        return state if usable else None

    def _discard(self) -> None:
        self.part.unlink(missing_ok=True)
        self.state_file.unlink(missing_ok=True)

    def _receive(self, at: int, state: _State | None) -> _State:
        """Appends to `.part` what the server sends, or begins it anew when the server sends the whole."""
        with self._open(at, state) as response:
            if response.status == 206:
                assert state is not None
                self._require_rest_of(state, at, response)
            else:
                at, state = 0, self._begin(response)
            _require_space(self.part, state.length - at)
            with self.part.open("r+b" if self.part.exists() else "wb") as file:
                file.truncate(at)
                file.seek(at)
                self._copy(response, file, at, state.length)
        return state

    def _open(self, at: int, state: _State | None) -> "_Response":
        if urlsplit(self.url).scheme == "file":
            return _open_file(self.url)
        request = urllib.request.Request(self.url)  # noqa: S310 - the scheme was checked
        request.add_header("User-Agent", "gas-annotation-reference/1")
        request.add_header("Accept-Encoding", "identity")
        if at and state:
            request.add_header("Range", f"bytes={at}-")
            if state.validator:
                request.add_header("If-Range", state.validator)
        return self._ask(request)

    def _ask(self, request: urllib.request.Request) -> "_Response":
        try:
            response = cast(addinfourl, _OPENER.open(request, timeout=TIMEOUT))
        except urllib.error.HTTPError as error:
            error.close()
            raise self._refused(error) from error
        except urllib.error.URLError as error:
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                raise AnnotationError(
                    FAILED, f"{self.url} was not fetched: the server's certificate is not trusted ({error.reason})."
                ) from error
            raise _Broken(_why(error.reason)) from error
        except (OSError, http.client.HTTPException) as error:
            raise _Broken(_why(error)) from error
        return _Response(response, response.status or 0, {k.lower(): v for k, v in response.headers.items()})

    def _refused(self, error: urllib.error.HTTPError) -> Exception:
        answer = f"the server answered {error.code} {_printable(str(error.reason))}".rstrip()
        if error.code == 416:  # what is here is longer than what the server has
            self._discard()
            return _Broken(answer)
        if error.code in BUSY:
            asked = error.headers.get("Retry-After", "")
            return _Broken(answer, float(asked) if asked.isascii() and asked.isdigit() else 0.0)
        hint = " The file may have been moved or withdrawn." if error.code in (404, 410) else ""
        return AnnotationError(FAILED, f"{self.url} could not be fetched: {answer}.{hint}")

    def _require_rest_of(self, state: _State, at: int, response: "_Response") -> None:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("content-range", ""))
        if not found or int(found[1]) != at or found[2] not in ("*", str(state.length)):
            self._discard()
            raise _Broken("the server sent another range of bytes than the one asked for")

    def _begin(self, response: "_Response") -> _State:
        headers = response.headers
        length = headers.get("content-length", "")
        if not length.isdigit():
            raise AnnotationError(
                FAILED,
                f"{self.url} was not fetched: the server does not say how long the file is, so that a part of it "
                "could be taken for the whole.",
            )
        modified = headers.get("last-modified", "")
        etag = headers.get("etag", "")
        state = _State(
            url=self.url,
            length=int(length),
            validator=etag if etag.startswith('"') else modified,  # a weak ETag (W/) is not allowed in If-Range
            modified=modified,
        )
        self._discard()
        _write_json(self.state_file, asdict(state))
        return state

    def _copy(self, response: "_Response", file: BinaryIO, at: int, length: int) -> None:
        self.progress(at, length)
        while at < length:
            try:
                chunk = response.body.read(min(CHUNK, length - at))
            except (OSError, http.client.HTTPException) as error:
                raise _Broken(_why(error)) from error
            if not chunk:
                raise _Broken(f"the connection ended after {at} of {length} bytes")
            file.write(chunk)
            at += len(chunk)
            self.progress(at, length)
        file.flush()
        os.fsync(file.fileno())

    def _finish(self, state: _State, *, resumed: bool) -> Fetched:
        found = sha256_of(self.part)
        if self.sha256 and found != self.sha256:
            self._discard()
            if resumed:  # perhaps pieces of two versions: the whole is worth one more attempt
                raise _Broken("its checksum was wrong after it had been continued")
            raise AnnotationError(
                FAILED,
                f"{self.url} is not the file that was expected: its SHA-256 is {found} instead of {self.sha256}.",
                "It was discarded. Either the file was replaced at its source, or it was changed on the way.",
            )
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        done = Fetched(self.url, state.length, found, state.validator, state.modified, now)
        _write_json(_beside(self.path, ".json"), asdict(done))  # first: a run that ends here is continued from .part
        self.part.replace(self.path)
        self.state_file.unlink(missing_ok=True)
        return done


@dataclass
class _Response:
    body: _Body
    status: int
    headers: dict[str, str]  # names in lower case

    def __enter__(self) -> "_Response":
        return self

    def __exit__(self, *_: object) -> None:
        cast(BinaryIO, self.body).close()


class _SafeRedirect(urllib.request.HTTPRedirectHandler):
    """Follows a server to another address, but never from https to something less."""

    def redirect_request(  # noqa: PLR0913, PLR0917 - as inherited
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        allowed = ("https",) if urlsplit(req.full_url).scheme == "https" else ("https", "http")
        if urlsplit(newurl).scheme not in allowed:
            raise AnnotationError(FAILED, f"{req.full_url} was not fetched: it leads to {newurl}, which is not secure.")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """https and http only: a redirection to ftp: or file: finds nobody to open it."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        _SafeRedirect(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


_OPENER = _opener()


def _open_file(url: str) -> _Response:
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise AnnotationError(FAILED, f"{url} cannot be fetched: a file: address is one of this computer.")
    source = Path(urllib.request.url2pathname(parts.path))
    try:
        body = source.open("rb")
        facts = source.stat()
    except OSError as error:
        raise AnnotationError(FAILED, f"{url} cannot be read: {error.strerror}.") from error
    etag = f'"{facts.st_mtime_ns:x}-{facts.st_size:x}"'
    return _Response(body, 200, {"content-length": str(facts.st_size), "etag": etag})


def _require_space(path: Path, size: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if size > free:
        raise AnnotationError(
            "disk_full", f"{path.parent} has {free} bytes free, and {path.stem} needs {size} more. Nothing was fetched."
        )


def _why(error: object) -> str:
    """The reason of a broken connection as part of a sentence."""
    if isinstance(error, TimeoutError):
        return "the server did not answer in time"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    text = _printable(text) or type(error).__name__
    return text[0].lower() + text[1:]


def _printable(text: str) -> str:
    """What a server said, on one line and of a length for a sentence."""
    return "".join(c for c in " ".join(text.split()) if c.isprintable())[:200].rstrip(".")


def _write_json(path: Path, facts: dict[str, object]) -> None:
    """Written beside and renamed, so that a reader finds all of it or nothing."""
    new = _beside(path, ".new")
    new.write_text(json.dumps(facts, indent=1) + "\n")
    new.replace(path)
