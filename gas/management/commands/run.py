"""manage.py run: the whole service in one process group, for a laptop."""

import os
import socket
import sys
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.core.wsgi import get_wsgi_application
from gunicorn.app.base import BaseApplication

from accounts.fakeglobus import FakeGlobus
from accounts.fakeglobus.seeding import seed_premium_identity
from accounts.fakestripe import FakeStripe
from gas.embedded import Services


class Site(BaseApplication):  # type: ignore[misc]
    """gunicorn with one process of several threads, in which the workers, the dispatcher and the stand-ins run too."""

    def __init__(self, announce: str) -> None:
        self._announce = announce
        self._services: list[Any] = []
        super().__init__()

    def load_config(self) -> None:
        options = {
            "bind": _addresses(settings.PORT),
            "workers": 1,
            "worker_class": "gthread",
            "threads": 32,  # a slow browser holds one
            "timeout": 120,
            "graceful_timeout": 10,
            "proc_name": "gas",
            "loglevel": "warning",
            "control_socket_disable": True,
            "post_worker_init": self._start,
            "worker_exit": self._stop,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return get_wsgi_application()

    def _start(self, _worker: Any) -> None:
        services = Services()
        services.start()
        globus = FakeGlobus(port=settings.FAKEGLOBUS_PORT, redirect_uris=_redirect_uris(settings.PORT))
        self._services = [services, globus.start()]
        if settings.FAKESTRIPE_PORT:
            webhook = f"http://127.0.0.1:{settings.PORT}/billing/webhook/"
            path = settings.VAR_DIR / "fakestripe.json"
            stripe = FakeStripe(settings.FAKESTRIPE_PORT, webhook_url=webhook, path=path)
            self._services.append(stripe.start())
        print(self._announce, flush=True)

    def _stop(self, _server: Any, _worker: Any) -> None:
        for service in self._services:
            service.stop()


class Command(BaseCommand):
    help = "Serves the site, annotates and sends mails, in one process group; Ctrl-C ends it. Embedded default (DEBUG) only."

    def handle(self, **_: Any) -> None:
        if not settings.DEBUG or settings.BROKER != "memory":
            raise CommandError(
                "`run` is the embedded default: it needs DEBUG=1 and BROKER=memory. See docs/architecture.md."
            )
        for name in ("PORT", "FAKEGLOBUS_PORT", "FAKESTRIPE_PORT"):
            port = getattr(settings, name)
            if port and _in_use(port):
                raise CommandError(
                    f"Port {port} is in use. Stop what listens there, or choose another: {name}={port + 100} make run"
                )
        os.umask(0o077)
        settings.VAR_DIR.mkdir(parents=True, exist_ok=True)
        settings.VAR_DIR.chmod(0o700)
        call_command("migrate", verbosity=0)
        seed_premium_identity()
        sys.argv = sys.argv[:1]  # gunicorn reads no arguments of ours
        Site(_announcement()).run()


def _announcement() -> str:
    standin = f"at the stand-in Stripe ({settings.STRIPE_API_BASE})"
    payment = (
        standin if settings.FAKESTRIPE_PORT else "none, an upgrade is a form (FAKESTRIPE_PORT=8002: at a stand-in)"
    )
    return f"""
  GAS serves at      http://localhost:{settings.PORT}
  sign in            by the stand-in Globus ({settings.GLOBUS_AUTH_URL}): a Free or a Premium researcher, or anybody you like
  payment            {payment}
  mails go to        {settings.EMAIL_FILE_PATH}  (read them at http://localhost:{settings.PORT}/mails/)
  everything else    in {settings.VAR_DIR}; staff: .venv/bin/python manage.py create_staff EMAIL --superuser
  Ctrl-C ends it; what is under way goes on at the next start.
"""


def _addresses(port: int) -> list[str]:
    """Loopback, and IPv6 loopback where the machine has it, for a browser may try either for localhost."""
    addresses = [f"127.0.0.1:{port}"]
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
        addresses.append(f"[::1]:{port}")
    except OSError:
        pass
    return addresses


def _redirect_uris(port: int) -> list[str]:
    return [f"http://{host}:{port}/auth/complete/globus/" for host in ("localhost", "127.0.0.1")]


def _in_use(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
