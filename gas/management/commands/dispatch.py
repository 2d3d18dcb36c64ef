"""manage.py dispatch: send hints for due rows."""

import signal
from contextlib import nullcontext
from typing import Any

import dramatiq
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from gas.embedded import Dispatcher, local_workers


class Command(BaseCommand):
    help = (
        "Sends a Dramatiq message for every row whose next_action_at has come: jobs to annotate, mails to send, uploads "
        "and jobs to delete, leases that ran out. "
        "Any number of copies may run. With BROKER=memory it does the due work itself."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="One round, then end: for cron.")

    def handle(self, *, once: bool, **_: Any) -> None:
        dispatcher = Dispatcher()
        if once:
            self.stdout.write(f"{self._round(dispatcher)} hints sent")
            return
        signal.signal(signal.SIGTERM, dispatcher.stop)
        signal.signal(signal.SIGINT, dispatcher.stop)
        self.stdout.write(f"Dispatching every {settings.DISPATCH_INTERVAL.total_seconds():g} s")
        self.stdout.flush()
        with local_workers() if settings.BROKER == "memory" else nullcontext():
            dispatcher.run()

    @staticmethod
    def _round(dispatcher: Dispatcher) -> int:
        if settings.BROKER != "memory":
            return dispatcher.round()
        broker = dramatiq.get_broker()
        with local_workers():
            sent = dispatcher.round()
            for queue in ("annotate", "archive", "notify", "clean"):  # in this order: a job's end makes a notification
                broker.join(queue)
        return sent
