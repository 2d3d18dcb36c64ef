"""manage.py archive_audit: is every result where its row says, and nothing else there?"""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from archive.audit import Audit, Finding
from gas.objects import StorageUnavailable
from gas.vaults import VaultError
from jobs.management.commands.backfill_jobs import count

CLEAN, FOUND, COULD_NOT_LOOK = 0, 1, 2
OPEN = {"", "quarantined"}  # what was done to a finding, and leaves something for a person to do


class Command(BaseCommand):
    help = (
        "Compares the database with the results bucket and the vaults: sizes, checksums, copies that are missing or that "
        "nobody names, results that are held up, retrievals that nobody waits for. Exit status 0: all is well, or mended; "
        "1: something is not; 2: not everything could be looked at."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        how = parser.add_mutually_exclusive_group()
        how.add_argument(
            "--sample", type=count, default=0, metavar="N", help="Verify so many results, chosen at random."
        )
        how.add_argument(
            "--full",
            action="store_true",
            help="Verify all: hot copies are read, archives as far as their vault allows.",
        )
        parser.add_argument(
            "--repair",
            action="store_true",
            help="Requeue what is held up, end retrievals that nobody waits for, quarantine what is missing or damaged, and "
            "delete copies that no row names, older than an hour, if another one is whole or the job is deleted.",
        )
        parser.add_argument("--json", action="store_true", help="One JSON object a line; the last one sums up.")
        parser.add_argument(
            "--inventory",
            default="",
            metavar="JOB_ID",
            help="The inventory that a classic Glacier vault was asked for.",
        )

    def handle(self, *, repair: bool, **options: Any) -> None:
        audit = Audit(full=options["full"], sample=options["sample"], inventory=options["inventory"])
        found = still_open = 0
        try:
            for finding in audit.findings():
                mended = finding.mend() if repair and finding.mend else ""
                self._tell(finding, mended, as_json=options["json"])
                found, still_open = found + 1, still_open + (mended in OPEN)
        except (StorageUnavailable, VaultError) as error:
            audit.not_seen.append(str(error))
        self._sum_up(audit, found, still_open, as_json=options["json"])
        sys.exit(COULD_NOT_LOOK if audit.not_seen else FOUND if still_open else CLEAN)

    def _tell(self, finding: Finding, mended: str, *, as_json: bool) -> None:
        line = {
            "kind": finding.kind,
            "job": finding.job,
            "where": finding.where,
            "what": finding.what,
            "mended": mended,
        }
        if as_json:
            self.stdout.write(json.dumps(line))
        else:
            job = f" job {finding.job}" if finding.job else ""
            self.stdout.write(f"{finding.kind}{job} {finding.where}: {finding.what}{mended and f' [{mended}]'}")

    def _sum_up(self, audit: Audit, found: int, still_open: int, *, as_json: bool) -> None:
        if as_json:
            totals = {"seen": audit.seen, "found": found, "open": still_open, "not_seen": audit.not_seen}
            self.stdout.write(json.dumps(totals))
            return
        for reason in audit.not_seen:
            self.stderr.write(f"could not look: {reason}")
        seen = ", ".join(f"{number} in {place}" for place, number in audit.seen.items())
        self.stdout.write(f"{seen}; {found} findings, {still_open} open")
