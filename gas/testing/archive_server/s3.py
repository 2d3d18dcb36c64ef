"""S3: moto, with what it gets wrong about archive classes and checksums done here.

Faithful: delays per tier; `ongoing-request` while it goes on, 409 for a second request unless its tier is faster;
GET is InvalidObjectState before and after; the restored copy expires; no Expedited in DEEP_ARCHIVE; SHA-256 of an
object, its parts and their composite are checked (BadDigest, InvalidPart) and told by HEAD; ObjectRestore:Completed
comes by itself. Not done: SSE-C, checksums other than SHA-256, aws-chunked bodies (boto3 sends them over TLS only).
"""

import hashlib
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http.client import HTTPConnection, HTTPResponse
from xml.etree import ElementTree

from gas.testing.archive_server import DAMAGED, WRONG_CHECKSUM
from gas.testing.archive_server.handler import BLOCK, Handler
from gas.testing.archive_server.world import World

ARCHIVE_CLASSES = {"GLACIER", "DEEP_ARCHIVE"}
HOP_BY_HOP = {"connection", "transfer-encoding", "expect", "date", "server"}
STATUS = {
    "GlacierExpeditedRetrievalNotAvailable": 503,
    "SlowDown": 503,
    "ServiceUnavailable": 503,
    "InternalError": 500,
}
STATUS |= {"RestoreAlreadyInProgress": 409, "AccessDenied": 403, "InvalidObjectState": 403}  # all others: 400
SIGNED = "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"


@dataclass
class Restore:
    tier: str
    due: float
    days: int
    done: bool = False
    expires: float = 0


@dataclass
class S3:
    """What moto does not keep. A key is (bucket, object key)."""

    world: World
    moto_port: int
    restores: dict[tuple[str, str], Restore] = field(default_factory=dict)
    checksums: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)  # (SHA-256, type)
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)  # of an upload: number -> SHA-256

    def restore_what_is_due(self) -> None:
        with self.world.lock:
            for place, restore in self.restores.items():
                if not restore.done and self.world.now() >= restore.due:
                    restore.done, restore.expires = True, restore.due + restore.days * 86400
                    path = "/" + "/".join(place)
                    self._ask("POST", f"{path}?restore", b"<RestoreRequest><Days>1</Days></RestoreRequest>")
                    self._ask("HEAD", path)  # moto sends ObjectRestore:Completed when somebody looks

    def storage_class(self, path: str) -> str:
        """Of the object; empty where there is none, "STANDARD" is not spelled out by S3."""
        status, headers = self._ask("HEAD", path)
        return headers.get("x-amz-storage-class", "") if status == 200 else ""

    def _ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, str]]:
        connection = HTTPConnection("127.0.0.1", self.moto_port, timeout=60)
        connection.request(method, path, body, {"Authorization": SIGNED})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}


class S3Handler(Handler):
    s3: S3

    def serve_s3(self) -> None:
        operation = _operation(self.command, self.query, len(self.parts), "x-amz-copy-source" in self.headers)
        self.place = (self.parts[0], "/".join(self.parts[1:]))
        tier = self._tier() if operation == "RestoreObject" else ""
        self.fault = self.s3.world.called(operation, tier)
        if self.fault == DAMAGED and self.command in {"PUT", "POST"}:
            self.damage_body()
        if self.fault and self.fault[0].isupper():
            self._refuse(self.fault)
        else:
            getattr(self, f"s3_{operation}", self._forward)()

    def s3_PutObject(self) -> None:
        if self._body_is_as_announced():
            self._forget()
            announced = self.headers.get("x-amz-checksum-sha256")
            if announced and self._forward() == 200:
                self.s3.checksums[self.place] = (announced, "FULL_OBJECT")
            elif not announced:
                self._forward()

    def s3_CopyObject(self) -> None:
        self._forget()
        self._forward()

    def s3_UploadPart(self) -> None:
        if self._body_is_as_announced() and self._forward() == 200:
            parts = self.s3.parts.setdefault(self.query["uploadId"], {})
            parts[int(self.query["partNumber"])] = self.body_sha256

    def s3_CompleteMultipartUpload(self) -> None:
        sent = self.s3.parts.get(self.query["uploadId"], {})
        wanted = _parts_of(self.body.read())
        self.body.seek(0)
        if any(digest and sent.get(number) != digest for number, digest in wanted.items()):
            self._refuse("InvalidPart")
            return
        self._forget()
        composite = hashlib.sha256(b"".join(sent.get(number, b"") for number in wanted)).digest()
        if self._forward() == 200 and all(wanted.values()):
            self.s3.checksums[self.place] = (f"{_base64(composite)}-{len(wanted)}", "COMPOSITE")

    def s3_DeleteObject(self) -> None:
        self._forget()
        self._forward()

    def s3_HeadObject(self) -> None:
        self._forward(self._told())

    def s3_GetObject(self) -> None:
        restore = self.s3.restores.get(self.place)
        if self.s3.storage_class(self._path()) in ARCHIVE_CLASSES and not self._is_restored(restore):
            self._refuse("InvalidObjectState")
        else:
            self._forward(self._told())

    def s3_RestoreObject(self) -> None:
        held = self.s3.storage_class(self._path())
        tier, delays, now = self._tier(), self.s3.world.delays, self.s3.world.now()
        if held not in ARCHIVE_CLASSES:
            self._forward()  # moto says what is wrong
        elif tier not in delays or (held == "DEEP_ARCHIVE" and tier == "Expedited"):
            self._refuse("InvalidArgument", "Retrieval option is not supported by this storage class")
        else:
            with self.s3.world.lock:
                restore = self.s3.restores.get(self.place)
                if restore and self._is_restored(restore):
                    restore.expires = now + self._days() * 86400
                    self.answer(200, {})
                elif restore and not restore.done and delays[tier] >= delays[restore.tier]:
                    self._refuse("RestoreAlreadyInProgress", "Object restore is already in progress")
                else:
                    self.s3.restores[self.place] = Restore(tier, now + delays[tier], self._days())
                    self.answer(202, {})

    def _is_restored(self, restore: Restore | None) -> bool:
        return restore is not None and restore.done and self.s3.world.now() < restore.expires

    def _told(self) -> dict[str, str]:
        """Headers of HEAD and GET that moto does not know."""
        told = {}
        restore = self.s3.restores.get(self.place)
        if restore and not restore.done:
            told["x-amz-restore"] = 'ongoing-request="true"'
        elif restore and self._is_restored(restore):
            told["x-amz-restore"] = f'ongoing-request="false", expiry-date="{formatdate(restore.expires, usegmt=True)}"'
        checksum, kind = self.s3.checksums.get(self.place, ("", ""))
        if checksum and self.headers.get("x-amz-checksum-mode") == "ENABLED":
            wrong = self.fault == WRONG_CHECKSUM
            told["x-amz-checksum-sha256"] = _base64(bytes(32)) + checksum[44:] if wrong else checksum
            told["x-amz-checksum-type"] = kind
        return told

    def _body_is_as_announced(self) -> bool:
        announced = self.headers.get("x-amz-checksum-sha256")
        if announced and announced != _base64(self.body_sha256):
            self._refuse("BadDigest", "The SHA256 you specified did not match the calculated checksum.")
            return False
        signed = self.headers.get("x-amz-content-sha256", "")
        if re.fullmatch("[0-9a-f]{64}", signed) and bytes.fromhex(signed) != self.body_sha256:
            self._refuse("XAmzContentSHA256Mismatch")
            return False
        return True

    def _forget(self) -> None:
        with self.s3.world.lock:
            self.s3.restores.pop(self.place, None)
            self.s3.checksums.pop(self.place, None)

    def _forward(self, told: dict[str, str] | None = None) -> int:
        """Let moto answer, with the headers `told` and without its own of their kind; returns the status."""
        connection = HTTPConnection("127.0.0.1", self.s3.moto_port, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        connection.request(self.command, self.path, self.body if self.body_size else None, headers)
        answer = connection.getresponse()
        ours = "x-amz-restore", "x-amz-checksum-sha256", "x-amz-checksum-type"
        kept = {n: v for n, v in answer.getheaders() if n.lower() not in {*HOP_BY_HOP, *ours}}
        if "Content-Length" not in kept:
            self.answer(answer.status, kept | (told or {}), answer.read())
        else:
            self.answer_stream(answer.status, kept | (told or {}), _blocks(answer))
        connection.close()
        return answer.status

    def _refuse(self, code: str, message: str = "") -> None:
        error = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message or code}</Message></Error>'
        self.answer(STATUS.get(code, 400), {"Content-Type": "application/xml"}, error.encode())

    def _path(self) -> str:
        return self.path.partition("?")[0]

    def _tier(self) -> str:
        return self._of_restore("Tier", "Standard")

    def _days(self) -> int:
        return int(self._of_restore("Days", "1"))

    def _of_restore(self, name: str, default: str) -> str:
        found = re.search(f"<{name}>(\\w+)</{name}>", self.body.read().decode())
        self.body.seek(0)
        return found[1] if found else default


def _operation(method: str, query: Mapping[str, str], depth: int, copies: bool) -> str:
    """S3's name of the operation; for what needs no name, the method."""
    if depth < 2:
        named = {"versions": "ListObjectVersions", "uploads": "ListMultipartUploads", "delete": "DeleteObjects"}
        named |= {"list-type": "ListObjectsV2"}
        return next((named[name] for name in named if name in query), "HeadBucket" if method == "HEAD" else method)
    if method == "PUT":
        return "UploadPart" if "uploadId" in query else "CopyObject" if copies else "PutObject"
    if method == "POST":
        named = {"restore": "RestoreObject", "uploads": "CreateMultipartUpload", "uploadId": "CompleteMultipartUpload"}
        return next((named[name] for name in named if name in query), method)
    if method == "DELETE":
        return "AbortMultipartUpload" if "uploadId" in query else "DeleteObject"
    if method == "GET":
        return "ListParts" if "uploadId" in query else "GetObject"
    return "HeadObject"


def _parts_of(document: bytes) -> dict[int, bytes]:
    """Number -> SHA-256 (empty when not given) of a CompleteMultipartUpload."""
    parts = {}
    for part in ElementTree.fromstring(document).iterfind("{*}Part"):
        parts[int(part.findtext("{*}PartNumber") or 0)] = b64decode(part.findtext("{*}ChecksumSHA256") or "")
    return parts


def _blocks(answer: HTTPResponse) -> Iterator[bytes]:
    while block := answer.read(BLOCK):
        yield block


def _base64(digest: bytes) -> str:
    return b64encode(digest).decode()
