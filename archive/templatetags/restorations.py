"""How far an upgrade has brought results back, for pages of other apps."""

from typing import Any

from django import template
from django.utils import timezone

from accounts.models import User
from archive.models import Restoration

register = template.Library()


@register.inclusion_tag("archive/_restoration.html")
def restoration(user: User) -> dict[str, Any]:
    """ "12 of 37 restored", until all are back; nothing for everybody else, for one query."""
    latest = Restoration.objects.filter(user=user, status=Restoration.Status.PENDING).order_by("-pk").first()
    if latest is None or user.plan.download_window is not None or not latest.on_the_way.exists():
        return {}
    expected = latest.expected_by
    late = expected is not None and expected < timezone.now()
    usual = latest.usual_duration if expected is None else None
    facts = {"total": latest.total, "back": latest.back, "expected_by": expected, "late": late, "usual": usual}
    return facts | {"mail": bool(user.mail_address)}
