"""One file to annotate, and what became of it."""

import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.conf import settings
from django.db import models, transaction
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Greatest, Now
from django.utils import timezone

from accounts.audit import note
from accounts.models import AuditEvent, Plan, User
from gas.followers import follow
from gas.hints import hint_on_commit
from gas.leases import FIRST_HINT_AFTER, Leased, LeasedQuerySet, after
from gas.objects import objects
from jobs.files import SUFFIXES
from jobs.models.mail import wants_mail
from jobs.models.monthly_use import MonthlyUse

if TYPE_CHECKING:
    from jobs.models.upload import Upload

MAX_TRIES = 3  # workers that a job may kill
GIVE_UP_AFTER = timedelta(days=1)  # for a job that waits for storage
LONGEST_PAUSE = timedelta(minutes=15)
SUPPORT_ACCESS = timedelta(days=14)  # that its owner grants at a time
MOST_OPENINGS = 20  # of its files by support, that its owner's page lists
LONGEST_POLL = 3600  # seconds; browsers cannot wait for longer than 24 days, and do not count while asleep


@dataclass(frozen=True)
class Result:
    """What an attempt has written: keys in the results bucket, sizes in bytes, SHA-256 in hexadecimal."""

    result_key: str
    result_size: int
    result_sha256: str
    index_key: str
    log_key: str
    log_size: int
    log_sha256: str
    summary: dict[str, Any]
    skipped_key: str = ""  # when no record was skipped


class JobQuerySet(LeasedQuerySet):
    def visible_to(self, user: User) -> Self:
        """The jobs that `user` may see: his own that he has not deleted."""
        return self.filter(owner=user, deleted_at=None)

    def active(self) -> Self:
        """Those that wait or run and count against a plan's limit."""
        return self.filter(finished_at=None, deleted_at=None)

    def waiting(self) -> Self:
        """Those that wait for a worker, the next first."""
        return self.active().filter(status=Job.Status.PENDING).order_by("turn", "pk")

    def first_in_turn(self, hinted: "Job") -> "Job":
        """What a worker takes that was asked to look at `hinted`: while that waits, the one whose turn is earlier."""
        if not hinted.is_waiting:
            return hinted
        ready = Q(not_before=None) | Q(not_before__lte=Now())
        return self.waiting().filter(ready, turn__lt=hinted.turn).first() or hinted

    def set_turns(self, plan: Plan) -> int:
        """The jobs that wait get the head start of `plan`."""
        return self.waiting().order_by().update(turn=F("waiting_since") - plan.head_start)

    def restart_download_windows(self, window: timedelta | None) -> int:
        """Results can be downloaded for `window` from now on; without end for None."""
        until = after(window) if window is not None else None
        return self.filter(status=Job.Status.COMPLETED).update(download_until=until)

    def newest_first(self) -> Self:
        return self.order_by("-submitted_at", "-pk")

    def end_leases_of_the_dead(self, host: str) -> int:
        """End the leases of workers on this host whose process is no more, so that nobody waits for them to run out."""
        held = self.filter(status=Job.Status.RUNNING, worker__startswith=f"{host}:", lease_until__gt=Now())
        dead = [job.pk for job in held if not Path("/proc", job.worker.split(":")[1]).exists()]
        return self.filter(pk__in=dead, status=Job.Status.RUNNING).update(lease_until=Now(), next_action_at=Now())

    def stuck(self) -> Self:
        """Not ended, and overdue by more than a minute: whoever should have seen to them has not."""
        active = [Job.Status.PENDING, Job.Status.RUNNING]
        return self.filter(status__in=active, next_action_at__lte=Now() - timedelta(minutes=1))


class Job(Leased):
    """One annotation job.

        PENDING --claim--> RUNNING --complete--> COMPLETED
           ^  |              | | `---fail------> FAILED     (bad input, a limit, or a third dead worker)
           |  `--cancel--> CANCELLED <--cancel---' |
           |                 | ^                   |
           |<--give back-----' | a lost lease: RUNNING --claim--> RUNNING with the next attempt
           |<--retry (staff)--- FAILED, CANCELLED
           `<--retry lifted over (its owner)--- FAILED, when the file is of another build

    `attempt` is the fencing token; `tries` counts the attempts that ended without a word (a killed worker) or in an unexpected
    error. `_move` is the only setter of `status`. A deleted job keeps its status, is invisible at once, and is purged.
    """

    class Status(models.TextChoices):
        PENDING = "PENDING", "Pending"
        RUNNING = "RUNNING", "Running"
        COMPLETED = "COMPLETED", "Completed"
        FAILED = "FAILED", "Failed"
        CANCELLED = "CANCELLED", "Cancelled"

    MOVES: ClassVar = {
        Status.PENDING: {Status.RUNNING, Status.CANCELLED},
        Status.RUNNING: {Status.RUNNING, Status.PENDING, Status.COMPLETED, Status.FAILED, Status.CANCELLED},
        Status.COMPLETED: {},
        Status.FAILED: {Status.PENDING},
        Status.CANCELLED: {Status.PENDING},
    }

    WANTED: ClassVar = Q(cancel_requested_at=None, deleted_at=None)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(User, models.PROTECT, related_name="jobs")
    upload = models.OneToOneField("jobs.Upload", models.PROTECT, related_name="job")
    file_name = models.CharField(max_length=200)
    input_key = models.CharField(max_length=300, editable=False)
    input_size = models.BigIntegerField(help_text="Bytes.")
    reference = models.CharField(
        max_length=255, blank=True, editable=False, help_text="As its owner chose; empty: found out from the file."
    )
    lift_over = models.BooleanField(
        default=False, editable=False, help_text="First, from the build that the header tells; as its owner wished."
    )
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.PENDING, editable=False)
    tries = models.PositiveSmallIntegerField(default=0, editable=False)
    worker = models.CharField(max_length=100, blank=True, editable=False)

    submitted_at = models.DateTimeField(default=timezone.now, editable=False)
    waiting_since = models.DateTimeField(default=timezone.now, editable=False, help_text="Since submission or retry.")
    turn = models.DateTimeField(
        default=timezone.now,
        editable=False,
        help_text="The earliest is next: it waits since then, or has that head start.",
    )
    started_at = models.DateTimeField(null=True, blank=True, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True, editable=False)
    cancel_requested_at = models.DateTimeField(null=True, blank=True, editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)
    download_until = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When the result is locked. Empty: the plan keeps it open."
    )
    support_until = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="Until then support may look at its files, as its owner granted.",
    )

    progress_done = models.BigIntegerField(null=True, blank=True, editable=False, help_text="Records.")
    progress_total = models.BigIntegerField(null=True, blank=True, editable=False, help_text="Records.")

    result_key = models.CharField(max_length=300, blank=True, editable=False)
    result_size = models.BigIntegerField(null=True, blank=True, editable=False)
    result_sha256 = models.CharField(max_length=64, blank=True, editable=False)
    index_key = models.CharField(max_length=300, blank=True, editable=False)
    log_key = models.CharField(max_length=300, blank=True, editable=False)
    log_size = models.BigIntegerField(null=True, blank=True, editable=False)
    log_sha256 = models.CharField(max_length=64, blank=True, editable=False)
    skipped_key = models.CharField(
        max_length=300, blank=True, editable=False, help_text="Of the list of skipped records; empty when none were."
    )
    summary = models.JSONField(default=dict, blank=True, editable=False, help_text="The engine's counts.")

    error_code = models.CharField(max_length=40, blank=True, editable=False)
    error_message = models.TextField(
        blank=True, editable=False, help_text="One sentence a line, as the user sees them."
    )

    objects: ClassVar = JobQuerySet.as_manager()

    class Meta:
        permissions = [
            ("requeue_job", "Can send stuck jobs to the queue again"),
            ("read_granted_files", "Can read files of jobs whose owner has let support look"),
        ]
        indexes = [
            models.Index(fields=["next_action_at"], condition=Q(next_action_at__isnull=False), name="job_due"),
            models.Index(fields=["owner", "-submitted_at", "-id"], condition=Q(deleted_at=None), name="job_list"),
            # not finished: PENDING and RUNNING, in words that SQLite finds an index by
            models.Index(fields=["turn"], condition=Q(finished_at=None), name="job_queue"),
            models.Index(fields=["owner"], condition=Q(finished_at=None), name="job_active"),
            models.Index(fields=["-submitted_at"], name="job_submitted"),
            models.Index(fields=["-finished_at", "error_code"], condition=Q(status="FAILED"), name="job_failures"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"]), name="job_status"
            ),
            models.CheckConstraint(condition=Q(status="RUNNING") ^ Q(lease_until__isnull=True), name="job_lease"),
            models.CheckConstraint(
                condition=Q(status__in=["PENDING", "RUNNING"]) ^ Q(finished_at__isnull=False), name="job_finished_at"
            ),
            models.CheckConstraint(
                condition=Q(status__in=["PENDING", "RUNNING"], next_action_at__isnull=False)
                | Q(deleted_at__isnull=False, next_action_at__isnull=False)
                | Q(status__in=["COMPLETED", "FAILED", "CANCELLED"], deleted_at=None, next_action_at=None),
                name="job_timer",
            ),
            models.CheckConstraint(
                condition=(
                    Q(status="COMPLETED", result_size__isnull=False, log_size__isnull=False)
                    & ~Q(result_key="") & ~Q(log_key="") & ~Q(log_sha256="")
                    & (~Q(result_sha256="") | Q(attempt=0))  # imported from another GAS, not known before it is thawed
                )
                | ~Q(status="COMPLETED") & Q(result_key="", log_key="", index_key="", skipped_key=""),
                name="job_result",
            ),
            models.CheckConstraint(condition=Q(status="FAILED") ^ Q(error_code=""), name="job_error"),
            models.CheckConstraint(condition=Q(status="COMPLETED") | Q(download_until=None), name="job_download_until"),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.file_name} ({self.status})"

    # --- the way of a job ---------------------------------------------------------------------------------------------

    @classmethod
    def submit(cls, upload: "Upload", reference: str, plan: Plan) -> "Job":
        """The job of a finished upload. Runs in the transaction that ends the upload and holds the plan."""
        job = cls(
            owner=upload.owner,
            upload=upload,
            file_name=upload.file_name,
            input_key=upload.key,
            input_size=upload.size,
            reference=reference,
        )
        job.turn = job.waiting_since - plan.head_start
        job.next_action_at = after(FIRST_HINT_AFTER)
        job.save(force_insert=True)
        job.refresh_from_db()
        MonthlyUse.objects.add(job.owner)
        return job

    def claim(self, worker: str) -> bool:
        """Take the job for `worker`: from PENDING, or from a worker whose lease ran out. False: there is nothing to do."""
        free = Q(deleted_at=None) & self._free(self.Status.PENDING)
        if not self.is_active:
            return False
        if self.cancel_requested_at:
            self._end(self.Status.CANCELLED, only=free)
            return False
        if self.tries >= MAX_TRIES:
            self.fail(
                "worker_died",
                [
                    f"The annotator died {self.tries} times at this file, without a reason that we know; it is not tried again."
                ],
                only=free,
            )
            return False
        return self._move(
            self.Status.RUNNING,
            only=free,
            attempt=F("attempt") + 1,
            tries=F("tries") + 1,
            worker=worker,
            started_at=Now(),
            progress_done=None,
            progress_total=None,
            not_before=None,
            **self._lease(),
        )

    def heartbeat(self, done: int | None, total: int | None) -> bool:
        """Renew the lease and note the progress. False: stop, for the lease is lost, or the job cancelled or deleted."""
        return self._change(only=self.WANTED, progress_done=done, progress_total=total, **self._lease())

    def complete(self, result: Result) -> bool:
        with transaction.atomic():
            window = self.owner.hold_plan().download_window
            until = after(window) if window is not None else None
            completed = self._end(self.Status.COMPLETED, **vars(result), download_until=until, only=self.WANTED)
            if completed:
                self._notify("completed")
                follow("job_completed", self)
        return completed

    def fail(self, code: str, faults: Sequence[str], *, only: Q | None = None) -> bool:
        """End the job with a reason: `faults`, whole sentences for its owner. False: lost, cancelled or deleted."""
        only = self.WANTED & (only or Q())
        with transaction.atomic():
            failed = self._end(self.Status.FAILED, only=only, error_code=code, error_message="\n".join(faults))
            if failed:
                self._notify("failed")
        return failed

    def give_back(self) -> bool:
        """The worker must stop: another may have the job at once, and no try is spent."""
        return self._back_to_pending(timedelta(), tries=F("tries") - 1)

    def wait_for_storage(self) -> bool:
        """Storage is out of reach: later again, 15 s, 30 s ... 15 min, no try spent; FAILED after a day."""
        if type(self).objects.filter(pk=self.pk, waiting_since__lte=Now() - GIVE_UP_AFTER).exists():
            return self.fail(
                "storage_unavailable",
                ["The file store was out of reach for a whole day; please submit the file again."],
            )
        pause = min(timedelta(seconds=15) * 2 ** min(self.attempt - 1, 10), LONGEST_PAUSE)
        return self._back_to_pending(pause, tries=F("tries") - 1)

    def try_again(self, code: str, faults: Sequence[str]) -> bool:
        """After an unexpected error: again in 15 s, or FAILED with the reason when the tries are spent."""
        if self.tries >= MAX_TRIES:
            return self.fail(code, faults)
        return self._back_to_pending(timedelta(seconds=15))

    def cancel(self) -> bool:
        """As its owner wishes: at once when PENDING, at the worker's next heartbeat when RUNNING. False: too late."""
        for _ in range(2):  # a worker may claim it, or give it back, at this very moment
            if self.can_cancel and self._cancel_as_it_is():
                return True
            self.refresh_from_db()
        return False

    def _cancel_as_it_is(self) -> bool:
        if self.status == self.Status.RUNNING:
            return self._change(cancel_requested_at=Now())
        return self._end(self.Status.CANCELLED, cancel_requested_at=Now())

    def cancelled(self) -> bool:
        """The worker has stopped a job that was cancelled or deleted."""
        return self._end(self.Status.CANCELLED)

    def retry_lifted_over(self) -> bool:
        """As its owner wishes: once more, lifted over first. False: it did not fail for want of that, or not any more."""
        return self.can_lift_over and self.retry(lift_over=True)

    def retry(self, **changes: Any) -> bool:
        """Staff: once more from the start, for a FAILED or CANCELLED job. The next mail of its end is a new one."""
        with transaction.atomic():
            head_start = self.owner.hold_plan().head_start
            pending = self._move(
                self.Status.PENDING,
                next_action_at=after(FIRST_HINT_AFTER),
                waiting_since=Now(),
                turn=after(-head_start),
                tries=0,
                finished_at=None,
                cancel_requested_at=None,
                error_code="",
                error_message="",
                only=Q(deleted_at=None),
                **changes,
            )
            if pending:
                self.notifications.all().delete()
                hint_on_commit(self)
        return pending

    def requeue(self) -> bool:
        """Operators: a worker is to look at it now, whatever it waits for. One that has it loses it. False: it has ended."""
        with transaction.atomic():
            due, now = Q(next_action_at__isnull=False), {"next_action_at": Now(), "not_before": None}
            if self.status == self.Status.RUNNING:  # not the end of its lease alone: a heartbeat would renew that
                queued = self._move(self.Status.PENDING, only=due, lease_until=None, **now)
            else:
                queued = self._change(only=due, hints=0, **now)
            if queued:
                hint_on_commit(self)
        return queued

    def extend_retention(self, more: timedelta) -> bool:
        """Staff: its result can be downloaded for `more` time, from the end of its window or, when that is over, from now.

        One that is archived comes back. False: it has no result, or one that its plan keeps open.
        """
        longer: Any = Greatest("download_until", Now(), output_field=models.DateTimeField()) + more
        with transaction.atomic():
            windowed = Q(status=self.Status.COMPLETED, download_until__isnull=False, deleted_at=None)
            extended = self._change(only=windowed, download_until=longer)
            if extended:
                self.notifications.filter(kind="expiring").delete()  # the new end has a warning of its own
                follow("retention_extended", self)
        return extended

    def grant_support_access(self) -> bool:
        """Its owner: support may look at its files for a while. False: it may already."""
        closed = Q(support_until=None) | Q(support_until__lte=Now())
        return self._set_support_access("support_access.granted", after(SUPPORT_ACCESS), only=closed)

    def withdraw_support_access(self) -> bool:
        """Its owner: support may no longer. False: it could not anyway."""
        return self._set_support_access("support_access.withdrawn", None, only=Q(support_until__gt=Now()))

    def _set_support_access(self, event: str, until: Any, *, only: Q) -> bool:
        with transaction.atomic():  # whatever its state, and whoever holds it
            changed = type(self).objects.filter(only, pk=self.pk, deleted_at=None).update(support_until=until)
            if changed:
                self.refresh_from_db(fields=["support_until"])
                end = self.support_until and self.support_until.isoformat()
                note(event, self, by=self.owner, after={"support_until": end})
        return bool(changed)

    def delete_soon(self) -> bool:
        """Gone for its owner at once; a worker deletes its files, then the row."""
        with transaction.atomic():  # whatever its state and whoever holds it: the owner's word is the last
            mine = type(self).objects.filter(pk=self.pk, deleted_at=None)
            deleted = mine.update(deleted_at=Now(), next_action_at=Now(), hints=0)
            if deleted:
                self.refresh_from_db()
                follow("job_deleted", self)
                hint_on_commit(self)
        return bool(deleted)

    def purge(self) -> None:
        """Delete the files and the row of a deleted job, once no worker holds it; harmless at any other time."""
        held = type(self).objects.filter(pk=self.pk, status=self.Status.RUNNING, lease_until__gt=Now()).exists()
        if self.deleted_at is None or held:
            return
        objects("results").delete_prefix(self.results_prefix)
        objects("uploads").delete_prefix(self.upload.prefix)
        with transaction.atomic():
            type(self).objects.select_for_update().filter(pk=self.pk).first()  # a job comes before what hangs on it
            self.delete()
            self.upload.delete()

    def _end(self, to: str, *, only: Q | None = None, **changes: Any) -> bool:
        # a deleted job is yet to be purged, whether this instance knows of the deletion or not
        timer = Case(When(deleted_at=None, then=Value(None)), default=Now(), output_field=models.DateTimeField())
        ended: dict[str, Any] = {"finished_at": Now(), "lease_until": None, "not_before": None, "next_action_at": timer}
        return self._move(to, only=only, **ended, **changes)

    def _back_to_pending(self, pause: timedelta, **changes: Any) -> bool:
        with transaction.atomic():
            when = {"next_action_at": after(pause), "not_before": after(pause)}
            pending = self._move(self.Status.PENDING, only=self.WANTED, lease_until=None, **when, **changes)
            if pending and not pause:
                hint_on_commit(self)
        return pending

    def _notify(self, kind: str) -> None:
        if wants_mail(self.owner, kind):
            hint_on_commit(self.notifications.create(kind=kind, next_action_at=after(FIRST_HINT_AFTER)))

    @staticmethod
    def _lease() -> dict[str, Any]:
        return {"lease_until": after(settings.JOB_LEASE), "next_action_at": after(settings.JOB_LEASE)}

    # --- what may be said of it ---------------------------------------------------------------------------------------

    @property
    def actor_name(self) -> str:
        return "purge_job" if self.deleted_at else "annotate_job"

    @property
    def is_active(self) -> bool:
        return self.status in (self.Status.PENDING, self.Status.RUNNING)

    @property
    def is_waiting(self) -> bool:
        """Whether a worker may have it now."""
        ready = self.not_before is None or self.not_before <= timezone.now()
        return self.status == self.Status.PENDING and self.deleted_at is None and ready

    @property
    def cancelled_by_owner(self) -> bool:
        return self.cancel_requested_at is not None or self.deleted_at is not None

    @property
    def can_cancel(self) -> bool:
        return self.is_active and self.cancel_requested_at is None

    @property
    def can_retry(self) -> bool:
        return self.status in (self.Status.FAILED, self.Status.CANCELLED) and self.deleted_at is None

    @property
    def can_extend(self) -> bool:
        """Whether its result has a window that staff can make longer; not that of one that we check."""
        quarantined = getattr(getattr(self, "archive", None), "is_quarantined", False)
        windowed = self.status == self.Status.COMPLETED and self.download_until is not None
        return windowed and self.deleted_at is None and not quarantined

    @property
    def support_may_look(self) -> bool:
        """Whether its owner has let support look at its files."""
        return self.support_until is not None and self.support_until > timezone.now() and self.deleted_at is None

    @property
    def openings(self) -> "models.QuerySet[AuditEvent]":
        """The latest files of it that support has opened, the newest first."""
        events = AuditEvent.objects.filter(object_type="job", object_id=str(self.pk), action="file.read_by_support")
        return events[:MOST_OPENINGS]

    @property
    def can_lift_over(self) -> bool:
        return self.error_code == "needs_lift_over"

    @property
    def results_prefix(self) -> str:
        return f"results/{self.pk}"

    def attempt_key(self, name: str) -> str:
        """The key of a file of this attempt: no two attempts write to the same key."""
        return f"{self.results_prefix}/{self.attempt}/{name}"

    @property
    def stem(self) -> str:
        suffix = max((s for s in SUFFIXES if self.file_name.lower().endswith(s)), key=len, default="")
        return self.file_name[: len(self.file_name) - len(suffix)]

    @property
    def result_name(self) -> str:
        imported_plain = self.result_key.endswith(".vcf")
        return f"{self.stem}.annot.vcf{'' if imported_plain else '.gz'}"

    @property
    def log_name(self) -> str:
        return f"{self.stem}.vcf.count.log"

    @property
    def skipped_name(self) -> str:
        return f"{self.stem}.skipped.tsv"

    @property
    def is_locked(self) -> bool:
        return self.download_until is not None and self.download_until <= timezone.now()

    @property
    def can_download(self) -> bool:
        return self.status == self.Status.COMPLETED and not self.is_locked and self.is_hot

    @property
    def is_hot(self) -> bool:
        """Whether the result lies in the results bucket; the archive's row says so."""
        placement = getattr(self, "archive", None)
        return placement is None or placement.is_hot

    @property
    def is_coming_back(self) -> bool:
        """Whether the result may be downloaded, but is not back from the archive."""
        return self.status == self.Status.COMPLETED and not self.is_locked and not self.is_hot

    @property
    def poll_seconds(self) -> int:
        """How often a page looks for news; 0: there will be none. An open result is locked when its time is over."""
        if self.is_active:
            return 1
        if self.is_coming_back:
            return 5
        if self.download_until is None or not self.can_download:
            return 0
        left = math.ceil((self.download_until - timezone.now()).total_seconds())
        return min(max(left, 1), LONGEST_POLL)

    @property
    def progress_percent(self) -> int | None:
        if not self.progress_total or self.progress_done is None:
            return None
        return min(100, self.progress_done * 100 // self.progress_total)

    @property
    def queue_position(self) -> int:
        """How many jobs wait before this one."""
        return type(self).objects.waiting().filter(turn__lt=self.turn).count()

    @property
    def mail_tells(self) -> bool:
        """Whether a mail tells its owner when it is annotated, as his profile is now."""
        profile = getattr(self.owner, "profile", None)
        return bool(self.owner.mail_address) and (profile is None or profile.mail_completed)

    @property
    def status_sentence(self) -> str:
        """The state in one plain sentence."""
        if self.is_active and self.cancel_requested_at:
            return "It is being cancelled."
        if self.status == self.Status.PENDING:
            return self._waiting_sentence()
        if self.is_locked:
            return "It is annotated; the time to download the result on the Free plan is over."
        if self.is_coming_back:
            return "It is annotated; the result comes back from the archive."
        return {
            self.Status.RUNNING: "It is being annotated; you may close this page"
            + (", a mail tells you when it is done." if self.mail_tells else " and look again later."),
            self.Status.COMPLETED: "It is annotated; the result can be read and downloaded.",
            self.Status.FAILED: "It could not be annotated; the reason is given below.",
            self.Status.CANCELLED: "It was cancelled; there is no result.",
        }[self.Status(self.status)]

    def _waiting_sentence(self) -> str:
        if self.attempt:
            return "The annotator was interrupted; the file is annotated again from the start, by itself."
        before = self.queue_position
        if not before:
            return "It is next to be annotated."
        return f"It waits to be annotated; {before} {'job is' if before == 1 else 'jobs are'} before it."
