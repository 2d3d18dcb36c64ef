"""Security events as lines of JSON, on the logger `gas.security`: who, from where, what; never a secret."""

import json
import logging
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from accounts.models import User

log = logging.getLogger("gas.security")


def log_security_event(event: str, *, user: User | None = None, request: HttpRequest | None = None, **fields: Any) -> None:
    """One line: {"event", "at", "user", "address", ...}; users by their id alone."""
    line = {"event": event, "at": timezone.now().isoformat(), "user": str(user.pk) if user else None}
    if request is not None:
        line["address"] = request.META.get("REMOTE_ADDR", "")
    log.info(json.dumps(line | fields, default=str))
