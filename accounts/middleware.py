"""What a session must pass before a page is shown."""

import time
from collections.abc import Callable
from urllib.parse import urlencode

from allauth.account.adapter import get_adapter
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from social_core.exceptions import AuthCanceled
from social_django.middleware import SocialAuthExceptionMiddleware

from accounts.security_log import log_security_event
from accounts.step_up import STARTED, to_step_up

GetResponse = Callable[[HttpRequest], HttpResponse]
SEEN_EVERY = 300  # seconds
OPEN_BEFORE_COMPLETION = ("/profile/", "/logout/", "/login/", "/step-up/", "/auth/", "/accounts/", "/static/", "/api/")


def absolute_session_lifetime(get_response: GetResponse) -> GetResponse:
    """A session ends SESSION_ABSOLUTE_AGE seconds after its first signed-in request, however busy it is."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            signed_in_at = request.session.setdefault("signed_in_at", int(time.time()))
            if time.time() - signed_in_at > settings.SESSION_ABSOLUTE_AGE:
                logout(request)
        return get_response(request)

    return middleware


def last_seen(get_response: GetResponse) -> GetResponse:
    """When and from where a session was used last, to five minutes; its SESSION_COOKIE_AGE begins anew with that."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            now = time.time()
            if now - request.session.setdefault("seen_at", now) > SEEN_EVERY:
                request.session["seen_at"] = now
                address = get_adapter().get_client_ip(request)
                here = UserSession.objects.filter(session_key=request.session.session_key)
                here.update(last_seen_at=timezone.now(), ip=address)
        return get_response(request)

    return middleware


def profile_completion(get_response: GetResponse) -> GetResponse:
    """Researchers complete their profile first and then go on to where they were heading; staff have none."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if _is_incomplete(request) and not request.path.startswith(OPEN_BEFORE_COMPLETION):
            heading = "?" + urlencode({"next": request.get_full_path()}) if request.method == "GET" else ""
            return HttpResponseRedirect(reverse("profile") + heading)
        return get_response(request)

    return middleware


DECLINED = "Globus says that the sign-in was given up or not allowed. Nothing was changed; begin again when you like."


class SignInRefusals(SocialAuthExceptionMiddleware):
    """What Globus refuses, or we refuse of its answer, is a sentence on the page where it began, and a security event."""

    def get_redirect_uri(self, request: HttpRequest, exception: Exception) -> str | None:
        user = request.user if request.user.is_authenticated else None
        is_step_up = request.session.pop(STARTED, None) is not None
        event = "step_up.refused" if is_step_up else "sign_in.refused"
        log_security_event(event, user=user, request=request, method="globus", why=getattr(exception, "code", ""))
        if is_step_up:
            return to_step_up(request.session.pop("next", "/")).url
        return super().get_redirect_uri(request, exception)

    def get_message(self, request: HttpRequest, exception: Exception) -> str:
        return DECLINED if isinstance(exception, AuthCanceled) else str(super().get_message(request, exception))


def _is_incomplete(request: HttpRequest) -> bool:
    user = request.user
    if not user.is_authenticated or user.is_staff:
        return False
    profile = getattr(user, "profile", None)
    return profile is None or profile.completed_at is None
