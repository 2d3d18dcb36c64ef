"""How an address becomes the one that mails go to: it is typed, a link is sent there, the link is followed."""

import logging

from allauth.account.internal.flows.email_verification import send_verification_email_to_address
from allauth.account.models import EmailAddress
from django.contrib import messages
from django.http import HttpRequest

from accounts.models import User

log = logging.getLogger(__name__)


def ask_for_confirmation(request: HttpRequest, user: User, email: str) -> None:
    """Mail a link to `email`, at most once in three minutes and five times a day, and say so on the next page."""
    address = EmailAddress.objects.get_new(user)
    if address is None or address.email != email:
        address = EmailAddress.objects.add_new_email(request, user, email, send_verification=False)
    try:
        sent = send_verification_email_to_address(request, address)
    except Exception as error:  # noqa: BLE001 (whatever the mail server's library raises; its words name the address)
        log.warning("The link that confirms an address of user %s was not sent: %s", user.pk, type(error).__name__)
        messages.error(request, f"The mail to {email} could not be sent. Ask for it again in three minutes.")
        return
    if not sent:
        messages.info(
            request,
            f"The last link to {email} is not three minutes old, or it was the fifth of a day. Look among your spam, "
            "then ask again.",
        )


def withdraw_unconfirmed(user: User) -> None:
    """Forget the address that the user has typed and not yet confirmed."""
    EmailAddress.objects.filter(user=user, verified=False).delete()
