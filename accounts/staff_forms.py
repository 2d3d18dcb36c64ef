"""What allauth's forms do otherwise for us: settings.ACCOUNT_FORMS and MFA_FORMS."""

from typing import Any

from allauth.account.forms import ResetPasswordForm
from allauth.core import context
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authentication_failed
from allauth.mfa.webauthn.forms import (
    AddWebAuthnForm,
    AuthenticateWebAuthnForm,
    LoginWebAuthnForm,
    ReauthenticateWebAuthnForm,
)
from django import forms
from django.core.exceptions import ValidationError

from accounts.models import User


class StaffResetPasswordForm(ResetPasswordForm):  # type: ignore[misc]  # allauth has no types
    """Mails a link to staff only. Whoever claims somebody's address at Globus would else get a password by it."""

    def clean_email(self) -> str:
        email: str = super().clean_email()
        self.users: list[User] = [user for user in self.users if user.is_staff]
        return email


class _SaysWhatFailed:
    """allauth signals a wrong code, but not a wrong passkey; and what is no passkey's answer at all breaks it."""

    user: Any
    reauthenticated: bool

    def clean_credential(self) -> Authenticator:
        try:
            return super().clean_credential()  # type: ignore[misc]
        except (ValidationError, KeyError, AttributeError) as error:
            authentication_failed.send(
                sender=Authenticator,
                request=context.request,
                user=self.user,
                authenticator=None,
                reauthentication=self.reauthenticated,
            )
            raise get_adapter().validation_error("incorrect_code") from error


class PasskeyAsSecondFactorForm(_SaysWhatFailed, AuthenticateWebAuthnForm):  # type: ignore[misc]
    pass


class PasskeySignInForm(_SaysWhatFailed, LoginWebAuthnForm):  # type: ignore[misc]
    pass


class PasskeyStepUpForm(_SaysWhatFailed, ReauthenticateWebAuthnForm):  # type: ignore[misc]
    pass


class AddPasskeyForm(AddWebAuthnForm):  # type: ignore[misc]
    passwordless = forms.BooleanField(
        label="Sign in with it alone",
        initial=True,
        required=False,
        help_text="Without the password: the passkey then asks for your PIN or finger. Old security keys cannot.",
    )
