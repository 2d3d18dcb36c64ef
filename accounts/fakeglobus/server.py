"""The stand-in as a server on loopback."""

import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from accounts.fakeglobus.provider import Provider
from accounts.fakeglobus.web import Call


class FakeGlobus(Provider):
    """`start()` serves in a thread of this process until `stop()`; `issuer` is its address, on 127.0.0.1.

    Raises ImproperlyConfigured when DEBUG is off, as it lets in anybody. `debug` stands for the setting where
    that says nothing: Django's test runner turns it off.
    """

    def __init__(
        self,
        port: int = 0,
        client_id: str = "dev-client",
        client_secret: str = "dev-secret",  # noqa: S107 (of the stand-in's only client)
        redirect_uris: Sequence[str] = (),
        debug: bool | None = None,
    ) -> None:
        if not (settings.DEBUG if debug is None else debug):
            raise ImproperlyConfigured("The stand-in for Globus, which lets in anybody, starts only with DEBUG on.")
        self._httpd = _Server(("127.0.0.1", port), _Handler)
        self._httpd.provider = self
        serve = self._httpd.serve_forever
        self._thread = threading.Thread(target=serve, args=(0.05,), name="fakeglobus", daemon=True)
        issuer = f"http://127.0.0.1:{self._httpd.server_address[1]}"
        super().__init__(issuer, client_id, client_secret, list(redirect_uris))

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
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

    def do_POST(self) -> None:
        self._handle()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _handle(self) -> None:
        address = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        call = Call(
            method=self.command,
            path=address.path,
            query=_first_of_each(address.query),
            form=_first_of_each(body),
            authorization=self.headers.get("Authorization", ""),
            cookies=self.headers.get("Cookie", ""),
        )
        answer = self.server.provider.answer(call)
        raw = answer.body.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(raw)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)


def _first_of_each(encoded: str) -> dict[str, str]:
    return dict(reversed(parse_qsl(encoded)))
