"""The second factor that opens the admin: what this session has shown, and when."""

import time

from allauth.account.authentication import get_authentication_records
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse


def is_passed(request: HttpRequest) -> bool:
    """Whether this session's person showed a second factor less than STAFF_MFA_AGE ago; enrolling one is not showing it.

    A passkey alone counts: it is a thing that he has, and it asked for his PIN or finger.
    """
    shown = (record["at"] for record in get_authentication_records(request, request.user) if record["method"] == "mfa")
    return time.time() - max(shown, default=0) < settings.STAFF_MFA_AGE.total_seconds()


def page_to_pass(request: HttpRequest) -> str:
    """The page that asks for what he has, or where he enrols one: recovery codes alone are none."""
    if is_mfa_enabled(request.user, [Authenticator.Type.TOTP]):
        return reverse("mfa_reauthenticate")
    if is_mfa_enabled(request.user, [Authenticator.Type.WEBAUTHN]):
        return reverse("mfa_reauthenticate_webauthn")
    return reverse("mfa_index")
