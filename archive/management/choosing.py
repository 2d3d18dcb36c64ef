"""What the backfills of the archive have in common: whose results, how many, or only a list of them."""

from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice

from django.core.management.base import CommandError, CommandParser, OutputWrapper
from django.db.models import QuerySet

from accounts.models import User
from archive.models import ResultArchive
from jobs.management.commands.backfill_jobs import count

Act = tuple[str, Callable[[], object]]  # what is said of it, and what is done; False when it was too late


def add_options(parser: CommandParser) -> None:
    parser.add_argument("--user", metavar="EMAIL", help="Only the results of this user.")
    parser.add_argument("--limit", type=count, help="At most so many, the oldest first.")
    parser.add_argument("--dry-run", action="store_true", help="Only list them.")


def owners(email: str | None) -> QuerySet[User]:
    """Whose results are meant: everybody's without an address."""
    if email is None:
        return User.objects.all()
    found = User.objects.by_address(email)
    if not found:
        raise CommandError(
            f"Nobody has the address {email}: look at /admin/accounts/user/ for the one that he has here."
        )
    return found


def acts(rows: QuerySet[ResultArchive], act: Callable[[ResultArchive], object], why: str = "") -> Iterable[Act]:
    """One for each row, the oldest first; each is read when its turn has come."""
    for pk in list(rows.order_by("created_at").values_list("pk", flat=True)):
        row = ResultArchive.objects.filter(pk=pk).first()
        if row is not None:
            yield f"{row.job_id} {row.status} {row.size} bytes{why and ': '}{why}", partial(act, row)


def carry_out(out: OutputWrapper, chosen: Iterable[Act], *, limit: int | None, dry_run: bool) -> None:
    """Name each, do it unless that is not wanted, and count."""
    found = done = 0
    for what, act in islice(chosen, limit):
        found += 1
        out.write(what)
        if not dry_run:
            done += act() is not False
    out.write(f"{found} chosen, {done} enqueued{' (dry run)' if dry_run else ''}")
