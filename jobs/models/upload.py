"""A file on its way in: an upload session with parts."""

import uuid
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import ClassVar, Self

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Now

from accounts.models import Erasure, Plan, User
from gas.hints import hint_on_commit
from gas.leases import Leased, LeasedQuerySet, after
from gas.objects import UploadGone, objects
from jobs.files import HEAD_BYTES, check_head, check_size, clean_file_name
from jobs.limits import check_active, check_month, moment, paused
from jobs.models.announcement import Announcement
from jobs.models.job import Job
from jobs.models.monthly_use import MonthlyUse
from jobs.references import check_reference
from jobs.refusals import Refused

MOST_OPEN = 20  # of one user at a time
MOST_PARTS = 10_000  # S3's own limit
ENDED = partial(
    Refused, "aborted", "This upload was ended", "It was cancelled, refused or expired.", "Upload again.", status=410
)
LEAVING = partial(
    Refused,
    "account_leaving",
    "Your account is to be erased",
    "Until it is, no new file is taken.",
    "Keep your account, on the page “Your data”, and upload again.",
    status=403,
)


def check_submission(owner: User, plan: Plan) -> None:
    """Raises Refused while the operators take no files, and when `owner` may have no further job on that plan.

    It holds for as long as the transaction when the plan comes from `hold_plan`.
    """
    if Erasure.objects.open_for(owner):
        raise LEAVING()
    if pause := Announcement.objects.pause():
        raise paused(pause.text, pause.ends_at)
    check_active(Job.objects.active().filter(owner=owner).count(), plan)
    check_month(MonthlyUse.objects.submitted(owner), plan)


def refusal(owner: User, plan: Plan) -> Refused | None:
    """What `check_submission` would say now."""
    try:
        check_submission(owner, plan)
    except Refused as refused:
        return refused
    return None


class UploadQuerySet(LeasedQuerySet):
    def visible_to(self, user: User) -> Self:
        return self.filter(owner=user)

    def open(self) -> Self:
        return self.filter(status=Upload.Status.OPEN).order_by("-created_at")


class Upload(Leased):
    """An upload session. The server chose its key, knows its size, and makes exactly one Job of it.

        OPEN ---all parts there, file accepted---> COMPLETED   (the Job is made in the same transaction)
          `------aborted, refused or expired-----> ABORTED     (`clean_upload` deletes the parts, then the row)

    `_move` is the only setter of `status`.
    """

    class Status(models.TextChoices):
        OPEN = "OPEN", "Open"
        COMPLETED = "COMPLETED", "Completed"
        ABORTED = "ABORTED", "Aborted"

    MOVES: ClassVar = {
        Status.OPEN: {Status.COMPLETED, Status.ABORTED},
        Status.COMPLETED: {},
        Status.ABORTED: {},
    }
    actor_name = "clean_upload"  # an open one is due when it expires

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(User, models.CASCADE, related_name="uploads")
    file_name = models.CharField(max_length=200)
    size = models.BigIntegerField(help_text="Bytes, as declared when the session began and checked when it ends.")
    part_size = models.IntegerField(help_text="Bytes of every part but the last.")
    token = models.TextField(blank=True, editable=False, help_text="The object store's name for this upload in parts.")
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.OPEN, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(editable=False)

    objects: ClassVar = UploadQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["next_action_at"], condition=Q(next_action_at__isnull=False), name="upload_due"),
            models.Index(fields=["owner", "-created_at"], condition=Q(status="OPEN"), name="upload_open"),
            models.Index(fields=["-created_at"], name="upload_created"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(status__in=["OPEN", "COMPLETED", "ABORTED"]), name="upload_status"),
            models.CheckConstraint(
                condition=Q(status="COMPLETED") ^ Q(next_action_at__isnull=False), name="upload_timer"
            ),
            models.CheckConstraint(condition=Q(size__gt=0, part_size__gt=0), name="upload_sizes"),
        ]

    def __str__(self) -> str:
        return f"{self.file_name} ({self.status})"

    @classmethod
    def start(cls, owner: User, file_name: str, size: int) -> "Upload":
        """Begin a session. Raises Refused when the name, the size, the plan or the many open sessions do not allow it."""
        file_name, plan = clean_file_name(file_name), owner.plan
        check_size(size, plan)
        check_submission(owner, plan)
        part_size = max(settings.UPLOAD_PART_BYTES, -(-size // MOST_PARTS))
        upload = cls(owner=owner, file_name=file_name, size=size, part_size=part_size)
        upload.expires_at = upload.next_action_at = after(settings.UPLOAD_LIFETIME)
        upload.token = objects("uploads").begin_upload(upload.key)
        try:
            upload._open()
        except Refused:
            objects("uploads").abort_upload(upload.key, upload.token)
            raise
        return upload

    def _open(self) -> None:
        with transaction.atomic():
            # of many requests at once, each counts the others
            owner = User.objects.select_for_update().get(pk=self.owner_id)
            if not owner.is_active:  # closed since: nothing of an account comes after its erasure
                raise LEAVING()
            if type(self).objects.filter(owner=self.owner_id).open().count() >= MOST_OPEN:
                raise Refused(
                    "too_many_uploads",
                    "Too many unfinished uploads",
                    f"You have {MOST_OPEN} uploads that were begun and not finished.",
                    "Finish or cancel some of them first.",
                    status=429,
                )
            self.save(force_insert=True)

    @property
    def key(self) -> str:
        return f"{self.prefix}/input"

    @property
    def prefix(self) -> str:
        return f"uploads/{self.owner_id}/{self.pk}"

    @property
    def part_count(self) -> int:
        return -(-self.size // self.part_size)

    def part_length(self, number: int) -> int | None:
        """Bytes of part `number` (from 1); None when there is no such part."""
        if not 1 <= number <= self.part_count:
            return None
        return min(self.part_size, self.size - (number - 1) * self.part_size)

    def part_url(self, number: int, lifetime: timedelta) -> str | None:
        length = self.part_length(number)
        assert length is not None
        return objects("uploads").part_url(self.key, self.token, number, length, lifetime)

    def received(self) -> list[int]:
        """The numbers of the parts that are in the object store, whole."""
        if self.status != self.Status.OPEN:
            return []
        try:
            parts = objects("uploads").received_parts(self.key, self.token)
        except UploadGone:  # put together already; or the store has lost it
            return list(range(1, self.part_count + 1)) if objects("uploads").exists(self.key) else []
        return sorted(n for n, size in parts.items() if size == self.part_length(n))

    def missing(self) -> list[int]:
        """The numbers of the parts that are yet to come; none once the parts were put together."""
        if self.status != self.Status.OPEN or objects("uploads").exists(self.key):
            return []
        return sorted(set(range(1, self.part_count + 1)) - set(self.received()))

    @property
    def received_bytes(self) -> int:
        return sum(self.part_length(n) or 0 for n in self.received())

    @property
    def percent(self) -> int:
        return self.received_bytes * 100 // self.size

    def complete(self, reference: str = "") -> Job:
        """End the session and make its Job, for a chosen reference or none; called twice, it gives the same Job.

        Raises Refused when there is no such reference, or no further job is allowed now: the session stays, and can be
        completed later. And, aborting the session, when the file is larger than it said or the plan allows, or is no VCF.
        """
        if self.status == self.Status.COMPLETED:
            job: Job = self.job
            return job
        if self.status == self.Status.ABORTED:
            raise ENDED()
        check_reference(reference)
        store = objects("uploads")
        if store.exists(self.key):  # put together before a crash, or put there whole
            store.abort_upload(self.key, self.token)
        else:
            store.finish_upload(self.key, self.token, self.size)
        try:
            self._check(store.size(self.key), store.read_head(self.key, HEAD_BYTES))
        except Refused:
            self.abort()
            raise
        with transaction.atomic():
            plan = self.owner.hold_plan()  # of many requests at once, each counts the others
            if type(self).objects.open().filter(pk=self.pk).exists():
                self._check_submission(plan)
            if self._move(self.Status.COMPLETED, next_action_at=None):
                job = Job.submit(self, reference, plan)
                hint_on_commit(job)
                return job
        ended: Upload | None = type(self).objects.filter(pk=self.pk).first()  # by another request, meanwhile
        if ended is None:
            raise ENDED()
        return ended.complete(reference)

    def _check_submission(self, plan: Plan) -> None:
        try:
            check_submission(self.owner, plan)
        except Refused as refused:
            self.refresh_from_db(fields=["expires_at"])  # as the database counted it
            kept = f"Your file is kept until {moment(self.expires_at)}: complete the upload before."
            raise replace(refused, mend=f"{refused.mend} {kept}") from None

    def _check(self, size: int, head: bytes) -> None:
        check_size(size, self.owner.plan)
        if size != self.size:
            raise Refused(
                "size_changed",
                "The file changed while it was uploaded",
                f"It was announced with {self.size:,} bytes and has {size:,}.",
                "Upload it again.",
            )
        check_head(head)

    def abort(self) -> bool:
        """Give the session up; a worker then deletes what was uploaded."""
        with transaction.atomic():
            aborted = self._move(self.Status.ABORTED, next_action_at=after(timedelta()))
            if aborted:
                hint_on_commit(self)
        return aborted

    def clean(self) -> None:
        """Delete the parts and the row of a session that was aborted or has expired; harmless at any other time."""
        if self.status == self.Status.OPEN:
            self._move(self.Status.ABORTED, only=Q(expires_at__lte=Now()), next_action_at=after(timedelta()))
        if self.status == self.Status.ABORTED:
            store = objects("uploads")
            store.abort_upload(self.key, self.token)
            store.delete_prefix(self.prefix)
            self.delete()
