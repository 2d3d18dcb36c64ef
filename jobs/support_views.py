"""A job's files and the desk: its owner lets support look, and support opens them then; each opening is noted."""

from dataclasses import dataclass
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_POST

from accounts.audit import note
from accounts.views import signed_in
from jobs.models import Job
from jobs.views import content_type_of, link_to, own_job

READ = "jobs.read_granted_files"


@login_required
@require_POST
def support_grant(request: HttpRequest, pk: UUID) -> HttpResponse:
    job = own_job(request, pk)
    if job.grant_support_access():
        messages.success(request, f"Support may look at the files of {job.file_name}.")
    return redirect("annotation", pk=pk)


@login_required
@require_POST
def support_withdraw(request: HttpRequest, pk: UUID) -> HttpResponse:
    job = own_job(request, pk)
    if job.withdraw_support_access():
        messages.success(request, f"Support may no longer look at the files of {job.file_name}.")
    return redirect("annotation", pk=pk)


@dataclass(frozen=True)
class StoredFile:
    """A file of a job, as it lies in an object store."""

    kind: str
    bucket: str
    key: str
    saved_as: str
    size: int | None = None  # bytes, as the row has it
    sha256: str = ""

    @property
    def content_type(self) -> str:
        plain = {"log": "text/plain", "skipped": "text/tab-separated-values"}
        return plain.get(self.kind) or content_type_of(self.saved_as)


def files_of(job: Job) -> list[StoredFile]:
    """Those that are in the stores; of an archived result, the copy that is not there now is left out."""
    files = [
        StoredFile("input", "uploads", job.input_key, job.file_name, job.input_size),
        StoredFile("log", "results", job.log_key, job.log_name, job.log_size, job.log_sha256),
        StoredFile("skipped", "results", job.skipped_key, job.skipped_name),
        StoredFile("index", "results", job.index_key, f"{job.result_name}.tbi"),
    ]
    if job.is_hot:
        result = StoredFile("result", "results", job.result_key, job.result_name, job.result_size, job.result_sha256)
        files.insert(1, result)
    return [file for file in files if file.key]


@require_GET
def open_file(request: HttpRequest, pk: UUID, kind: str) -> HttpResponse:
    """Sends staff to a file of a job whose owner has let support look, and to no other, superusers included.

    Behind the admin's own door; a locked result is opened too: the lock is the plan's, not the desk's.
    """
    staff = signed_in(request)
    if not staff.has_perm(READ):
        raise PermissionDenied
    job = get_object_or_404(Job.objects.select_related("owner", "archive"), pk=pk)
    if not job.support_may_look:
        raise PermissionDenied("Its owner has not let support look at this job.")
    file = next((file for file in files_of(job) if file.kind == kind), None)
    if file is None:
        raise Http404("There is no such file.")
    answer = link_to(file.bucket, file.key, file.saved_as, file.content_type)
    note("file.read_by_support", job, by=staff, after={"file": kind})
    return answer
