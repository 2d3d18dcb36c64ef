"""What every template may use."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from jobs.models import Announcement


def site(request: HttpRequest) -> dict[str, Any]:  # noqa: ARG001 (Django's signature)
    return {
        "site_name": "GAS",
        "support_email": settings.SUPPORT_EMAIL,
        "debug_standins": settings.DEBUG,
        "announcements": Announcement.objects.shown,  # asked only by whole pages
    }
