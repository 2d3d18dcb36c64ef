"""The pages of the stand-in."""

from typing import Any

from django.template.loader import render_to_string


def page(template: str, **context: Any) -> str:
    return render_to_string(f"accounts/fakeglobus/{template}.html", context)
