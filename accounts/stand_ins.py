"""What the stand-ins for Globus and Stripe have in common: requests, answers and a server on loopback."""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


@dataclass(frozen=True)
class Call:
    """An HTTP request; of a repeated parameter the first. Names of headers are in small letters."""

    method: str
    path: str
    query: dict[str, str]
    form: dict[str, str]
    headers: Mapping[str, str]

    @property
    def names(self) -> list[str]:
        """The parts of the path."""
        return self.path.strip("/").split("/")


@dataclass(frozen=True)
class Answer:
    status: int
    body: str = ""
    content_type: str = "text/html; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)


def as_json(body: Mapping[str, Any], status: int = 200) -> Answer:
    return Answer(status, json.dumps(body), "application/json")


class StandIn:
    """A service of somebody else's in a thread of this process, from `start()` to `stop()`; `url` is its address, on 127.0.0.1.

    Raises ImproperlyConfigured when DEBUG is off, as it lets in anybody and nobody pays. `debug` stands for the setting
    where that says nothing: Django's test runner turns it off.
    """

    def __init__(self, port: int, debug: bool | None) -> None:
        name = type(self).__name__
        if not (settings.DEBUG if debug is None else debug):
            raise ImproperlyConfigured(f"{name} stands in for the real one, and starts only with DEBUG on.")
        self._httpd = _Server(("127.0.0.1", port), _Handler)
        self._httpd.stand_in = self
        self._thread = threading.Thread(target=self._httpd.serve_forever, args=(0.05,), name=name.lower(), daemon=True)
        self.url = f"http://127.0.0.1:{self._httpd.server_address[1]}"

    def answer(self, call: Call) -> Answer:
        raise NotImplementedError

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
    stand_in: StandIn


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        call = Call(self.command, address.path, _first_of_each(address.query), _first_of_each(body), headers)
        answer = self.server.stand_in.answer(call)
        raw = answer.body.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(raw)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    do_POST = do_DELETE = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


def _first_of_each(encoded: str) -> dict[str, str]:
    return dict(reversed(parse_qsl(encoded)))
