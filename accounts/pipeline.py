"""What happens between Globus's answer and the session, in the order of settings.SOCIAL_AUTH_PIPELINE.

social-auth speaks with Globus; allauth makes the session, so that every way to sign in passes through the
same stages, signals and session list. An account is found by (provider, sub), never by its e-mail address:
Globus sends no `email_verified`.
"""

from typing import Any

from allauth.account.internal.flows.login import record_authentication
from allauth.account.utils import perform_login
from cryptography.fernet import InvalidToken
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from social_core.exceptions import AuthPolicyError

from accounts.crypto import seal, unseal
from accounts.models import Profile, User
from accounts.security_log import log_security_event
from accounts.step_up import CLOCK_SKEW, STARTED, authenticated_at, renew_session


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
    if user.is_active:  # of a closed account nothing new is kept: it may be under erasure
        Profile.objects.update_or_create(user=user, defaults=claims)


def keep_tokens_for_logout(strategy: Any, response: dict[str, Any], **_: Any) -> None:
    """Sealed in the session row, beside those of an earlier sign-in of this session, and nowhere else."""
    grants = [response, *(response.get("other_tokens") or [])]
    tokens = [grant.get(kind) for grant in grants for kind in ("access_token", "refresh_token")]
    earlier = _kept_tokens(strategy.session_get("globus_tokens"))
    strategy.session_set("globus_tokens", seal([*earlier, *(token for token in tokens if token)]))


def _kept_tokens(sealed: str | None) -> list[str]:
    try:
        return list(unseal(sealed)) if sealed else []
    except InvalidToken:  # of a key that is gone
        return []


def check_step_up(strategy: Any, backend: Any, **_: Any) -> None:
    """Who was sent to Globus to show who he is must have done so, and not come back on an old session there."""
    started = strategy.session_get(STARTED)
    if started is not None and authenticated_at(backend.id_token) < started - CLOCK_SKEW:
        raise SignInRefused(backend, "Globus did not ask you to sign in afresh, so nothing was opened. Try once more.")


def finish_with_allauth(strategy: Any, backend: Any, user: User, social: Any, **_: Any) -> HttpResponse:
    request = strategy.request
    destination = strategy.session_pop("next") or "/"  # sanitised when the sign-in began
    at = authenticated_at(backend.id_token)  # not now: a session at Globus may be days old
    record_authentication(request, user, "socialaccount", provider=backend.name, uid=social.uid, at=at)
    if request.user.is_authenticated:
        return _finish_step_up(request, user, destination)
    response: HttpResponse = perform_login(request, user, email_verification="none", redirect_url=destination)
    return response


def _finish_step_up(request: HttpRequest, user: User, destination: str) -> HttpResponse:
    renew_session(request)
    if request.session.pop(STARTED, None) is not None:
        log_security_event("step_up.passed", user=user, request=request, method="globus")
    return HttpResponseRedirect(destination)


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
