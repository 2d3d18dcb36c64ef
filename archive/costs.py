"""What S3 bills for results here and there: US dollars, us-east-1, as docs/archive.md has them, and from where."""

from collections.abc import Iterable
from dataclasses import dataclass

GB = 1024**3
# an archived object costs 32 KB more at the archive's rate, and 8 KB at that of Standard
INDEX_BYTES, NAME_BYTES = 32 * 1024, 8 * 1024


@dataclass(frozen=True)
class Price:
    stored: float  # a GB and month
    put: float  # an object


STANDARD = Price(stored=0.023, put=0.005 / 1000)
ARCHIVE_CLASSES = {
    "GLACIER": Price(stored=0.0036, put=0.03 / 1000),
    "DEEP_ARCHIVE": Price(stored=0.00099, put=0.05 / 1000),
}


@dataclass(frozen=True)
class Cost:
    hot: float  # a month
    archived: float  # a month
    archiving: float  # once

    def __str__(self) -> str:
        saved = self.hot - self.archived
        when = (
            f"pays after {self.archiving / saved:.1f} months" if saved > 0 else "never pays: the results are too small"
        )
        return f"${self.hot:.4f} a month now, ${self.archived:.4f} archived, ${self.archiving:.4f} once; {when}"


def cost_of(sizes: Iterable[int], storage_class: str) -> Cost:
    """Of results with these sizes in bytes, in an archive class of S3."""
    price, count, total = ARCHIVE_CLASSES[storage_class], 0, 0
    for size in sizes:
        count, total = count + 1, total + size
    archived = ((total + count * INDEX_BYTES) * price.stored + count * NAME_BYTES * STANDARD.stored) / GB
    return Cost(total / GB * STANDARD.stored, archived, count * price.put)
