"""Who may see and do what: every address of the site, asked for by every kind of visitor, with the exact answer.

An address that is not in the table fails the test, and so does a line for an address that is no more. Objects are those of the
visitor when he is an owner, and of the owner on the Free plan for everybody else.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.contrib import admin
from django.core.cache import cache
from django.db import transaction
from django.db.models import Model
from django.test import Client
from django.urls import URLResolver, get_resolver

from accounts.fakeglobus import FakeGlobus
from accounts.models import ApiToken, Erasure, Plan, User
from accounts.plans import change_plan
from archive.models import Restoration
from gas.objects import objects
from jobs.models import Announcement, Job
from jobs.models.job import Result

THINGS = {
    "/annotations/": "job",
    "/api/v1/jobs": "job",
    "/annotate/uploads/": "upload",
    "/api/v1/uploads": "upload",
    "/profile/tokens/": "token",
}
OTHERS = {
    r"<str:backend>": "globus",
    r"<int:number>|<int:pk>": "1",
    r"<slug:kind>": "input",
    r"<kind>": "result",
    r"<str:kind>": "csv",
    r"<str:token>|<path:\w+>": "x",
    r"\(\?P<app_label>[^)]*\)": "jobs",
    r"\(\?P<\w+>[^)]*\)": "x",
}
TABLE = Path(__file__).with_name("access.txt")
METHODS = ("GET", "POST")
VISITORS = ("anonymous", "outsider", "free", "premium", "support", "operator", "no_second_factor")


def addresses(resolver: URLResolver | None = None, before: str = "/") -> Iterator[str]:
    """The pattern of every address, "/annotations/<uuid:pk>/log/"; that of an act at the desk once for each act."""
    for pattern in (resolver or get_resolver()).url_patterns:
        address = before + str(pattern.pattern).removeprefix("^")
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern, address)
        elif "/act/" in address:
            yield from (address.replace("<slug:name>", name) for name in act_names(address))
        else:
            yield address


def admin_model(address: str) -> type[Model] | None:
    """The model that a page of the admin is about."""
    found = re.match(r"^/admin/(accounts|jobs|archive)/(\w+)/", address)
    return apps.get_model(found[1], found[2]) if found else None


def act_names(address: str) -> list[str]:
    return [act.name for act in admin.site.get_model_admin(admin_model(address)).acts]


def table() -> dict[tuple[str, str], str]:
    """(method, address) -> the answers in the order of VISITORS."""
    lines = [line.split() for line in TABLE.read_text().splitlines() if line and not line.startswith("#")]
    return {(line[0], line[1]): " ".join(line[2:]) for line in lines}


def part_of(address: str) -> str:
    """The part of the site: one test each, for the people and rows take longer to make than the answers."""
    return "/".join(address.split("/")[: 4 if address.startswith("/admin/") else 2])


ADDRESSES = list(dict.fromkeys(addresses()))


@pytest.fixture
def globus(settings):
    """Sign-in and step-up ask it for its configuration."""
    provider = FakeGlobus(redirect_uris=["http://testserver/auth/complete/globus/"], debug=True).start()
    settings.GLOBUS_AUTH_URL = provider.issuer
    settings.SOCIAL_AUTH_GLOBUS_OIDC_ENDPOINT = settings.SOCIAL_AUTH_GLOBUS_ID_TOKEN_ISSUER = provider.issuer
    yield provider
    provider.stop()


@pytest.fixture
def clients(desk, researcher, outsider, premium, make_staff):
    """visitor -> his session's cookie."""
    people = {"outsider": outsider, "free": researcher, "premium": premium}
    sessions = {}
    for name, user in people.items():
        client = Client()
        client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
        sessions[name] = client
    sessions |= {role: desk(role) for role in ("support", "operator")}
    sessions["no_second_factor"] = desk(second_factor=False)
    cookie = django_settings.SESSION_COOKIE_NAME
    return {"anonymous": ""} | {name: client.cookies[cookie].value for name, client in sessions.items()}


@pytest.fixture
def make_things(make_job, make_upload, tmp_path):
    """Everything that a person can have."""

    def make(owner: User) -> dict[str, str]:
        job = make_job(owner)
        upload = make_upload(owner)
        keys = {}
        assert job.claim("test")
        for name in ("result", "index", "log", "skipped"):
            path = tmp_path / name
            path.write_bytes(b"x")
            keys[name] = job.attempt_key(name)
            objects("results").put_file(keys[name], path)
        done = Result(keys["result"], 1, "a" * 64, keys["index"], keys["log"], 1, "b" * 64, {}, keys["skipped"])
        assert job.complete(done)
        token, _ = ApiToken.issue(owner, "test", ["read"], timedelta(days=1))
        return {"job": job.pk, "upload": upload.pk, "token": token.pk}

    return make


@pytest.fixture
def rows(researcher, premium, make_things):
    """visitor -> his things; and a row of every model that the desk shows."""
    free_things, premium_things = make_things(researcher), make_things(premium)
    change_plan(premium, Plan.FREE)
    change_plan(premium, Plan.PREMIUM)
    Restoration.begin(premium)
    erasure, _ = Erasure.ask(premium)
    assert erasure.withdraw()
    Announcement.objects.create(text="Maintenance on Sunday.")
    return dict.fromkeys(VISITORS, free_things) | {"premium": premium_things}


def filled(address: str, things: dict[str, Any]) -> str:
    """The address with the visitor's, or the owner's, things in it."""
    for start, thing in THINGS.items():
        if address.startswith(start):
            address = re.sub(r"<\w+:pk>", str(things[thing]), address)
    if model := admin_model(address):
        row = (
            model._default_manager.get(pk=things["job"])
            if model is Job
            else model._default_manager.order_by("pk").first()
        )
        assert row is not None, f"no {model.__name__} to look at"
        address = re.sub(r"<(path:object_id|uuid:pk)>", str(row.pk), address)
    for pattern, value in OTHERS.items():
        address = re.sub(pattern, value, address)
    assert not set("<>()") & set(address), address
    return address.replace("/$", "/")


def ask(method: str, path: str, cookie: str) -> int:
    """The status, of a request whose effects are taken back."""
    client = Client(raise_request_exception=False)
    if cookie:
        client.cookies[django_settings.SESSION_COOKIE_NAME] = cookie
    cache.clear()
    with transaction.atomic():
        answer = getattr(client, method.lower())(path)
        transaction.set_rollback(True)
    return answer.status_code


@pytest.mark.parametrize("part", sorted({part_of(address) for address in ADDRESSES}))
def test_access(part, clients, rows, globus):
    expected, found = table(), {}
    for address in ADDRESSES:
        if part_of(address) == part:
            for method in METHODS:
                answers = [ask(method, filled(address, rows[visitor]), clients[visitor]) for visitor in VISITORS]
                found[method, address] = " ".join(map(str, answers))
    wrong = {line: found[line] for line in found if found[line] != expected.get(line)}
    assert not wrong, "\n".join(f"{method} {address} {row}" for (method, address), row in wrong.items())


def test_no_line_without_an_address():
    assert {address for _, address in table()} <= set(ADDRESSES)
