"""Mails as files, for the embedded default: one .eml a mail, which any mail program opens."""

import email
import email.policy
import itertools
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from email.message import EmailMessage as ParsedMail
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

_number = itertools.count()


class FolderEmailBackend(BaseEmailBackend):
    """Writes each mail to EMAIL_FILE_PATH; the newest has the last name in alphabetical order."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        folder = Path(settings.EMAIL_FILE_PATH)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for message in email_messages:
            name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{os.getpid()}-{next(_number)}.eml"
            (folder / name).write_bytes(message.message().as_bytes())
        return len(email_messages)


def written_mails(limit: int = 50) -> list[dict[str, Any]]:
    """The newest mails in EMAIL_FILE_PATH, newest first: subject, to, sent_at (aware datetime), text."""
    newest = sorted(Path(settings.EMAIL_FILE_PATH).glob("*.eml"), reverse=True)[:limit]
    return [_summary(path) for path in newest]


def _summary(path: Path) -> dict[str, Any]:
    mail: ParsedMail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    body = mail.get_body(("plain",))
    return {
        "subject": str(mail["subject"]),
        "to": str(mail["to"]),
        "sent_at": datetime.fromtimestamp(path.stat().st_mtime, UTC),
        "text": body.get_content() if body else "",
    }
