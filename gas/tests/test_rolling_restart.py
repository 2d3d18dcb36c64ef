"""The one-server installation as deploy/ describes it: gunicorn behind nginx, whose code changes while people click."""

import os
import re
import signal
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from pathlib import Path

import pytest
from django.conf import settings

from gas.testing.aws import free_port
from gas.testing.processes import Process, wait_until
from gas.testing.require import needs

CLIENTS = 4
RESTARTS = 2


@pytest.fixture
def nginx(tmp_path):
    """Our nginx.conf with a certificate of the test's own, on ports of its own; yields (port, socket of gunicorn)."""
    needs("nginx")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    subprocess.run([*request, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    tls, plain, socket = free_port(), free_port(), tmp_path / "web.sock"
    site = Path(settings.BASE_DIR, "deploy/nginx/gas.conf").read_text()
    for old, new in {
        "/run/gas/web.sock": str(socket),
        "GAS_SERVER_NAME": "localhost",
        "GAS_CERTIFICATE_KEY": str(key),
        "GAS_CERTIFICATE": str(certificate),
        "listen 80;": f"listen {plain};",
        "listen 443 ssl http2;": f"listen {tls} ssl http2;",
    }.items():
        assert old in site
        site = site.replace(old, new)
    site = re.sub(r"listen \[::\].*\n", "", site)
    (tmp_path / "gas.conf").write_text(site)
    as_us = "user root;" if os.geteuid() == 0 else ""  # pytest's folders are nobody else's
    (tmp_path / "nginx.conf").write_text(
        f"{as_us} daemon off; pid {tmp_path}/pid; error_log stderr; worker_processes 1; events {{}}\n"
        f"http {{ access_log off; include {tmp_path}/gas.conf; }}\n"
    )
    with Process(["nginx", "-c", tmp_path / "nginx.conf"]):
        yield tls, socket


def test_no_request_is_lost_when_the_code_changes(nginx, tmp_path):
    port, socket = nginx
    var = tmp_path / "var"
    var.mkdir()
    env = {"VAR_DIR": str(var), "SITE_URL": f"https://localhost:{port}"}
    command = [Path(sys.executable).with_name("gunicorn"), "gas.wsgi", f"--bind=unix:{socket}"]
    command += ["--workers=2", "--threads=4", "--no-control-socket"]
    with Process([sys.executable, "manage.py", "migrate", "-v0"], env=env, cwd=settings.BASE_DIR) as migrate:
        assert migrate.wait(60) == 0, migrate.output()
    trusting = ssl._create_unverified_context()
    answers: Counter[str] = Counter()
    over = threading.Event()

    def ask(path: str) -> str:
        with urllib.request.urlopen(f"https://localhost:{port}{path}", context=trusting, timeout=20) as answer:
            return str(answer.status)

    def click() -> None:
        while not over.is_set():
            try:
                answers[ask("/login/")] += 1
            except OSError as error:
                answers[str(error)] += 1

    def is_ready() -> bool:
        try:
            return ask("/readyz") == "200"
        except OSError:
            return False

    with Process(command, env=env, cwd=settings.BASE_DIR) as web:
        wait_until(is_ready, "site behind nginx", timeout=40)
        clickers = [threading.Thread(target=click) for _ in range(CLIENTS)]
        for clicker in clickers:
            clicker.start()
        for _ in range(RESTARTS):
            before = answers.total()
            os.kill(web.pid, signal.SIGHUP)
            wait_until(
                lambda before=before: answers.total() > before + 5 * CLIENTS, "answers after a restart", timeout=60
            )
            time.sleep(1)
        over.set()
        for clicker in clickers:
            clicker.join()
    assert answers.keys() == {"200"}, answers
    assert answers.total() > RESTARTS * CLIENTS * 5
