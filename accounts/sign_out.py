"""The end of a session, here and at Globus."""

import logging
from urllib.parse import urlencode

from allauth.usersessions.models import UserSession
from cryptography.fernet import InvalidToken
from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest
from django.urls import reverse
from social_core.exceptions import SocialAuthBaseException
from social_django.models import DjangoStorage
from social_django.strategy import DjangoStrategy

from accounts.backends import GlobusAuth
from accounts.crypto import unseal

logger = logging.getLogger(__name__)


def sign_out(request: HttpRequest) -> str:
    """End the session, then revoke its tokens; gives the address to go on to, Globus's own sign-out page.

    The session here comes first: it ends whether or not Globus can be reached.
    """
    sealed = request.session.get("globus_tokens")
    UserSession.objects.filter(session_key=request.session.session_key).delete()
    logout(request)
    if sealed is None:
        return reverse("home")
    _revoke(request, sealed)
    return _globus_sign_out_url(request)


def _revoke(request: HttpRequest, sealed: str) -> None:
    backend = GlobusAuth(DjangoStrategy(DjangoStorage, request))
    try:
        for token in unseal(sealed):
            if not backend.revoke_token(token):
                logger.warning("Globus did not revoke a token")
    except (SocialAuthBaseException, InvalidToken) as error:
        # the tokens were never shown to the browser and end by themselves within 48 hours
        logger.warning("Tokens are left unrevoked: %s", error)


def _globus_sign_out_url(request: HttpRequest) -> str:
    """Globus shows a page with a link back; it does not redirect (docs.globus.org/api/helper-pages/auth)."""
    query = {
        "client_id": settings.SOCIAL_AUTH_GLOBUS_KEY,
        "redirect_uri": request.build_absolute_uri(reverse("home")),
        "redirect_name": "GAS",
    }
    return f"{settings.GLOBUS_AUTH_URL}/v2/web/logout?{urlencode(query)}"
