from argparse import ArgumentParser
from collections import Counter
from typing import Any

from allauth.mfa.models import Authenticator
from cryptography.fernet import InvalidToken
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts.crypto import is_current, reseal

SEALED = ("secret", "seed", "migrated_codes")  # of Authenticator.data: one sealed value, or a list of them


class Command(BaseCommand):
    help = (
        "Encrypts the secrets of second factors anew under the first of FIELD_KEYS, where an older one holds them. Then the "
        "older key can go, seven days later: sealed tokens in live sessions are left to end with these."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Says what there is to do, and does nothing.")

    def handle(self, dry_run: bool, **_: Any) -> None:
        counts: Counter[str] = Counter()
        unreadable = []
        for pk in (
            Authenticator.objects.exclude(type=Authenticator.Type.WEBAUTHN).order_by("pk").values_list("pk", flat=True)
        ):
            try:
                counts += _rotate(pk, dry_run)
            except InvalidToken:
                unreadable.append(pk)
        done = "to encrypt anew" if dry_run else "encrypted anew"
        self.stdout.write(f"{counts['anew']} {done}, {counts['current']} under the first key already.")
        if unreadable:
            raise CommandError(
                f"Second factors {', '.join(map(str, unreadable))} open under none of FIELD_KEYS. Put the key back that they "
                "were sealed under; if it is lost, their owners need new ones."
            )


@transaction.atomic
def _rotate(pk: int, dry_run: bool) -> Counter[str]:
    """One row, held: a recovery code that is used meanwhile stays used."""
    counts: Counter[str] = Counter()
    row = Authenticator.objects.select_for_update().filter(pk=pk).first()
    if row is None:  # removed meanwhile
        return counts
    for name in row.data.keys() & SEALED:
        values = row.data[name] if isinstance(row.data[name], list) else [row.data[name]]
        counts.update("current" if is_current(value) else "anew" for value in values)
        anew = [reseal(value) for value in values]
        row.data[name] = anew if isinstance(row.data[name], list) else anew[0]
    if counts["anew"] and not dry_run:
        row.save(update_fields=["data"])
    return counts
