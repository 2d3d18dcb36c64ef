"""A vault of the classic Amazon Glacier, for accounts that have one; AWS takes no new customers since 15 December 2025.

Glacier chooses the ids of archives; our name goes into the description. Tree hashes hold all along: of what is sent,
of what Glacier says that it got, and of what comes out.
"""

# ruff: noqa: TID251 (the home of boto3)

import json
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from gas.aws.s3 import error_code
from gas.aws.s3_vault import USUAL, expedited_extra
from gas.objects import Readable, TranslatedReads, check_key
from gas.spool import spooled
from gas.tree_hash import HashingReader
from gas.vaults import (
    TIERS,
    Archived,
    ArchiveNotFound,
    CapacityExceeded,
    IntegrityError,
    InventoryPending,
    RetrievalExpired,
    RetrievalPolicyExceeded,
    RetrievalState,
    Stored,
    Vault,
    VaultClosed,
    VaultError,
    VaultUnavailable,
    check_content,
)

SINGLE = 100 * 1000**2  # bytes; above that Glacier advises parts
PART = 32 * 1024**2  # bytes; a power of two MiB, doubled until there are few enough
MOST_PARTS = 10_000
DONE = {"Succeeded": "available", "InProgress": "in_progress", "Failed": "failed"}
ERRORS: dict[str, type[VaultError]] = {
    "InsufficientCapacityException": CapacityExceeded,
    "PolicyEnforcedException": RetrievalPolicyExceeded,
    "ResourceNotFoundException": ArchiveNotFound,
}


class GlacierVault(Vault):
    kind = "glacier"
    tiers = TIERS

    def __init__(self, vault_name: str, region_name: str) -> None:
        self.vault_name, self.region_name = vault_name, region_name

    @cached_property
    def client(self) -> Any:  # the stubs of Glacier are not worth a dependency
        return self._connect(attempts=4)

    @cached_property
    def _once(self) -> Any:
        """For what must not be repeated unasked after a lost answer: it would bill a second job or archive."""
        return self._connect(attempts=1)

    def typical_duration(self, tier: str, size: int) -> tuple[timedelta, timedelta]:
        shortest, longest = (timedelta(hours=hours) for hours in USUAL["GLACIER"][tier])
        extra = expedited_extra(size) if tier == "Expedited" else timedelta(0)
        return shortest + extra, longest + extra

    def archive_id(self, name: str) -> str:  # noqa: ARG002
        return ""

    def archive(self, stream: Readable, name: str, size: int, sha256: str = "") -> Archived:
        read = HashingReader(stream, tree=True)
        with _translated(check_key(name)):
            if size <= SINGLE:
                with spooled(read, size + 1) as file:
                    check_content(name, read, size, sha256)
                    answer = self._once.upload_archive(vaultName=self.vault_name, archiveDescription=name, body=file)
            else:
                answer = self._upload_parts(read, name, size, sha256)
        if answer["checksum"] != read.tree_hash:
            self.delete_archive(answer["archiveId"])
            raise VaultUnavailable(f"{name}: Glacier got other bytes, tree hash {answer['checksum']}; they are deleted")
        return Archived(answer["archiveId"], size, read.sha256, read.tree_hash)

    def verify(self, archive_id: str, archived: Archived) -> None:
        """Glacier tells nothing of an archive without a retrieval. That it said this tree hash itself was the proof."""
        if archive_id != archived.archive_id or len(archived.tree_hash) != 64:
            raise IntegrityError(f"{archive_id}: Glacier has never confirmed a tree hash of this archive")

    def initiate_retrieval(self, archive_id: str, tier: str, token: str) -> str:
        """Each call of Glacier's InitiateJob begins, and bills, one more job: we look for that of `token` first."""
        wanted = {"Type": "archive-retrieval", "ArchiveId": archive_id, "Tier": tier, "Description": token}
        with _translated(archive_id):
            for job in self._jobs():
                if (job.get("JobDescription"), job.get("ArchiveId")) == (token, archive_id):
                    return str(job["JobId"])
            return str(self._once.initiate_job(vaultName=self.vault_name, jobParameters=wanted)["jobId"])

    def describe_retrieval(self, archive_id: str, retrieval_id: str) -> RetrievalState:
        with _translated(archive_id, missing=RetrievalExpired):
            try:
                job = self.client.describe_job(vaultName=self.vault_name, jobId=retrieval_id)
            except ClientError as error:
                if error_code(error) == "ResourceNotFoundException" and not _no_vault(error):
                    return RetrievalState("expired", "")
                raise
        return RetrievalState(DONE[job["StatusCode"]], job.get("Tier") or "")  # type: ignore[arg-type]

    @contextmanager
    def open_retrieved(self, archive_id: str, retrieval_id: str) -> Iterator[Readable]:
        with _translated(archive_id, missing=RetrievalExpired):
            answer = self.client.get_job_output(vaultName=self.vault_name, jobId=retrieval_id)
        with closing(answer["body"]) as body:
            whole = CheckedOutput(body, answer.get("checksum") or "", archive_id)
            yield TranslatedReads(whole, lambda: _translated(archive_id))

    def delete_archive(self, archive_id: str) -> None:
        with suppress(ArchiveNotFound), _translated(archive_id):
            self.client.delete_archive(vaultName=self.vault_name, archiveId=archive_id)

    def inventory(self, job_id: str = "") -> Iterator[Stored]:
        with _translated(self.vault_name, missing=RetrievalExpired):
            if not job_id:
                wanted = {"Type": "inventory-retrieval", "Format": "JSON"}
                job_id = self._once.initiate_job(vaultName=self.vault_name, jobParameters=wanted)["jobId"]
                raise InventoryPending(job_id)
            if not self.client.describe_job(vaultName=self.vault_name, jobId=job_id)["Completed"]:
                raise InventoryPending(job_id)
            return self._lines(self.client.get_job_output(vaultName=self.vault_name, jobId=job_id)["body"])

    def _lines(self, body: Any) -> Iterator[Stored]:
        with closing(body):
            for line in archive_list(TranslatedReads(body, lambda: _translated(self.vault_name))):
                created = datetime.fromisoformat(line["CreationDate"])
                name, tree_hash = line["ArchiveDescription"], line["SHA256TreeHash"]
                yield Stored(line["ArchiveId"], name, line["Size"], tree_hash, created)

    def _connect(self, attempts: int) -> Any:
        connect: Any = boto3.session.Session().client
        config = Config(
            retries={"mode": "standard", "total_max_attempts": attempts}, connect_timeout=5, read_timeout=60
        )
        return connect("glacier", region_name=self.region_name, config=config)

    def _jobs(self) -> Iterator[dict[str, Any]]:
        """Retrievals that go on or can still be opened."""
        for page in self.client.get_paginator("list_jobs").paginate(vaultName=self.vault_name):
            yield from (job for job in page["JobList"] if job["StatusCode"] != "Failed")

    def _upload_parts(self, read: HashingReader, name: str, size: int, sha256: str) -> dict[str, Any]:
        part_size = PART
        while part_size * MOST_PARTS < size:
            part_size *= 2
        where = {"vaultName": self.vault_name}
        begin = self.client.initiate_multipart_upload
        where["uploadId"] = begin(**where, archiveDescription=name, partSize=str(part_size))["uploadId"]
        try:
            while True:
                begins = read.size
                with spooled(read, part_size) as file:
                    if read.size == begins:
                        break
                    self.client.upload_multipart_part(**where, range=f"bytes {begins}-{read.size - 1}/*", body=file)
            check_content(name, read, size, sha256)
            answer: dict[str, Any] = self._once.complete_multipart_upload(
                **where, archiveSize=str(size), checksum=read.tree_hash
            )
        except BaseException:
            with suppress(ClientError, BotoCoreError):  # Glacier forgets what is idle for a day
                self.client.abort_multipart_upload(**where)
            raise
        return answer


class CheckedOutput:
    """What comes out of Glacier: its end raises IntegrityError unless all had the tree hash that Glacier says."""

    def __init__(self, body: Readable, tree_hash: str, archive_id: str) -> None:
        self._read, self._tree_hash, self._archive_id = HashingReader(body, tree=True), tree_hash, archive_id

    def read(self, size: int, /) -> bytes:
        block = self._read.read(size)
        if size and not block and self._read.tree_hash != self._tree_hash:
            raise IntegrityError(
                f"{self._archive_id}: what came out has the tree hash {self._read.tree_hash}, not {self._tree_hash}"
            )
        return block


def archive_list(body: Readable) -> Iterator[dict[str, Any]]:
    """The items of an inventory, `{..., "ArchiveList": [{...}, ...]}`, without having all of it in memory.

    VaultUnavailable when it breaks off: what is missing from half an inventory is not missing.
    """
    item, text, begun = json.JSONDecoder(), "", False
    while block := body.read(1024**2):
        text += block.decode("ascii", "replace")
        at = 0
        if not begun and (found := re.search(r'"ArchiveList"\s*:\s*\[', text)):
            begun, at = True, found.end()
        while begun:
            while text[at : at + 1] in (",", " ", "\n"):
                at += 1
            try:
                archive, at = item.raw_decode(text, at)
            except ValueError:  # the rest of it is in the next block, or there is no more
                break
            yield archive
        text = text[at:]
    if not begun or not text.lstrip().startswith("]"):
        raise VaultUnavailable("The inventory broke off; ask for it again")


def _no_vault(error: ClientError) -> bool:
    return str(error.response.get("Error", {}).get("Message", "")).startswith("Vault not found")


@contextmanager
def _translated(archive_id: str, missing: type[VaultError] = ArchiveNotFound) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code, what = error_code(error), f"{archive_id}: {error}"
        if code == "NoLongerSupportedException":
            raise VaultClosed(
                f"AWS takes no archives of this account in Amazon Glacier vaults: set VAULT=s3 and S3_ARCHIVE_BUCKET ({error})"
            ) from error
        if _no_vault(error):
            raise VaultUnavailable(f"There is no such vault, see GLACIER_VAULT and AWS_REGION: {error}") from error
        wanted = missing if code == "ResourceNotFoundException" else ERRORS.get(code, VaultUnavailable)
        raise wanted(what) from error
    except (BotoCoreError, OSError) as error:
        raise VaultUnavailable(f"{archive_id}: {error}") from error
