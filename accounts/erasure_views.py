"""The pages about a researcher's own data: what is stored, all of it in one file, and the end of the account."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.audit import note
from accounts.erasure_forms import EraseForm
from accounts.exporting import export
from accounts.models import Erasure
from accounts.step_up import step_up_required
from accounts.views import posted, researchers_only, signed_in


@researchers_only
@never_cache
@require_safe
def your_data(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/your_data.html")


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
