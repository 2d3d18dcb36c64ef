"""The actors. Each takes one id, claims the row, takes one step, and may be sent twice or never without harm."""

import logging
import uuid

import dramatiq
from django.conf import settings
from django.db import DatabaseError
from dramatiq.middleware import Shutdown, TimeLimitExceeded

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
    """Annotate one job. On shutdown it goes back at once; an unexpected error is logged and spends a try."""
    job = Job.objects.select_related("owner__profile__plan").filter(pk=uuid.UUID(job_id)).first()
    if job is None:
        return
    worker = worker_name()
    try:
        if not job.claim(worker):
            return
        log.info("job %s attempt %d begins", job.pk, job.attempt)
        annotate(job)
    except Shutdown:  # at any moment, also while the claim is under way
        held = Job.objects.filter(pk=job.pk, status=Job.Status.RUNNING, worker=worker).first()
        if held:
            held.give_back()
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
