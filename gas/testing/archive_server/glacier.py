"""Amazon Glacier, all our own.

Faithful: ids that are chosen here, two archives of equal bytes are two; SHA-256 and tree hashes of archives and parts
are checked; parts of one size at their places; jobs with tiers, delays, descriptions and 24 hours to fetch the output;
an inventory as it was when it was asked for; deleting twice is fine; names of errors. Not done: SNS, ranges of output,
inventory in CSV, data retrieval policies but as a fault (PolicyEnforcedException).
"""

import json
import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.utils import calculate_tree_hash  # noqa: TID251 (not ours: it is what is tested)

from gas.testing.archive_server import DAMAGED, WRONG_CHECKSUM
from gas.testing.archive_server.handler import BLOCK, Handler
from gas.testing.archive_server.world import World

STATUS = {"ResourceNotFoundException": 404, "RequestTimeoutException": 408, "ServiceUnavailableException": 500}
LIFETIME = 24 * 3600  # seconds, of a job that is done
LARGEST = 4 * 1024**3  # bytes, of an archive in one piece
MIB = 1024**2
OPERATIONS = {
    ("PUT", ""): "CreateVault",
    ("GET", ""): "DescribeVault",
    ("POST", "archives"): "UploadArchive",
    ("DELETE", "archives/"): "DeleteArchive",
    ("POST", "multipart-uploads"): "InitiateMultipartUpload",
    ("GET", "multipart-uploads"): "ListMultipartUploads",
    ("PUT", "multipart-uploads/"): "UploadMultipartPart",
    ("POST", "multipart-uploads/"): "CompleteMultipartUpload",
    ("DELETE", "multipart-uploads/"): "AbortMultipartUpload",
    ("GET", "multipart-uploads/"): "ListParts",
    ("POST", "jobs"): "InitiateJob",
    ("GET", "jobs"): "ListJobs",
    ("GET", "jobs/"): "DescribeJob",
    ("GET", "jobs//output"): "GetJobOutput",
}


class Refused(Exception):
    """Answered with this code and message."""


@dataclass
class Archive:
    id: str
    description: str
    size: int
    tree_hash: str
    path: Path
    created: float


@dataclass
class Upload:
    description: str
    part_size: int
    path: Path
    parts: dict[int, tuple[int, str]] = field(default_factory=dict)  # offset -> (size, tree hash)


@dataclass
class Job:
    id: str
    wanted: dict[str, str]
    created: float
    due: float
    archive: Archive | None = None
    inventory: list[Archive] = field(default_factory=list)
    failed: bool = False


@dataclass
class GlacierVaultData:
    archives: dict[str, Archive] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)


@dataclass
class Glacier:
    world: World
    vaults: dict[str, GlacierVaultData] = field(default_factory=dict)


class GlacierHandler(Handler):
    glacier: Glacier

    def serve_glacier(self) -> None:
        """/<account>/vaults/<vault>[/<what>[/<id>[/output]]]"""
        rest = self.parts[3:]
        operation = OPERATIONS[self.command, "/".join([*rest[:1], *["" for _ in rest[1:2]], *rest[2:]])]
        self.id = rest[1] if len(rest) > 1 else ""
        self.wanted = self._json() if operation == "InitiateJob" else {}
        self.fault = self.glacier.world.called(operation, self.wanted.get("Tier", "Standard"))
        if self.fault == DAMAGED and self.body_size:
            self.damage_body()
        try:
            if self.fault and self.fault[0].isupper():
                raise Refused(self.fault, "as it was told to answer")
            self.vault = self._vault(operation)
            getattr(self, f"glacier_{operation}")()
        except Refused as refused:
            code, message = refused.args
            error = {"code": code, "message": message, "type": "Client"}
            self.answer_json(STATUS.get(code, 400), error)

    def _vault(self, operation: str) -> GlacierVaultData:
        name, vaults = self.parts[2], self.glacier.vaults
        if operation == "CreateVault":
            vaults.setdefault(name, GlacierVaultData())
        if name not in vaults:
            arn = f"arn:aws:glacier:us-east-1:012345678901:vaults/{name}"
            raise Refused("ResourceNotFoundException", f"Vault not found for ARN: {arn}")
        return vaults[name]

    def glacier_CreateVault(self) -> None:
        self.answer(201, {})

    def glacier_DescribeVault(self) -> None:
        self.answer_json(200, {"VaultName": self.parts[2], "NumberOfArchives": len(self.vault.archives)})

    # --- archives -----------------------------------------------------------------------------------------------

    def glacier_UploadArchive(self) -> None:
        if not 0 < self.body_size <= LARGEST:
            raise Refused("InvalidParameterValueException", "Invalid Content-Length")
        tree_hash = self._check_body()
        self._stored(self.headers.get("x-amz-archive-description", ""), self._keep(), tree_hash)

    def glacier_DeleteArchive(self) -> None:
        archive = self.vault.archives.pop(self.id, None)
        for job in self.vault.jobs.values():
            if archive and job.archive is archive and self.glacier.world.now() < job.due:
                job.failed = True
        self.answer(204, {})

    def glacier_InitiateMultipartUpload(self) -> None:
        size = int(self.headers["x-amz-part-size"])
        if size % MIB or (size // MIB) & (size // MIB - 1) or size > LARGEST:
            raise Refused("InvalidParameterValueException", "Part size must be a power of two MiB")
        name = secrets.token_urlsafe(60)
        path = self.glacier.world.folder / secrets.token_hex(16)
        path.touch()
        self.vault.uploads[name] = Upload(self.headers.get("x-amz-archive-description", ""), size, path)
        self.answer(201, {"x-amz-multipart-upload-id": name})

    def glacier_ListMultipartUploads(self) -> None:
        listed = [
            {"MultipartUploadId": name, "ArchiveDescription": upload.description, "PartSizeInBytes": upload.part_size}
            for name, upload in self.vault.uploads.items()
        ]
        self.answer_json(200, {"UploadsList": listed, "Marker": None})

    def glacier_UploadMultipartPart(self) -> None:
        upload = self._upload()
        place = re.fullmatch(r"bytes (\d+)-(\d+)/\*", self.headers["Content-Range"])
        if not place or int(place[1]) % upload.part_size or int(place[2]) - int(place[1]) + 1 != self.body_size:
            raise Refused("InvalidParameterValueException", "Content-Range does not fit the part size")
        tree_hash = self._check_body()
        with upload.path.open("r+b") as file:
            file.seek(int(place[1]))
            shutil.copyfileobj(self.body, file, BLOCK)
        upload.parts[int(place[1])] = (self.body_size, tree_hash)
        self.answer(204, {"x-amz-sha256-tree-hash": tree_hash})

    def glacier_ListParts(self) -> None:
        parts = [
            {"RangeInBytes": f"{at}-{at + size - 1}", "SHA256TreeHash": tree_hash}
            for at, (size, tree_hash) in sorted(self._upload().parts.items())
        ]
        self.answer_json(200, {"MultipartUploadId": self.id, "Parts": parts, "Marker": None})

    def glacier_CompleteMultipartUpload(self) -> None:
        upload = self._upload()
        total = sum(size for size, _ in upload.parts.values())
        gaps = any(size != upload.part_size for at, (size, _) in upload.parts.items() if at + size != total)
        if gaps or total != upload.path.stat().st_size or total != int(self.headers["x-amz-archive-size"]):
            raise Refused("InvalidParameterValueException", "The parts do not add up to the archive size")
        with upload.path.open("rb") as file:
            tree_hash = _tree_hash(file)
        if tree_hash != self.headers["x-amz-sha256-tree-hash"]:
            raise Refused("InvalidParameterValueException", "Checksum mismatch")
        del self.vault.uploads[self.id]
        self._stored(upload.description, upload.path, tree_hash)

    def glacier_AbortMultipartUpload(self) -> None:
        self._upload().path.unlink()
        del self.vault.uploads[self.id]
        self.answer(204, {})

    # --- jobs ---------------------------------------------------------------------------------------------------

    def glacier_InitiateJob(self) -> None:
        world, tier = self.glacier.world, self.wanted.get("Tier", "Standard")
        if tier not in world.delays:
            raise Refused("InvalidParameterValueException", f"Invalid tier: {tier}")
        job = Job(secrets.token_urlsafe(69), self.wanted, world.now(), world.now() + world.delays[tier])
        if self.wanted["Type"] == "archive-retrieval":
            archive_id = self.wanted["ArchiveId"]
            if archive_id not in self.vault.archives:
                raise Refused("ResourceNotFoundException", f"The archive ID was not found: {archive_id}")
            job.archive = self.vault.archives[archive_id]
        else:
            job.inventory = list(self.vault.archives.values())
        self.vault.jobs[job.id] = job
        self.answer(202, {"x-amz-job-id": job.id, "Location": f"{self.path}/{job.id}"})

    def glacier_ListJobs(self) -> None:
        begin, limit = int(self.query.get("marker", 0)), int(self.query.get("limit", 50))
        jobs = [job for job in self.vault.jobs.values() if self._lives(job)]
        more = str(begin + limit) if len(jobs) > begin + limit else None
        self.answer_json(
            200, {"JobList": [self._described(job) for job in jobs[begin : begin + limit]], "Marker": more}
        )

    def glacier_DescribeJob(self) -> None:
        self.answer_json(200, self._described(self._job()))

    def glacier_GetJobOutput(self) -> None:
        job = self._job()
        if self._described(job)["StatusCode"] != "Succeeded":
            raise Refused("InvalidParameterValueException", "The job is not currently available for download")
        if job.archive is None:
            self.answer_json(
                200, {"VaultARN": self.parts[2], "InventoryDate": _iso(job.created), "ArchiveList": _lines(job)}
            )
            return
        tree_hash = "0" * 64 if self.fault == WRONG_CHECKSUM else job.archive.tree_hash
        headers = {"x-amz-sha256-tree-hash": tree_hash, "Content-Length": str(job.archive.size)}
        self.answer_stream(200, headers | {"Content-Type": "application/octet-stream"}, _blocks(job.archive.path))

    def _described(self, job: Job) -> dict[str, Any]:
        completed = self.glacier.world.now() >= job.due or job.failed
        tree_hash = job.archive.tree_hash if job.archive else None
        return {
            "JobId": job.id,
            "JobDescription": job.wanted.get("Description"),
            "Action": "ArchiveRetrieval" if job.archive else "InventoryRetrieval",
            "ArchiveId": job.archive.id if job.archive else None,
            "CreationDate": _iso(job.created),
            "Completed": completed,
            "StatusCode": "Failed" if job.failed else "Succeeded" if completed else "InProgress",
            "ArchiveSizeInBytes": job.archive.size if job.archive else None,
            "SHA256TreeHash": tree_hash,
            "ArchiveSHA256TreeHash": tree_hash,
            "Tier": job.wanted.get("Tier", "Standard") if job.archive else None,
        }

    def _job(self) -> Job:
        job = self.vault.jobs.get(self.id)
        if not job or not self._lives(job):
            raise Refused("ResourceNotFoundException", f"The job ID was not found: {self.id}")
        return job

    def _lives(self, job: Job) -> bool:
        return self.glacier.world.now() < job.due + LIFETIME

    # --- bodies -------------------------------------------------------------------------------------------------

    def _upload(self) -> Upload:
        if self.id not in self.vault.uploads:
            raise Refused("ResourceNotFoundException", f"The upload ID was not found: {self.id}")
        return self.vault.uploads[self.id]

    def _check_body(self) -> str:
        """The tree hash of the body; Refused unless it and the SHA-256 are those that were announced."""
        tree_hash = _tree_hash(self.body)
        announced = (self.headers.get("x-amz-sha256-tree-hash"), self.headers.get("x-amz-content-sha256"))
        if announced != (tree_hash, self.body_sha256.hex()):
            raise Refused("InvalidParameterValueException", "Checksum mismatch")
        return tree_hash

    def _keep(self) -> Path:
        path = self.glacier.world.folder / secrets.token_hex(16)
        with path.open("wb") as file:
            shutil.copyfileobj(self.body, file, BLOCK)
        return path

    def _stored(self, description: str, path: Path, tree_hash: str) -> None:
        created = self.glacier.world.now()
        archive = Archive(secrets.token_urlsafe(103), description, path.stat().st_size, tree_hash, path, created)
        self.vault.archives[archive.id] = archive
        told = "0" * 64 if self.fault == WRONG_CHECKSUM else tree_hash
        self.answer(201, {"x-amz-archive-id": archive.id, "x-amz-sha256-tree-hash": told})

    def _json(self) -> dict[str, str]:
        wanted: dict[str, str] = json.load(self.body)
        return wanted


def _tree_hash(file: Any) -> str:
    tree_hash: str = calculate_tree_hash(file)
    file.seek(0)
    return tree_hash


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _lines(job: Job) -> list[dict[str, Any]]:
    return [
        {
            "ArchiveId": archive.id,
            "ArchiveDescription": archive.description,
            "CreationDate": _iso(archive.created),
            "Size": archive.size,
            "SHA256TreeHash": archive.tree_hash,
        }
        for archive in job.inventory
    ]


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block
