"""Requests and answers of the stand-in, apart from the server that carries them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.template.loader import render_to_string


@dataclass(frozen=True)
class Call:
    """An HTTP request; of a repeated parameter the last. Names of headers are in small letters."""

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


def error(status: int, kind: str, code: str, message: str) -> Answer:
    return as_json({"error": {"type": kind, "code": code, "message": message}}, status)


def missing(name: str) -> Answer:
    return error(404, "invalid_request_error", "resource_missing", f"No such object: '{name}'")


def page(template: str, **context: Any) -> Answer:
    return Answer(200, render_to_string(f"accounts/fakestripe/{template}.html", context))


def to(address: str) -> Answer:
    return Answer(303, headers={"Location": address})
