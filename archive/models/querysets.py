"""Results by what is to be done with them, and what a change of plan or a deletion does to all of them at once."""

import re
from datetime import timedelta
from typing import Any, Self

from django.conf import settings
from django.db import models, transaction
from django.db.models import Case, Exists, F, OuterRef, Q, Value, When
from django.db.models.functions import Greatest, Now

from accounts.models import Plan, User
from archive.models.restoration import Restoration
from archive.models.retrieval import Retrieval
from archive.models.status import ArchiveStatus
from gas.hints import send_hint
from gas.leases import LeasedQuerySet, after
from jobs.models import Job

SHORTEST_WARNED = timedelta(days=1)  # no mail warns of the end of a window up to this
HINTED_AT_ONCE = 100  # rows of an upgrade; the dispatcher sees to the others


class ResultArchiveQuerySet(LeasedQuerySet):
    def of_owner(self, user: User) -> Self:
        return self.filter(job__owner=user)

    def due_for_archiving(self) -> Self:
        """Hot results that are locked and wait for the archiver, and those that he has left half archived."""
        waiting = Q(status="HOT", archive_id="", archive_at__lte=Now(), next_action_at__isnull=False)
        half_done = Q(status__in=["ARCHIVING", "PURGING"], next_action_at__lte=Now())
        return self.filter(waiting | half_done, job__deleted_at=None)

    def without_timer(self) -> Self:
        """Hot results that are to be archived, but nobody would: ARCHIVE_MIN_BYTES has been lowered."""
        waiting = Q(status="HOT", archive_at__isnull=False, next_action_at=None)
        return self.filter(waiting, size__gte=settings.ARCHIVE_MIN_BYTES, job__deleted_at=None)

    def without_window(self) -> Self:
        """Hot results that are kept, though the plan of their owner does not keep them."""
        kept = self.filter(status="HOT", archive_at=None, archive_id="", job__deleted_at=None)
        return kept.exclude(job__owner__profile__plan__in=Plan.objects.keeping())

    def to_bring_back(self) -> Self:
        """Results that are archived, or are going to be, though the plan of their owner keeps them."""
        lost = self.filter(archive_at__isnull=False, job__owner__profile__plan__in=Plan.objects.keeping())
        return lost.exclude(status="DELETED")

    def held_up(self) -> Self:
        """Overdue, or in a pause after a failure; nobody holds them."""
        overdue = Q(next_action_at__lte=Now() - timedelta(minutes=1))
        paused = Q(failures__gt=0, next_action_at__isnull=False)
        return self.filter(overdue | paused).filter(Q(lease_until=None) | Q(lease_until__lte=Now()))

    def named(self, archive_name: str) -> Self:
        """The row that an archive with this name was made for; `archive_name_of` gives the names."""
        pk = re.fullmatch(r"results/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/\d+", archive_name)
        return self.filter(pk=pk[1]) if pk else self.none()

    def look_now(self, archive_id: str) -> bool:
        """The s3 vault may have this archive within reach: its thaw is not to wait for the next look."""
        waiting = {"archive_id": archive_id, "vault": "s3", "status": ArchiveStatus.THAWING}
        row = self.named(archive_id).filter(**waiting).first()
        return row is not None and bool(row.go_on())

    @transaction.atomic
    def bring_back(self, user: User) -> Restoration | None:
        """The plan keeps results from now on: nothing more is archived, and all that is comes back.

        One statement, so that whoever moves a row meanwhile does so before it, and is found, or after it, and sees the
        wish. None: there was nothing to bring back.
        """
        restoration = Restoration.begin(user)
        self._wish_hot(restoration)
        if not restoration.count():
            restoration.delete()
            return None
        restoration.spare_expedited()
        transaction.on_commit(lambda: _send_hints(restoration.archives.all()))
        return restoration

    def _wish_hot(self, restoration: Restoration) -> None:
        status = ArchiveStatus
        archived, archiving = Q(status=status.ARCHIVED), Q(status=status.ARCHIVING)
        # those of an earlier upgrade, which a downgrade has taken back, or of staff come back with this one
        # one in quarantine, too: before it is released, not all are back
        held = Q(status=status.QUARANTINED, archived_at__isnull=False)
        coming_back = archived | held | Q(status__in=[status.PURGING, status.RESTORING, status.THAWING])
        moved = Case(
            When(archived, then=Value(status.RESTORING.value)),
            When(archiving, then=Value(status.HOT.value)),
            default=F("status"),
        )
        # who uploads at this moment may finish before he sees that it is off: what he leaves is deleted after his lease
        leftover: Any = Greatest("lease_until", Now())
        timer = _when(
            (archived, Now()),
            (archiving, leftover),
            (Q(status=status.HOT, archive_id=""), Value(None)),
            otherwise=F("next_action_at"),
        )
        self.exclude(status=status.DELETED).update(
            archive_at=None,
            status=moved,
            restoration=Case(
                When(coming_back, then=Value(restoration.pk)),
                default=F("restoration_id"),
                output_field=models.BigIntegerField(),
            ),
            tier=Case(When(coming_back, then=Value("")), default=F("tier")),
            lease_until=_when((archiving, Value(None)), otherwise=F("lease_until")),
            not_before=_when((archived, Value(None)), otherwise=F("not_before")),
            next_action_at=timer,
            hints=0,
        )

    @transaction.atomic
    def let_go(self, window: timedelta) -> None:
        """The plan keeps results for `window`, from now on; what no vault has been asked for yet stays archived, and locked."""
        status = ArchiveStatus
        end = after(window)
        # whoever moves a row at this moment is waited for here; the statements below see what he did
        self.exclude(status=status.DELETED).update(archive_at=end)
        idle = Q(status=status.HOT, archive_id="", size__gte=settings.ARCHIVE_MIN_BYTES)
        self.filter(idle).update(next_action_at=first_look(window), hints=0)
        asked = Exists(Retrieval.objects.filter(archive=OuterRef("pk"), ended_at=None))
        unasked = self.filter(~asked, status=status.RESTORING, lease_until=None)
        unasked.update(status=status.ARCHIVED, next_action_at=None, not_before=None, hints=0)
        Job.objects.filter(archive__in=self.filter(status=status.ARCHIVED)).update(download_until=Now())

    @transaction.atomic
    def delete_soon(self) -> None:
        """Their jobs are deleted: nothing of them may remain, here or in a vault. Whatever holds them, loses."""
        doomed = self.exclude(status=ArchiveStatus.DELETED)
        rows = list(doomed.values_list("pk", flat=True))
        gone: dict[str, Any] = {
            "status": ArchiveStatus.DELETED,
            "deleted_at": Now(),
            "attempt": F("attempt") + 1,
        }
        # a holder may still write for as long as his lease lasts: the last look is after that; when he was called off,
        # the timer has kept its end
        called_off = Q(status=ArchiveStatus.HOT) & ~Q(archive_id="")
        last_write = _when((called_off, F("next_action_at")), otherwise=F("lease_until"))
        doomed.update(**gone, not_before=last_write, lease_until=None, next_action_at=Now(), hints=0, error="")
        transaction.on_commit(lambda: _send_hints(self.model._base_manager.filter(pk__in=rows)))


def first_look(window: timedelta) -> Any:
    """When a hot result is next looked at, `window` before it is archived: at its end, or to warn of it."""
    warned = settings.ARCHIVE_WARNING and window > SHORTEST_WARNED
    return after(max(window - settings.ARCHIVE_WARNING, timedelta()) if warned else window)


def _when(*cases: tuple[Q, Any], otherwise: Any) -> Case:
    """A time that depends on what the row is."""
    return Case(
        *(When(condition, then=then) for condition, then in cases),
        default=otherwise,
        output_field=models.DateTimeField(),
    )


def _send_hints(rows: models.QuerySet[Any]) -> None:
    for row in rows[:HINTED_AT_ONCE]:
        send_hint(row)
