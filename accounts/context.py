"""What every template may use of accounts."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from accounts.models import Erasure, User


def erasure(request: HttpRequest) -> dict[str, Any]:
    """`erasure`: the one that the signed-in researcher has asked for and can still undo; looked up when a page asks for it."""
    return {"erasure": SimpleLazyObject(lambda: _pending(request))}


def _pending(request: HttpRequest) -> Any:
    user = getattr(request, "user", None)
    if not isinstance(user, User) or user.is_staff:
        return None
    erasure = Erasure.objects.open_for(user)
    return erasure if erasure and erasure.status == Erasure.Status.PENDING else None
