"""The mails about a job. No genotype, no secret, links by id only."""

import re
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse

from jobs.models import Notification


def without_quotes(sentence: str) -> str:
    """A sentence of the engine without what it quotes from the file: that is for the page, behind sign-in."""
    return re.sub(r"'[^']*'", "'…'", sentence)


def job_mail(notification: Notification) -> EmailMultiAlternatives:
    """The mail of `notification`, to the address that its owner may be written to."""
    job = notification.job
    context: dict[str, Any] = {
        "job": job,
        "user": job.owner,
        "job_url": settings.SITE_URL + reverse("annotation", args=[job.pk]),
        "subscribe_url": settings.SITE_URL + reverse("subscribe"),
        "download_until": job.download_until,
        "support_email": settings.SUPPORT_EMAIL,
        "counts": job.summary,
        "faults": [without_quotes(fault) for fault in job.error_message.splitlines()],
    }
    subject, text, html = (
        render_to_string(f"emails/{notification.kind}{end}", context) for end in ("_subject.txt", ".txt", ".html")
    )
    headers = {"X-GAS-Notification": str(notification.pk)}
    mail = EmailMultiAlternatives(" ".join(subject.split()), text, to=[job.owner.mail_address], headers=headers)
    mail.attach_alternative(html, "text/html")
    return mail
