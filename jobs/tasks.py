"""The actors. Each takes one id, claims the row, takes one step, and may be sent twice or never without harm."""

import logging
import uuid

import dramatiq
from django.conf import settings
from django.db import DatabaseError
from dramatiq.middleware import Shutdown, TimeLimitExceeded

from gas.hints import send_hint
from jobs.annotate import annotate, worker_name
from jobs.mails import deliver, job_mail
from jobs.models import Job, Notification, Upload

log = logging.getLogger(__name__)
HOUR = 3_600_000  # milliseconds


@dramatiq.actor(
    queue_name="annotate",
    max_retries=0,
    notify_shutdown=True,
    time_limit=settings.ANNOTATOR_WALL_SECONDS * 1000 + 2 * HOUR,
)
def annotate_job(job_id: str) -> None:
    """Annotate the job, or the one whose turn is before it. On shutdown that goes back at once."""
    worker = worker_name()
    try:
        if job := _claim_in_turn(uuid.UUID(job_id), worker):
            run_attempt(job)
    except Shutdown:  # at any moment, also while the claim is under way
        for held in Job.objects.filter(status=Job.Status.RUNNING, worker=worker):
            held.give_back()


def _claim_in_turn(job_id: uuid.UUID, worker: str) -> Job | None:
    """The job that this worker has now; when it was sent to another, that one is hinted at again: no work is lost."""
    jobs = Job.objects.select_related("owner__profile__plan")
    hinted = jobs.filter(pk=job_id).first()
    while hinted is not None:
        job: Job = jobs.first_in_turn(hinted)
        if job.claim(worker):
            if job != hinted:
                send_hint(hinted)
            return job
        if job == hinted:
            break
    return None


def run_attempt(job: Job) -> None:
    """Carry out the attempt that `job` was claimed for. An unexpected error is logged and spends a try."""
    log.info("job %s attempt %d begins", job.pk, job.attempt)
    try:
        annotate(job)
    except TimeLimitExceeded:
        job.try_again("too_much_time", ["The annotation took longer than a job may take."])
    except DatabaseError:
        raise  # the lease runs out, and another attempt begins
    except Exception:
        log.exception("job %s attempt %d: unexpected error", job.pk, job.attempt)
        job.try_again("internal_error", ["Something went wrong on our side; the error was logged and we look into it."])
    log.info("job %s attempt %d ends: %s", job.pk, job.attempt, job.status)


@dramatiq.actor(queue_name="notify", max_retries=0)
def notify_job(notification_id: str) -> None:
    """Send one mail about a job. A mail server that is out of reach delays the mail and nothing else."""
    notification = (
        Notification.objects.select_related("job__owner__profile__plan").filter(pk=int(notification_id)).first()
    )
    if notification is not None and notification.claim():
        deliver(notification, notification.job.owner, lambda: job_mail(notification))


@dramatiq.actor(queue_name="clean", max_retries=0)
def purge_job(job_id: str) -> None:
    """Delete the files and the row of a job that its owner has deleted."""
    job = Job.objects.select_related("upload").filter(pk=uuid.UUID(job_id)).first()
    if job is not None:
        job.purge()


@dramatiq.actor(queue_name="clean", max_retries=0)
def clean_upload(upload_id: str) -> None:
    """Delete what is left of an upload that was aborted or has expired."""
    upload = Upload.objects.filter(pk=uuid.UUID(upload_id)).first()
    if upload is not None:
        upload.clean()
