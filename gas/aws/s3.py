"""Objects on S3, with the interface of `gas.objects`.

boto3 itself reads AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL, for S3 emulators and S3-compatible stores.
"""

# ruff: noqa: TID251 (the home of boto3)

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.utils.deconstruct import deconstructible
from storages.backends.s3 import S3Storage  # type: ignore[import-untyped]

from gas.objects import (
    ExactReads,
    Listed,
    ObjectNotFound,
    ObjectStorage,
    PartMismatch,
    Readable,
    StorageUnavailable,
    TranslatedReads,
    UploadGone,
    attachment,
    check_key,
    folder_prefix,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, ObjectIdentifierTypeDef, PartTypeDef

# boto3's default of 10 threads holds ten parts of 8 MiB at a time
# and waits for a slow disk with up to 100 blocks of 256 KiB
TRANSFER = TransferConfig(
    max_concurrency=2, multipart_threshold=8 * 1024**2, multipart_chunksize=8 * 1024**2, max_io_queue=16
)
TRANSFER.max_in_memory_upload_chunks = 2  # of a stream; 10 is the default of that, too
# django-storages would guess a type from the name: .vcf is a business card to mimetypes
STORED_AS = {"ContentType": "application/octet-stream", "ServerSideEncryption": "AES256"}


@deconstructible
class S3ObjectStorage(ObjectStorage, S3Storage):  # type: ignore[misc]
    """A private bucket. Browsers use it only by links that the server signed."""

    bucket_name: str
    region_name: str
    client_config: Config

    def __init__(self, **options: Any) -> None:
        style = addressing_style(options["bucket_name"])
        super().__init__(**{"client_config": client_config_for(style), "transfer_config": TRANSFER, **options})

    @cached_property
    def client(self) -> "S3Client":
        """One for all threads; S3Storage's own `connection` would build one for each."""
        client: S3Client = self._create_session().client("s3", region_name=self.region_name, config=self.client_config)
        return client

    def browser_origin(self) -> str:
        """scheme://host[:port] of the links that browsers PUT to and GET from."""
        client: S3Client = self.unsigned_connection.meta.client
        url = urlsplit(client.generate_presigned_url("head_bucket", Params={"Bucket": self.bucket_name}))
        return f"{url.scheme}://{url.netloc}"

    def put_file(self, key: str, path: Path) -> None:
        with _translated(key):
            self.client.upload_file(str(path), self.bucket_name, check_key(key), ExtraArgs=STORED_AS, Config=TRANSFER)

    def fetch_file(self, key: str, path: Path) -> None:
        with _translated(key):
            self.client.download_file(self.bucket_name, check_key(key), str(path), Config=TRANSFER)

    def put_stream(self, key: str, stream: Readable, size: int) -> None:
        with _translated(key):
            source: Any = ExactReads(stream, size)  # boto3 wants no more of a file than to read it
            self.client.upload_fileobj(source, self.bucket_name, check_key(key), ExtraArgs=STORED_AS, Config=TRANSFER)

    @contextmanager
    def open_stream(self, key: str) -> Iterator[Readable]:
        with _translated(key):
            body = self.client.get_object(Bucket=self.bucket_name, Key=check_key(key))["Body"]
        with closing(body):
            yield TranslatedReads(body, lambda: _translated(key))

    def read(self, key: str, limit: int) -> bytes:
        wanted = f"bytes=0-{limit - 1}"
        with _translated(key):
            try:
                answer = self.client.get_object(Bucket=self.bucket_name, Key=check_key(key), Range=wanted)
            except ClientError as error:
                if error_code(error) == "InvalidRange":  # what S3 says of an empty object
                    return b""
                raise
            return answer["Body"].read()

    def size(self, key: str) -> int:
        with _translated(key):
            return self.client.head_object(Bucket=self.bucket_name, Key=check_key(key))["ContentLength"]

    def listing(self) -> Iterator[Listed]:
        with _translated(self.bucket_name):
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket_name):
                for found in page.get("Contents", ()):
                    yield Listed(found["Key"], found["Size"], found["LastModified"])

    def address(self, key: str) -> str:
        return f"s3://{self.bucket_name}/{check_key(key)}"

    def delete(self, key: str) -> None:
        with _translated(key):
            self.client.delete_object(Bucket=self.bucket_name, Key=check_key(key))

    def delete_prefix(self, prefix: str) -> int:
        prefix = folder_prefix(prefix)
        with _translated(prefix):
            for upload in self._uploads(prefix):
                self.abort_upload(*upload)
            return self._delete_versions(prefix)

    def download_url(self, key: str, *, filename: str, content_type: str, lifetime: timedelta) -> str:
        answer = {
            "ResponseContentDisposition": attachment(filename),
            "ResponseContentType": content_type,
            "ResponseCacheControl": "no-store",
        }
        return self._signed("get_object", lifetime, Key=check_key(key), **answer)

    def begin_upload(self, key: str) -> str:
        with _translated(key):
            upload = self.client.create_multipart_upload(
                Bucket=self.bucket_name,
                Key=check_key(key),
                ContentType=STORED_AS["ContentType"],
                ServerSideEncryption="AES256",
            )
            return upload["UploadId"]

    def part_url(self, key: str, token: str, number: int, size: int, lifetime: timedelta) -> str:
        """With ContentLength among the signed headers: S3 refuses a part of any other length."""
        part = {"Key": check_key(key), "UploadId": token, "PartNumber": number, "ContentLength": size}
        return self._signed("upload_part", lifetime, **part)

    def received_parts(self, key: str, token: str) -> dict[int, int]:
        return {part["PartNumber"]: part["Size"] for part in self._parts(key, token)}

    def finish_upload(self, key: str, token: str, total_size: int) -> None:
        try:
            parts = self._parts(key, token)
            received = sum(part["Size"] for part in parts)
            if not received == total_size > 0:
                raise PartMismatch(f"{key}: parts of {received} bytes instead of {total_size}")
            self._complete(key, token, parts)
        except UploadGone:
            if not self._has(key, total_size):
                raise

    def abort_upload(self, key: str, token: str) -> None:
        try:
            with _translated(key):
                self.client.abort_multipart_upload(Bucket=self.bucket_name, Key=check_key(key), UploadId=token)
        except UploadGone:
            pass

    def _signed(self, operation: str, lifetime: timedelta, **params: Any) -> str:
        with _translated(params["Key"]):
            return self.client.generate_presigned_url(
                operation,
                Params={"Bucket": self.bucket_name, **params},
                ExpiresIn=int(lifetime.total_seconds()),
            )

    def _parts(self, key: str, token: str) -> "list[PartTypeDef]":
        with _translated(key):
            pages = self.client.get_paginator("list_parts").paginate(
                Bucket=self.bucket_name, Key=check_key(key), UploadId=token
            )
            return [part for page in pages for part in page.get("Parts", ())]

    def _complete(self, key: str, token: str, parts: "list[PartTypeDef]") -> None:
        etags: list[CompletedPartTypeDef] = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in parts]
        with _translated(key):
            self.client.complete_multipart_upload(
                Bucket=self.bucket_name, Key=key, UploadId=token, MultipartUpload={"Parts": etags}
            )

    def _has(self, key: str, size: int) -> bool:
        try:
            return self.size(key) == size
        except ObjectNotFound:
            return False

    def _uploads(self, prefix: str) -> Iterator[tuple[str, str]]:
        pages = self.client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket_name, Prefix=prefix)
        for page in pages:
            yield from ((upload["Key"], upload["UploadId"]) for upload in page.get("Uploads", ()))

    def _delete_versions(self, prefix: str) -> int:
        """Also right where the bucket keeps no versions: each object is then a version of its own."""
        count, more = 0, True
        while more:  # always the first page: what was on the last one is gone
            page = self.client.list_object_versions(Bucket=self.bucket_name, Prefix=prefix)
            versions = page.get("Versions", [])
            self._delete_all(
                [
                    {"Key": version["Key"], "VersionId": version["VersionId"]}
                    for version in (*versions, *page.get("DeleteMarkers", []))
                ]
            )
            count += sum(version["IsLatest"] for version in versions)
            more = page["IsTruncated"]
        return count

    def _delete_all(self, versions: "list[ObjectIdentifierTypeDef]") -> None:
        if versions:
            answer = self.client.delete_objects(Bucket=self.bucket_name, Delete={"Objects": versions, "Quiet": True})
            if answer.get("Errors"):
                raise StorageUnavailable(f"not deleted: {answer['Errors'][0]}")


def client_config_for(addressing_style: Literal["path", "virtual"]) -> Config:
    return Config(
        signature_version="s3v4",  # boto3 would sign links with SigV2 in us-east-1
        s3={"addressing_style": addressing_style},
        retries={"mode": "standard", "total_max_attempts": 4},
        connect_timeout=5,
        read_timeout=60,
    )


def addressing_style(bucket_name: str) -> Literal["path", "virtual"]:
    """Virtual on AWS: boto3's own choice signs for the global host, which redirects outside us-east-1.

    Path where the bucket's name cannot be part of a host name: with an emulator, or with dots under TLS.
    """
    elsewhere = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return "path" if elsewhere or "." in bucket_name else "virtual"


def error_code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def _translated(key: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = error_code(error)
        if code in {"NoSuchKey", "NotFound", "404"}:
            raise ObjectNotFound(key) from error
        raise (UploadGone(key) if code == "NoSuchUpload" else StorageUnavailable(f"{key}: {error}")) from error
    except FileNotFoundError:
        raise  # the caller's own file
    except (BotoCoreError, Boto3Error, OSError) as error:
        raise StorageUnavailable(f"{key}: {error}") from error
