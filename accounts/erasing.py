"""The steps of an erasure. Each can be killed at any point and taken again: what is gone stays gone, the rest goes next time.

First everything that holds data goes, in all apps, while the account is closed; then the last mail; then, in one
transaction, all that says who it was.
"""

import logging
from collections.abc import Iterable
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.admin.models import LogEntry
from django.contrib.auth.hashers import make_password
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.core.mail import EmailMultiAlternatives
from django.db import models, transaction
from django.db.models.functions import Now
from social_django.models import UserSocialAuth

from accounts.audit import note
from accounts.billing import BillingUnavailable, end_subscriptions
from accounts.mails import erasure_asked_mail, erasure_done_mail, refused_for_good
from accounts.models import ApiToken, AuditEvent, Erasure, Profile, Subscription, User, opaque
from gas.followers import follow
from gas.heartbeat import Heartbeat
from gas.objects import StorageUnavailable

log = logging.getLogger(__name__)
WHO_IT_WAS: list[Any] = [Profile, EmailAddress, UserSocialAuth, Authenticator, ApiToken, UserSession]
PAGE = 500  # rows


class MailLater(Exception):
    """The mail server is out of reach."""


def take_step(erasure: Erasure) -> None:
    """With a claimed row: send the first mail, or erase all that can be erased now."""
    try:
        if erasure.status == Erasure.Status.PENDING:
            _tell(erasure)
            return
        mine = Erasure.objects.get(pk=erasure.pk)
        with Heartbeat(mine.renew, str(erasure)):
            _erase(erasure)
    except MailLater:
        erasure.wait("the mail server")
    except BillingUnavailable:
        erasure.wait("the payment service")
    except StorageUnavailable:
        erasure.wait("the file store")


def _tell(erasure: Erasure) -> None:
    if erasure.user.mail_address:
        _send(erasure_asked_mail(erasure))
    erasure.told()


def _erase(erasure: Erasure) -> None:
    user = erasure.user
    close(user)
    end_subscriptions(user)
    # what is under way, and what lies in vaults, is found by the jobs, so that these go afterwards
    left = _left(follow("account_closing", user)) or _left(follow("account_erased", user))
    if left:
        erasure.wait(left)
        return
    _say_farewell(erasure)
    leave_bare_row(erasure)


def _left(answers: list[dict[str, int]]) -> str:
    """What the apps still have: "2 jobs, 1 archives"; "" for nothing."""
    return ", ".join(f"{count} {what}" for answer in answers for what, count in answer.items() if count)


def close(user: User) -> None:
    """Nobody gets in any more, by whatever way."""
    User.objects.filter(pk=user.pk).update(is_active=False)  # waits for whoever begins an upload at this moment
    ApiToken.objects.filter(user=user, revoked_at=None).update(revoked_at=Now())
    _end_sessions(user)


def _end_sessions(user: User) -> None:
    """The sessions, those too that have run out or that the list of sessions does not know: they hold sealed tokens."""
    UserSession.objects.filter(user=user).delete()
    theirs = [s.pk for s in Session.objects.iterator(PAGE) if s.get_decoded().get("_auth_user_id") == str(user.pk)]
    Session.objects.filter(pk__in=theirs).delete()


def _say_farewell(erasure: Erasure) -> None:
    """Sent before the address goes. Raises MailLater, unless the mail server has been waited for long enough."""
    if erasure.farewell_at or not erasure.user.mail_address:
        return
    try:
        _send(erasure_done_mail(erasure))
    except MailLater:
        if not erasure.mails_are_given_up:
            raise
    erasure.farewell()


def _send(mail: EmailMultiAlternatives) -> None:
    try:
        mail.send()
    except Exception as error:
        if not refused_for_good(error):
            log.warning("a mail about an erasure was not sent: %s", type(error).__name__)
            raise MailLater from error


def leave_bare_row(erasure: Erasure) -> None:
    """The last step: of the user only his id and some times stay, and what was done when."""
    user = erasure.user
    with transaction.atomic():
        user.hold_plan()  # a change of plan comes before, or finds an erased account
        User.objects.select_for_update().get(pk=user.pk)
        if not erasure.erased():
            return  # somebody else has it
        _end_sessions(user)
        forget_admin_log(User, [user.pk])
        forget_admin_log(Profile, Profile.objects.filter(user=user).values_list("pk", flat=True))
        for model in WHO_IT_WAS:
            model.objects.filter(user=user).delete()
        Subscription.objects.filter(user=user).update(reason="")
        AuditEvent.objects.scrub(user)
        nobody = {"username": opaque(), "email": "", "full_name": "", "password": make_password(None)}
        User.objects.filter(pk=user.pk).update(**nobody, last_login=None, erased_at=Now())
        note("account.erased", erasure, by="erase_account")


def forget_admin_log(model: type[models.Model], keys: Iterable[Any]) -> None:
    """The admin's own log names objects by their text: names, addresses, files. That staff did something stays."""
    named = [str(key) for key in keys]
    kind = ContentType.objects.get_for_model(model)
    for at in range(0, len(named), PAGE):
        entries = LogEntry.objects.filter(content_type=kind, object_id__in=named[at : at + PAGE])
        entries.update(object_repr="", change_message="")
