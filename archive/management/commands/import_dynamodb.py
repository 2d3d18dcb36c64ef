"""manage.py import_dynamodb: the annotations of another GAS come over."""

from collections import Counter
from contextlib import closing
from functools import partial
from itertools import islice
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import IntegrityError

from accounts.models import Plan
from archive.annotations_table import Item, Skipped
from archive.importing import HERE, NO_INVENTORY, Importer
from archive.snapshot import Snapshot
from gas.aws.dynamodb import Table, TableUnavailable
from gas.aws.s3 import S3ObjectStorage
from gas.objects import StorageUnavailable
from gas.vaults import InventoryPending, VaultError, vault
from jobs.management.commands.backfill_jobs import count


class Command(BaseCommand):
    help = (
        "Takes over the completed annotations of a table with the attributes of the GAS capstone project (job_id, user_id, "
        "..., results_file_archive_id). Files are copied from its buckets; its owners are known by their Globus identity; "
        "archived results stay in their classic vault (GLACIER_VAULT), whose inventory tells their size: the first run "
        "orders one, the next, hours later, takes its id. Safe to run twice: what is here is left alone."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--table", required=True, help="The name of the table.")
        parser.add_argument("--region", required=True, help="Of the table and of its buckets.")
        parser.add_argument("--plan", default=Plan.FREE, help="Of users who are not here yet (default: free).")
        parser.add_argument("--inventory", metavar="JOB_ID", help="The inventory that an earlier run has ordered.")
        parser.add_argument("--limit", type=count, help="At most so many items of the table.")
        parser.add_argument("--dry-run", action="store_true", help="Only say what would come over and what not.")

    def handle(self, *, table: str, region: str, plan: str, **options: Any) -> None:
        if not Plan.objects.filter(pk=plan).exists():
            plans = ", ".join(Plan.objects.values_list("code", flat=True))
            raise CommandError(f"There is no plan {plan}; there are {plans}.")
        with closing(Snapshot()) as snapshot:
            listed = partial(snapshot.take, "glacier") if self._fill(snapshot, options["inventory"]) else None
            importer = Importer(plan, lambda name: S3ObjectStorage(bucket_name=name, region_name=region), listed)
            outcomes = self._import(importer, Table(table, region), **options)
        imported, here = outcomes.pop("imported", 0), outcomes.pop(HERE, 0)
        what = "to be imported (dry run)" if options["dry_run"] else "imported"
        self.stdout.write(f"{imported} {what}, {here} here already, {outcomes.total()} skipped")
        if outcomes[NO_INVENTORY] and not options["dry_run"]:
            self._order_inventory()

    def _fill(self, snapshot: Snapshot, job_id: str | None) -> bool:
        if job_id is None:
            return False
        try:
            lines = vault("glacier").inventory(job_id)
            snapshot.fill("glacier", ((s.archive_id, s.name, s.size, s.checksum, s.created) for s in lines))
        except VaultError as error:
            raise CommandError(str(error)) from error
        return True

    def _import(self, importer: Importer, table: Table, *, limit: int | None, dry_run: bool, **_: Any) -> Counter[str]:
        outcomes: Counter[str] = Counter()
        try:
            for attributes in islice(table.items(), limit):
                try:
                    (importer.check if dry_run else importer.take)(Item.of(attributes))
                    outcome = "imported"
                except Skipped as error:
                    outcome = str(error)
                except StorageUnavailable as error:
                    outcome = f"its files cannot be copied now: {error}"
                except IntegrityError:  # by another import, at this moment
                    outcome = HERE
                outcomes[outcome] += 1
                if outcome != HERE:
                    self.stdout.write(f"{attributes.get('job_id')}: {outcome}")
        except TableUnavailable as error:
            raise CommandError(str(error)) from error
        return outcomes

    def _order_inventory(self) -> None:
        try:
            vault("glacier").inventory()
        except InventoryPending as error:
            self.stdout.write(f"An inventory is ordered; run again in some hours with --inventory={error.job_id}")
        except VaultError as error:
            raise CommandError(str(error)) from error
