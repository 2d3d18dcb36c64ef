"""The actors of accounts. Each takes one id and may be sent twice or never without harm."""

import logging

import dramatiq
from django.db import DatabaseError
from dramatiq.middleware import Shutdown, TimeLimitExceeded

from accounts import erasing
from accounts.models import Erasure

log = logging.getLogger(__name__)
HOUR = 3_600_000  # milliseconds


@dramatiq.actor(queue_name="clean", max_retries=0, time_limit=2 * HOUR)
def erase_account(erasure_id: str) -> None:
    """Take the next step of an erasure. An unexpected error is logged, and the step tried again later."""
    erasure = Erasure.objects.select_related("user__profile").filter(pk=int(erasure_id)).first()
    if erasure is None or not erasure.claim():
        return
    try:
        erasing.take_step(erasure)
    except (Shutdown, TimeLimitExceeded, DatabaseError):
        raise  # the lease runs out, and the step is taken again
    except Exception as error:
        log.exception("erasure %s: unexpected error", erasure.pk)
        erasure.wait(type(error).__name__)
    log.info("erasure %s: %s %s", erasure.pk, erasure.status, erasure.waits_for)
