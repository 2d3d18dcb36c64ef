"""A web server with a few files and real faults, to fetch from."""

import contextlib
import hashlib
import http.server
import re
import shutil
import socket
import threading
from collections import namedtuple

from jobs.annotation.reference.fetch import download

BODY = bytes(range(256)) * 12_000  # 3 MB: several chunks
OTHER = BODY[::-1]
NO_WAIT = (0, 0, 0)


def sha256(body):
    return hashlib.sha256(body).hexdigest()


class Site:
    """What the server has, how it will fail next, and what it was asked."""

    def __init__(self, address):
        self.address = address
        self.files = {"/genome.fa.gz": BODY}
        self.etags = {}
        self.faults = []  # one for each request to come: None or (kind, value)
        self.asked = []  # (path, Range, If-Range)
        self.ranges = True
        self.validators = True

    def url(self, path="/genome.fa.gz"):
        return self.address + path

    def etag(self, path):
        return self.etags.get(path, f'"{sha256(self.files[path])[:12]}"')


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        site = self.server.site
        asked = self.headers.get("Range")
        site.asked.append((self.path, asked, self.headers.get("If-Range")))
        kind, value = (site.faults.pop(0) if site.faults else None) or (None, None)
        if kind == "call":
            value()
            kind, value = (site.faults.pop(0) if site.faults else None) or (None, None)
        if kind == "status":
            return self.answer(*value)
        if kind == "close":
            return self.connection.shutdown(socket.SHUT_RDWR)
        if self.path not in site.files:
            return self.answer(404)
        body = site.files[self.path]
        return self.send_file(site, body, asked, kind, value)

    def answer(self, status, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send_file(self, site, body, asked, kind, value):
        etag = site.etag(self.path)
        condition = self.headers.get("If-Range")
        start = 0
        if asked and site.ranges and condition in (None, etag):
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
            if start >= len(body):
                return self.answer(416, Content_Range=f"bytes */{len(body)}")
            said = value if kind == "range" else f"bytes {start}-{len(body) - 1}/{len(body)}"
            self.send_response(206)
            self.send_header("Content-Range", said)
        else:
            self.send_response(200)
        if kind != "no length":
            self.send_header("Content-Length", str(len(body) - start))
        if site.validators:
            self.send_header("ETag", etag)
            self.send_header("Last-Modified", "Sun, 15 Dec 2024 06:00:00 GMT")
        self.end_headers()
        self.wfile.write(body[start : value if kind == "cut" else len(body)])
        self.wfile.flush()

    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def serving():
    """A server on a thread of its own; its Site."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # a client that went away
    server.site = Site(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def get(site, path, sha256=None, **options):
    return download(site.url(), path, sha256, waits=NO_WAIT, **options)


def ranges(site):
    return [asked for _, asked, _ in site.asked]


def names(folder):
    return sorted(item.name for item in folder.iterdir())


def free_space(monkeypatch, free):
    usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(0, 0, free))
