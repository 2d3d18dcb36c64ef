import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.authentication import get_authentication_records
from allauth.account.models import EmailAddress
from allauth.mfa.adapter import DefaultMFAAdapter
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from accounts.audit import note
from accounts.crypto import seal, unseal
from accounts.models import User
from accounts.security_log import log_security_event
from gas.followers import follow

logger = logging.getLogger(__name__)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """allauth's decisions that are ours to make."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError:
            log_security_event("rate_limit.hit", request=request, page=request.path)
            raise

    def pre_login(self, request: HttpRequest, user: User, **options: Any) -> HttpResponse | None:
        """Every sign-in passes here. Staff never come by Globus, and nobody else by a password or passkey.

        Such a one may be left to an account that was staff's once.
        """
        response: HttpResponse | None = super().pre_login(request, user, **options)
        if response is not None:
            return response
        by_globus = [record["method"] for record in get_authentication_records(request, user)][-1:] == ["socialaccount"]
        if by_globus == (user.is_staff or user.is_superuser):
            return self._respond_refused(request, user, "This account signs in another way.")
        return None

    def respond_user_inactive(self, request: HttpRequest, user: User) -> HttpResponse:
        sentence = "This account is closed. Write to the support if you think that is wrong."
        return self._respond_refused(request, user, sentence)

    def _respond_refused(self, request: HttpRequest, user: User, sentence: str) -> HttpResponse:
        log_security_event("sign_in.refused", user=user, request=request, why=sentence)
        request.session.flush()  # it holds the tokens of a sign-in that is not to be
        messages.error(request, sentence)
        return redirect("login")

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        return reverse("admin:index" if request.user.is_staff else "home")

    def get_email_verification_redirect_url(self, email_address: object) -> str:  # noqa: ARG002
        return reverse("profile" if self.request.user.is_authenticated else "login")

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """From now on mails go there, also those that waited for an address; False when it is another account's."""
        user = email_address.user
        had_address = bool(user.email)
        try:
            with transaction.atomic():
                if not super().confirm_email(request, email_address):
                    return False
                note("email.changed", user, by=user, before={"confirmed": had_address}, after={"confirmed": True})
                follow("address_confirmed", user)
        except IntegrityError:  # the other account's came in between
            failed = "account/messages/email_confirmation_failed.txt"
            self.add_message(request, messages.ERROR, failed, {"email": email_address.email})
            return False
        return True

    def format_email_subject(self, subject: str) -> str:
        return subject

    def send_notification_mail(self, template_prefix: str, user: User, *args: Any, **kwargs: Any) -> None:
        """What it tells of has happened already, so a mail server that is out of reach breaks nothing."""
        if template_prefix == "account/email/email_changed":  # inside the transaction of confirm_email
            transaction.on_commit(partial(self._notify, template_prefix, user, *args, **kwargs))
        else:
            self._notify(template_prefix, user, *args, **kwargs)

    def _notify(self, template_prefix: str, user: User, *args: Any, **kwargs: Any) -> None:
        with _unsent_is_logged(template_prefix, user):
            super().send_notification_mail(template_prefix, user, *args, **kwargs)

    def send_password_reset_mail(self, user: User, email: str, context: dict[str, Any]) -> None:
        """Were an error shown, a mail server that is out of reach would tell whose addresses are staff's."""
        with _unsent_is_logged("account/email/password_reset_key", user):
            super().send_password_reset_mail(user, email, context)


@contextmanager
def _unsent_is_logged(template_prefix: str, user: User) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 (whatever the mail server's library raises; its words name the address)
        logger.error("%s was not sent to user %s: %s", template_prefix, user.pk, type(error).__name__)


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth has no types
    """Secrets of second factors lie sealed in the database."""

    def encrypt(self, text: str) -> str:
        return seal(text)

    def decrypt(self, encrypted_text: str) -> str:
        return str(unseal(encrypted_text))
