"""What happens between Globus's answer and the session, in the order of settings.SOCIAL_AUTH_PIPELINE.

social-auth speaks with Globus; allauth makes the session, so that every way to sign in passes through the
same stages, signals and session list. An account is found by (provider, sub), never by its e-mail address:
Globus sends no `email_verified`.
"""

from typing import Any

from allauth.account.internal.flows.login import record_authentication
from allauth.account.utils import perform_login
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.http import HttpResponse
from social_core.exceptions import AuthPolicyError

from accounts.crypto import seal
from accounts.models import Profile, User


class SignInRefused(AuthPolicyError):
    """The sentence is shown on the sign-in page."""

    def __init__(self, backend: Any, sentence: str) -> None:
        super().__init__(backend, stage="pipeline")
        self.args = (sentence,)


def no_linking_to_a_live_session(backend: Any, uid: str, user: User | None = None, **_: Any) -> None:
    """A signed-in browser may come back only as the one it is signed in as: no identity is added silently."""
    if user is None:
        return
    if not user.social_auth.filter(provider=backend.name, uid=uid).exists():
        raise SignInRefused(backend, "You are signed in as somebody else; sign out before you change the identity.")


def no_staff(backend: Any, user: User | None = None, **_: Any) -> None:
    if user is not None and (user.is_staff or user.is_superuser):
        raise SignInRefused(backend, "Staff sign in with their password, not with Globus.")


def create_account(details: dict[str, Any], user: User | None = None, **_: Any) -> dict[str, Any]:
    if user is not None:
        return {"is_new": False}
    return {"is_new": True, "user": User.objects.create_user(full_name=_text(details.get("fullname")))}


def keep_profile(details: dict[str, Any], response: dict[str, Any], user: User, **_: Any) -> None:
    """Renew what Globus says about the person; what he said himself stays."""
    claims = {
        "suggested_institution": _text(response.get("organization")),
        "identity_provider": _text(response.get("identity_provider_display_name")),
        "globus_username": _text(response.get("preferred_username")),
        "globus_email": _address(details.get("email")),
    }
    Profile.objects.update_or_create(user=user, defaults=claims)


def keep_tokens_for_logout(strategy: Any, response: dict[str, Any], **_: Any) -> None:
    """Sealed in the session row, and nowhere else."""
    grants = [response, *(response.get("other_tokens") or [])]
    tokens = [grant.get(kind) for grant in grants for kind in ("access_token", "refresh_token")]
    strategy.session_set("globus_tokens", seal([token for token in tokens if token]))


def finish_with_allauth(strategy: Any, backend: Any, user: User, social: Any, **_: Any) -> HttpResponse:
    request = strategy.request
    destination = strategy.session_pop("next") or "/"  # sanitised when the sign-in began
    record_authentication(request, user, "socialaccount", provider=backend.name, uid=social.uid)
    response: HttpResponse = perform_login(request, user, email_verification="none", redirect_url=destination)
    return response


def _text(claim: object) -> str:
    return str(claim or "")[:200]


def _address(claim: object) -> str:
    """The address in small letters; "" for what is none."""
    address = str(claim or "").strip().lower()
    try:
        validate_email(address)
    except ValidationError:
        return ""
    return address
