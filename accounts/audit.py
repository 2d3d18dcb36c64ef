"""Acts upon accounts, jobs and archives that somebody may ask about later, each with who, when, why, before and after."""

from collections.abc import Mapping
from typing import Any

from django.db import models, transaction

from accounts.models import AuditEvent, User
from accounts.security_log import log_security_event

OWNER = "owner"
LONGEST_NAME = 100  # characters; an address may have more


def note(  # noqa: PLR0913 (what, whose, by whom, why, before and after)
    action: str,
    of: models.Model,
    *,
    by: "User | str",
    reason: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> AuditEvent:
    """Write down that `by` (a user; or a command or service by its name) did `action` to the row `of`, in this transaction.

    `before` and `after` are JSON that names no person, address or file. A security event of the same name is logged on commit.
    """
    subject = owner_of(of)
    actor = by if isinstance(by, User) else None
    event = AuditEvent(
        actor=actor,
        actor_name=_name_of(by, subject),
        action=action,
        subject=subject,
        object_type=of._meta.model_name or "",
        object_id=str(of.pk),
        reason=reason,
        before=dict(before or {}),
        after=dict(after or {}),
    )
    event.save()
    transaction.on_commit(lambda: log_security_event(action, user=actor, object=f"{event.object_type} {of.pk}"))
    return event


def owner_of(row: models.Model) -> User | None:
    """Whose data `row` is: itself, its `owner` or `user`, or those of its job. None: nobody's."""
    if isinstance(row, User):
        return row
    for name in ("owner", "user", "job"):
        related = getattr(row, name, None)
        if isinstance(related, models.Model):
            return owner_of(related)
    return None


def _name_of(by: "User | str", subject: User | None) -> str:
    if isinstance(by, str):
        return by
    return OWNER if by == subject and not by.is_staff else (by.email or by.username)[:LONGEST_NAME]
