"""The page behind the download links of LocalObjectStorage."""

import time
from typing import Any

from django.core import signing
from django.http import FileResponse, Http404, HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from gas.objects import LINK_SALT, LocalObjectStorage, ObjectNotFound, attachment


@require_safe
def object_link(request: HttpRequest, token: str) -> HttpResponseBase:
    """Stream the object that the token names. Whoever has the link may, until it expires, as with S3."""
    link = _read(token)
    if link["expires"] < time.time():
        return render(request, "link_expired.html", status=410)
    try:
        file = LocalObjectStorage(bucket=link["bucket"]).open(link["key"])
    except ObjectNotFound as error:
        raise Http404("This file has been deleted.") from error
    response = FileResponse(file, content_type=link["content_type"])
    response.headers["Content-Disposition"] = attachment(link["filename"])
    response.headers["Cache-Control"] = "no-store"
    return response


def _read(token: str) -> dict[str, Any]:
    try:
        link: dict[str, Any] = signing.loads(token, salt=LINK_SALT)
    except signing.BadSignature as error:
        raise Http404("Not a link of ours.") from error
    return link
