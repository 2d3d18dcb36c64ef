"""A researcher's API tokens: a list, a form whose answer shows the secret once, an end."""

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from accounts.audit import note
from accounts.models import ApiToken, User
from accounts.step_up import is_fresh, step_up_required
from accounts.token_forms import TokenForm
from accounts.views import posted, researchers_only, signed_in

MOST_SHOWN = 100


@researchers_only
@require_http_methods(["GET", "HEAD", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    return _issue(request) if request.method == "POST" else _page(request, TokenForm(None, user))


@step_up_required
@transaction.atomic
def _issue(request: HttpRequest) -> HttpResponse:
    """The secret is on this answer and nowhere else; so it is no redirect."""
    user = User.objects.select_for_update().get(pk=signed_in(request).pk)  # of two at once, each sees the other's token
    form = TokenForm(posted(request), user)
    if not form.is_valid():
        return _page(request, form)
    secret = form.issue()
    return _page(request, TokenForm(None, user), secret)


def _page(request: HttpRequest, form: TokenForm, secret: str = "") -> HttpResponse:
    tokens = ApiToken.objects.filter(user=form.user).order_by("-created_at")[:MOST_SHOWN]
    context = {"form": form, "tokens": tokens, "secret": secret, "is_fresh": is_fresh(request)}
    return render(request, "accounts/tokens.html", context)


@researchers_only
@require_POST
@transaction.atomic
def revoke_token(request: HttpRequest, pk: int) -> HttpResponse:
    token = get_object_or_404(ApiToken, pk=pk, user=signed_in(request))
    if token.revoke():
        note("token.revoked", token, by=signed_in(request))
        messages.success(request, f"The token {token.name} is revoked: no request with it is answered any more.")
    return redirect("tokens")
