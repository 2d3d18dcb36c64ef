"""Mails made of templates, and those about an erasure. No genotype, no secret, links without anything to sign in by."""

import smtplib
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse

from accounts.models import Erasure, User


def render_mail(name: str, user: User, context: dict[str, Any], headers: dict[str, str]) -> EmailMultiAlternatives:
    """The mail of the templates emails/<name>*, to the address that `user` may be written to."""
    profile_url = settings.SITE_URL + reverse("profile")
    context = {"user": user, "support_email": settings.SUPPORT_EMAIL, "profile_url": profile_url, **context}
    subject, text, html = (
        render_to_string(f"emails/{name}{end}", context) for end in ("_subject.txt", ".txt", ".html")
    )
    mail = EmailMultiAlternatives(" ".join(subject.split()), text, to=[user.mail_address], headers=headers)
    mail.attach_alternative(html, "text/html")
    return mail


def refused_for_good(error: Exception) -> bool:
    """Whether the mail server said 5xx to every recipient; 4xx means later (RFC 5321, 4.2.1)."""
    return isinstance(error, smtplib.SMTPRecipientsRefused) and all(
        code >= 500 for code, _ in error.recipients.values()
    )


def erasure_asked_mail(erasure: Erasure) -> EmailMultiAlternatives:
    """When the account will be erased, and where that can be undone."""
    return _erasure_mail("erasure_asked", erasure)


def erasure_done_mail(erasure: Erasure) -> EmailMultiAlternatives:
    """The last mail, while there still is an address."""
    return _erasure_mail("erasure_done", erasure)


def _erasure_mail(name: str, erasure: Erasure) -> EmailMultiAlternatives:
    context = {"due_at": erasure.due_at, "data_url": settings.SITE_URL + reverse("your_data"), "profile_url": ""}
    return render_mail(name, erasure.user, context, {"X-GAS-Erasure": str(erasure.pk)})
