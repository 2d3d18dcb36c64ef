"""The database against bucket and vaults, in both directions; `manage.py archive_audit` prints what is found.

What a row names is looked up in a listing of the stores, then looked at itself before it is called a finding, because
workers go on meanwhile. A mend never deletes a copy unless another one was looked at, whole, or the job is deleted.
"""

import re
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from archive.models import ResultArchive, Retrieval
from archive.snapshot import Line, Snapshot
from gas.objects import ObjectNotFound, objects
from gas.tree_hash import HashingReader
from gas.vaults import RETRIEVAL_LIFETIME, Archived, ArchiveNotFound, IntegrityError, VaultUnavailable, vault
from jobs.models import Job

Status = ResultArchive.Status
COLD = {Status.ARCHIVED, Status.RESTORING, Status.THAWING}
PAGE = 500  # rows
YOUNG = 3600  # seconds: what is that new may be somebody's who is at work
INVENTORY_LAG = timedelta(days=2)  # of a classic vault, which makes it about once a day
STUCK = timedelta(minutes=10)
MANY_HINTS = 10
RESULTS = "results"


@dataclass(frozen=True)
class Finding:
    kind: str
    where: str
    what: str
    job: str = ""
    mend: Callable[[], str] | None = field(
        default=None, compare=False, repr=False
    )  # says what it did, "" when too late


class Audit:
    """One look at everything. `not_seen` says what could not be looked at, `seen` counts what was."""

    def __init__(self, *, full: bool = False, sample: int = 0, inventory: str = "") -> None:
        self.full, self.sample, self.inventory = full, sample, inventory
        self.not_seen: list[str] = []
        self.seen: dict[str, int] = {}
        self._snapshot = Snapshot()

    def findings(self) -> Iterator[Finding]:
        """Raises StorageUnavailable, VaultUnavailable."""
        try:
            self._list_stores()
            yield from self._rows()
            for kind in self.seen:
                if kind not in {RESULTS, "rows"}:
                    yield from self._archives_of_nobody(kind)
            yield from self._results_of_nobody()
            yield from self._stuck()
            yield from self._retrievals()
        finally:
            self._snapshot.close()

    # --- the listings -------------------------------------------------------------------------------------------------

    def _list_stores(self) -> None:
        lines = ((line.key, line.key, line.size, "", line.modified) for line in objects(RESULTS).listing())
        self.seen[RESULTS] = self._snapshot.fill(RESULTS, lines)
        named = ResultArchive.objects.exclude(archive_id="").order_by().values_list("vault", flat=True).distinct()
        wanted = {*named, settings.VAULT} | ({"glacier"} if self.inventory else set())
        for kind in sorted(wanted):
            try:
                stored = vault(kind).inventory(self.inventory if kind == "glacier" else "")
                lines = ((s.archive_id, s.name, s.size, s.checksum, s.created) for s in stored)
                self.seen[kind] = self._snapshot.fill(kind, lines)
            except (VaultUnavailable, ImproperlyConfigured) as error:
                self.not_seen.append(f"vault {kind}: {error}")

    # --- from the rows to the stores ----------------------------------------------------------------------------------

    def _rows(self) -> Iterator[Finding]:
        self.seen["rows"], last = 0, uuid.UUID(int=0)
        rows = ResultArchive.objects.exclude(status=Status.DELETED).order_by("pk")
        while page := list(rows.filter(pk__gt=last)[:PAGE]):
            last = page[-1].pk
            self.seen["rows"] += len(page)
            for row in page:
                yield from self._row(row)
        alive = rows.filter(status__in=[Status.HOT, Status.ARCHIVED]).order_by("?")
        for pk in list(alive.values_list("pk", flat=True)[: self.sample]):
            for finding in self._row(ResultArchive.objects.get(pk=pk), whole=True):
                if finding.kind.endswith("checksum"):  # all else is told already
                    yield finding

    def _row(self, row: ResultArchive, *, whole: bool = False) -> Iterator[Finding]:
        if row.is_quarantined:
            yield Finding("quarantined", str(row.pk), row.error, str(row.job_id))
        whole = whole or self.full
        hot = self._snapshot.take(RESULTS, row.hot_key)
        cold = self._snapshot.take(row.vault, row.archive_id) if row.archive_id else None
        if row.is_hot and (whole or hot is None or hot.size != row.size):
            yield from _fault(row, row.hot_key, _hot_fault(row, whole=whole))
        if row.status in COLD and row.vault in self.seen:
            if whole or cold is None or _differs(cold, row):
                yield from _fault(row, row.archive_id, _cold_fault(row, cold))
            if hot and objects(RESULTS).exists(row.hot_key) and _unchanged(row):
                found = "The result is archived, but its hot copy is still there"
                yield Finding("archived-but-hot", row.hot_key, found, str(row.job_id), partial(_delete_hot, row, cold))

    # --- from the stores to the rows ----------------------------------------------------------------------------------

    def _archives_of_nobody(self, kind: str) -> Iterator[Finding]:
        for line in self._snapshot.left_over(kind):
            if time.time() - line.created < YOUNG:
                continue
            row = _row_of(line)
            if row is None:
                yield Finding("archive-unknown", line.id, f"No row of this database has ever had it (vault {kind})")
            elif not _is_wanted(row, kind, line) and _still_there(row, kind, line):
                found = f"An archive that no row names ({line.size} bytes, vault {kind})"
                mend = partial(self._delete_archive, row, kind, line.id)
                yield Finding("archive-orphan", line.id, found, str(row.job_id or ""), mend)

    def _results_of_nobody(self) -> Iterator[Finding]:
        for line in self._snapshot.left_over(RESULTS):
            job = _job_of(line.id)
            if time.time() - line.created < YOUNG:
                continue
            if job is None or not Job.objects.filter(pk=job).exists():
                yield from self._result_of_no_job(line)
            elif re.search(r"/thawed-\d+/", line.id):
                row = ResultArchive.objects.filter(job=job).first()
                if row and line.id not in {row.hot_key, row.thawed_key if row.status == Status.THAWING else ""}:
                    mend = partial(self._delete_copy, row, line.id)
                    yield Finding("thawed-orphan", line.id, "A thawed copy that no row names", str(job), mend)

    def _result_of_no_job(self, line: Line) -> Iterator[Finding]:
        prefix = "/".join(line.id.split("/")[:2]) + "/"
        deleted = ResultArchive.objects.filter(status=Status.DELETED, hot_key__startswith=prefix).first()
        if deleted and deleted.next_action_at:
            return  # somebody is at it, or will be
        if deleted is None:
            yield Finding("result-unknown", line.id, "No row of this database has ever had it")
        else:
            mend = partial(self._delete_copy, deleted, line.id)
            yield Finding("result-orphan", line.id, "Its job is deleted", "", mend)

    # --- what is held up ----------------------------------------------------------------------------------------------

    @staticmethod
    def _stuck() -> Iterator[Finding]:
        since = Now() - STUCK
        held_up = Q(next_action_at__lte=since) | Q(lease_until__lte=since) | Q(hints__gte=MANY_HINTS)
        for row in ResultArchive.objects.filter(held_up, next_action_at__isnull=False).iterator(PAGE):
            found = f"{row.status}, overdue since {row.next_action_at:%F %T} UTC after {row.hints} hints: is anybody at work?"
            yield Finding("stuck", str(row.pk), found, str(row.job_id or ""), partial(_requeue, row))

    @staticmethod
    def _retrievals() -> Iterator[Finding]:
        for retrieval in Retrieval.objects.filter(ended_at=None).select_related("archive").iterator(PAGE):
            row, job = retrieval.archive, str(retrieval.archive.job_id or "")
            if row.status not in {Status.RESTORING, Status.THAWING}:
                found = f"A retrieval is open, but the result is {row.status}"
                yield Finding("retrieval-open", str(retrieval.pk), found, job, partial(_abandon, retrieval))
            elif retrieval.expected_by and retrieval.expected_by + RETRIEVAL_LIFETIME < timezone.now():
                state = vault(row.vault).describe_retrieval(row.archive_id, retrieval.vault_id)
                if state.status in {"expired", "failed"}:
                    found = f"The retrieval has {state.status}, and nobody has begun another"
                    yield Finding("retrieval-expired", str(retrieval.pk), found, job, partial(_requeue, row))

    # --- what is superfluous may go, if something else is whole -------------------------------------------------------

    def _delete_archive(self, row: ResultArchive, kind: str, archive_id: str) -> str:
        if not self._has_whole_copy(row) or (row.archive_id == archive_id and row.status != Status.DELETED):
            return ""
        vault(kind).delete_archive(archive_id)
        return "deleted"

    def _delete_copy(self, row: ResultArchive, key: str) -> str:
        if not self._has_whole_copy(row) or (row.status != Status.DELETED and key in {row.hot_key, row.thawed_key}):
            return ""
        objects(RESULTS).delete(key)
        return "deleted"

    def _has_whole_copy(self, row: ResultArchive) -> bool:
        """Whether the copy that the row names was looked at just now, and is whole; a deleted one needs none."""
        row.refresh_from_db()
        if row.status == Status.DELETED:
            return True
        if row.is_hot:
            return _hot_fault(row, whole=True) is None
        cold = self._snapshot.take(row.vault, row.archive_id)
        return row.status in COLD and _cold_fault(row, cold) is None


# --- is it what the row says? -----------------------------------------------------------------------------------------

Fault = tuple[str, str] | None  # kind of finding, sentence


def _fault(row: ResultArchive, where: str, fault: Fault) -> Iterator[Finding]:
    if fault and _unchanged(row):
        yield Finding(fault[0], where, fault[1], str(row.job_id), partial(_quarantine, row, fault[1]))


def _unchanged(row: ResultArchive) -> bool:
    same = {name: getattr(row, name) for name in ("status", "attempt", "generation", "hot_key", "archive_id")}
    return ResultArchive.objects.filter(pk=row.pk, **same).exists()


def _hot_fault(row: ResultArchive, *, whole: bool) -> Fault:
    try:
        if (size := objects(RESULTS).size(row.hot_key)) != row.size:
            return "hot-size", f"The hot copy has {size} bytes instead of {row.size}"
        if whole and row.sha256:
            with objects(RESULTS).open_stream(row.hot_key) as stream, HashingReader(stream) as read:
                while read.read(1 << 20):
                    pass
            if read.sha256 != row.sha256:
                return "hot-checksum", f"The hot copy has the SHA-256 {read.sha256} instead of {row.sha256}"
    except ObjectNotFound:
        return "hot-missing", "The result is hot, but its copy is not there"
    return None


def _cold_fault(row: ResultArchive, line: Line | None) -> Fault:
    if line and line.size != row.size:
        return "archive-size", f"The archive has {line.size} bytes instead of {row.size}"
    try:
        vault(row.vault).verify(row.archive_id, Archived(row.archive_id, row.size, row.sha256, row.tree_hash))
    except ArchiveNotFound:
        return "archive-missing", f"The vault {row.vault} does not have the archive"
    except IntegrityError as error:
        return "archive-checksum", str(error)
    if line and line.checksum and line.checksum != row.tree_hash:
        return "archive-checksum", f"The archive has the checksum {line.checksum} instead of {row.tree_hash}"
    lag_is_over = row.archived_at is None or row.archived_at < timezone.now() - INVENTORY_LAG
    if line is None and row.vault == "glacier" and lag_is_over:  # a vault that cannot be asked for one archive
        return "archive-missing", "The vault's inventory does not have the archive"
    return None


def _differs(line: Line, row: ResultArchive) -> bool:
    return line.size != row.size or bool(line.checksum and line.checksum != row.tree_hash)


def _is_wanted(row: ResultArchive, kind: str, line: Line) -> bool:
    """Whether the row names the archive, or somebody is at work with it."""
    if row.status == Status.DELETED:
        return row.next_action_at is not None
    begun = row.status == Status.ARCHIVING and line.name == row.archive_name
    return begun or (row.vault, row.archive_id) == (kind, line.id)


def _still_there(row: ResultArchive, kind: str, line: Line) -> bool:
    """Whether it was not deleted since the listing; a classic vault lists for two days what is gone."""
    if kind == "glacier":
        gone = row.deleted_at or row.thawed_at
        return gone is None or gone < timezone.now() - INVENTORY_LAG
    try:
        vault(kind).verify(line.id, Archived(line.id, line.size, row.sha256))
    except ArchiveNotFound:
        return False
    except IntegrityError:
        pass
    return True


def _row_of(line: Line) -> ResultArchive | None:
    """The row that an archive was made for, by its name or, if another made it, by its id."""
    rows = ResultArchive.objects
    row: ResultArchive | None = rows.named(line.name).first() or rows.filter(archive_id=line.id).first()
    return row


def _job_of(key: str) -> uuid.UUID | None:
    found = re.match(r"results/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/", key)
    return uuid.UUID(found[1]) if found else None


# --- what may be mended without a person ------------------------------------------------------------------------------


def _delete_hot(row: ResultArchive, cold: Line | None) -> str:
    if _cold_fault(row, cold) or not _unchanged(row):
        return ""
    objects(RESULTS).delete(row.hot_key)
    return "deleted"


def _quarantine(row: ResultArchive, why: str) -> str:
    """So that nobody is offered it, and nothing touches what there is; staff can release it."""
    if Status.QUARANTINED not in ResultArchive.MOVES[row.status]:
        return ""
    return "quarantined" if row.quarantine(f"archive_audit: {why}") else ""


def _requeue(row: ResultArchive) -> str:
    return "requeued" if row.go_on() else ""


def _abandon(retrieval: Retrieval) -> str:
    retrieval.end(Retrieval.Outcome.ABANDONED)
    return "ended"
