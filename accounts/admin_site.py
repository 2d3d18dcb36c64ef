from typing import Any

from django.contrib.admin import AdminSite
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.views.decorators.http import require_POST

from accounts import second_factor
from accounts.sign_out import sign_out
from gas.desk import sections

HIDDEN_APPS = {
    "account",
    "auth",
    "django_dramatiq",
    "mfa",
    "social_django",
    "usersessions",
}  # auth: groups are the roles


class GASAdminSite(AdminSite):
    """The staff's site: open to a session that has lately passed a second factor.

    Without the models that hold what is not for them: tokens, session keys, mail links. They are refused here, because
    their apps register them after ours could unregister them.
    """

    site_header = site_title = "GAS"
    index_title = "Desk"

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        models: Any = [model_or_iterable] if isinstance(model_or_iterable, type) else model_or_iterable
        shown = [model for model in models if model._meta.app_label not in HIDDEN_APPS]
        super().register(shown, admin_class, **options)

    def has_permission(self, request: HttpRequest) -> bool:
        return super().has_permission(request) and second_factor.is_passed(request)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:  # noqa: ARG002
        """No page: leads to what is missing, and from there to `next`. To researchers the site is not there."""
        heading = request.GET.get("next", "")
        if not url_has_allowed_host_and_scheme(heading, {request.get_host()}, require_https=request.is_secure()):
            heading = reverse("admin:index")
        if not request.user.is_authenticated:
            missing = reverse("account_login")
        elif not super().has_permission(request):
            raise Http404
        elif not second_factor.is_passed(request):
            missing = second_factor.page_to_pass(request)
        else:
            return HttpResponseRedirect(heading)
        return HttpResponseRedirect(f"{missing}?{urlencode({'next': heading})}")

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """The desk, above the list of models."""
        return super().index(request, {"sections": sections(request.user), **(extra_context or {})})

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:  # noqa: ARG002
        return redirect("account_change_password")

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """Signing out works for a session whose second factor is too old as well."""
        return [
            path("logout/", require_POST(lambda request: redirect(sign_out(request))), name="logout"),
            *super().get_urls(),
        ]
