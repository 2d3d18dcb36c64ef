"""Answers of the stand-in."""

from typing import Any

from django.template.loader import render_to_string

from accounts.stand_ins import Answer, as_json


def error(status: int, kind: str, code: str, message: str) -> Answer:
    return as_json({"error": {"type": kind, "code": code, "message": message}}, status)


def missing(name: str) -> Answer:
    return error(404, "invalid_request_error", "resource_missing", f"No such object: '{name}'")


def page(template: str, **context: Any) -> Answer:
    return Answer(200, render_to_string(f"accounts/fakestripe/{template}.html", context))


def to(address: str) -> Answer:
    return Answer(303, headers={"Location": address})
