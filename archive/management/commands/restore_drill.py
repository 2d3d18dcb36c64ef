"""manage.py restore_drill: do archives really come out of their vaults, whole?"""

import sys
import time
import uuid
from collections import Counter
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.template.defaultfilters import filesizeformat

from archive.models import ResultArchive
from gas.tree_hash import HashingReader
from gas.vaults import (
    TIERS,
    ArchiveNotFound,
    CapacityExceeded,
    IntegrityError,
    RetrievalExpired,
    RetrievalPolicyExceeded,
    VaultUnavailable,
    vault,
)
from jobs.management.commands.backfill_jobs import count

WHOLE, BROKEN, NOT_RETRIEVED, MOVED = "whole", "broken", "not retrieved", "restored meanwhile"
FIRST_PAUSE, LONGEST_PAUSE = 1, 300  # seconds between two looks
PATIENCE = 3  # times the longest usual duration
Outcome = tuple[str, str]


class Command(BaseCommand):
    help = (
        "Retrieves archived results, chosen at random, reads them to the end, and compares their digests with those that "
        "the annotator wrote. No row changes. It waits as long as the tier takes: hours, for Bulk. Exit status 0: all are "
        "whole; 1: one is broken; 2: one could not be retrieved."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--n", type=count, default=5, help="How many (default 5).")
        parser.add_argument(
            "--tier", choices=TIERS, default="Bulk", help="Of the retrievals (default: Bulk, the cheapest)."
        )

    def handle(self, *, n: int, tier: str, **_: Any) -> None:
        archived = ResultArchive.objects.filter(status=ResultArchive.Status.ARCHIVED)
        waiting = [Trial(row, tier) for row in archived.order_by("?")[:n]]
        outcomes: Counter[str] = Counter()
        pause = FIRST_PAUSE
        while True:
            waiting = [trial for trial in waiting if not self._ended(trial, outcomes)]
            if not waiting:
                break
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        self.stdout.write(", ".join(f"{outcomes[what]} {what}" for what in (WHOLE, BROKEN, NOT_RETRIEVED, MOVED)))
        sys.exit(1 if outcomes[BROKEN] else 2 if outcomes[NOT_RETRIEVED] else 0)

    def _ended(self, trial: "Trial", outcomes: Counter[str]) -> bool:
        outcome = trial.look()
        if outcome:
            outcomes[outcome[0]] += 1
            self.stdout.write(f"{trial.row.job_id} vault {trial.row.vault}: {': '.join(outcome)}")
            self.stdout.flush()
        return outcome is not None


class Trial:
    """A retrieval that no row knows of."""

    def __init__(self, row: ResultArchive, tier: str) -> None:
        self.row, self.tier, self.vault = row, tier, vault(row.vault)
        self._token, self._id = f"drill-{uuid.uuid4()}", ""
        self._begun = time.monotonic()

    def look(self) -> Outcome | None:
        """What has come of it, and why; None as long as that is open."""
        try:
            return self._look()
        except VaultUnavailable as error:
            return self._patient(str(error))
        except ArchiveNotFound as error:
            self.row.refresh_from_db()
            moved = self.row.status != ResultArchive.Status.ARCHIVED
            return (MOVED, self.row.status) if moved else (BROKEN, f"the vault does not have it ({error})")
        except (CapacityExceeded, RetrievalPolicyExceeded, RetrievalExpired) as error:
            return NOT_RETRIEVED, str(error)
        except IntegrityError as error:
            return BROKEN, str(error)

    def _look(self) -> Outcome | None:
        if self.tier not in self.vault.tiers:
            return NOT_RETRIEVED, f"the vault has no tier {self.tier}, only {', '.join(self.vault.tiers)}"
        self._id = self._id or self.vault.initiate_retrieval(self.row.archive_id, self.tier, self._token)
        status = self.vault.describe_retrieval(self.row.archive_id, self._id).status
        if status == "in_progress":
            return self._patient("the retrieval still goes on")
        if status != "available":
            return NOT_RETRIEVED, f"the retrieval has {status}"
        return self._read()

    def _read(self) -> Outcome:
        with self.vault.open_retrieved(self.row.archive_id, self._id) as stream, HashingReader(stream) as read:
            while read.read(1 << 20):
                pass
        if read.size != self.row.size or self.row.sha256 not in {"", read.sha256}:
            wanted = f"{self.row.size} with {self.row.sha256}"
            return BROKEN, f"{read.size} bytes with SHA-256 {read.sha256} instead of {wanted}"
        known = "" if self.row.sha256 else "; its digest was not known"
        return WHOLE, f"{filesizeformat(read.size)} after {time.monotonic() - self._begun:.0f} s{known}"

    def _patient(self, why: str) -> Outcome | None:
        """None until it takes much longer than it ever does."""
        _, longest = self.vault.typical_duration(self.tier, self.row.size)
        waited = timedelta(seconds=time.monotonic() - self._begun)
        return (
            (NOT_RETRIEVED, f"{why}, after {waited}")
            if waited > max(PATIENCE * longest, timedelta(minutes=1))
            else None
        )
