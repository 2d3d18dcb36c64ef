"""allauth's pages, open to staff alone: e-mail and password, second factors, sessions.

Researchers have neither password nor second factor here: to them, when signed in, these pages are not there. What is in
neither list below is there for nobody, what a later allauth adds included; its name is, because allauth makes addresses of it.
"""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from allauth.account import urls as account_urls
from allauth.account.decorators import reauthentication_required
from allauth.mfa import urls as mfa_urls
from allauth.usersessions import urls as usersessions_urls
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, include, path, reverse

View = Callable[..., HttpResponse]

BEFORE_SIGN_IN = {
    "account_login", "mfa_login_webauthn", "mfa_authenticate",
    "account_reset_password", "account_reset_password_done",
    "account_reset_password_from_key", "account_reset_password_from_key_done",
}  # fmt: skip
SIGNED_IN = {
    "account_reauthenticate", "mfa_reauthenticate", "mfa_reauthenticate_webauthn",
    "account_change_password",
    "mfa_index", "mfa_activate_totp", "mfa_deactivate_totp",
    "mfa_list_webauthn", "mfa_add_webauthn", "mfa_edit_webauthn", "mfa_remove_webauthn",
    "mfa_view_recovery_codes", "mfa_generate_recovery_codes", "mfa_download_recovery_codes",
    "usersessions_list",
}  # fmt: skip


def staff_page(view: View, *, needs_sign_in: bool) -> View:
    """404 to a signed-in researcher; an anonymous visitor signs in first where `needs_sign_in`."""

    @wraps(view)
    def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated and not request.user.is_staff:
            raise Http404
        if needs_sign_in and not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path(), reverse("account_login"))
        return view(request, *args, **kwargs)

    return page


def not_found(_: HttpRequest, **__: str) -> HttpResponse:
    raise Http404


def _pages(patterns: list[URLPattern | URLResolver]) -> Iterator[URLPattern | URLResolver]:
    for page in patterns:
        if isinstance(page, URLResolver):
            yield URLResolver(page.pattern, list(_pages(page.url_patterns)))
        else:
            yield URLPattern(page.pattern, _view(page), name=page.name)


def _view(page: URLPattern) -> View:
    if page.name == "usersessions_list":  # allauth ends the other sessions without asking who it is
        return staff_page(reauthentication_required(allow_get=True)(page.callback), needs_sign_in=True)
    if page.name in BEFORE_SIGN_IN | SIGNED_IN:
        return staff_page(page.callback, needs_sign_in=page.name in SIGNED_IN)
    return not_found


urlpatterns = [
    *_pages(account_urls.urlpatterns),
    path("2fa/", include(list(_pages(mfa_urls.urlpatterns)))),
    path("sessions/", include(list(_pages(usersessions_urls.urlpatterns)))),
]
