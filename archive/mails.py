"""The mail that says that an upgrade has brought all results back."""

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.urls import reverse

from accounts.mails import render_mail
from archive.models import Restoration


def restored_mail(restoration: Restoration) -> EmailMultiAlternatives:
    context = {
        "results": restoration.total,
        "list_url": settings.SITE_URL + reverse("annotations"),
    }
    return render_mail("restored", restoration.user, context, {"X-GAS-Restoration": str(restoration.pk)})
