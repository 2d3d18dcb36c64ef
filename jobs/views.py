"""The pages of a researcher: upload, list, details, log, downloads."""

import math
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts.views import signed_in
from gas.objects import objects
from jobs.models import Job, Upload
from jobs.models.upload import refusal
from jobs.references import offered
from jobs.refusals import Refused

PAGE_SIZE = 20
CONTENT_TYPES = {".vcf": "text/plain", ".zip": "application/zip"}  # the rest is gzip
LONGEST_LOG = 1024**2  # bytes shown; the whole is a download


def is_htmx(request: HttpRequest) -> bool:
    """Whether only the live part of a page is asked for."""
    return "HX-Request" in request.headers


def own_job(request: HttpRequest, pk: UUID) -> Job:
    """The job that this person may see, or 404."""
    job: Job | None = Job.objects.visible_to(signed_in(request)).select_related("archive").filter(pk=pk).first()
    if job is None:
        raise Http404("There is no such annotation.")
    job.owner = signed_in(request)  # read already, with its plan
    return job


@login_required
@require_safe
def annotate(request: HttpRequest) -> HttpResponse:
    plan = signed_in(request).plan
    context = {
        "plan": plan,
        "upload_limit": plan.upload_limit,
        "upgrade_offered": plan.max_upload_bytes is not None and not signed_in(request).is_staff,
        "open_uploads": Upload.objects.visible_to(signed_in(request)).open(),
        "refused": refusal(signed_in(request), plan),
        "references": offered(),
    }
    return render(request, "jobs/annotate.html", context)


@login_required
@require_safe
def annotations(request: HttpRequest) -> HttpResponse:
    jobs = Job.objects.visible_to(signed_in(request)).newest_first().select_related("archive").defer("summary")
    page = Paginator(jobs, PAGE_SIZE).get_page(request.GET.get("page"))
    for job in page.object_list:
        job.owner = signed_in(request)
    context = {
        "page": page,
        "poll_seconds": min(filter(None, (job.poll_seconds for job in page.object_list)), default=0),
    }
    return render(request, "jobs/_annotation_list.html" if is_htmx(request) else "jobs/annotations.html", context)


@login_required
@require_safe
def annotation(request: HttpRequest, pk: UUID) -> HttpResponse:
    job = own_job(request, pk)
    context = {"job": job, "poll_seconds": job.poll_seconds}
    return render(request, "jobs/_annotation_status.html" if is_htmx(request) else "jobs/annotation.html", context)


@login_required
@require_safe
def annotation_log(request: HttpRequest, pk: UUID) -> HttpResponse:
    job = own_job(request, pk)
    if not job.log_key:
        messages.info(
            request,
            f"There is no log of {job.file_name} yet." if job.is_active else f"{job.file_name} has no log.",
        )
        return redirect("annotation", pk=pk)
    log = objects("results").read(job.log_key, LONGEST_LOG).decode("utf-8", "replace")
    return render(request, "jobs/annotation_log.html", {"job": job, "log": log})


@login_required
@require_safe
def annotation_log_file(request: HttpRequest, pk: UUID) -> HttpResponse:
    job = own_job(request, pk)
    if not job.log_key:
        return redirect("annotation_log", pk=pk)
    return link_to("results", job.log_key, job.log_name, "text/plain")


@login_required
@require_safe
def annotation_skipped(request: HttpRequest, pk: UUID) -> HttpResponse:
    job = own_job(request, pk)
    if not job.skipped_key:
        messages.info(request, f"There is no list of skipped records of {job.file_name}.")
        return redirect("annotation", pk=pk)
    return link_to("results", job.skipped_key, job.skipped_name, "text/tab-separated-values")


@login_required
@require_safe
def annotation_result(request: HttpRequest, pk: UUID) -> HttpResponse:
    job = own_job(request, pk)
    return _result_download(request, job, job.result_key, job.result_name)


@login_required
@require_safe
def annotation_index(request: HttpRequest, pk: UUID) -> HttpResponse:
    job = own_job(request, pk)
    return _result_download(request, job, job.index_key, f"{job.result_name}.tbi")


@login_required
@require_safe
def annotation_input(request: HttpRequest, pk: UUID) -> HttpResponse:
    job = own_job(request, pk)
    return link_to("uploads", job.input_key, job.file_name, content_type_of(job.file_name))


@login_required
@require_POST
def annotation_cancel(request: HttpRequest, pk: UUID) -> HttpResponse:
    job = own_job(request, pk)
    if not job.cancel():
        messages.info(request, f"{job.file_name} had ended before it could be cancelled.")
    return redirect("annotation", pk=pk)


@login_required
@require_POST
def annotation_lift_over(request: HttpRequest, pk: UUID) -> HttpResponse:
    job = own_job(request, pk)
    if not job.retry_lifted_over():
        messages.info(request, f"There is nothing to lift over of {job.file_name}, or it is being done already.")
    return redirect("annotation", pk=pk)


@login_required
@require_POST
def annotation_delete(request: HttpRequest, pk: UUID) -> HttpResponse:
    job = own_job(request, pk)
    if job.delete_soon():
        messages.success(request, f"{job.file_name} and its result are deleted.")
    return redirect("annotations")


def _result_download(request: HttpRequest, job: Job, key: str, name: str) -> HttpResponse:
    if refused := why_no_result(job, key):
        messages.add_message(request, messages.WARNING if refused.upgrade else messages.INFO, refused.detail)
        return redirect("annotation", pk=job.pk)
    return result_link(job, key, name)


def why_no_result(job: Job, key: str) -> Refused | None:
    """Why the result, or its index, cannot be downloaded now; None when it can."""
    if job.can_download and key:
        return None
    title = "There is no result to download"
    if job.is_coming_back:
        detail = f"The result of {job.file_name} is not back from the archive yet."
        return Refused("not_back", title, detail, "Try again later.", status=409)
    if job.is_locked:
        detail = "The time to download this result on the Free plan is over. Premium opens it again."
        return Refused("locked", title, detail, "Upgrade to Premium.", upgrade=True, status=403)
    return Refused("no_result", title, f"There is no result of {job.file_name} to download.", status=409)


def result_link(job: Job, key: str, name: str) -> HttpResponse:
    return link_to("results", key, name, content_type_of(name), until=job.download_until)


def content_type_of(name: str) -> str:
    return CONTENT_TYPES.get(PurePosixPath(name.lower()).suffix, "application/gzip")


def link_to(bucket: str, key: str, name: str, content_type: str, *, until: datetime | None = None) -> HttpResponse:
    """Sends the browser to a link that dies by itself, no later than `until`."""
    store = objects(bucket)
    store.size(key)  # ObjectNotFound here is a page; behind the link it would be the store's own XML
    lifetime = settings.LINK_LIFETIME
    if until is not None:
        left = math.ceil((until - timezone.now()).total_seconds())  # S3 counts whole seconds, and knows no 0
        lifetime = min(lifetime, timedelta(seconds=max(left, 1)))
    return redirect(store.download_url(key, filename=name, content_type=content_type, lifetime=lifetime))
