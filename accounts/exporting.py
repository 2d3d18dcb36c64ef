"""All that is stored about a researcher, as one JSON file: no more of it is in memory than a page of rows.

Each app gives its part: the event "data_exported" returns {name: rows}. Secrets are left out, digests and sealed ones too.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import timezone
from social_django.models import UserSocialAuth

from accounts.models import ApiToken, AuditEvent, Erasure, Profile, Subscription, User
from accounts.roles import OPERATOR
from gas.followers import follow

PAGE = 500  # rows
BLOCK = 65_536  # characters

Parts = dict[str, Iterable[dict[str, Any]]]


def export(user: User) -> Iterator[str]:
    """The file, in blocks."""
    block = ""
    for piece in _pieces(user):
        block += piece
        if len(block) > BLOCK:
            yield block
            block = ""
    yield block


def _pieces(user: User) -> Iterator[str]:
    yield f'{{\n"format": "GAS export 1",\n"exported_at": {_json(timezone.now())}'
    for answer in follow("data_exported", user):
        for name, rows in answer.items():
            yield f",\n{_json(name)}: ["
            for number, row in enumerate(rows):
                yield f"{',' if number else ''}\n  {_json(row)}"
            yield "\n]"
    yield "\n}\n"


def _json(value: Any) -> str:
    return json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False)


def fields_of(rows: "models.QuerySet[Any]", *names: str) -> Iterator[dict[str, Any]]:
    """These fields of each row, in the order in which they were made; nothing is asked before the first is wanted."""
    yield from rows.order_by("pk").values(*names).iterator(PAGE)


def own_data(user: User) -> Parts:
    """What accounts has; the setting FOLLOWERS names this function."""
    factors = Authenticator.objects.filter(user=user)
    return {
        "account": fields_of(
            User.objects.filter(pk=user.pk), "id", "username", "email", "full_name", "date_joined", "last_login"
        ),
        "profile": fields_of(
            Profile.objects.filter(user=user),
            *("plan", "institution", "completed_at", "mail_completed", "mail_failed", "mail_expiring"),
            *("stripe_customer", "suggested_institution", "identity_provider", "globus_username", "globus_email"),
        ),
        "addresses": fields_of(EmailAddress.objects.filter(user=user), "email", "verified", "primary"),
        "globus_identities": fields_of(
            UserSocialAuth.objects.filter(user=user), "provider", "uid", "extra_data", "created", "modified"
        ),
        "second_factors": fields_of(factors, "type", "created_at", "last_used_at"),
        "sessions": fields_of(UserSession.objects.filter(user=user), "created_at", "last_seen_at", "ip", "user_agent"),
        "api_tokens": fields_of(
            ApiToken.objects.filter(user=user),
            *("name", "scopes", "created_at", "expires_at", "revoked_at", "last_used_at"),
        ),
        "subscriptions": map(_subscription, _with_actor(Subscription.objects.filter(user=user), "changed_by")),
        "audit_events": map(_audit_event, _with_actor(AuditEvent.objects.about(user), "actor")),
        "erasures": fields_of(
            Erasure.objects.filter(user=user),
            *("status", "asked_at", "due_at", "told_at", "farewell_at", "ended_at", "waits_for"),
        ),
    }


def _with_actor(rows: "models.QuerySet[Any]", actor: str) -> Iterator[Any]:
    rows = rows.order_by("pk").select_related(actor).prefetch_related(f"{actor}__groups")
    yield from rows.iterator(PAGE)


def _subscription(row: Subscription) -> dict[str, Any]:
    return {
        "plan": row.plan_id,
        "previous": row.previous_id,
        "started_at": row.started_at,
        "changed_by": _role_of(row.changed_by, row.user_id),
        "reason": row.reason,
    }


def _audit_event(row: AuditEvent) -> dict[str, Any]:
    by = _role_of(row.actor, row.subject_id) or row.actor_name.partition(" (")[0]  # a command without who ran it
    names = ("at", "action", "object_type", "object_id", "reason", "before", "after")
    return {"by": by} | {name: getattr(row, name) for name in names}


def _role_of(actor: User | None, owner: Any) -> str:
    """Staff are named by their role alone: who it was is none of the data about the researcher."""
    if actor is None:
        return ""
    if actor.pk == owner:
        return "owner"
    return next((group.name for group in actor.groups.all()), OPERATOR)
