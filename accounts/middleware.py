"""What a session must pass before a page is shown."""

import time
from collections.abc import Callable
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

GetResponse = Callable[[HttpRequest], HttpResponse]
OPEN_BEFORE_COMPLETION = ("/profile/", "/logout/", "/login/", "/auth/", "/accounts/", "/static/")


def absolute_session_lifetime(get_response: GetResponse) -> GetResponse:
    """A session ends SESSION_ABSOLUTE_AGE seconds after its first signed-in request, however busy it is."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            signed_in_at = request.session.setdefault("signed_in_at", int(time.time()))
            if time.time() - signed_in_at > settings.SESSION_ABSOLUTE_AGE:
                logout(request)
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


def _is_incomplete(request: HttpRequest) -> bool:
    user = request.user
    if not user.is_authenticated or user.is_staff:
        return False
    profile = getattr(user, "profile", None)
    return profile is None or profile.completed_at is None
