"""Values that must not lie readable in the database, by Fernet (AES-128-CBC with HMAC-SHA256)."""

import json
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


def _box() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.FIELD_KEYS])


def seal(value: Any) -> str:
    """`value`, which JSON can express, encrypted under the first of FIELD_KEYS."""
    return _box().encrypt(json.dumps(value).encode()).decode()


def unseal(sealed: str) -> Any:
    """What was sealed under any of FIELD_KEYS; raises cryptography.fernet.InvalidToken for anything else."""
    return json.loads(_box().decrypt(sealed))


def is_current(sealed: str) -> bool:
    """Whether the first of FIELD_KEYS opens it."""
    try:
        Fernet(settings.FIELD_KEYS[0]).decrypt(sealed)
    except InvalidToken:
        return False
    return True


def reseal(sealed: str) -> str:
    """The same value under the first of FIELD_KEYS; raises as unseal does."""
    return _box().rotate(sealed).decode()
