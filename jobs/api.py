"""The HTTP API for programs, version 1: docs/api.md. The pages' rules hold, by the same code."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import pydantic
from django.core.exceptions import RequestDataTooBig
from django.core.exceptions import ValidationError as BadCursor
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from ninja import NinjaAPI, Schema, Status
from ninja.errors import HttpError, Throttled, ValidationError
from ninja.pagination import CursorPagination, paginate

from accounts.models import ApiToken
from accounts.views import signed_in
from gas.objects import ObjectError, ObjectNotFound
from jobs.api_token import MOST_A_MINUTE, Bearer
from jobs.models import Job, Upload
from jobs.refusals import Refused
from jobs.upload_views import TOLD_AS, end, finish, hand_over_part, own_upload, upload_fields
from jobs.views import content_type_of, link_to, own_job, result_link, why_no_result

READ, SUBMIT = Bearer(ApiToken.Scope.READ), Bearer(ApiToken.Scope.SUBMIT)
api = NinjaAPI(
    title="GAS",
    version="1",
    description="Upload VCF files, wait for their annotation, download the results.",
    urls_namespace="api",
    docs_url=None,
    auth=READ,
)
FileKind = Literal["result", "index", "log", "skipped", "input"]


# --- what is refused -------------------------------------------------------------------------------------------------


def _told(refused: Refused, **headers: str) -> HttpResponse:
    if refused.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="GAS"'
    return JsonResponse(refused.as_json(), status=refused.status, headers=headers)


@api.exception_handler(Refused)
def tell_refused(_: HttpRequest, error: Refused) -> HttpResponse:
    return _told(error)


@api.exception_handler(ObjectError)
def tell_store(_: HttpRequest, error: ObjectError) -> HttpResponse:
    if type(error) not in TOLD_AS:
        raise error
    return _told(TOLD_AS[type(error)]())


@api.exception_handler(Throttled)
def tell_throttled(_: HttpRequest, error: Throttled) -> HttpResponse:
    detail = f"A token may send {MOST_A_MINUTE} in a minute."
    refused = Refused("too_many_requests", "Too many requests", detail, f"Wait {error.wait} seconds.", status=429)
    return _told(refused, **{"Retry-After": str(error.wait)})


@api.exception_handler(Http404)
def tell_absent(_: HttpRequest, error: Http404) -> HttpResponse:
    return _told(Refused("not_found", "There is nothing here", str(error), status=404))


@api.exception_handler(HttpError)
@api.exception_handler(RequestDataTooBig)
def tell_not_json(_: HttpRequest, _error: Exception) -> HttpResponse:
    detail = "Its body is no JSON, or larger than 1 MB."
    return _told(Refused("bad_request", "The request is not understood", detail, status=400))


@api.exception_handler(ValidationError)
def tell_invalid(_: HttpRequest, error: ValidationError) -> HttpResponse:
    faults = (f"{' '.join(map(str, fault.get('loc', fault)))}: {fault.get('msg', 'invalid')}" for fault in error.errors)
    return _told(Refused("bad_request", "The request is not understood", "; ".join(faults) + ".", status=400))


@api.exception_handler(pydantic.ValidationError)
@api.exception_handler(BadCursor)
def tell_bad_cursor(_: HttpRequest, _error: Exception) -> HttpResponse:
    detail, mend = "The cursor is none of ours.", "Follow the links “next” and “previous” of an answer."
    return _told(Refused("bad_request", "The request is not understood", detail, mend, status=400))


# --- jobs ------------------------------------------------------------------------------------------------------------


class ErrorOut(Schema):
    code: str
    sentences: list[str]


class JobLine(Schema):
    """A job in a list. Sizes are bytes; `download_until` null: for as long as the plan keeps it open."""

    id: UUID
    url: str
    file_name: str
    size: int
    status: Job.Status
    submitted_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    download_until: datetime | None
    error: ErrorOut | None

    @staticmethod
    def resolve_url(job: Job) -> str:
        return reverse("api:job", args=[job.pk])

    @staticmethod
    def resolve_size(job: Job) -> int:
        return job.input_size

    @staticmethod
    def resolve_error(job: Job) -> dict[str, Any] | None:
        return {"code": job.error_code, "sentences": job.error_message.splitlines()} if job.error_code else None


class JobOut(JobLine):
    """A job with its counts, and the places of its files that can be downloaded now."""

    reference: str
    progress_percent: int | None
    counts: dict[str, Any]
    result_size: int | None
    result_sha256: str
    files: dict[FileKind, str | None]

    @staticmethod
    def resolve_counts(job: Job) -> Any:
        return job.summary

    @staticmethod
    def resolve_files(job: Job) -> dict[str, str | None]:
        open_now = {
            "result": not why_no_result(job, job.result_key),
            "index": not why_no_result(job, job.index_key),
            "log": job.log_key,
            "skipped": job.skipped_key,
            "input": job.input_key,
        }
        return {
            kind: reverse("api:job_file", args=[job.pk, kind]) if is_open else None
            for kind, is_open in open_now.items()
        }


@api.get("/jobs", response=list[JobLine], url_name="jobs")
@paginate(CursorPagination, ordering=("-submitted_at", "-id"), page_size=20, max_page_size=100)
def list_jobs(request: HttpRequest, status: Job.Status | None = None) -> "QuerySet[Job]":
    """All jobs, the newest first."""
    jobs: QuerySet[Job] = Job.objects.visible_to(signed_in(request)).defer("summary")
    return jobs.filter(status=status) if status else jobs


@api.get("/jobs/{uuid:pk}", response=JobOut, url_name="job")
def read_job(request: HttpRequest, pk: UUID) -> Job:
    """One job. Ask every few seconds until it is COMPLETED, FAILED or CANCELLED."""
    return own_job(request, pk)


@api.delete("/jobs/{uuid:pk}", response={204: None}, auth=SUBMIT, url_name="job")
def delete_job(request: HttpRequest, pk: UUID) -> Status[None]:
    """Delete the job, its file, result and log for good; if it is being annotated, that is stopped."""
    own_job(request, pk).delete_soon()
    return Status(204, None)


@api.post("/jobs/{uuid:pk}/cancel", response=JobOut, auth=SUBMIT, url_name="job_cancel")
def cancel_job(request: HttpRequest, pk: UUID) -> Job:
    """Cancel a job that has not ended: at once when PENDING, within seconds when RUNNING."""
    job = own_job(request, pk)
    if not job.cancel():
        detail = f"{job.file_name} is {job.status}, or its end was asked for before."
        raise Refused("not_cancelled", "There is nothing to cancel", detail, status=409)
    return job


@api.get("/jobs/{uuid:pk}/{kind}", response={302: None}, url_name="job_file")
def read_file(request: HttpRequest, pk: UUID, kind: FileKind) -> HttpResponse:
    """Where the file is, for a few minutes; follow the redirect without the token."""
    job = own_job(request, pk)
    try:
        return _result_file(job, kind) if kind in {"result", "index"} else _other_file(job, kind)
    except ObjectNotFound:
        raise Refused("file_gone", "The file is gone", f"It was deleted from {job.file_name}.", status=404) from None


def _result_file(job: Job, kind: FileKind) -> HttpResponse:
    key, name = (job.result_key, job.result_name) if kind == "result" else (job.index_key, f"{job.result_name}.tbi")
    if refused := why_no_result(job, key):
        raise refused
    return result_link(job, key, name)


def _other_file(job: Job, kind: FileKind) -> HttpResponse:
    bucket, key, name, content_type = {
        "log": ("results", job.log_key, job.log_name, "text/plain"),
        "skipped": ("results", job.skipped_key, job.skipped_name, "text/tab-separated-values"),
        "input": ("uploads", job.input_key, job.file_name, content_type_of(job.file_name)),
    }[kind]
    if not key:
        detail = f"The job is {job.status}." if kind == "log" else "No record was skipped, or the job has no result."
        raise Refused(f"no_{kind}", f"There is no such file of {job.file_name}", detail, status=409)
    return link_to(bucket, key, name, content_type)


# --- uploads ---------------------------------------------------------------------------------------------------------


class FileIn(Schema):
    file_name: str
    size: pydantic.StrictInt


class ReferenceIn(Schema):
    """`reference`: the id of one that the upload page offers; empty: found out from the file."""

    reference: str = ""


class UploadOut(Schema):
    """Part n (from 1) holds the bytes from (n - 1) x `part_size` on; `received` are the parts that are there."""

    id: UUID
    url: str
    file_name: str
    size: int
    part_size: int
    part_count: int
    received: list[int]
    status: Upload.Status


class PartOut(Schema):
    """PUT the part to `url`; `direct`: that is the object store, which takes no token."""

    url: str
    direct: bool


def _upload_out(upload: Upload) -> dict[str, Any]:
    return upload_fields(upload, reverse("api:upload", args=[upload.pk]))


@api.post("/uploads", response={201: UploadOut}, auth=SUBMIT, url_name="uploads")
def begin_upload(request: HttpRequest, file: FileIn) -> Status[dict[str, Any]]:
    """Begin a session for one file."""
    return Status(201, _upload_out(Upload.start(signed_in(request), file.file_name, file.size)))


@api.get("/uploads/{uuid:pk}", response=UploadOut, auth=SUBMIT, url_name="upload")
def read_upload(request: HttpRequest, pk: UUID) -> dict[str, Any]:
    """The state of a session, to go on with it."""
    return _upload_out(own_upload(request, pk, open_only=False))


@api.get("/uploads/{uuid:pk}/parts/{int:number}", response=PartOut, auth=SUBMIT, url_name="upload_part")
def place_part(request: HttpRequest, pk: UUID, number: int) -> HttpResponseBase:
    """Where to PUT the part."""
    return hand_over_part(request, pk, number)


@api.put("/uploads/{uuid:pk}/parts/{int:number}", response={204: None}, auth=SUBMIT, url_name="upload_part")
def put_part(request: HttpRequest, pk: UUID, number: int) -> HttpResponseBase:
    """The bytes of the part, when the object store does not take them directly."""
    return hand_over_part(request, pk, number)


@api.post("/uploads/{uuid:pk}/complete", response={201: JobOut}, auth=SUBMIT, url_name="upload_complete")
def complete_upload(request: HttpRequest, pk: UUID, choice: ReferenceIn | None = None) -> Status[Job]:
    """All parts are there: make the job. Asked twice, it gives the same one; 409 lists the parts that are `missing`."""
    return Status(201, finish(request, pk, choice.reference if choice else ""))


@api.delete("/uploads/{uuid:pk}", response={204: None}, auth=SUBMIT, url_name="upload")
def end_upload(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    """Give an open session up, with what was sent."""
    return end(request, pk)
