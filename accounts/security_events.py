"""Sign-ins and second factors, which Django and allauth signal, as security events. Imported once, when the apps are ready."""

from typing import Any

from allauth.account import signals as account
from allauth.account.authentication import get_authentication_records
from allauth.mfa import signals as mfa
from allauth.mfa.models import Authenticator
from django.contrib.auth import signals as auth
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.models import User
from accounts.security_log import log_security_event, pseudonym
from accounts.step_up import renew_session


def too_many_requests(request: HttpRequest) -> HttpResponse:
    """handler429 of gas.urls: allauth answers with it beyond a rate limit."""
    log_security_event("rate_limit.hit", user=_signed_in(request), request=request, page=request.path)
    return render(request, "429.html", status=429)


@receiver(auth.user_logged_in)
def sign_in_passed(request: HttpRequest, user: User, **_: Any) -> None:
    methods = [
        record.get("provider") or record.get("type") or record["method"]
        for record in get_authentication_records(request, user)
    ]
    log_security_event("sign_in.passed", user=user, request=request, method="+".join(methods))


@receiver(auth.user_login_failed)
def password_refused(request: HttpRequest | None, credentials: dict[str, Any], **_: Any) -> None:
    """At sign-in, or when a signed-in person was asked for his password once more."""
    user = _signed_in(request)
    fields = {"method": "password", "account": pseudonym(credentials.get("email", ""))}
    log_security_event("step_up.refused" if user else "sign_in.refused", user=user, request=request, **fields)


@receiver(auth.user_logged_out)
def session_ended(request: HttpRequest, user: User | None, **_: Any) -> None:
    log_security_event("session.ended", user=user, request=request)


@receiver(account.authentication_step_completed)
def step_up_passed(request: HttpRequest, user: User, method: str, **extra: Any) -> None:
    """Staff's, on allauth's pages: what the old session key could not do, the new one can."""
    if extra.get("reauthenticated"):
        renew_session(request)
        log_security_event("step_up.passed", user=user, request=request, method=extra.get("type") or method)


@receiver(account.password_reset)
@receiver(account.password_changed)
def password_changed(request: HttpRequest, user: User, **_: Any) -> None:
    log_security_event("password.changed", user=user, request=request)


@receiver(mfa.authenticator_used)
def second_factor_passed(request: HttpRequest, user: User, authenticator: Authenticator, **_: Any) -> None:
    log_security_event("second_factor.passed", user=user, request=request, type=authenticator.type)


@receiver(mfa.authentication_failed)
def second_factor_refused(request: HttpRequest, user: User, authenticator: Authenticator | None, **_: Any) -> None:
    type_ = authenticator.type if authenticator else Authenticator.Type.WEBAUTHN
    log_security_event("second_factor.refused", user=user, request=request, type=type_)


@receiver(mfa.authenticator_added)
def second_factor_added(request: HttpRequest, user: User, authenticator: Authenticator, **_: Any) -> None:
    log_security_event("second_factor.added", user=user, request=request, type=authenticator.type)


@receiver(mfa.authenticator_reset)
def recovery_codes_renewed(request: HttpRequest, user: User, **_: Any) -> None:
    log_security_event("recovery_codes.renewed", user=user, request=request)


@receiver(mfa.authenticator_removed)
def second_factor_removed(request: HttpRequest, user: User, authenticator: Authenticator, **_: Any) -> None:
    log_security_event("second_factor.removed", user=user, request=request, type=authenticator.type)


def _signed_in(request: HttpRequest | None) -> User | None:
    user = getattr(request, "user", None)
    return user if isinstance(user, User) else None
