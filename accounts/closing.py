"""Accounts that staff closes and opens again. Nothing of a closed account is deleted; its person cannot get in."""

from allauth.usersessions.models import UserSession
from django.db import transaction

from accounts.audit import note
from accounts.models import User


def close_account(user: User, *, by: "User | str", reason: str) -> bool:
    """End all sessions of `user`; from now on he cannot sign in, and his API tokens open nothing. False: it was closed."""
    with transaction.atomic():
        closed = _set_active(user, False, "account.closed", by, reason)
        if closed:
            end_sessions(user)
    return closed


def open_account(user: User, *, by: "User | str", reason: str) -> bool:
    """Let `user` sign in again. False: it was open."""
    with transaction.atomic():
        return _set_active(user, True, "account.opened", by, reason)


def _set_active(user: User, active: bool, event: str, by: "User | str", reason: str) -> bool:
    changed = User.objects.filter(pk=user.pk, is_active=not active).update(is_active=active)
    if changed:
        user.is_active = active
        note(event, user, by=by, reason=reason, before={"is_active": not active}, after={"is_active": active})
    return bool(changed)


def end_sessions(user: User) -> None:
    for session in UserSession.objects.filter(user=user):
        session.end()
