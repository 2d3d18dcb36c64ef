"""The stand-in as a server on loopback."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from accounts.fakestripe.events import Webhook
from accounts.fakestripe.provider import Provider
from accounts.fakestripe.web import Call

KEY, WEBHOOK_SECRET = "sk_test_stand_in", "whsec_stand_in"  # as the settings have them, of its only client


class FakeStripe(Provider):
    """`start()` serves in a thread of this process until `stop()`; `url` is its address, on 127.0.0.1.

    Raises ImproperlyConfigured when DEBUG is off, as nobody pays here. `debug` stands for the setting where that says
    nothing: Django's test runner turns it off.
    """

    def __init__(
        self, port: int = 0, *, webhook_url: str = "", path: Path | None = None, debug: bool | None = None
    ) -> None:
        if not (settings.DEBUG if debug is None else debug):
            raise ImproperlyConfigured("The stand-in for Stripe, where nobody pays, starts only with DEBUG on.")
        self._httpd = _Server(("127.0.0.1", port), _Handler)
        self._httpd.provider = self
        serve = self._httpd.serve_forever
        self._thread = threading.Thread(target=serve, args=(0.05,), name="fakestripe", daemon=True)
        url = f"http://127.0.0.1:{self._httpd.server_address[1]}"
        super().__init__(url, KEY, Webhook(webhook_url, WEBHOOK_SECRET), path)

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._stopped.set()
        self.webhook.stop()
        self._httpd.shutdown()
        self._httpd.server_close()
        self._thread.join()

    def wait(self) -> None:
        """Until somebody stops it."""
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    provider: Provider


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._handle()

    do_POST = do_DELETE = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _handle(self) -> None:
        address = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        call = Call(self.command, address.path, dict(parse_qsl(address.query)), dict(parse_qsl(body)), headers)
        answer = self.server.provider.answer(call)
        raw = answer.body.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(raw)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)
