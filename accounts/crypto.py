"""Values that must not lie readable in the database, by Fernet (AES-128-CBC with HMAC-SHA256)."""

import json
from typing import Any

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings


def _box() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.FIELD_KEYS])


def seal(value: Any) -> str:
    """`value`, which JSON can express, encrypted under the first of FIELD_KEYS."""
    return _box().encrypt(json.dumps(value).encode()).decode()


def unseal(sealed: str) -> Any:
    """What was sealed under any of FIELD_KEYS; raises cryptography.fernet.InvalidToken for anything else."""
    return json.loads(_box().decrypt(sealed))
