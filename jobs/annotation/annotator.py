"""The second pass: takes the user's lines, gives them back with INFO fields appended, and counts."""

import functools
import itertools
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from .consequences import Row, consequences, terms
from .genes import INTERGENIC, Feature
from .records import is_plain, record_class, trimmed
from .references import Contig, Reference

Places = tuple[Feature, ...]
Key = TypeVar("Key")


@dataclass
class Tally:
    """Counts of records, for the summary."""

    records: int = 0
    annotated: int = 0
    multiallelic: int = 0
    not_annotated: Counter[str] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)
    terms: Counter[frozenset[str]] = field(default_factory=Counter)
    places: Counter[Places] = field(default_factory=Counter)

    @property
    def consequences(self) -> Counter[str]:
        return _spread(self.terms, sorted)

    @property
    def genes(self) -> Counter[str]:
        return _spread(self.places, _genes)

    @property
    def regions(self) -> Counter[str]:
        return _spread(self.places, _regions)


class Annotator:
    """Annotates blocks of lines against one reference.

    `replaced` are INFO keys of ours that the file has already: they are taken out first.
    """

    def __init__(self, reference: Reference, replaced: frozenset[bytes], folder: Path) -> None:
        self.reference, self.replaced, self.folder = reference, replaced, folder
        self.tally = Tally()

    def block(self, lines: list[bytes]) -> bytes:
        """The annotated text of some lines, in their order; blank lines are dropped."""
        rows = (line.split(b"\t", 8) for line in lines if line.strip())
        contigs = itertools.groupby(rows, lambda fields: fields[0])
        return b"".join(self._same_contig(name, list(group)) for name, group in contigs)

    def _same_contig(self, name: bytes, rows: list[list[bytes]]) -> bytes:
        contig = self.reference.contig(name)
        tally = self.tally
        tally.records += len(rows)
        for fields in rows:
            tally.classes[_class(fields[3], fields[4])] += 1
            tally.multiallelic += b"," in fields[4]
            if self.replaced:
                fields[7] = _without(fields[7], self.replaced)
        if contig:
            self._annotate(contig, rows)
        else:
            tally.not_annotated["contig_not_in_reference"] += len(rows)
        return b"\n".join(map(b"\t".join, rows)) + b"\n"

    def _annotate(self, contig: Contig, rows: list[list[bytes]]) -> None:
        """Appends our INFO fields to the rows that can be annotated."""
        usable = [row for row, fields in enumerate(rows) if self._usable(contig, fields)]
        side: list[Row] = [(row, rows[row][1], rows[row][3].upper(), rows[row][4].upper()) for row in usable]
        found = consequences(self.reference, contig, side, self.folder)
        tally = self.tally
        tally.annotated += len(usable)
        for row in usable:
            fields = rows[row]
            places = _places(contig, int(fields[1]), fields[3].upper(), fields[4].upper())
            tally.places[places] += 1
            ours = _place_fields(places)
            if value := found.get(row):
                tally.terms[terms(value)] += 1
                ours = b"BCSQ=%b;%b" % (value, ours)
            fields[7] = _appended(fields[7], ours)

    def _usable(self, contig: Contig, fields: list[bytes]) -> bool:
        """Whether REF is what the reference has, and some ALT allele is spelled out in bases."""
        start, ref, alt = int(fields[1]) - 1, fields[3], fields[4]
        if start < 0 or contig.sequence[start : start + len(ref)] != ref.upper():
            self.tally.not_annotated["ref_mismatch"] += 1
        elif not is_plain(alt) and not any(map(is_plain, alt.split(b","))):
            self.tally.not_annotated["no_sequence_allele"] += 1
        else:
            return True
        return False


@functools.lru_cache(maxsize=10_000)
def _class(ref: bytes, alt: bytes) -> str:
    return record_class(ref, alt.split(b","))


def _places(contig: Contig, pos: int, ref: bytes, alts: bytes) -> Places:
    """What the bases that change lie in, over all ALT alleles that are spelled out."""
    if len(ref) == len(alts) == 1:
        return contig.features.at(pos, pos)
    found: dict[Feature, None] = {}
    for alt in filter(is_plain, alts.split(b",")):
        start, changed, _ = trimmed(pos, ref, alt)
        found |= dict.fromkeys(contig.features.at(start, start + len(changed) - 1))
    return tuple(found)


@functools.lru_cache(maxsize=10_000)
def _place_fields(places: Places) -> bytes:
    genes = ",".join(_genes(places))
    text = f"GAS_GENE={genes};" if genes else ""
    return f"{text}GAS_REGION={','.join(_regions(places))}".encode()


def _genes(places: Places) -> Iterable[str]:
    return dict.fromkeys(feature.symbol for feature in places if feature.symbol)


def _regions(places: Places) -> Iterable[str]:
    return dict.fromkeys(feature.region for feature in places) or [INTERGENIC]


def _spread(counts: Counter[Key], names: Callable[[Key], Iterable[str]]) -> Counter[str]:
    """Counts by name, from counts by what has several names."""
    spread: Counter[str] = Counter()
    for key, count in counts.items():
        spread.update(dict.fromkeys(names(key), count))
    return spread


def _appended(info: bytes, ours: bytes) -> bytes:
    if info == b".":
        return ours
    return info + ours if info.endswith(b";") else info + b";" + ours


def _without(info: bytes, keys: frozenset[bytes]) -> bytes:
    return b";".join(item for item in info.split(b";") if item.partition(b"=")[0] not in keys) or b"."
