"""Where a result lies, and what moves it between the results bucket and a vault."""

import uuid
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.db import models, transaction
from django.db.models import Case, ExpressionWrapper, F, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Greatest, Now
from django.utils import timezone

from archive.models.querysets import SHORTEST_WARNED, ResultArchiveQuerySet, first_look
from archive.models.restoration import Restoration
from archive.models.retrieval import Retrieval
from archive.models.status import ArchiveStatus
from gas.hints import hint_on_commit
from gas.leases import FIRST_HINT_AFTER, Leased, after
from jobs.models import Job, Notification
from jobs.models.mail import wants_mail

if TYPE_CHECKING:
    from gas.vaults import Archived, Vault

LONGEST_PAUSE = timedelta(minutes=15)


class ResultArchive(Leased):
    """Where the result of one job lies. Access is another matter: that is the job's `download_until`.

        HOT --claim--> ARCHIVING --verified--> PURGING --hot copy gone--> ARCHIVED
         ^ ^               |                      `--wished back meanwhile--.  |   (or HOT, if nobody has begun)
         | `---called off--'                                                v  v upgrade
         `--digest holds--- THAWING <--------retrieval initiated-------- RESTORING <-.
                               `------------retrieval expired or failed--------------'
        A digest that does not hold: -> QUARANTINED, which staff releases. A deleted job: any -> DELETED.

    `archive_at` says what is wished: archived after that time, or with None, hot. `attempt` is the fencing token,
    `generation` counts the copies: neither an archive nor a thawed copy ever has the key of an earlier one, so that a
    late delete of an old copy hits nothing else. HOT with an `archive_id` has an archive yet to be deleted, DELETED with
    a timer a trace. `_move` and the QuerySet's bulk acts are the only setters of `status`. Whoever locks more than one row
    takes the profile first, then the job, then this one.
    """

    Status = ArchiveStatus

    MOVES: ClassVar = {
        Status.HOT: {Status.ARCHIVING, Status.QUARANTINED},
        Status.ARCHIVING: {Status.ARCHIVING, Status.HOT, Status.PURGING, Status.QUARANTINED},
        Status.PURGING: {Status.PURGING, Status.HOT, Status.ARCHIVED, Status.RESTORING},
        Status.ARCHIVED: {Status.RESTORING, Status.QUARANTINED},
        Status.RESTORING: {Status.RESTORING, Status.ARCHIVED, Status.THAWING, Status.QUARANTINED},
        Status.THAWING: {Status.THAWING, Status.RESTORING, Status.HOT, Status.QUARANTINED},
        Status.QUARANTINED: {Status.HOT, Status.RESTORING, Status.ARCHIVED},
        Status.DELETED: {},
    }
    READABLE: ClassVar = {Status.HOT, Status.ARCHIVING}

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    job = models.OneToOneField(Job, models.SET_NULL, null=True, related_name="archive")
    status = models.CharField(max_length=11, choices=Status.choices, default=Status.HOT, editable=False)
    archive_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When it is to be archived. Empty: the plan keeps it."
    )
    generation = models.PositiveIntegerField(default=0, editable=False)

    hot_key = models.CharField(
        max_length=300, editable=False, help_text="In the results bucket; also of a copy that is gone."
    )
    size = models.BigIntegerField(editable=False, help_text="Bytes.")
    sha256 = models.CharField(
        max_length=64,
        blank=True,
        editable=False,
        help_text="As the annotator wrote it. Empty: imported, not yet known.",
    )

    vault = models.CharField(max_length=10, blank=True, editable=False, help_text="local, s3 or glacier.")
    archive_id = models.CharField(
        max_length=300, blank=True, editable=False, help_text="The vault's id of the archive."
    )
    tree_hash = models.CharField(max_length=64, blank=True, editable=False, help_text="SHA-256 tree hash of Glacier.")
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)

    restoration = models.ForeignKey(
        Restoration, models.SET_NULL, null=True, blank=True, related_name="archives", editable=False
    )
    tier = models.CharField(
        max_length=10, blank=True, editable=False, help_text="First tier to ask for, if not the usual."
    )
    thawed_at = models.DateTimeField(null=True, blank=True, editable=False)

    failures = models.PositiveSmallIntegerField(
        default=0, editable=False, help_text="In a row; they stretch the pauses."
    )
    error = models.TextField(blank=True, editable=False, help_text="Of the last failure, or why it is in quarantine.")
    created_at = models.DateTimeField(auto_now_add=True)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects: ClassVar = ResultArchiveQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["next_action_at"], condition=Q(next_action_at__isnull=False), name="archive_due"),
            models.Index(fields=["status"], condition=~Q(status="HOT"), name="archive_status"),
            models.Index(fields=["-created_at"], name="archive_created"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    status__in=[
                        "HOT", "ARCHIVING", "PURGING", "ARCHIVED", "RESTORING", "THAWING", "QUARANTINED", "DELETED"
                    ]
                ),
                name="archive_status_known",
            ),
            models.CheckConstraint(
                condition=Q(lease_until=None) | Q(status__in=["ARCHIVING", "PURGING", "RESTORING", "THAWING"]),
                name="archive_lease",
            ),
            models.CheckConstraint(
                condition=~Q(status="ARCHIVING") | Q(lease_until__isnull=False), name="archive_archiving_leased"
            ),
            models.CheckConstraint(
                condition=~Q(archive_id="", status__in=["PURGING", "ARCHIVED", "RESTORING", "THAWING"]),
                name="archive_has_archive",
            ),
            models.CheckConstraint(
                condition=Q(next_action_at=None) & Q(status__in=["HOT", "ARCHIVED", "QUARANTINED", "DELETED"])
                | Q(next_action_at__isnull=False) & ~Q(status__in=["ARCHIVED", "QUARANTINED"]),
                name="archive_timer",
            ),
            models.CheckConstraint(
                condition=~Q(status="HOT", next_action_at=None) | Q(archive_id=""), name="archive_leftover_timer"
            ),
            # a result that the plan keeps does not stay in the vault
            models.CheckConstraint(condition=~Q(status="ARCHIVED", archive_at=None), name="archive_wished"),
            models.CheckConstraint(condition=~Q(status="QUARANTINED", error=""), name="archive_quarantine_reason"),
            models.CheckConstraint(condition=Q(status="DELETED") ^ Q(deleted_at=None), name="archive_deleted_at"),
            models.CheckConstraint(condition=Q(status="DELETED") | Q(job__isnull=False), name="archive_job"),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"result {self.hot_key} ({self.status})"

    # --- its beginning ------------------------------------------------------------------------------------------------

    @classmethod
    def of(cls, job: Job) -> "ResultArchive":
        """The row of a completed job, made if it is not there. Runs in the transaction that completes the job."""
        facts = {"hot_key": job.result_key, "size": job.result_size, "sha256": job.result_sha256}
        archive, made = cls.objects.get_or_create(job=job, defaults=facts | cls.plan_of(job))
        if made:
            archive.refresh_from_db()
        return archive

    @classmethod
    def plan_of(cls, job: Job) -> dict[str, Any]:
        """What is wished for a hot result, and when it is next looked at."""
        assert job.result_size is not None
        if job.download_until is None or job.result_size < settings.ARCHIVE_MIN_BYTES:
            return {"archive_at": job.download_until, "next_action_at": None}
        window = max(job.download_until - timezone.now(), timedelta())
        return {"archive_at": job.download_until, "next_action_at": first_look(window)}

    @transaction.atomic
    def wait_for_window(self) -> bool:
        """Of a hot result that is to be archived later: look again then, and warn its owner now. False: it is due, or kept."""
        Job.objects.select_for_update(no_key=True).filter(pk=self.job_id).first()
        waits = self._change(only=Q(archive_at__gt=Now(), archive_id=""), next_action_at=F("archive_at"), hints=0)
        if waits and self.job and settings.ARCHIVE_WARNING and wants_mail(self.job.owner, "expiring"):
            due = {"next_action_at": after(FIRST_HINT_AFTER)}
            self.job.notifications.get_or_create(kind=Notification.Kind.EXPIRING, defaults=due)
        return waits

    def stay_hot(self) -> bool:
        """Of a hot result that the plan keeps: nothing more is to do. False: it is due."""
        return self._change(only=Q(archive_at=None, archive_id=""), next_action_at=None, hints=0)

    # --- what staff decides -------------------------------------------------------------------------------------------

    def archive_now(self) -> bool:
        """Of a hot result that is locked: whatever it waits for, it is looked at now."""
        locked = Q(status=self.Status.HOT, archive_id="", archive_at__lte=Now())
        return self._hinted(only=locked, next_action_at=Now(), not_before=None)

    def restore_now(self) -> bool:
        """Of an archived one: it comes back; on a plan with a window, for one more window."""
        if self.status != self.Status.ARCHIVED:
            return False
        back: dict[str, Any] = {"archive_at": None, "tier": "", "failures": 0, "not_before": None, "hints": 0}
        return self._hinted(status=self.Status.RESTORING, next_action_at=Now(), **back)

    def keep_until(self, end: datetime) -> None:
        """Staff has moved the end of the job's window: what is hot stays until then, all else comes back.

        Runs in the transaction that moved it, which has locked the job.
        """
        row = type(self).objects.select_for_update(no_key=True).get(pk=self.pk)  # nobody moves it meanwhile
        later = first_look(max(end - timezone.now(), timedelta()))
        if row.status == self.Status.ARCHIVED:
            row.restore_now()
        elif row.status == self.Status.ARCHIVING:  # what the archiver leaves is deleted after his lease
            leftover = Greatest("lease_until", Now()) if row.archive_id else later
            row._move(self.Status.HOT, archive_at=end, lease_until=None, next_action_at=leftover)
        elif row.status == self.Status.HOT:
            timed = row.next_action_at is not None and not row.archive_id
            row._change(archive_at=end, hints=0, **({"next_action_at": later} if timed else {}))
        elif row.status != self.Status.DELETED:  # on its way: `call_off_purging` and `thawed` take the end from the job
            row._change(archive_at=None)

    def go_on(self) -> bool:
        """The pause is over: the next step is taken now. False: somebody holds it, or nothing is to do."""
        free = (Q(lease_until=None) | Q(lease_until__lte=Now())) & Q(next_action_at__isnull=False)
        pause: dict[str, Any] = {} if self.status == self.Status.DELETED else {"not_before": None}
        return self._hinted(only=free, next_action_at=Now(), **pause)

    def set_timer(self) -> bool:
        """Of a hot result that is to be archived, but has no timer."""
        if self.status != self.Status.HOT or self.archive_at is None:
            return False
        window = max(self.archive_at - timezone.now(), timedelta())
        return self._change(only=Q(next_action_at=None), next_action_at=first_look(window), hints=0)

    def released_hot(self) -> bool:
        """Of one in quarantine: its hot copy is whole. An archive of it is deleted."""
        idle = not self.archive_id and self.size < settings.ARCHIVE_MIN_BYTES
        timer = None if idle else Now()
        return self._move(self.Status.HOT, error="", failures=0, not_before=None, next_action_at=timer)

    def released_archived(self) -> bool:
        """Of one in quarantine: its archive is whole."""
        if self.archive_at is None:
            return self._move(self.Status.RESTORING, error="", failures=0, not_before=None, next_action_at=Now())
        return self._stay_locked(error="", failures=0)

    def _hinted(self, *, only: Q | None = None, **changes: Any) -> bool:
        changed = self._change(only=only, **changes)
        if changed:
            hint_on_commit(self)
        return changed

    # --- to the vault -------------------------------------------------------------------------------------------------

    def claim_archiving(self, vault: "Vault") -> bool:
        """Take a hot result that is due for the archive, or one whose archiver is gone: then in the vault it had.

        Where the vault's id follows from the name, the row has it before anything is written there.
        """
        if self.status == self.Status.ARCHIVING:
            return self._claim(self.Status.ARCHIVING, only=Q(lease_until__lte=Now()))
        due = Q(archive_id="", archive_at__lte=Now())
        generation = self.generation + 1
        begun: dict[str, Any] = {"vault": vault.kind, "generation": generation}
        begun["archive_id"] = vault.archive_id(self.archive_name_of(generation))
        return self._claim(self.Status.ARCHIVING, only=due, **begun)

    def archived_as(self, archived: "Archived") -> bool:
        """The archive is verified: from now on the hot copy may go, if it is still to be archived."""
        kept: dict[str, Any] = {"archive_id": archived.archive_id, "tree_hash": archived.tree_hash, "error": ""}
        if not self.sha256:
            kept["sha256"] = archived.sha256
        free = {"failures": 0, "lease_until": None, "next_action_at": Now()}
        return self._move(self.Status.PURGING, only=Q(archive_at__isnull=False), **kept, **free)

    def call_off_purging(self) -> bool:
        """Wished back before anybody has begun to delete the hot copy: it stays, and the archive goes."""
        return self._move(
            self.Status.HOT,
            only=Q(archive_at=None, lease_until=None, failures=0),
            archive_at=Subquery(Job.objects.filter(pk=OuterRef("job_id")).values("download_until")),
            next_action_at=Now(),
            not_before=None,
        )

    def claim_purging(self) -> bool:
        """Take a result whose hot copy may go: it is still to be archived, or somebody has begun to delete it."""
        begun = Q(lease_until__lte=Now()) | Q(lease_until=None, failures__gt=0)
        return self._claim(self.Status.PURGING, only=begun | Q(lease_until=None, archive_at__isnull=False))

    def purged(self) -> bool:
        """The hot copy is gone. Whoever has been upgraded meanwhile gets it back at once."""
        wished_back = Q(archive_at=None)
        to: Any = Case(When(wished_back, then=Value("RESTORING")), default=Value("ARCHIVED"))
        timer = Case(When(wished_back, then=Now()), default=Value(None), output_field=models.DateTimeField())
        changes: dict[str, Any] = {"archived_at": Now(), "lease_until": None, "next_action_at": timer}
        return self._change(status=to, hints=0, **changes)

    # --- and back -----------------------------------------------------------------------------------------------------

    def claim_step(self) -> bool:
        """Take the next step of RESTORING or THAWING."""
        free = (Q(lease_until=None) & (Q(not_before=None) | Q(not_before__lte=Now()))) | Q(lease_until__lte=Now())
        return self._claim(self.status, only=free)

    def stay_archived(self) -> bool:
        """After a downgrade, before any vault was asked."""
        rest: dict[str, Any] = {"next_action_at": None, "not_before": None, "lease_until": None}
        return self.archive_at is not None and self._stay_locked(**rest)

    @transaction.atomic
    def _stay_locked(self, **changes: Any) -> bool:
        """To ARCHIVED. A window that a downgrade has begun ends, because the result is not here."""
        job = Job.objects.select_for_update(no_key=True).filter(pk=self.job_id)
        list(job)
        stays = self._move(self.Status.ARCHIVED, only=Q(archive_at__isnull=False), **changes)
        if stays:
            job.filter(download_until__gt=Now()).update(download_until=Now())
        return stays

    def thawing(self, pause: timedelta) -> bool:
        """A retrieval is initiated; it is looked at after `pause`."""
        when = {"next_action_at": after(pause), "not_before": None, "lease_until": None}
        return self._move(self.Status.THAWING, failures=0, error="", **when)

    def look_again(self, pause: timedelta) -> bool:
        """The retrieval is not done yet."""
        return self._change(next_action_at=after(pause), lease_until=None, failures=0, error="", hints=0)

    def retrieve_again(self, why: str) -> bool:
        """The retrieval expired before it was thawed, or the vault lost it."""
        return self._move(self.Status.RESTORING, next_action_at=Now(), lease_until=None, error=why)

    @transaction.atomic
    def thawed(self, hot_key: str, sha256: str) -> bool:
        """The hot copy is whole; the archive is yet to be deleted. After a downgrade a new window begins here."""
        window = self.job.owner.hold_plan().download_window if self.job else None
        job = Job.objects.select_for_update(no_key=True).filter(pk=self.job_id).first()
        if job is None:
            return False
        until: Any = after(window) if window is not None else None
        if until is not None and job.download_until is not None:  # which staff may have extended
            until = Greatest(job.download_until, until, output_field=models.DateTimeField())
        hot: dict[str, Any] = {"hot_key": hot_key, "sha256": sha256, "thawed_at": Now(), "archive_at": until}
        done = self._move(self.Status.HOT, next_action_at=Now(), lease_until=None, failures=0, error="", tier="", **hot)
        if done:
            access = {"result_key": hot_key, "result_sha256": sha256, "download_until": self.archive_at}
            Job.objects.filter(pk=job.pk).update(**access)
            job.notifications.filter(kind=Notification.Kind.EXPIRING).delete()  # a new window has a warning of its own
            if self.restoration and not self.restoration.on_the_way.exists():
                hint_on_commit(self.restoration)
        return done

    def archive_deleted(self) -> bool:
        """Of a hot result: no archive is left, and it is looked at again when it is due, if it is, or to warn of that."""
        warned = Q(archive_at__gt=after(SHORTEST_WARNED)) if settings.ARCHIVE_WARNING else Q(pk__in=[])
        time = models.DateTimeField()
        warning = ExpressionWrapper(F("archive_at") - settings.ARCHIVE_WARNING, output_field=time)
        timer = Case(
            When(archive_at=None, then=Value(None)),
            When(size__lt=settings.ARCHIVE_MIN_BYTES, then=Value(None)),
            When(warned, then=Greatest(warning, Now(), output_field=time)),
            default=Greatest("archive_at", Now()),
            output_field=time,
        )
        forgotten: dict[str, Any] = {"archive_id": "", "tree_hash": "", "archived_at": None}
        return self._change(next_action_at=timer, not_before=None, hints=0, **forgotten)

    # --- what goes wrong ----------------------------------------------------------------------------------------------

    def renew(self) -> bool:
        """Renew the lease. False: it is lost, and whoever held it changes nothing more."""
        return self._change(**self._lease())

    def try_later(self, error: str) -> bool:
        """After a failure that may pass: 5 s, 10 s ... 15 min. It is never given up."""
        pause = min(FIRST_HINT_AFTER * 2 ** min(self.failures, 10), LONGEST_PAUSE)
        waits: dict[str, Any] = {"next_action_at": after(pause), "error": error, "lease_until": None}
        if self.status == self.Status.ARCHIVING:  # it keeps the lease until then, and goes on in the same vault
            waits["lease_until"] = after(pause)
        if self.status != self.Status.DELETED:  # whose `not_before` is the end of the last lease
            waits["not_before"] = after(pause)
        return self._change(failures=F("failures") + 1, hints=0, **waits)

    def quarantine(self, why: str) -> bool:
        """Nothing touches it until staff has looked at it; neither copy is deleted."""
        return self._move(self.Status.QUARANTINED, error=why, lease_until=None, next_action_at=None)

    def traces_deleted(self) -> bool:
        """Of a deleted result: nothing is left, once no holder may still write; before that, look again."""
        timer = Case(
            When(not_before__gt=Now(), then=F("not_before")), default=Value(None), output_field=models.DateTimeField()
        )
        return self._change(next_action_at=timer, hints=0)

    def _claim(self, to: str, *, only: Q, **changes: Any) -> bool:
        taken: dict[str, Any] = {"attempt": F("attempt") + 1, "not_before": None}
        return self._move(to, only=only, **taken, **self._lease(), **changes)

    @staticmethod
    def _lease() -> dict[str, Any]:
        return {"lease_until": after(settings.JOB_LEASE), "next_action_at": after(settings.JOB_LEASE)}

    # --- what may be said of it ---------------------------------------------------------------------------------------

    @property
    def actor_name(self) -> str:
        if self.status == self.Status.DELETED or (self.status == self.Status.HOT and self.archive_id):
            return "delete_archive"
        return {"RESTORING": "restore_result", "THAWING": "thaw_result"}.get(self.status, "archive_result")

    def archive_name_of(self, generation: int) -> str:
        """What the archive of a generation is called in the vault."""
        return f"results/{self.pk}/{generation}"

    @property
    def archive_name(self) -> str:
        return self.archive_name_of(self.generation)

    @property
    def thawed_key(self) -> str:
        """The key of the hot copy that comes out of this generation's archive."""
        return f"{self.results_prefix}/thawed-{self.generation}/{self.hot_key.rpartition('/')[2]}"

    @property
    def results_prefix(self) -> str:
        """The folder of all that was written for the job, in the results bucket."""
        return "/".join(self.hot_key.split("/")[:2])

    @property
    def is_hot(self) -> bool:
        """Whether the hot copy is there to be downloaded."""
        return self.status in self.READABLE

    @property
    def is_quarantined(self) -> bool:
        return self.status == self.Status.QUARANTINED

    @cached_property
    def retrieval(self) -> Retrieval | None:
        """The one that is under way."""
        under_way: Retrieval | None = self.retrievals.filter(ended_at=None).exclude(initiated_at=None).first()
        return under_way
