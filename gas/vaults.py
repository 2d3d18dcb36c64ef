"""Vaults: where results of Free users lie until they are asked for again, which may take hours. VAULTS says what there is.

`vault(kind)` is one of three: `LocalVault`, a folder that only pretends to be slow, is the embedded default,
`gas.aws.s3_vault.S3Vault` production, `gas.aws.glacier.GlacierVault` for accounts that still have a vault of the
classic service. Each archive's row says which one has it. Everything is streamed.
"""

import json
import os
import shutil
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from gas.objects import Readable, check_key, files_below, make_private, publish
from gas.tree_hash import HashingReader

TIERS = ("Expedited", "Standard", "Bulk")  # the names of S3 and of Glacier, the fastest first
RETRIEVAL_LIFETIME = timedelta(hours=24)  # as with Glacier
BLOCK = 1024**2  # bytes


class VaultError(Exception):
    """Anything that a vault raises on purpose; nothing of the vendor's leaks."""


class CapacityExceeded(VaultError):
    """No room for another retrieval of this tier just now; a slower tier has some."""


class RetrievalPolicyExceeded(VaultError):
    """The account's own limit on retrievals says no to this tier."""


class ArchiveNotFound(VaultError):
    pass


class RetrievalExpired(VaultError):
    """What was retrieved is no longer there, or was never asked for: begin another retrieval."""


class IntegrityError(VaultError):
    """The bytes are not those that they should be."""


class VaultClosed(VaultError):
    """AWS takes no archives of this account: the vaults of Amazon Glacier are closed to new customers."""


class VaultUnavailable(VaultError):
    """Try again later: the vault does not answer, is not done yet, or refuses us for a reason that an operator mends."""


class InventoryPending(VaultUnavailable):
    """The vault is making its inventory, for hours; ask again with `inventory(job_id)`."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"The inventory is not ready yet; ask again for job {job_id}")
        self.job_id = job_id


@dataclass(frozen=True)
class Archived:
    """What was archived; its digests are hexadecimal."""

    archive_id: str
    size: int  # bytes
    sha256: str
    # What the vault itself can be asked for, at most 64 characters: Glacier's tree hash, S3's composite SHA-256
    # ("<base64>-<number of parts>"), or empty where the vault knows the SHA-256 of the whole.
    tree_hash: str = ""


@dataclass(frozen=True)
class RetrievalState:
    status: Literal["in_progress", "available", "expired", "failed"]
    tier: str


@dataclass(frozen=True)
class Stored:
    """A line of the inventory."""

    archive_id: str
    name: str
    size: int  # bytes
    checksum: str  # as `Archived.tree_hash`; empty where listing does not tell
    created: datetime


class Vault(ABC):
    """One vault. Every method raises VaultUnavailable too."""

    kind: str
    tiers: tuple[str, ...]  # what this vault has of TIERS

    @abstractmethod
    def typical_duration(self, tier: str, size: int) -> tuple[timedelta, timedelta]:
        """How long a retrieval of `size` bytes usually takes: (shortest, longest); equal where only the latter is known."""

    @abstractmethod
    def archive_id(self, name: str) -> str:
        """The id that `archive` will give to `name`, or "" where the vault chooses it."""

    @abstractmethod
    def archive(self, stream: Readable, name: str, size: int, sha256: str = "") -> Archived:
        """Archive the `size` bytes of `stream`; doing it again is fine. IntegrityError when they are others, VaultClosed.

        `name` is a key as in `gas.objects`, that no two archives share. Where the vault chooses the ids, a second
        call makes a second archive, which the inventory shows under the same name. What `stream` raises comes out.
        """

    @abstractmethod
    def verify(self, archive_id: str, archived: Archived) -> None:
        """Look, without retrieving it, whether the archive is what `archive` said. IntegrityError, ArchiveNotFound."""

    @abstractmethod
    def initiate_retrieval(self, archive_id: str, tier: str, token: str) -> str:
        """Begin a retrieval; returns its id. CapacityExceeded, RetrievalPolicyExceeded, ArchiveNotFound.

        `token`, letters, digits, `-` and `_`, is the caller's name for it: asked again with the same one, after a
        crash or a lost answer, the vault goes on with the retrieval that it had begun.
        """

    @abstractmethod
    def describe_retrieval(self, archive_id: str, retrieval_id: str) -> RetrievalState:
        """ArchiveNotFound."""

    @abstractmethod
    def open_retrieved(self, archive_id: str, retrieval_id: str) -> AbstractContextManager[Readable]:
        """The retrieved bytes. RetrievalExpired, ArchiveNotFound; VaultUnavailable before they are there.

        Reading raises IntegrityError at the end, where the vault's own digest shows that they are wrong.
        """

    @abstractmethod
    def delete_archive(self, archive_id: str) -> None:
        """Delete all that there is of it, unfinished or older; no error when there is nothing."""

    @abstractmethod
    def inventory(self, job_id: str = "") -> Iterable[Stored]:
        """What the vault says that it has. InventoryPending: call again with its job_id, in some hours."""


def vault(kind: str) -> Vault:
    """The vault of this kind ("local", "s3", "glacier"), made at its first use."""
    try:
        wanted = settings.VAULTS[kind]
    except KeyError:
        raise ImproperlyConfigured(
            f"There are archives in vault {kind!r}, but its setting is missing: S3_ARCHIVE_BUCKET for s3, "
            "GLACIER_VAULT for glacier."
        ) from None
    return _made(wanted["BACKEND"], **wanted.get("OPTIONS", {}))


@cache
def _made(backend: str, **options: Any) -> Vault:
    made = import_string(backend)(**options)
    assert isinstance(made, Vault), f"{backend} is no vault"
    return made


def check_content(name: str, read: HashingReader, size: int, sha256: str) -> None:
    """IntegrityError unless `read` has seen exactly `size` bytes with this digest ("": not known)."""
    if read.size != size:
        raise IntegrityError(f"{name}: {read.size} bytes instead of {size}; nothing was archived")
    if sha256 and read.sha256 != sha256:
        raise IntegrityError(f"{name}: SHA-256 {read.sha256} instead of {sha256}; nothing was archived")


class LocalVault(Vault):
    """Archives as read-only files below VAR_DIR/vault/archives/; a retrieval only waits until its time has come.

    A retrieval is a small file, retrievals/<archive>/<token>. `delays` are seconds for each tier (default:
    LOCAL_VAULT_DELAYS); what was retrieved can be opened for `lifetime`.
    """

    kind = "local"
    tiers = TIERS

    def __init__(self, delays: Mapping[str, float] | None = None, lifetime: timedelta = RETRIEVAL_LIFETIME) -> None:
        self._delays = delays
        self._lifetime = lifetime.total_seconds()

    @property
    def folder(self) -> Path:
        return Path(settings.VAR_DIR) / "vault"

    def typical_duration(self, tier: str, size: int) -> tuple[timedelta, timedelta]:  # noqa: ARG002
        delay = timedelta(seconds=self._delay(tier))
        return delay, delay

    def archive_id(self, name: str) -> str:
        return check_key(name)

    def archive(self, stream: Readable, name: str, size: int, sha256: str = "") -> Archived:
        unfinished = self._path(name, "unfinished") / uuid.uuid4().hex
        with HashingReader(stream) as read, _translated(name, missing=VaultUnavailable):
            make_private(unfinished.parent)
            try:
                with unfinished.open("wb") as copy:
                    while block := read.read(BLOCK):
                        copy.write(block)
                    check_content(name, read, size, sha256)
                    copy.flush()
                    os.fchmod(copy.fileno(), 0o400)
                    os.fsync(copy.fileno())
                publish(unfinished, self._path(name))
                shutil.rmtree(unfinished.parent, ignore_errors=True)  # and what a killed process left there
            finally:
                unfinished.unlink(missing_ok=True)
                self._prune(unfinished.parent)
        return Archived(name, read.size, read.sha256)

    def verify(self, archive_id: str, archived: Archived) -> None:
        with _translated(archive_id), self._path(archive_id).open("rb") as file, HashingReader(file) as read:
            while read.read(BLOCK):
                pass
        if (read.size, read.sha256) != (archived.size, archived.sha256):
            raise IntegrityError(
                f"{archive_id}: {read.size} bytes with SHA-256 {read.sha256} "
                f"instead of {archived.size} with {archived.sha256}"
            )

    def initiate_retrieval(self, archive_id: str, tier: str, token: str) -> str:
        self._check_exists(archive_id)
        path = self._retrieval(archive_id, token)
        due = time.time() + self._delay(tier)
        with _translated(archive_id, missing=VaultUnavailable):
            make_private(path.parent)
            if not path.exists():
                unfinished = path.with_name(f"{token}.{os.getpid()}.{time.monotonic_ns()}")
                unfinished.write_text(json.dumps({"tier": tier, "due": due}))
                with suppress(FileExistsError):  # somebody else was quicker: his it is
                    os.link(unfinished, path)
                unfinished.unlink()
        return token

    def describe_retrieval(self, archive_id: str, retrieval_id: str) -> RetrievalState:
        self._check_exists(archive_id)
        with _translated(archive_id, missing=RetrievalExpired):
            try:
                job = json.loads(self._retrieval(archive_id, retrieval_id).read_text())
            except FileNotFoundError:
                return RetrievalState("expired", "")
        age = time.time() - job["due"]
        return RetrievalState(
            "in_progress" if age < 0 else "available" if age < self._lifetime else "expired", job["tier"]
        )

    @contextmanager
    def open_retrieved(self, archive_id: str, retrieval_id: str) -> Iterator[Readable]:
        status = self.describe_retrieval(archive_id, retrieval_id).status
        if status == "in_progress":
            raise VaultUnavailable(f"{archive_id} is not retrieved yet")
        if status != "available":
            raise RetrievalExpired(f"{archive_id}: retrieval {retrieval_id} has expired")
        with _translated(archive_id):
            file = self._path(archive_id).open("rb")
        with file:
            yield file

    def delete_archive(self, archive_id: str) -> None:
        path = self._path(archive_id)
        with _translated(archive_id, missing=VaultUnavailable):
            path.unlink(missing_ok=True)
            self._prune(path.parent)
            for below in ("retrievals", "unfinished"):
                if (folder := self._path(archive_id, below)).is_dir():
                    shutil.rmtree(folder)
                self._prune(folder.parent)

    def inventory(self, job_id: str = "") -> Iterator[Stored]:  # noqa: ARG002
        folder = self.folder / "archives"
        for file in files_below(folder):
            with suppress(FileNotFoundError):  # deleted this moment
                found, name = file.stat(), os.path.relpath(file, folder)
                yield Stored(name, name, found.st_size, "", datetime.fromtimestamp(found.st_mtime, UTC))

    def _delay(self, tier: str) -> float:
        delays = settings.LOCAL_VAULT_DELAYS if self._delays is None else self._delays
        return float(delays[tier])

    def _path(self, archive_id: str, below: str = "archives") -> Path:
        return self.folder / below / check_key(archive_id)

    def _retrieval(self, archive_id: str, token: str) -> Path:
        if not token.replace("-", "").replace("_", "").isalnum():
            raise ValueError(f"Not a name for a retrieval: {token!r}")
        return self._path(archive_id, "retrievals") / token

    def _prune(self, folder: Path) -> None:
        """Remove `folder` and those above it that are empty: their names are those of people and jobs."""
        while folder != self.folder:
            try:
                folder.rmdir()
            except FileNotFoundError:
                pass
            except OSError:
                return
            folder = folder.parent

    def _check_exists(self, archive_id: str) -> None:
        if not self._path(archive_id).is_file():
            raise ArchiveNotFound(archive_id)


@contextmanager
def _translated(archive_id: str, missing: type[VaultError] = ArchiveNotFound) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise missing(archive_id) from error
    except OSError as error:
        raise VaultUnavailable(f"{archive_id}: {error.strerror or error}") from error
