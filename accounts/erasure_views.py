"""The pages about a researcher's own data: what is stored, all of it in one file, and the end of the account."""

from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.audit import note
from accounts.erasure_forms import EraseForm
from accounts.exporting import export
from accounts.models import Erasure
from accounts.step_up import P, View, step_up_required
from accounts.views import posted, signed_in


def researchers_only(view: View[P]) -> View[P]:
    """Staff have no data of their own here; operators close their accounts at the desk."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if signed_in(request).is_staff:
            raise Http404
        return view(request, *args, **kwargs)

    return guarded


@login_required
@researchers_only
@never_cache
@require_safe
def your_data(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/your_data.html")


@login_required
@researchers_only
@step_up_required
@never_cache
@require_safe
def export_data(request: HttpRequest) -> Any:  # a response that streams is no HttpResponse
    """All that is stored, as one JSON file. It reads only, so it is a link."""
    user = signed_in(request)
    name = f"gas-export-{timezone.now():%Y-%m-%d}.json"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    if request.method == "HEAD":
        return HttpResponse(headers=headers, content_type="application/json")
    note("account.exported", user, by=user)
    return StreamingHttpResponse(export(user), headers=headers, content_type="application/json")


@login_required
@researchers_only
@step_up_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def erase_account(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    if Erasure.objects.open_for(user):
        return redirect("your_data")
    form = EraseForm(posted(request), user)
    if form.is_valid():
        with transaction.atomic():
            erasure, is_new = Erasure.ask(user)
            if is_new:
                note("erasure.asked", erasure, by=user)
        return redirect("your_data")
    return render(request, "accounts/erase_account.html", {"form": form, "grace": settings.ERASURE_GRACE})


@login_required
@researchers_only
@require_POST
def withdraw_erasure(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    with transaction.atomic():
        erasure = Erasure.objects.open_for(user)
        if erasure and erasure.withdraw():
            note("erasure.withdrawn", erasure, by=user)
            messages.success(request, "Your account stays as it is. Nothing was erased.")
        else:
            messages.info(request, "There was nothing to undo.")
    return redirect("your_data")
