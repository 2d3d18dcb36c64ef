"""Security events as lines of JSON, on the logger `gas.security`: who, from where, what; never a secret, name or address.

docs/accounts.md lists the events.
"""

import json
import logging
from typing import Any

from allauth.account.adapter import get_adapter
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac

from accounts.models import User

log = logging.getLogger("gas.security")


def log_security_event(
    event: str, *, user: User | None = None, request: HttpRequest | None = None, **fields: Any
) -> None:
    """One line: {"event", "at", "user", "address", ...}; users by their id alone, the address is the client's."""
    line = {"event": event, "at": timezone.now().isoformat(), "user": str(user.pk) if user else None}
    if request is not None:
        line["address"] = _client_address(request)
    log.info(json.dumps(line | fields, default=str))


def pseudonym(typed: str) -> str:
    """The same for the same e-mail address, so that attempts on one account can be counted without naming it."""
    return salted_hmac("gas.security", typed, algorithm="sha256").hexdigest()[:16]


def _client_address(request: HttpRequest) -> str:
    """As rate limits count it, behind the proxies that we trust; "" for a request that names none, as a test's may."""
    try:
        return str(get_adapter().get_client_ip(request))
    except (PermissionDenied, ImproperlyConfigured):
        return ""
