"""The embedded default: workers and dispatcher as threads of the one process that serves the site."""

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import dramatiq
from django.conf import settings
from django.db import DatabaseError, connection
from django.utils.module_loading import import_string
from dramatiq import Worker

from gas.followers import follow
from gas.hints import dispatch_due
from jobs.models import Job

log = logging.getLogger(__name__)


class Dispatcher:
    """Sends hints for due rows every DISPATCH_INTERVAL until told to stop."""

    def __init__(self) -> None:
        self._stop = threading.Event()

    def stop(self, *_: object) -> None:
        self._stop.set()

    def run(self) -> None:
        while not self._stop.is_set():
            self.round()
            self._stop.wait(settings.DISPATCH_INTERVAL.total_seconds())

    def round(self) -> int:
        """One look at all rows; returns the hints sent. A database out of reach is logged, and tried again next round."""
        try:
            sent = dispatch_due()
            take_restore_events()
            return sent
        except DatabaseError:
            log.warning("no hints sent: the database is out of reach", exc_info=True)
            return 0
        finally:
            connection.close()


def take_restore_events() -> int:
    """What S3 tells of completed retrievals, where it does; returns how many messages there were."""
    if not settings.RESTORE_EVENTS_QUEUE_URL:
        return 0
    take = import_string("gas.aws.restore_events.take_restore_events")  # boto3 costs memory where it is not needed
    where = (settings.RESTORE_EVENTS_QUEUE_URL, settings.AWS_REGION, settings.S3_ARCHIVE_BUCKET)
    taken: int = take(*where, lambda key: follow("archive_restored", key))
    return taken


@contextmanager
def local_workers() -> Iterator[None]:
    """Dramatiq workers for the in-memory broker: ANNOTATORS threads for annotations, one for everything else."""
    broker = dramatiq.get_broker()
    others = broker.get_declared_queues() - {"annotate"}
    workers = [
        Worker(broker, queues={"annotate"}, worker_threads=settings.ANNOTATORS, worker_timeout=100),
        Worker(broker, queues=others, worker_threads=1, worker_timeout=100),
    ]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        for worker in workers:
            worker.stop()


class Services:
    """Workers and dispatcher, to be started in the process that serves the site and stopped before it ends."""

    def __init__(self) -> None:
        self._dispatcher = Dispatcher()
        self._workers = local_workers()
        self._thread = threading.Thread(target=self._dispatcher.run, name="dispatcher", daemon=True)

    def start(self) -> None:
        Job.objects.end_leases_of_the_dead(socket.gethostname())
        self._workers.__enter__()
        self._thread.start()

    def stop(self) -> None:
        self._dispatcher.stop()
        self._thread.join()
        self._workers.__exit__(None, None, None)
