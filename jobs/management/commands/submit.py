"""manage.py submit: a job from the command line."""

import json
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.validators import validate_email

from accounts.models import User
from gas.objects import ObjectError, objects
from jobs.annotate import worker_name
from jobs.models import Job, Upload
from jobs.references import check_reference
from jobs.refusals import Refused
from jobs.tasks import notify_job, run_attempt

DEFAULT_WAIT = 3600  # seconds
PATIENCE = 10  # seconds that a running worker gets before this command does the work itself


class Command(BaseCommand):
    help = (
        "Submits FILE as a job of the user with that address, by the same way and the same checks as an upload. With "
        "--wait it stays until the job has ended, does the due work itself when nobody else does, and fails if the job "
        "failed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--email", required=True, help="Whose job it is.")
        parser.add_argument(
            "--create", action="store_true", help="Make the user, on the Free plan, when there is none."
        )
        parser.add_argument(
            "--wait",
            nargs="?",
            type=int,
            const=DEFAULT_WAIT,
            metavar="SECONDS",
            help="Until the job has ended.",
        )
        parser.add_argument(
            "--reference", default="", metavar="NAME", help="To annotate against; else it is found out from the file."
        )
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    def handle(self, *, file: Path, email: str, create: bool, wait: int | None, **options: Any) -> None:
        job = _submit(file, _user(email, create=create), options["reference"])
        if wait is not None:
            _wait_for_end(job, wait)
        job.refresh_from_db()
        self._print(job, as_json=options["json"])
        if job.status in (Job.Status.FAILED, Job.Status.CANCELLED) or (wait is not None and job.is_active):
            raise CommandError(f"Job {job.pk} is {job.status}.", returncode=1)

    def _print(self, job: Job, *, as_json: bool) -> None:
        done = job.status == Job.Status.COMPLETED
        facts = {
            "id": str(job.pk),
            "status": job.status,
            "result": objects("results").address(job.result_key) if done else None,
            "log": objects("results").address(job.log_key) if done else None,
            "error": job.error_message or None,
        }
        if as_json:
            self.stdout.write(json.dumps(facts))
        else:
            self.stdout.write("\n".join(f"{name + ':':8}{value}" for name, value in facts.items() if value))


def _user(email: str, *, create: bool) -> User:
    users = list(User.objects.by_address(email)[:2])
    if len(users) > 1:
        raise CommandError(f"More than one user has the address {email}.")
    if users:
        return users[0]
    if not create:
        raise CommandError(f"No user has the address {email}. Add --create to make one.")
    try:
        validate_email(email)
    except ValidationError:
        raise CommandError(f"{email} is no e-mail address.") from None
    return User.objects.create_researcher(email)


def _submit(file: Path, owner: User, reference: str) -> Job:
    try:
        check_reference(reference)
        file.open("rb").close()
        upload = Upload.start(owner, file.name, file.stat().st_size)
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from None
    except Refused as refused:
        raise CommandError(f"{file}: {refused}") from None
    try:
        objects("uploads").put_file(upload.key, file)
        return upload.complete(reference)
    except Refused as refused:
        raise CommandError(f"{file}: {refused}") from None
    except ObjectError as error:
        upload.abort()
        raise CommandError(f"{file} cannot be stored: {error}. Try again later.") from None


def _wait_for_end(job: Job, seconds: int) -> None:
    """Wait for the job's end and its mail.

    A broker in the memory of another process cannot be asked, so then this process does the work.
    """
    own_work_at = time.monotonic() + (0 if settings.BROKER == "memory" else PATIENCE)
    deadline = time.monotonic() + seconds
    while job.is_active and time.monotonic() < deadline:
        if time.monotonic() >= own_work_at and job.claim(worker_name()):  # this job, whoever's turn it is
            run_attempt(job)
        job.refresh_from_db()
        if job.is_active:
            time.sleep(0.2)
    if time.monotonic() >= own_work_at:
        for notification in job.notifications.all():
            notify_job.fn(str(notification.pk))
