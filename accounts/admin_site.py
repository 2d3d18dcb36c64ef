from typing import Any

from allauth.decorators import rate_limit
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator

HIDDEN_APPS = {"social_django", "usersessions", "account", "mfa"}


class GASAdminSite(AdminSite):
    """The staff's site, without the models that hold what is not for them: tokens, session keys, mail links.

    They are refused here, because their apps register them after ours could unregister them.
    """

    site_header = site_title = "GAS"

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        models: Any = [model_or_iterable] if isinstance(model_or_iterable, type) else model_or_iterable
        shown = [model for model in models if model._meta.app_label not in HIDDEN_APPS]
        super().register(shown, admin_class, **options)

    @method_decorator(rate_limit(action="login"))
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().login(request, extra_context)
