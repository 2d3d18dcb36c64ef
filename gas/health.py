"""/livez and /readyz for load balancers and orchestrators, before every other middleware: a probe names no host of ours,
speaks plain http and has no session.
"""

import logging
from collections.abc import Callable

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse

from gas.objects import StorageUnavailable, objects

log = logging.getLogger(__name__)
GetResponse = Callable[[HttpRequest], HttpResponse]


def health_checks(get_response: GetResponse) -> GetResponse:
    """/livez: this process answers. /readyz: 200 when all that a request needs does too, else 503; both say what."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path == "/livez":
            return JsonResponse({"process": "ok"})
        if request.path == "/readyz":
            states = {name: _state(name, check) for name, check in CHECKS.items()}
            return JsonResponse(states, status=200 if set(states.values()) == {"ok"} else 503)
        return get_response(request)

    return middleware


class NotReady(Exception):
    """The words are shown."""


def _state(name: str, check: Callable[[], None]) -> str:
    """ "ok", or a word for what is wrong; the reason is for the log."""
    try:
        check()
    except NotReady as error:
        return str(error)
    except (DatabaseError, StorageUnavailable):
        log.warning("not ready: %s", name, exc_info=True)
        return "out of reach"
    return "ok"


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _migrations() -> None:
    """Newer ones than this code's are no fault: they run beside the old code while a deployment is under way."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise NotReady("missing: run manage.py migrate")


def _storage() -> None:
    for bucket in ("uploads", "results"):
        objects(bucket).exists("readyz")


CHECKS = {"database": _database, "migrations": _migrations, "storage": _storage}
