from argparse import ArgumentParser
from typing import Any

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import send_mail
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_email
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse

from accounts.audit import note
from accounts.models import User
from accounts.roles import ROLES, SUPERUSER, SUPPORT, role_of, set_role


class Command(BaseCommand):
    help = (
        "Makes a staff account and prints a link by which the person sets the password; it holds for 24 hours and one use. "
        "Once more for an account without a password: a new link, and the old one ends."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", help="An address that the person reads; the sign-in name. No researcher's.")
        role = parser.add_mutually_exclusive_group()
        role.add_argument("--role", choices=[*ROLES], help="Default: support.")
        role.add_argument("--superuser", action="store_const", const=SUPERUSER, dest="role", help="May do everything.")
        parser.add_argument("--full-name", default="")
        parser.add_argument("--mail", action="store_true", help="Mails the link there, too.")

    def handle(self, email: str, role: str | None, full_name: str, mail: bool, **_: Any) -> None:
        with transaction.atomic():
            user = _waiting(email) or _create(email, role or SUPPORT, full_name)
            link = _new_link(user)
        if mail:
            _send(user, link)
        self.stdout.write(f"{user.email} ({role_of(user)}), for 24 hours and one use: {link}")


def _create(email: str, role: str, full_name: str) -> User:
    try:
        validate_email(email)
    except ValidationError as error:
        raise CommandError(f"{email} is no e-mail address.") from error
    user = User.objects.create_user(email=email, full_name=full_name, is_staff=True)
    set_role(user, role, by="create_staff", reason="")
    note("staff.created", user, by="create_staff", after={"role": role})
    return User.objects.get(pk=user.pk)


def _waiting(email: str) -> User | None:
    """The staff account of this address whose password was not set yet."""
    user = User.objects.by_address(email).first()
    if user is None:
        return None
    if not user.is_staff:
        raise CommandError(f"{email} is a researcher's address. Staff have another: nobody is both in one account.")
    if user.has_usable_password():
        page = settings.SITE_URL + reverse("account_reset_password")
        raise CommandError(
            f"{email} is staff ({role_of(user)}) and has a password. A forgotten one is set anew at {page}"
        )
    return user


def _new_link(user: User) -> str:
    user.set_unusable_password()  # it is another one each time, so that links made before do not hold
    user.save(update_fields=["password"])
    key = default_token_generator.make_token(user)
    path = reverse("account_reset_password_from_key", kwargs={"uidb36": user_pk_to_url_str(user), "key": key})
    return f"{settings.SITE_URL}{path}"


def _send(user: User, link: str) -> None:
    subject, text = (
        render_to_string(f"account/email/password_reset_key_{part}.txt", {"password_reset_url": link})
        for part in ("subject", "message")
    )
    send_mail(subject.strip(), text, None, [user.email])
