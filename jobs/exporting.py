"""What is stored about a researcher's jobs; the setting FOLLOWERS names this function."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.urls import reverse

from accounts.exporting import PAGE, Parts, fields_of
from accounts.models import User
from jobs.models import Job, MonthlyUse, Notification, Upload


def own_data(user: User) -> Parts:
    return {
        "uploads": fields_of(
            Upload.objects.filter(owner=user), "id", "file_name", "size", "status", "created_at", "expires_at"
        ),
        "jobs": _jobs(user),
        "mails": fields_of(
            Notification.objects.filter(job__owner=user),
            *("job", "kind", "status", "created_at", "sent_at", "error"),
        ),
        "monthly_use": fields_of(MonthlyUse.objects.filter(user=user), "month", "jobs"),
    }


def _jobs(user: User) -> Iterator[dict[str, Any]]:
    names = (
        *("id", "status", "reference", "lift_over", "submitted_at", "started_at", "finished_at"),
        *("cancel_requested_at", "deleted_at", "download_until", "support_until"),
        *("summary", "error_code", "error_message"),
    )
    for job in Job.objects.filter(owner=user).order_by("pk").select_related("archive").iterator(PAGE):
        yield {name: getattr(job, name) for name in names} | {"files": list(_files(job))}


def _files(job: Job) -> Iterator[dict[str, Any]]:
    """The manifest: each file, and the page that downloads it. Sizes in bytes; None: not noted."""
    yield _file(job, "annotation_input", job.file_name, job.input_size)
    if job.result_key:
        archived = {"can_be_downloaded": job.can_download, "is_archived": not job.is_hot}
        yield _file(job, "annotation_result", job.result_name, job.result_size, job.result_sha256) | archived
    if job.index_key:
        yield _file(job, "annotation_index", f"{job.result_name}.tbi")
    if job.log_key:
        yield _file(job, "annotation_log_file", job.log_name, job.log_size, job.log_sha256)
    if job.skipped_key:
        yield _file(job, "annotation_skipped", job.skipped_name)


def _file(job: Job, page: str, name: str, size: int | None = None, sha256: str = "") -> dict[str, Any]:
    url = settings.SITE_URL + reverse(page, args=[job.pk])
    return {"name": name, "bytes": size, "sha256": sha256 or None, "url": url}
