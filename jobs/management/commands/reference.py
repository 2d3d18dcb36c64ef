"""manage.py reference: the installed references, by the same words as `python -m jobs.annotation.reference`."""

import argparse
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from jobs.annotation.reference.__main__ import main


class Command(BaseCommand):
    help = (
        "The references that files are annotated with: list | install NAME | build DIR | verify | remove. "
        "Each says more with --help, as in: reference install --help"
    )
    requires_system_checks = []  # it touches files only, and runs before there is a database

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND", help="what to do, and its options")

    def handle(self, *, words: list[str], **_options: Any) -> None:
        if code := main(words):
            sys.exit(code)
