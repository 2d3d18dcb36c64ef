"""manage.py set_plan: an operator puts an account on a plan."""

import getpass
import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import billing
from accounts.models import Plan, User
from accounts.plans import change_plan
from gas.followers import follow


class Command(BaseCommand):
    help = (
        "Puts the account with this e-mail address on a plan, with all that follows for its results, and notes it in the "
        "audit log. What is given so, no payment takes away. Safe to run twice."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", help="a confirmed address of the account")
        parser.add_argument("plan", choices=[Plan.FREE, Plan.PREMIUM])
        parser.add_argument("--reason", required=True, help="why; the user sees it among his plans")

    def handle(self, *, email: str, plan: str, reason: str, **_: Any) -> None:
        if not reason.strip():
            raise CommandError("Say why: --reason TEXT.")
        user = _find(email)
        if not change_plan(user, plan, by=f"manage.py set_plan ({_operator()})", reason=reason.strip()):
            self.stdout.write(f"{user.pk} was on {plan} already; nothing was changed.")
            return
        self.stdout.write(f"{user.pk} is on {plan} now.")
        for told in filter(None, follow("plan_told", user)):
            self.stdout.write(told)
        if plan == Plan.FREE and billing.is_on() and billing.is_customer(user):
            self.stdout.write("A subscription that is paid brings Premium back: cancel it at Stripe too.")


def _find(email: str) -> User:
    found = list(User.objects.by_address(email))
    if not found:
        raise CommandError(f"Nobody has confirmed the address {email}. Look for the account in /admin/accounts/user/.")
    if len(found) > 1:
        accounts = ", ".join(str(user.pk) for user in found)
        raise CommandError(f"{email} belongs to several accounts: {accounts}. Choose one in /admin/accounts/user/.")
    return found[0]


def _operator() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"uid {os.getuid()}"
