"""Annotations of another GAS become jobs here: files are copied, archives stay in their vault."""

from collections.abc import Callable
from functools import cache

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from social_django.models import UserSocialAuth

from accounts.models import Profile, User
from archive.annotations_table import Item, Place, Skipped
from archive.models import ResultArchive
from archive.snapshot import Line
from gas.objects import InvalidKey, ObjectNotFound, ObjectStorage, objects
from gas.tree_hash import HashingReader
from jobs.models import Job, Upload

HERE = "it is here already"
NO_INVENTORY = "it is archived, and only the vault's inventory tells its size"


class Importer:
    """`bucket` opens a bucket of the other GAS, `archived` finds an id in the vault's inventory (None: there is none)."""

    def __init__(
        self, plan: str, bucket: Callable[[str], ObjectStorage], archived: Callable[[str], Line | None] | None
    ) -> None:
        self.plan, self._bucket, self._archived = plan, cache(bucket), archived

    def check(self, item: Item) -> None:
        """Raises Skipped when `take` would."""
        if (
            Job.objects.filter(pk=item.uuid()).exists()
            or ResultArchive.objects.filter(pk=item.uuid("archive")).exists()
        ):
            raise Skipped(HERE)  # or was, and its owner has deleted it
        if self._size(item.input, "input") == 0:
            raise Skipped("its input file is empty")
        self._size(item.log, "log")
        if item.archive_id:
            self._line(item)
        else:
            self._size(item.result, "result")

    def take(self, item: Item) -> Job:
        """Copies the files, then writes all rows at once: a crash before that leaves files that the next run replaces."""
        self.check(item)
        owner = owner_of(item, self.plan)
        upload = Upload(pk=item.uuid("upload"), owner=owner, file_name=item.file_name, status=Upload.Status.COMPLETED)
        job = Job(pk=item.uuid(), owner=owner, upload=upload, file_name=item.file_name, input_key=upload.key)
        job.status, job.submitted_at, job.waiting_since = Job.Status.COMPLETED, item.submitted_at, item.submitted_at
        job.finished_at = item.completed_at
        job.log_key, job.result_key = job.attempt_key("count.log"), job.attempt_key(f"annotated{_suffix(item)}")
        job.input_size, _ = self._copy(item.input, "uploads", job.input_key)
        job.log_size, job.log_sha256 = self._copy(item.log, "results", job.log_key)
        if not item.archive_id:
            job.result_size, job.result_sha256 = self._copy(item.result, "results", job.result_key)
        upload.size = upload.part_size = job.input_size
        upload.expires_at = Now()
        with transaction.atomic():
            window = owner.hold_plan().download_window  # copying took its time, and he may have another by now
            job.download_until = item.completed_at + window if window is not None else None
            archive = self._archive_of(job, item)
            for row in (upload, job, archive):
                row.save(force_insert=True)
        return job

    def _archive_of(self, job: Job, item: Item) -> ResultArchive:
        archive = ResultArchive(pk=item.uuid("archive"), job=job, hot_key=job.result_key)
        if item.archive_id:
            line = self._line(item)
            job.result_size = line.size
            archive.status, archive.vault, archive.generation = ResultArchive.Status.ARCHIVED, "glacier", 1
            archive.archive_id, archive.tree_hash, archive.archived_at = line.id, line.checksum, item.completed_at
            archive.archive_at = job.download_until or item.completed_at  # kept by the plan: see backfill_restores
            if job.download_until:
                job.download_until = min(job.download_until, timezone.now())  # not here, and nothing brings it back
        else:
            for name, value in ResultArchive.plan_of(job).items():
                setattr(archive, name, value)
        assert job.result_size is not None
        archive.size, archive.sha256 = job.result_size, job.result_sha256
        return archive

    def _line(self, item: Item) -> Line:
        if self._archived is None:
            raise Skipped(NO_INVENTORY)
        line = self._archived(item.archive_id)
        if line is None:
            raise Skipped(f"the vault's inventory does not have its archive {item.archive_id}")
        return line

    def _size(self, place: Place, what: str) -> int:
        try:
            return self._bucket(place.bucket).size(place.key)
        except (ObjectNotFound, InvalidKey):
            raise Skipped(f"its {what} is missing: {place}") from None

    def _copy(self, source: Place, alias: str, key: str) -> tuple[int, str]:
        """Size in bytes, SHA-256 in hexadecimal."""
        store = self._bucket(source.bucket)
        size = store.size(source.key)
        with store.open_stream(source.key) as stream, HashingReader(stream) as read:
            objects(alias).put_stream(key, read, size)
        return size, read.sha256


def owner_of(item: Item, plan: str) -> User:
    """The user with the item's Globus identity, made if there is none: whoever signs in with it later is he."""
    found = UserSocialAuth.objects.filter(provider="globus", uid=item.user_id).select_related("user__profile__plan")
    identity = found.first()
    if identity is None:
        with transaction.atomic():
            user = User.objects.create_user(full_name=item.user_name[:200])
            Profile.objects.create(user=user, plan_id=plan, globus_email=_address(item.user_email))
            UserSocialAuth.objects.create(user=user, provider="globus", uid=item.user_id, id_key="sub")
        identity = found.get()
    owner: User = identity.user
    return owner


def _address(text: str) -> str:
    address = text.strip().lower()
    try:
        validate_email(address)
    except ValidationError:
        return ""
    return address


def _suffix(item: Item) -> str:
    return ".vcf.gz" if item.result.key.endswith(".gz") else ".vcf"
