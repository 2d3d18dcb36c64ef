"""The upload session, as JSON: begin, send the parts, complete. File contents never pass through `request.body`."""

import json
from collections.abc import Callable
from functools import partial, wraps
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.views import signed_in
from gas.objects import ObjectNotFound, PartMismatch, StorageUnavailable, UploadGone, objects
from jobs.models import Job, Upload
from jobs.refusals import Refused

View = Callable[..., HttpResponseBase]
LARGEST_JSON = 4096  # bytes of a request that begins a session


SIGNED_OUT = partial(
    Refused,
    "signed_out",
    "You are signed out",
    "Your session has ended.",
    "Sign in again and choose the same file: the upload goes on.",
    status=401,
)
NO_SUCH_UPLOAD = partial(
    Refused, "no_such_upload", "There is no such upload", "It has ended or was never begun.", "Begin again.", status=404
)
STORE_DOWN = partial(
    Refused,
    "storage_unavailable",
    "The file store is out of reach",
    "Nothing is lost.",
    "Try again in a minute.",
    status=503,
)
PART_LENGTH = partial(
    Refused,
    "part_length",
    "The part has another length",
    "It is not as long as announced.",
    "Send it again.",
    status=400,
)
TOLD_AS = {
    StorageUnavailable: STORE_DOWN,
    UploadGone: NO_SUCH_UPLOAD,
    ObjectNotFound: NO_SUCH_UPLOAD,
    PartMismatch: PART_LENGTH,
}


def json_api(view: View) -> View:
    """Sign-in, refusals and errors of the store as JSON that the upload page can show."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            if not request.user.is_authenticated:
                raise SIGNED_OUT()
            return view(request, *args, **kwargs)
        except Refused as error:
            refused = error
        except tuple(TOLD_AS) as error:
            refused = TOLD_AS[type(error)]()
        return JsonResponse(refused.as_json(), status=refused.status)

    return wrapped


class PartsMissing(Refused):
    """Their numbers stand beside the error, for a client that sends them now."""

    def __init__(self, upload: Upload, missing: list[int]) -> None:
        detail = f"{len(missing)} of {upload.part_count} parts are not there."
        super().__init__(
            "parts_missing", "Parts are missing", detail, "Send them, then complete the upload.", status=409
        )
        self.missing = missing

    def as_json(self) -> dict[str, Any]:
        return super().as_json() | {"missing": self.missing}


def own_upload(request: HttpRequest, pk: UUID, *, open_only: bool = True) -> Upload:
    """The upload of this person, or 404; when `open_only`, ended ones are 404 too."""
    uploads = Upload.objects.visible_to(signed_in(request)).select_related("job")
    upload: Upload | None = (uploads.open() if open_only else uploads).filter(pk=pk).first()
    if upload is None:
        raise NO_SUCH_UPLOAD()
    upload.owner = signed_in(request)
    return upload


def upload_fields(upload: Upload, url: str) -> dict[str, Any]:
    """What a client must know to send the file; `url` is the session's."""
    return {
        "id": str(upload.pk),
        "url": url,
        "file_name": upload.file_name,
        "size": upload.size,
        "part_size": upload.part_size,
        "part_count": upload.part_count,
        "received": upload.received(),
        "status": upload.status,
    }


def _as_json(upload: Upload, status: int = 200) -> JsonResponse:
    return JsonResponse(upload_fields(upload, reverse("upload", args=[upload.pk])), status=status)


@json_api
@require_POST
def uploads(request: HttpRequest) -> HttpResponseBase:
    """Begin a session: {"file_name", "size"} -> 201."""
    try:
        asked = json.loads(request.read(LARGEST_JSON))
        file_name, size = asked["file_name"], asked["size"]
        if not isinstance(file_name, str) or type(size) is not int:
            raise TypeError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Refused(
            "bad_request",
            "The request is not understood",
            'Send {"file_name": text, "size": bytes}.',
            status=400,
        ) from None
    return _as_json(Upload.start(signed_in(request), file_name, size), status=201)


@json_api
@require_GET
def upload(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    """The state of a session, with the numbers of the parts that are whole."""
    return _as_json(own_upload(request, pk, open_only=False))


def hand_over_part(request: HttpRequest, pk: UUID, number: int) -> HttpResponseBase:
    """GET: where to PUT part `number`. PUT: the part itself, when the object store does not take it directly."""
    upload = own_upload(request, pk)
    length = upload.part_length(number)
    if length is None:
        raise Refused(
            "no_such_part",
            "There is no such part",
            f"This upload has parts 1 to {upload.part_count}.",
            status=404,
        )
    direct = upload.part_url(number, settings.UPLOAD_LIFETIME)
    if request.method == "GET":
        return JsonResponse({"url": direct or request.path, "direct": direct is not None})
    if direct:
        raise Refused(
            "use_direct_url",
            "Send this part to the object store",
            "Ask for its address with GET.",
            status=409,
        )
    if int(request.headers.get("Content-Length") or -1) != length:
        raise PART_LENGTH()
    offset = (number - 1) * upload.part_size
    objects("uploads").write_part(upload.key, upload.token, number, length, offset, request)
    return HttpResponse(status=204)


part = json_api(require_http_methods(["GET", "PUT"])(hand_over_part))


def finish(request: HttpRequest, pk: UUID, reference: str) -> Job:
    """All parts are there: make the job, for a chosen `reference` or none. A second call gives the same job."""
    upload = own_upload(request, pk, open_only=False)
    if missing := upload.missing():
        raise PartsMissing(upload, missing)
    return upload.complete(reference)


@json_api
@require_POST
def complete(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    job = finish(request, pk, request.POST.get("reference", ""))
    return JsonResponse({"job_url": reverse("annotation", args=[job.pk])}, status=201)


def end(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    """Give the session up, with what was sent."""
    upload = own_upload(request, pk)
    if not upload.abort():
        detail = "It was completed at the same moment; its job can be cancelled."
        raise Refused("not_open", "The upload has ended", detail, status=409)
    return HttpResponse(status=204)


abort = json_api(require_POST(end))
