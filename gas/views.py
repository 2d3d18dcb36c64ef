"""Pages that belong to no app."""

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.models import Plan
from gas.mail import written_mails


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    return render(request, "home.html", {"plans": Plan.objects.order_by("max_upload_bytes")})


@require_safe
def mails(request: HttpRequest) -> HttpResponse:
    """The mails of the embedded default. They may concern anybody, so there is no such page in production."""
    if not settings.DEBUG:
        raise Http404
    return render(request, "gas/mails.html", {"mails": written_mails(), "folder": settings.EMAIL_FILE_PATH})
