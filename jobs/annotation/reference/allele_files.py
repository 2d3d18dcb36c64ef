"""Reads tracks of alleles, VCF or TSV, and parts them by contig."""

from collections import Counter
from collections.abc import Callable
from itertools import groupby, islice
from pathlib import Path

import numpy as np

from jobs.annotation.records import left_aligned
from jobs.annotation.tracks import allele_key

from .alleles import AlleleRuns, Values
from .declaration import Track
from .source_files import Row, rows
from .vcf_alleles import MAX_DIGITS, VcfAlleles, VcfReader

TSV_ROWS = 50_000  # taken at a time

Bases = Callable[[str], memoryview | None]


class AlleleSpool:
    """The alleles of a file, parted by contig; `strange` counts records on contigs that the reference has not.

    `checked` alleles were compared with the sequence, and `differ` of them left out for their REF. `unreadable` records
    were left out, `fault` says why the first was.
    """

    def __init__(self, track: Track, folder: Path, name_of: Callable[[bytes], str | None], bases_of: Bases) -> None:
        self.name_of, self.bases_of = name_of, bases_of
        self.runs = AlleleRuns(folder, track.fields)
        self.strange: Counter[str] = Counter()
        self.count = self.checked = self.differ = self.unreadable = 0
        self.fault = ""
        if track.format == "vcf":
            self._read_vcf(track)
        else:
            self._read_rows(track)
        self.runs.close()

    def _known(self, contig: bytes, records: int) -> str | None:
        name = self.name_of(contig)
        if name is None:
            self.strange[contig.decode(errors="replace")] += records
        return name

    def _read_vcf(self, track: Track) -> None:
        reader = VcfReader(track)
        for block in reader.blocks():
            self.unreadable += len(block.skipped)
            self.fault = self.fault or (block.skipped[0].reason if block.skipped else "")
            for contig, records in block.contigs():
                if name := self._known(contig, records.stop - records.start):
                    self._add_vcf(name, reader, VcfAlleles(block, records))

    def _add_vcf(self, name: str, reader: VcfReader, alleles: VcfAlleles) -> None:
        bases = self.bases_of(name)
        kept, keys, long = alleles.keys(bases)
        self.count += len(keys)
        if bases is not None:
            self.checked += alleles.spelled
            self.differ += alleles.differ
        self.runs.add(name, keys, long, [reader.values(number, alleles, kept) for number in range(len(reader.fields))])

    def _read_rows(self, track: Track) -> None:
        found = rows(track)
        while some := list(islice(found, TSV_ROWS)):
            for contig, own in groupby(some, key=lambda row: row.contig):
                alleles = list(own)
                if name := self._known(contig, len(alleles)):
                    self._add_rows(name, alleles)

    def _add_rows(self, name: str, alleles: list[Row]) -> None:
        bases = self.bases_of(name)
        if bases is not None:
            self.checked += len(alleles)
            agreeing = [row for row in alleles if bases[row.start : row.end] == row.ref]
            self.differ += len(alleles) - len(agreeing)
            alleles = agreeing
        changes = [left_aligned(row.start, row.ref, row.alt, bases) for row in alleles]
        keys = np.array([allele_key(*change) for change in changes], np.int64)
        long = [ref + b">" + alt for (_, ref, alt), key in zip(changes, keys.tolist(), strict=True) if key >> 31 & 1]
        self.count += len(keys)
        if not alleles:
            return
        columns = zip(zip(*(row.values for row in alleles), strict=True), self.runs.fields, strict=True)
        self.runs.add(name, keys, long, [coded(list(column), is_id=field.id) for column, field in columns])


def coded(values: list[bytes], *, is_id: bool) -> Values:
    """The values of some alleles. In a field for the column ID, what is one rs number becomes a number."""
    numbers: dict[bytes, int] = {}
    codes = [
        int(value[2:]) if is_id and _is_number(value) else -numbers.setdefault(value, len(numbers) + 1) if value else 0
        for value in values
    ]
    return Values(np.array(codes, np.int64), list(numbers))


def _is_number(value: bytes) -> bool:
    return value.startswith(b"rs") and value[2:].isdigit() and len(value) <= MAX_DIGITS + 2 and value[2:3] != b"0"
