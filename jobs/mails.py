"""The mails about jobs, and how any mail that has a row goes out. No genotype, no secret, links by id only."""

import logging
import re
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.urls import reverse

from accounts.mails import refused_for_good, render_mail
from accounts.models import User
from jobs.models import Mail, Notification
from jobs.models.mail import NO_ADDRESS

log = logging.getLogger(__name__)


def without_quotes(sentence: str) -> str:
    """A sentence of the engine without what it quotes from the file: that is for the page, behind sign-in."""
    return re.sub(r"'[^']*'", "'…'", sentence)


def job_mail(notification: Notification) -> EmailMultiAlternatives:
    """The mail of `notification`, to the address that its owner may be written to."""
    job = notification.job
    context: dict[str, Any] = {
        "job": job,
        "job_url": settings.SITE_URL + reverse("annotation", args=[job.pk]),
        "subscribe_url": settings.SITE_URL + reverse("subscribe"),
        "download_until": job.download_until,
        "counts": job.summary,
        "faults": [without_quotes(fault) for fault in job.error_message.splitlines()],
    }
    headers = {"X-GAS-Notification": str(notification.pk)}
    return render_mail(notification.kind, job.owner, context, headers)


def deliver(row: Mail, user: User, make: Callable[[], EmailMultiAlternatives]) -> None:
    """Send the mail of a claimed row. A mail server that is out of reach delays the mail and nothing else."""
    if not user.mail_address:
        row.failed(NO_ADDRESS)
        return
    mail = make()
    try:
        mail.send()
    except Exception as error:
        if refused_for_good(error):
            row.failed(f"Refused by the mail server: {error}")
            return
        log.warning("%s was not sent", row, exc_info=True)
        row.try_later(f"{type(error).__name__}: {error}")
    else:
        row.sent()
