"""The service as a person meets it: the real processes, and a visitor who signs in, uploads and waits."""

import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests
from django.conf import settings

from gas.testing.aws import free_port
from gas.testing.processes import Process

STARTED = "Ctrl-C ends it"


class Site(Process):
    """`manage.py run` with all its data in `var`; another start finds them again."""

    def __init__(self, var: Path, env: Mapping[str, str] | None = None) -> None:
        self.port, self.globus_port = free_port(), free_port()
        ours = {"VAR_DIR": str(var), "PORT": str(self.port), "FAKEGLOBUS_PORT": str(self.globus_port)}
        super().__init__([sys.executable, "manage.py", "run"], env=ours | dict(env or {}), cwd=settings.BASE_DIR)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def start(self) -> None:
        super().start()
        self.wait_for(STARTED, timeout=90)


def processes_of(var: Path) -> list[Path]:
    """The /proc folders of the living processes of the site with that VAR_DIR, the annotators included."""
    mark, found = f"VAR_DIR={var}\0".encode(), []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in environ.read_bytes() and ") Z " not in environ.with_name("stat").read_text():
                found.append(environ.parent)
        except OSError:  # it has ended meanwhile
            continue
    return found


def memory_kb(process: Path, field: str) -> int:
    """`Pss` or `Rss` of a /proc folder in KB; 0 when the process has ended."""
    try:
        return int((process / "smaps_rollup").read_text().split(f"{field}:")[1].split()[0])
    except (OSError, IndexError):
        return 0


def confirmation_link(mails: str, email: str) -> str:
    """The path of the newest link to `email` on the page of mails."""
    found: str = re.findall(rf"To {re.escape(email)},.*?(/accounts/confirm-email/[-:\w]+/)", mails, re.DOTALL)[0]
    return found


class Visitor(requests.Session):
    """A browser without JavaScript that does what the pages' JavaScript does."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.token = ""

    def page(self, path: str, **options: Any) -> requests.Response:
        answer = self.get(urljoin(self.url, path), timeout=30, **options)
        answer.raise_for_status()
        found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', answer.text)
        self.token = found.group(1) if found else self.token
        return answer

    def submit(self, path: str, **fields: str) -> requests.Response:
        """POST a form of the page looked at last."""
        data = fields | {"csrfmiddlewaretoken": self.token}
        answer = self.post(urljoin(self.url, path), data=data, headers={"Referer": self.url}, timeout=30)
        answer.raise_for_status()
        return answer

    def sign_in(self, **identity: str) -> None:
        """By the stand-in Globus: `identity=SUB`, or name=, email=, organization=; the first time with a profile.

        Follows the link that confirms the address, which is on the page of mails.
        """
        self.page("/login/")
        choice = self.submit("/auth/login/globus/")
        answer = self.post(choice.url, data=identity, timeout=30)
        answer.raise_for_status()
        profile = self.page("/profile/")
        filled = dict(re.findall(r'name="(\w+)"[^>]*? value="([^"]*)"', profile.text))
        wanted = {name: filled.get(name, "") for name in ("full_name", "email", "institution")}
        if 'id="unconfirmed"' in self.submit("/profile/", **wanted).text:
            link = confirmation_link(self.page("/mails/").text, wanted["email"])
            self.page(link)
            self.submit(link)

    def api(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"X-CSRFToken": self.token, "Referer": self.url}
        answer = self.request(method, urljoin(self.url, path), headers=headers, timeout=60, **options)
        if not answer.ok:
            raise requests.HTTPError(f"{answer.status_code} {method} {path}: {answer.text[:500]}", response=answer)
        return answer

    def upload(self, path: Path, name: str | None = None) -> str:
        """Send the file slice by slice; returns the path of its job's page."""
        size = path.stat().st_size
        session = self.api("POST", "/annotate/uploads/", json={"file_name": name or path.name, "size": size}).json()
        with path.open("rb") as file:
            for number in range(1, session["part_count"] + 1):
                part = file.read(session["part_size"])
                where = self.api("GET", f"{session['url']}parts/{number}/").json()
                if where["direct"]:
                    requests.put(where["url"], data=part, timeout=60).raise_for_status()
                else:
                    self.api("PUT", where["url"], data=part)
        job_url: str = self.api("POST", f"{session['url']}complete/").json()["job_url"]
        return job_url

    def wait_for_end(self, job_url: str, timeout: float = 60, pause: float = 0.1) -> str:
        """Look at the job's page until it has ended; returns its text."""
        deadline = time.monotonic() + timeout
        while re.search("status-(PENDING|RUNNING)", text := self.page(job_url).text):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{job_url} has not ended after {timeout} s")
            time.sleep(pause)
        return text
