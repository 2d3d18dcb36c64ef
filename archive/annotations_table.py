"""The annotations table of another GAS: one item for each job, in DynamoDB."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from accounts.models import Profile, User
from gas.objects import objects
from jobs.files import clean_file_name
from jobs.models import Job
from jobs.refusals import Refused

ENDED = ("COMPLETED", "COMPLETE")  # one of its relatives says the latter
OF_OTHER_JOBS = uuid.UUID("6ba9d4de-3f0c-4a5c-9c1f-1d3a0c4b7e11")  # the ids that come out of ids that are no UUID


class Skipped(Exception):
    """An item or a job that is left out, and why."""


class Place(NamedTuple):
    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True)
class Item:
    """A completed annotation. `archive_id` is of a classic Glacier vault, "" when the result is not archived."""

    job_id: str
    user_id: str  # the Globus identity
    user_name: str
    user_email: str
    file_name: str
    input: Place
    result: Place
    log: Place
    submitted_at: datetime
    completed_at: datetime
    archive_id: str = ""

    @classmethod
    def of(cls, attributes: Mapping[str, Any]) -> "Item":
        """Raises Skipped when it is not a completed annotation, or lacks what makes one."""
        status = attributes.get("job_status")
        if status not in ENDED:
            raise Skipped(f"its status is {status}, not {ENDED[0]}")
        results = _text(attributes, "s3_results_bucket")
        return cls(
            job_id=_text(attributes, "job_id"),
            user_id=_text(attributes, "user_id"),
            user_name=str(attributes.get("user_name") or ""),
            user_email=str(attributes.get("user_email") or ""),
            file_name=_file_name(attributes),
            input=Place(_text(attributes, "s3_inputs_bucket"), _text(attributes, "s3_key_input_file")),
            result=Place(results, _text(attributes, "s3_key_result_file")),
            log=Place(results, _text(attributes, "s3_key_log_file")),
            submitted_at=_moment(attributes, "submit_time"),
            completed_at=_moment(attributes, "complete_time"),
            archive_id=str(attributes.get("results_file_archive_id") or ""),
        )

    @classmethod
    def of_job(cls, job: Job) -> "Item":
        """Raises Skipped for what the table has no words for."""
        identity = job.owner.social_auth.filter(provider="globus").first()
        if identity is None:
            raise Skipped("its owner has no Globus identity")
        assert job.finished_at
        places = [_place(*where) for where in (("uploads", job.input_key), ("results", job.result_key))]
        return cls(
            job_id=str(job.pk),
            user_id=identity.uid,
            user_name=job.owner.full_name,
            user_email=job.owner.mail_address or _claimed_address(job.owner),
            file_name=job.file_name,
            input=places[0],
            result=places[1],
            log=_place("results", job.log_key),
            submitted_at=job.submitted_at,
            completed_at=job.finished_at,
            archive_id=_archive_id(job),
        )

    def attributes(self) -> dict[str, Any]:
        return {
            "job_id": self.job_id,
            "user_id": self.user_id,
            "user_name": self.user_name,
            "user_email": self.user_email,
            "input_file_name": self.file_name,
            "s3_inputs_bucket": self.input.bucket,
            "s3_key_input_file": self.input.key,
            "submit_time": int(self.submitted_at.timestamp()),
            "job_status": ENDED[0],
            "s3_results_bucket": self.result.bucket,
            "s3_key_result_file": self.result.key,
            "s3_key_log_file": self.log.key,
            "complete_time": int(self.completed_at.timestamp()),
            "results_file_archive_id": self.archive_id,
        }

    def uuid(self, what: str = "") -> uuid.UUID:
        """The id of the job here, or of what belongs to it: the same each time."""
        if not what:
            try:
                return uuid.UUID(self.job_id)
            except ValueError:
                pass
        return uuid.uuid5(OF_OTHER_JOBS, f"{what} {self.job_id}")


def _claimed_address(owner: User) -> str:
    """What his institution says of him by Globus, which is what the table has too."""
    return Profile.objects.filter(user=owner).values_list("globus_email", flat=True).first() or ""


def _text(attributes: Mapping[str, Any], name: str) -> str:
    value = attributes.get(name)
    if not isinstance(value, str) or not value:
        raise Skipped(f"it has no {name}")
    return value


def _file_name(attributes: Mapping[str, Any]) -> str:
    try:
        return clean_file_name(_text(attributes, "input_file_name"))
    except Refused as error:
        raise Skipped(f"its file name is not that of a VCF file: {attributes['input_file_name']!r}") from error


def _moment(attributes: Mapping[str, Any], name: str) -> datetime:
    try:
        return datetime.fromtimestamp(float(attributes[name]), UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
        raise Skipped(f"its {name} is {attributes.get(name)!r}, not seconds since 1970") from error


def _place(alias: str, key: str) -> Place:
    address = urlsplit(objects(alias).address(key))
    if address.scheme != "s3":
        raise Skipped("its files are not on S3 (STORAGE=s3), and the table can name no others")
    return Place(address.netloc, key)


def _archive_id(job: Job) -> str:
    archive = getattr(job, "archive", None)
    if archive is None or archive.is_hot:
        return ""
    if archive.is_quarantined:
        raise Skipped("its result is in quarantine")
    if archive.vault != "glacier":
        raise Skipped(f"its result is archived in the vault {archive.vault}, and the table knows classic vaults only")
    archive_id: str = archive.archive_id
    return archive_id
