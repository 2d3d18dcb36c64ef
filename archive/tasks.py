"""The actors of the archive. Each takes the next step with one row, and may be sent twice or never without harm."""

import logging
import uuid
from collections.abc import Callable

import dramatiq
from django.db import DatabaseError
from dramatiq.middleware import Shutdown, TimeLimitExceeded

from archive import steps
from archive.mails import restored_mail
from archive.models import Restoration, ResultArchive
from jobs.mails import deliver
from jobs.models import Mail

log = logging.getLogger(__name__)
DAY = 86_400_000  # milliseconds


def _step(row_id: str, step: Callable[[ResultArchive], None]) -> None:
    """An unexpected error is logged, and the step tried again later. A killed step is taken up when its lease runs out."""
    row = ResultArchive.objects.filter(pk=uuid.UUID(row_id)).first()
    if row is None:
        return
    before = row.status
    try:
        step(row)
    except (Shutdown, TimeLimitExceeded, DatabaseError):
        raise
    except Exception as error:
        log.exception("result archive %s: unexpected error while %s", row.pk, row.status)
        row.try_later(f"{type(error).__name__}: {error}")
    log.info("result archive %s: %s -> %s", row.pk, before, row.status)


@dramatiq.actor(queue_name="archive", max_retries=0, time_limit=DAY)
def archive_result(row_id: str) -> None:
    """Warn that a Free result will be archived, or move it to its vault and delete the hot copy."""
    _step(row_id, steps.archive)


@dramatiq.actor(queue_name="archive", max_retries=0, time_limit=DAY)
def restore_result(row_id: str) -> None:
    """Ask the vault to bring an archive within reach, by the fastest tier that it grants."""
    _step(row_id, steps.restore)


@dramatiq.actor(queue_name="archive", max_retries=0, time_limit=DAY)
def thaw_result(row_id: str) -> None:
    """See whether the retrieval is done; if so, make the hot copy of it, and delete the archive."""
    _step(row_id, steps.thaw)


@dramatiq.actor(queue_name="archive", max_retries=0, time_limit=DAY)
def delete_archive(row_id: str) -> None:
    """Delete the archive of a result that is hot again, or all traces of a deleted one."""
    _step(row_id, steps.delete)


@dramatiq.actor(queue_name="notify", max_retries=0)
def notify_restored(restoration_id: str) -> None:
    """Send the mail of an upgrade, once all that it brings back is there."""
    restoration = Restoration.objects.select_related("user__profile__plan").filter(pk=int(restoration_id)).first()
    if restoration is None or restoration.status not in {Mail.Status.PENDING, Mail.Status.SENDING}:
        return
    if restoration.on_the_way.exists():
        restoration.wait()
    elif not restoration.total:  # their owner has deleted them all meanwhile
        restoration.delete()
    elif restoration.claim():
        deliver(restoration, restoration.user, lambda: restored_mail(restoration))
