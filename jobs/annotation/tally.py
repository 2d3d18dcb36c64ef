"""Counts of records, for the summary."""

import functools
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import starmap

from .consequences import terms_of
from .records import record_class


@dataclass
class Tally:
    """Counts of records, by names of which there are few: memory must not grow with the file."""

    records: int = 0
    annotated: int = 0
    multiallelic: int = 0
    ref_checked: int = 0
    overlap_only: int = 0
    csq_crashed: int = 0
    not_annotated: Counter[str] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)
    consequences: Counter[str] = field(default_factory=Counter)  # a record counts once under each of its terms
    genes: Counter[str] = field(default_factory=Counter)  # by symbol; once under each gene that it lies in
    regions: Counter[str] = field(default_factory=Counter)
    tracks: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Tally") -> None:
        for name in ("records", "annotated", "multiallelic", "ref_checked", "overlap_only", "csq_crashed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("not_annotated", "classes", "consequences", "genes", "regions", "tracks"):
            getattr(self, name).update(getattr(other, name))

    def count_classes(self, alleles: Iterable[tuple[bytes, bytes]]) -> None:
        """Counts records by REF and ALT column."""
        self.classes.update(starmap(_class, alleles))

    def count_consequences(self, values: Mapping[bytes, int]) -> None:
        """Adds counts of BCSQ values."""
        for value, count in values.items():
            for term in terms_of(value):
                self.consequences[term] += count

    def count_genes(self, texts: Iterable[bytes]) -> None:
        """Counts texts `;GAS_GENE=A,B`."""
        for text, count in Counter(texts).items():
            _count(self.genes, text.partition(b"=")[2].decode().split(","), count)

    def count_regions(self, texts: Iterable[bytes]) -> None:
        """Counts texts `;GAS_LOCATION=...;GAS_REGION=A,B`."""
        for text, count in Counter(texts).items():
            _count(self.regions, text.rpartition(b"=")[2].decode().split(","), count)


def _count(counts: Counter[str], names: Iterable[str], count: int) -> None:
    for name in set(names):
        counts[name] += count


@functools.lru_cache(maxsize=10_000)
def _class(ref: bytes, alt: bytes) -> str:
    return record_class(ref, alt.split(b","))
