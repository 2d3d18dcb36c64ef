"""Hints: messages that ask a worker to look at a row. Losing, doubling or delaying one changes nothing but the delay."""

import logging

import dramatiq
from django.apps import apps
from django.db import transaction
from dramatiq.errors import BrokerConnectionError

from gas.leases import Leased

log = logging.getLogger(__name__)


def send_hint(row: Leased) -> None:
    """Ask a worker to take the next step with `row`, now. Queue out of reach: the dispatcher will send another."""
    try:
        dramatiq.get_broker().get_actor(row.actor_name).send(str(row.pk))
    except BrokerConnectionError:
        log.warning("no hint sent for %s %s: the queue is out of reach", row.actor_name, row.pk, exc_info=True)


def hint_on_commit(row: Leased) -> None:
    transaction.on_commit(lambda: send_hint(row))


def dispatch_due(limit: int = 100) -> int:
    """Send a hint for every due row, at most `limit` of each model; returns how many were sent."""
    sent = 0
    for model in apps.get_models():
        if issubclass(model, Leased):
            for row in model.objects.due()[:limit]:  # type: ignore[attr-defined]
                if row.postpone():
                    send_hint(row)
                    sent += 1
    return sent
