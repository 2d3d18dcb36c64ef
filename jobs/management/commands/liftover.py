"""manage.py liftover: the same as `python -m jobs.annotation.liftover`."""

import argparse
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from jobs.annotation.liftover.__main__ import main


class Command(BaseCommand):
    help = "Lifts a VCF file over to an installed reference: IN OUT --to NAME [--from BUILD]"
    requires_system_checks = []  # it touches files only, and runs before there is a database

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "words", nargs=argparse.REMAINDER, metavar="IN OUT --to NAME", help="what to lift, and its options"
        )

    def handle(self, *, words: list[str], **_options: Any) -> None:
        if code := main(words):
            sys.exit(code)
