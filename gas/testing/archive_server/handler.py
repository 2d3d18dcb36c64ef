"""One HTTP request: its body goes to a file, so that memory does not grow with it."""

import hashlib
import json
import tempfile
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler
from typing import IO
from urllib.parse import parse_qs, unquote, urlsplit

from gas.testing.archive_server import CUT, DAMAGED, LOST_REPLY

BLOCK = 1024**2


class Handler(BaseHTTPRequestHandler):
    """What the two services have in common."""

    protocol_version = "HTTP/1.1"
    fault = ""

    def log_message(self, *_: object) -> None:
        pass

    def begin(self) -> None:
        """Read the request whole."""
        url = urlsplit(self.path)
        self.query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        self.parts = [unquote(part) for part in url.path.lstrip("/").split("/")]
        self.body: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (finish_body closes it)
        digest = hashlib.sha256()
        left = self.body_size = int(self.headers.get("Content-Length") or 0)
        while left and (block := self.rfile.read(min(BLOCK, left))):
            self.body.write(block)
            digest.update(block)
            left -= len(block)
        self.body_sha256 = digest.digest()
        self.body.seek(0)

    def damage_body(self) -> None:
        """As if it had changed on its way to us."""
        first = self.body.read(1)
        self.body.seek(0)
        self.body.write(bytes([first[0] ^ 1]))
        self.body.seek(0)
        self.body_sha256 = hashlib.sha256(self.body.read()).digest()
        self.body.seek(0)

    def answer(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        self.answer_stream(status, {**headers, "Content-Length": str(len(body))}, [body])

    def answer_json(self, status: int, content: object) -> None:
        self.answer(status, {"Content-Type": "application/json"}, json.dumps(content).encode())

    def answer_stream(self, status: int, headers: Mapping[str, str], blocks: Iterable[bytes]) -> None:
        if self.fault == LOST_REPLY:
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        for number, block in enumerate(blocks):
            if self.fault == CUT:
                self.wfile.write(block[: len(block) // 2])
                self.close_connection = True
                return
            damaged = self.fault == DAMAGED and self.command == "GET" and number == 0
            self.wfile.write(bytes([block[0] ^ 1]) + block[1:] if damaged else block)
