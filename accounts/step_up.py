"""Step-up: what is grave needs a person who has just shown who he is, not only a live session.

allauth's own reauthentication lets whoever has neither password nor second factor through, which is every researcher. Here
they sign in at Globus once more (prompt=login), and its answer must say that they really did: `last_authentication`. Staff
use allauth's pages. Both leave records in the session; the newest says how fresh it is.
"""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec
from urllib.parse import urlencode

from allauth.account.authentication import get_authentication_records
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.middleware.csrf import rotate_token
from django.urls import reverse

STARTED = "step_up_started"  # in the session while the person is at Globus: seconds since 1970
CLOCK_SKEW = 5  # seconds that Globus's clock may be behind ours

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def step_up_required(view: View[P]) -> View[P]:
    """Of a signed-in person who shows afresh who he is, and then comes to the page by GET: a form is sent once more.

    A view that has no page for GET asks is_fresh() itself and leads with to_step_up() to the page of its form.
    """

    @login_required
    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if is_fresh(request):
            return view(request, *args, **kwargs)
        return to_step_up(request.get_full_path() if request.method == "GET" else request.path)

    return guarded


def is_fresh(request: HttpRequest) -> bool:
    """Whether this session's person authenticated less than STEP_UP_AGE ago."""
    newest = max((record["at"] for record in get_authentication_records(request, request.user)), default=0)
    return time.time() - newest < settings.STEP_UP_AGE.total_seconds()


def to_step_up(heading: str) -> HttpResponseRedirect:
    """To the step-up page, and from there to `heading`, a path of this site."""
    return HttpResponseRedirect(f"{reverse('step_up')}?{urlencode({'next': heading})}")


def authenticated_at(claims: dict[str, Any] | None) -> float:
    """When the person of an ID token last showed Globus who he is, and not only had a session there; 0: not said."""
    at = (claims or {}).get("last_authentication")
    return min(at, time.time()) if type(at) is int else 0


def renew_session(request: HttpRequest) -> None:
    """New session and CSRF keys for what the old ones could not do."""
    sessions = UserSession.objects.filter(session_key=request.session.session_key)
    request.session.cycle_key()
    sessions.update(session_key=request.session.session_key)
    rotate_token(request)
