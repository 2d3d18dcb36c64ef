"""The steps between bucket and vault. Each can be killed at any point and taken again: the row says what is done.

The hot copy is deleted only after the archive was verified and the row says so; the archive only after the hot copy has
the digest that the annotator wrote, and the row says so.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.conf import settings
from django.db import transaction

from archive.models import ResultArchive, Retrieval
from gas.heartbeat import CheckedReads, Heartbeat, LeaseLost
from gas.objects import ObjectNotFound, PartMismatch, StorageUnavailable, objects
from gas.tree_hash import HashingReader
from gas.vaults import (
    Archived,
    ArchiveNotFound,
    CapacityExceeded,
    IntegrityError,
    RetrievalExpired,
    RetrievalPolicyExceeded,
    Vault,
    VaultClosed,
    VaultUnavailable,
    vault,
)

log = logging.getLogger(__name__)
Status = ResultArchive.Status
SHORTEST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(minutes=5)  # between two looks at a retrieval


@contextmanager
def _held(row: ResultArchive) -> Iterator[Heartbeat]:
    """For a step with a claimed row: keeps the lease, and sets the row by what the stores raise."""
    mine = ResultArchive.objects.get(pk=row.pk)
    try:
        with Heartbeat(mine.renew, f"result archive {row.pk}") as heartbeat:
            yield heartbeat
    except LeaseLost:
        log.info("result archive %s: called off", row.pk)
    except (StorageUnavailable, VaultUnavailable, VaultClosed) as error:
        log.warning("result archive %s: later again: %s", row.pk, error)
        row.try_later(str(error))


# --- archive ----------------------------------------------------------------------------------------------------------


def archive(row: ResultArchive) -> None:
    """HOT -> ARCHIVING -> PURGING -> ARCHIVED, or a warning that this will come."""
    if row.status == Status.HOT and (row.wait_for_window() or row.stay_hot()):
        return
    where = row.vault if row.status == Status.ARCHIVING else settings.VAULT
    if row.status in {Status.HOT, Status.ARCHIVING} and row.claim_archiving(vault(where)):
        with _held(row) as heartbeat:
            _copy_to_vault(row, heartbeat)
    if row.status == Status.PURGING and row.call_off_purging():
        delete(row)
    if row.status == Status.PURGING and row.claim_purging():
        with _held(row):
            objects("results").delete(row.hot_key)
            row.purged()


def _copy_to_vault(row: ResultArchive, heartbeat: Heartbeat) -> None:
    store = vault(row.vault)
    try:
        with objects("results").open_stream(row.hot_key) as hot:
            archived = store.archive(CheckedReads(hot, heartbeat), row.archive_name, row.size, row.sha256)
    except ObjectNotFound:
        row.quarantine(f"The hot copy is missing: {row.hot_key}")
        return
    except IntegrityError as error:
        row.quarantine(f"The hot copy is not what the annotator wrote: {error}")
        return
    try:
        store.verify(archived.archive_id, archived)
    except (IntegrityError, ArchiveNotFound) as error:
        if row.renew():  # else whoever has it now may have archived it whole, under the same id
            store.delete_archive(archived.archive_id)
        raise VaultUnavailable(f"The archive did not hold what was sent: {error}") from error
    if not row.archived_as(archived):
        _delete_unless_named(row, store, archived)


def _delete_unless_named(row: ResultArchive, store: Vault, archived: Archived) -> None:
    """The archiving was called off, or another archiver was faster: whatever archive the row does not name is superfluous."""
    alive = ResultArchive.objects.filter(pk=row.pk).exclude(status=Status.DELETED)
    named = alive.values_list("archive_id", flat=True).first()
    if named != archived.archive_id:
        store.delete_archive(archived.archive_id)


# --- restore ----------------------------------------------------------------------------------------------------------


def restore(row: ResultArchive) -> None:
    """RESTORING -> THAWING: the first tier that the vault grants."""
    if row.status != Status.RESTORING or not row.claim_step():
        return
    with _held(row):
        retrieval = row.retrievals.filter(ended_at=None).first()
        if retrieval is None and row.stay_archived():
            return
        store = vault(row.vault)
        retrieval = retrieval or row.retrievals.create(tier=row.tier or settings.RETRIEVAL_TIERS[0])
        try:
            retrieval = _initiate(row, store, retrieval)
        except ArchiveNotFound as error:
            _give_up(row, retrieval, f"The vault does not have the archive: {error}")
        else:
            shortest, _ = store.typical_duration(retrieval.tier, row.size)
            row.thawing(min(shortest, LONGEST_PAUSE))


def _initiate(row: ResultArchive, store: Vault, retrieval: Retrieval) -> Retrieval:
    """Ask by each tier from the retrieval's own on. Raises VaultUnavailable when none is granted."""
    tiers = [tier for tier in settings.RETRIEVAL_TIERS if tier in store.tiers]
    first = tiers.index(retrieval.tier) if retrieval.tier in tiers else 0
    refusals = []
    for tier in tiers[first:]:
        retrieval.ask_for(tier)  # before the vault is asked: a crash does not ask again for the tiers above it
        try:
            retrieval.granted(store.initiate_retrieval(row.archive_id, tier, str(retrieval.pk)), store, row.size)
        except (CapacityExceeded, RetrievalPolicyExceeded) as error:
            refusals.append(f"{tier}: {error}")
        else:
            return retrieval
    retrieval.ask_for(tiers[first])
    raise VaultUnavailable(f"No tier was granted ({'; '.join(refusals)})")


def _give_up(row: ResultArchive, retrieval: Retrieval, why: str) -> None:
    with transaction.atomic():
        if row.quarantine(why):
            retrieval.end(Retrieval.Outcome.FAILED)


# --- thaw -------------------------------------------------------------------------------------------------------------


def thaw(row: ResultArchive) -> None:
    """THAWING -> HOT once the archive is within reach; RESTORING when its retrieval has expired."""
    if row.status != Status.THAWING or not row.claim_step():
        return
    retrieval = row.retrievals.filter(ended_at=None).first()
    if retrieval is None:
        row.retrieve_again("There was no open retrieval")
        return
    with _held(row) as heartbeat:
        try:
            _look(row, vault(row.vault), retrieval, heartbeat)
        except RetrievalExpired as error:
            _ask_again(row, retrieval, Retrieval.Outcome.EXPIRED, str(error))
        except ArchiveNotFound as error:
            _give_up(row, retrieval, f"The vault does not have the archive: {error}")
    if row.status == Status.HOT:
        delete(row)


def _look(row: ResultArchive, store: Vault, retrieval: Retrieval, heartbeat: Heartbeat) -> None:
    state = store.describe_retrieval(row.archive_id, retrieval.vault_id)
    if state.status == "in_progress":
        row.look_again(min(max(retrieval.age / 20, SHORTEST_PAUSE), LONGEST_PAUSE))
    elif state.status == "available":
        retrieval.seen_available()
        _copy_to_bucket(row, store, retrieval, heartbeat)
    else:
        _ask_again(row, retrieval, Retrieval.Outcome(state.status), f"The retrieval has {state.status}")


def _ask_again(row: ResultArchive, retrieval: Retrieval, outcome: Retrieval.Outcome, why: str) -> None:
    with transaction.atomic():
        if row.retrieve_again(why):
            retrieval.end(outcome)


def _copy_to_bucket(row: ResultArchive, store: Vault, retrieval: Retrieval, heartbeat: Heartbeat) -> None:
    key = row.thawed_key
    try:
        with (
            store.open_retrieved(row.archive_id, retrieval.vault_id) as cold,
            HashingReader(CheckedReads(cold, heartbeat)) as read,
        ):
            objects("results").put_stream(key, read, row.size)
        if row.sha256 and read.sha256 != row.sha256:
            raise IntegrityError(f"SHA-256 {read.sha256} instead of {row.sha256}")
    except (IntegrityError, PartMismatch) as error:
        if not row.renew():
            return  # whoever has it now may have thawed it whole, under the same key
        objects("results").delete(key)
        _give_up(row, retrieval, f"What came out of the vault is not what the annotator wrote: {error}")
        return
    if row.thawed(key, read.sha256):
        retrieval.end(Retrieval.Outcome.THAWED)
    elif ResultArchive.objects.filter(pk=row.pk).exclude(status=Status.DELETED).first() is None:
        objects("results").delete(key)


# --- delete -----------------------------------------------------------------------------------------------------------


def delete(row: ResultArchive) -> None:
    """The archive that a hot result no longer needs, or all that is left of a deleted one."""
    try:
        if row.status == Status.HOT and row.archive_id:
            _delete_leftover(row)
        elif row.status == Status.DELETED:
            _delete_traces(row)
    except (StorageUnavailable, VaultUnavailable) as error:
        row.try_later(str(error))


def _delete_leftover(row: ResultArchive) -> None:
    try:
        whole = objects("results").size(row.hot_key) == row.size
    except ObjectNotFound:
        whole = False
    if not whole:
        row.quarantine(f"The hot copy is missing or cut: {row.hot_key}; the archive is kept")
        return
    vault(row.vault).delete_archive(row.archive_id)
    row.archive_deleted()


def _delete_traces(row: ResultArchive) -> None:
    if row.vault:
        store = vault(row.vault)
        for archive_id in {row.archive_id, store.archive_id(row.archive_name)} - {""}:
            store.delete_archive(archive_id)
    objects("results").delete_prefix(row.results_prefix)
    row.traces_deleted()


# --- what staff asks for ----------------------------------------------------------------------------------------------


def verify(row: ResultArchive) -> bool:
    """Look at an archive without retrieving it; one that does not hold goes to quarantine. Raises VaultUnavailable."""
    archived = Archived(row.archive_id, row.size, row.sha256, row.tree_hash)
    try:
        vault(row.vault).verify(row.archive_id, archived)
    except (IntegrityError, ArchiveNotFound) as error:
        if row.status == Status.ARCHIVED:
            row.quarantine(f"The archive did not verify: {error}")
        return False
    return True


def release(row: ResultArchive) -> bool:
    """Out of quarantine, to where a whole copy is: the bucket or the vault. False when neither has one."""
    if row.status != Status.QUARANTINED:
        return False
    if _hot_copy_is_whole(row):
        return row.released_hot()
    return bool(row.archive_id) and verify(row) and row.released_archived()


def _hot_copy_is_whole(row: ResultArchive) -> bool:
    try:
        with objects("results").open_stream(row.hot_key) as hot, HashingReader(hot) as read:
            while read.read(1 << 20):
                pass
    except ObjectNotFound:
        return False
    return read.size == row.size and row.sha256 in {"", read.sha256}
