"""Response headers that Django has no setting for, and pages for what the object store says."""

from collections.abc import Callable

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.defaults import page_not_found

from gas.objects import ObjectNotFound, StorageUnavailable

GetResponse = Callable[[HttpRequest], HttpResponse]


def response_headers(get_response: GetResponse) -> GetResponse:
    """Same-origin resources only, no device access, and no page in a cache: an anonymous one may hold a mailed key."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        response.headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    return middleware


class ErrorPages:
    """A file that is gone is 404; a store that is out of reach is 503, with a page that says to try again.

    A row that is not there, or not for this person, is our own 404 page in the embedded default too, where DEBUG is on.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, Http404 | ObjectNotFound):
            return page_not_found(request, error)
        if isinstance(error, StorageUnavailable):
            return render(request, "503.html", status=503)
        return None
