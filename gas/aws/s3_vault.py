"""The vault that is a bucket of its own, whose objects lie in an archive class of S3 (Glacier Flexible Retrieval).

S3 checks the SHA-256 of what it is sent and tells it again without a retrieval: of the whole up to 64 MiB, above
that of the digests of the parts ("composite"), because it knows no SHA-256 of a whole that came in parts.
"""

# ruff: noqa: TID251 (the home of boto3)

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO

import boto3
from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, FlexibleChecksumError

from gas.aws.s3 import STORED_AS, addressing_style, client_config_for, error_code
from gas.objects import Readable, TranslatedReads, check_key
from gas.spool import spooled
from gas.tree_hash import HashingReader
from gas.vaults import (
    TIERS,
    Archived,
    ArchiveNotFound,
    CapacityExceeded,
    IntegrityError,
    RetrievalExpired,
    RetrievalState,
    Stored,
    Vault,
    VaultUnavailable,
    check_content,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.literals import StorageClassType, TierType
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, HeadObjectOutputTypeDef, ObjectIdentifierTypeDef

PART = 64 * 1024**2  # bytes, spooled to a file each; also the largest object that is sent in one piece
MOST_PARTS = 10_000
ARCHIVE_CLASSES = ("GLACIER", "DEEP_ARCHIVE")
# docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects-retrieval-options.html; hours
USUAL: dict[str, dict[str, tuple[float, float]]] = {
    "GLACIER": {"Expedited": (1 / 60, 5 / 60), "Standard": (3, 5), "Bulk": (5, 12)},
    "DEEP_ARCHIVE": {"Standard": (12, 12), "Bulk": (48, 48)},
}
# "Expedited: typically within 1-5 minutes" holds up to 250 MB; then it is at most this fast. MB/s
EXPEDITED_BYTES, EXPEDITED_SPEED = 250 * 1000**2, 300 * 1000**2


def expedited_extra(size: int) -> timedelta:
    """How much longer than minutes an Expedited retrieval of `size` bytes takes."""
    return timedelta(seconds=max(0, size - EXPEDITED_BYTES) / EXPEDITED_SPEED)


class S3Vault(Vault):
    """The id of an archive is its name, the object's key. A retrieval's id is `<tier>:<token>`: S3 has none."""

    kind = "s3"

    def __init__(
        self, bucket_name: str, region_name: str, storage_class: "StorageClassType" = "GLACIER", restore_days: int = 1
    ) -> None:
        self.bucket_name, self.region_name = bucket_name, region_name
        self.storage_class, self.restore_days = storage_class, restore_days
        self.tiers = tuple(tier for tier in TIERS if tier in USUAL[storage_class])

    @cached_property
    def client(self) -> "S3Client":
        return self._connect(client_config_for(addressing_style(self.bucket_name)))

    @cached_property
    def _restoring(self) -> "S3Client":
        """Asks once: that S3 has no capacity (503) is an answer, no reason to ask four times."""
        config = client_config_for(addressing_style(self.bucket_name))
        return self._connect(config.merge(Config(retries={"mode": "standard", "total_max_attempts": 1})))

    def typical_duration(self, tier: str, size: int) -> tuple[timedelta, timedelta]:
        shortest, longest = (timedelta(hours=hours) for hours in USUAL[self.storage_class][tier])
        extra = expedited_extra(size) if tier == "Expedited" else timedelta(0)
        return shortest + extra, longest + extra

    def archive_id(self, name: str) -> str:
        return check_key(name)

    def archive(self, stream: Readable, name: str, size: int, sha256: str = "") -> Archived:
        read = HashingReader(stream)
        with _translated(check_key(name)):
            if size <= PART:
                with spooled(read, size + 1) as file:
                    check_content(name, read, size, sha256)
                    self._put(name, file, read.sha256)
                return Archived(name, size, read.sha256)
            return self._put_parts(read, name, size, sha256)

    def verify(self, archive_id: str, archived: Archived) -> None:
        head = self._head(archive_id)
        found = (head["ContentLength"], head.get("ChecksumSHA256"), head.get("StorageClass") in ARCHIVE_CLASSES)
        if found != (archived.size, archived.tree_hash or _base64(bytes.fromhex(archived.sha256)), True):
            raise IntegrityError(
                f"{archive_id}: S3 has {found[0]} bytes of class {head.get('StorageClass', 'STANDARD')} with SHA-256 "
                f"{found[1]} instead of {archived.size} with {archived.tree_hash or archived.sha256}"
            )

    def initiate_retrieval(self, archive_id: str, tier: str, token: str) -> str:
        wanted: TierType = tier  # type: ignore[assignment]
        with _translated(archive_id):
            try:
                self._restoring.restore_object(
                    Bucket=self.bucket_name,
                    Key=check_key(archive_id),
                    RestoreRequest={"Days": self.restore_days, "GlacierJobParameters": {"Tier": wanted}},
                )
            except ClientError as error:
                # what goes on, or needs no retrieval, is what was asked for
                code = error_code(error)
                if code in {"GlacierExpeditedRetrievalNotAvailable", "InvalidArgument"}:  # the class has no such tier
                    raise CapacityExceeded(f"{archive_id}: {error}") from error
                if code not in {"RestoreAlreadyInProgress", "ObjectAlreadyInActiveTierError"}:
                    raise
        return f"{tier}:{token}"

    def describe_retrieval(self, archive_id: str, retrieval_id: str) -> RetrievalState:
        head = self._head(archive_id)
        tier = retrieval_id.partition(":")[0]
        if head.get("StorageClass") not in ARCHIVE_CLASSES:
            return RetrievalState("available", tier)
        restore = head.get("Restore")
        if not restore:
            return RetrievalState("expired", tier)
        return RetrievalState("in_progress" if 'ongoing-request="true"' in restore else "available", tier)

    @contextmanager
    def open_retrieved(self, archive_id: str, retrieval_id: str) -> Iterator[Readable]:
        with _translated(archive_id):
            try:
                answer = self.client.get_object(
                    Bucket=self.bucket_name, Key=check_key(archive_id), ChecksumMode="ENABLED"
                )
            except ClientError as error:
                if error_code(error) != "InvalidObjectState":
                    raise
                if self.describe_retrieval(archive_id, retrieval_id).status == "in_progress":
                    raise VaultUnavailable(f"{archive_id} is not retrieved yet") from error
                raise RetrievalExpired(f"{archive_id}: S3 has no retrieved copy, or no longer") from error
        with closing(answer["Body"]) as body:
            yield TranslatedReads(body, lambda: _translated(archive_id))

    def delete_archive(self, archive_id: str) -> None:
        """With all versions: the bucket may keep them."""
        with _translated(check_key(archive_id)):
            for upload in self._uploads(archive_id):
                self._abort(archive_id, upload)
            versions = self.client.get_paginator("list_object_versions")
            for page in versions.paginate(Bucket=self.bucket_name, Prefix=archive_id):
                found = (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
                self._delete_all(
                    [
                        {"Key": version["Key"], "VersionId": version["VersionId"]}
                        for version in found
                        if version["Key"] == archive_id  # others may begin with it
                    ]
                )

    def inventory(self, job_id: str = "") -> Iterator[Stored]:  # noqa: ARG002
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket_name)
        with _translated(self.bucket_name):
            for page in pages:
                for found in page.get("Contents", ()):
                    yield Stored(found["Key"], found["Key"], found["Size"], "", found["LastModified"])

    def _connect(self, config: Config) -> "S3Client":
        return boto3.session.Session().client("s3", region_name=self.region_name, config=config)

    def _head(self, archive_id: str) -> "HeadObjectOutputTypeDef":
        with _translated(archive_id):
            try:
                return self.client.head_object(
                    Bucket=self.bucket_name, Key=check_key(archive_id), ChecksumMode="ENABLED"
                )
            except ClientError as error:
                if error_code(error) == "404" and not self._has_bucket():  # HEAD has no room to say which is missing
                    raise VaultUnavailable(f"There is no bucket {self.bucket_name}: see S3_ARCHIVE_BUCKET") from error
                raise

    def _has_bucket(self) -> bool:
        try:
            self.client.head_bucket(Bucket=self.bucket_name)
        except ClientError as error:
            return error_code(error) != "404"
        return True

    def _put(self, key: str, file: BinaryIO, sha256: str) -> None:
        self.client.put_object(
            Bucket=self.bucket_name,
            Key=key,
            Body=file,
            ChecksumSHA256=_base64(bytes.fromhex(sha256)),
            StorageClass=self.storage_class,
            ContentType=STORED_AS["ContentType"],
            ServerSideEncryption="AES256",
        )

    def _put_parts(self, read: HashingReader, key: str, size: int, sha256: str) -> Archived:
        upload = self.client.create_multipart_upload(
            Bucket=self.bucket_name,
            Key=key,
            ChecksumAlgorithm="SHA256",
            ChecksumType="COMPOSITE",
            StorageClass=self.storage_class,
            ContentType=STORED_AS["ContentType"],
            ServerSideEncryption="AES256",
        )["UploadId"]
        try:
            parts = self._send_parts(read, key, upload, max(PART, -(-size // MOST_PARTS)))
            check_content(key, read, size, sha256)
            digests = b"".join(digest for digest, _ in parts)
            composite = f"{_base64(hashlib.sha256(digests).digest())}-{len(parts)}"
            archived = Archived(key, size, read.sha256, composite)
            self._complete(upload, archived, [part for _, part in parts])
        except BaseException:
            with suppress(ClientError, BotoCoreError):  # the first error is the one to tell; delete_archive tidies up
                self._abort(key, upload)
            raise
        return archived

    def _send_parts(
        self, read: HashingReader, key: str, upload: str, part_size: int
    ) -> "list[tuple[bytes, CompletedPartTypeDef]]":
        """The SHA-256 of every part, and what completing wants to know of it."""
        sent: list[tuple[bytes, CompletedPartTypeDef]] = []
        while True:
            part = HashingReader(read)
            with spooled(part, part_size) as file:
                if not part.size:
                    return sent
                digest = bytes.fromhex(part.sha256)
                number, checksum = len(sent) + 1, _base64(digest)
                answer = self.client.upload_part(
                    Bucket=self.bucket_name,
                    Key=key,
                    UploadId=upload,
                    PartNumber=number,
                    Body=file,
                    ChecksumSHA256=checksum,
                )
                sent.append((digest, {"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": checksum}))

    def _complete(self, upload: str, archived: Archived, parts: "list[CompletedPartTypeDef]") -> None:
        try:
            self.client.complete_multipart_upload(
                Bucket=self.bucket_name, Key=archived.archive_id, UploadId=upload, MultipartUpload={"Parts": parts}
            )
        except ClientError as error:
            if error_code(error) != "NoSuchUpload":
                raise
            try:  # was it completed, and the answer lost?
                self.verify(archived.archive_id, archived)
            except (ArchiveNotFound, IntegrityError) as missing:
                raise VaultUnavailable(f"{archived.archive_id}: S3 lost the upload: {error}") from missing

    def _uploads(self, key: str) -> Iterator[str]:
        """Unfinished ones of exactly this key."""
        pages = self.client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket_name, Prefix=key)
        for page in pages:
            yield from (upload["UploadId"] for upload in page.get("Uploads", ()) if upload["Key"] == key)

    def _abort(self, key: str, upload: str) -> None:
        try:
            self.client.abort_multipart_upload(Bucket=self.bucket_name, Key=key, UploadId=upload)
        except ClientError as error:
            if error_code(error) != "NoSuchUpload":
                raise

    def _delete_all(self, versions: "list[ObjectIdentifierTypeDef]") -> None:
        if versions:
            answer = self.client.delete_objects(Bucket=self.bucket_name, Delete={"Objects": versions, "Quiet": True})
            if answer.get("Errors"):
                raise VaultUnavailable(f"not deleted: {answer['Errors'][0]}")


def _base64(digest: bytes) -> str:
    return b64encode(digest).decode()


@contextmanager
def _translated(archive_id: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = error_code(error)
        if code in {"NoSuchKey", "404"}:
            raise ArchiveNotFound(archive_id) from error
        raise VaultUnavailable(f"{archive_id}: {error}") from error
    except FlexibleChecksumError as error:
        raise IntegrityError(f"{archive_id}: {error}") from error
    except (BotoCoreError, Boto3Error, OSError) as error:
        raise VaultUnavailable(f"{archive_id}: {error}") from error
