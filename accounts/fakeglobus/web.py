"""Requests and answers of the stand-in, apart from the server that carries them."""

import json
from dataclasses import dataclass, field
from typing import Any

from django.template.loader import render_to_string


@dataclass(frozen=True)
class Call:
    """An HTTP request; of a repeated parameter the first."""

    method: str
    path: str
    query: dict[str, str]
    form: dict[str, str]
    authorization: str
    cookies: str = ""


@dataclass(frozen=True)
class Answer:
    status: int
    body: str = ""
    content_type: str = "text/html; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)


def as_json(body: dict[str, Any], status: int = 200) -> Answer:
    return Answer(status, json.dumps(body), "application/json")


def page(template: str, **context: Any) -> str:
    return render_to_string(f"accounts/fakeglobus/{template}.html", context)
