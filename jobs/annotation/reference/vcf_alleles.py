"""Reads the alleles of a VCF file by numpy, a block of lines at a time: dbSNP has more than 1,000 million of them."""

import re
from collections.abc import Iterator
from functools import cached_property

import numpy as np

from jobs.annotation.block import Block, parse
from jobs.annotation.errors import AnnotationError
from jobs.annotation.records import left_aligned
from jobs.annotation.tracks import allele_key

from .alleles import Values
from .arrays import Array
from .declaration import FREQUENCIES, SOURCE_FAULT, Field, Track
from .source_files import VCF_COLUMNS, field_value, text_blocks
from .values import decoded, frequencies

MAX_DIGITS = 18  # of an rs number that an int64 holds

_CODE = np.full(256, 255, np.uint8)
for _code, _letters in enumerate((b"Aa", b"Cc", b"Gg", b"Tt")):
    _CODE[list(_letters)] = _code
_UPPER = np.arange(256, dtype=np.uint8)
_UPPER[ord("a") : ord("z") + 1] -= 32
_SEPARATOR = np.zeros(256, np.bool_)
_SEPARATOR[list(b"\t;\n")] = True
_SPELLED = re.compile(rb"[ACGTN]+")
_NUMBERED = re.compile(rb"##INFO=<ID=([^,>]+),Number=([AR])[,>]")


class VcfAlleles:
    """The ALT alleles of the records of one contig in a block.

    `record` and `number` (from 0) say which ALT of which record each is, `spelled` how many are spelled out in bases.
    `differ` counts those whose REF is not that of the sequence, once `keys` has looked.
    """

    def __init__(self, block: Block, records: slice) -> None:
        self.block, self.records = block, records
        self.buffer = np.frombuffer(block.text, np.uint8)
        starts, stops = block.starts[records, 4], block.stops[records, 4]
        commas = np.flatnonzero(self.buffer[starts[0] : stops[-1]] == ord(",")) + starts[0]
        commas = commas[commas < stops[np.searchsorted(starts, commas, "right") - 1]]
        self.begins = np.sort(np.concatenate([starts, commas + 1]))
        self.ends = np.sort(np.concatenate([commas, stops]))
        self.record = np.searchsorted(starts, self.begins, "right") - 1
        first = np.searchsorted(self.record, np.arange(len(starts)))
        self.number = np.arange(len(self.begins)) - first[self.record]
        self.alts = np.bincount(self.record)
        self.spelled = self.differ = 0
        self.frequencies: dict[tuple[str, tuple[bytes, ...]], tuple[Array, list[tuple[bytes, bytes, bytes]]]] = {}

    def keys(self, bases: memoryview | None) -> tuple[Array, Array, list[bytes]]:
        """Which alleles are taken, their keys, and REF>ALT of those that are no SNV."""
        block, at = self.block, self.record + self.records.start
        ref_starts, start = block.starts[at, 3], block.pos[at] - 1
        refs, alts = self.buffer[ref_starts], self.buffer[self.begins]
        snv = (block.stops[at, 3] - ref_starts == 1) & (self.ends - self.begins == 1)
        snv &= (_CODE[refs] < 4) & (_CODE[alts] < 4)
        keys = start << 32 | _CODE[refs].astype(np.int64) << 2 | _CODE[alts]
        kept = snv & (_CODE[refs] != _CODE[alts])
        self.spelled = int(kept.sum())
        if bases is not None:
            sequence = np.frombuffer(bases, np.uint8)
            inside = (start >= 0) & (start < len(sequence))
            kept &= inside & (sequence[np.where(inside, start, 0)] == _UPPER[refs])
            self.differ = self.spelled - int(kept.sum())
        long = {}
        for place in np.flatnonzero(~snv).tolist():
            if change := self._change(place, bases):
                keys[place] = allele_key(*change)
                kept[place] = True
                if keys[place] >> 31 & 1:
                    long[place] = change[1] + b">" + change[2]
        return np.flatnonzero(kept), keys[kept], list(long.values())

    def _change(self, place: int, bases: memoryview | None) -> tuple[int, bytes, bytes] | None:
        """An allele that is no SNV, as far left as it goes; None when it is not taken."""
        block, record = self.block, int(self.record[place]) + self.records.start
        ref = block.text[block.starts[record, 3] : block.stops[record, 3]].upper()
        alt = block.text[self.begins[place] : self.ends[place]].upper()
        if ref == alt or not _SPELLED.fullmatch(alt) or not _SPELLED.fullmatch(ref):
            return None
        start = int(block.pos[record]) - 1
        self.spelled += 1
        if bases is not None and bases[start : start + len(ref)] != ref:
            self.differ += 1
            return None
        return left_aligned(start, ref, alt, bases)

    def texts(self, starts: Array, stops: Array) -> list[bytes]:
        text = self.block.text
        return [text[start:stop] for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)]

    @cached_property
    def _separators(self) -> Array:
        """Where items of INFO and columns begin and end."""
        low, high = int(self.block.starts[self.records.start, 7]) - 1, int(self.block.ends[self.records.stop - 1]) + 1
        return low + np.flatnonzero(_SEPARATOR[self.buffer[low:high]])

    def column(self, name: str) -> tuple[Array, Array, Array, Array]:
        """Which records have something in a column or INFO key, where it starts and ends, and whether it is a flag."""
        block, records = self.block, self.records
        if (column := VCF_COLUMNS.get(name)) is not None:
            starts, stops = block.starts[records, column], block.stops[records, column]
            return np.arange(len(starts)), starts, stops, np.zeros(len(starts), np.bool_)
        at, key = self._separators, name.encode()
        place = np.flatnonzero(at[1:] - at[:-1] > len(key))
        for offset, letter in enumerate(key, 1):
            place = place[self.buffer[at[place] + offset] == letter]
        starts, stops = at[place] + len(key) + 1, at[place + 1]
        flags = starts == stops
        record = np.searchsorted(block.starts[records, 7] - 1, at[place], "right") - 1
        there = flags | (self.buffer[starts] == ord("="))
        there &= at[place] < block.stops[records, 7][record]
        return record[there], (starts + ~flags)[there], stops[there], flags[there]


class VcfReader:
    """The blocks of a VCF file, and the values of its fields."""

    def __init__(self, track: Track) -> None:
        self.track, self.fields = track, track.fields
        self.numbers: dict[bytes, bytes] = {}  # INFO keys with a value for each allele

    def blocks(self) -> Iterator[Block]:
        """The records. Raises AnnotationError when the file is damaged, or has too few columns."""
        line, width = 1, 0
        for text in text_blocks(self.track.file):
            start = self._header_end(text)
            self.numbers |= dict(_NUMBERED.findall(text, 0, start))
            line += text.count(b"\n", 0, start)
            records = text[start:] if start else text
            if not records:
                continue
            width = width or records.partition(b"\n")[0].count(b"\t") + 1
            if width < 8:
                fault = f"{self.track.file}, line {line}: {width} columns, parted by tabs, are less than the 8 of VCF."
                raise AnnotationError(SOURCE_FAULT, fault)
            yield parse(records, line, width)
            line += records.count(b"\n")

    def _header_end(self, text: bytes) -> int:
        end = 0
        while text.startswith(b"#", end):
            end = text.index(b"\n", end) + 1
        return end

    def values(self, number: int, alleles: VcfAlleles, kept: Array) -> Values:
        """A field of some of the alleles."""
        field = self.fields[number]
        if field.populations:
            return _frequencies_of(field, alleles, kept)
        record, starts, stops, flags = alleles.column(str(field.column))
        codes = np.zeros(len(alleles.alts), np.int64)
        if field.id:
            codes[record] = _rs_numbers(alleles.buffer, starts, stops)
            spelled = codes[record] == 0
            record, starts, stops, flags = record[spelled], starts[spelled], stops[spelled], flags[spelled]
        raw = alleles.texts(starts, stops)
        if flags.any():
            raw = [b"1" if flag else value for value, flag in zip(raw, flags.tolist(), strict=True)]
        known = {value: place for place, value in enumerate(dict.fromkeys(raw), 1)}
        codes[record] = [-known[value] for value in raw]
        return self._values_of(field, alleles, kept, codes[alleles.record[kept]], list(known))

    def _values_of(self, field: Field, alleles: VcfAlleles, kept: Array, codes: Array, raw: list[bytes]) -> Values:
        """The values as they will stand in a result, of what the file has for the records."""
        textual = np.flatnonzero(codes < 0)
        kinds = -codes[textual]
        shared = str(field.column).encode() not in self.numbers
        if not shared:  # by which ALT of how many it is
            kept = kept[textual]
            kinds = kinds << 40 | alleles.number[kept] << 20 | alleles.alts[alleles.record[kept]]
        kinds, place = np.unique(kinds, return_inverse=True)
        if shared:
            values = [self._value(field, raw[kind - 1], 0, 1) for kind in kinds.tolist()]
        else:
            mask = (1 << 20) - 1
            values = [
                self._value(field, raw[(kind >> 40) - 1], kind >> 20 & mask, kind & mask) for kind in kinds.tolist()
            ]
        known = {value: number for number, value in enumerate(dict.fromkeys(filter(None, values)), 1)}
        codes[textual] = np.array([-known.get(value, 0) for value in values], np.int64)[place]
        return Values(codes, list(known))

    def _value(self, field: Field, raw: bytes, number: int, alts: int) -> bytes:
        raw = decoded(raw)
        parts, kind = raw.split(b","), self.numbers.get(str(field.column).encode())
        if kind == b"A" and len(parts) == alts:
            raw = parts[number]
        if kind == b"R" and len(parts) == alts + 1:
            raw = parts[number + 1]
        return field_value(raw, field)


def _frequencies_of(field: Field, alleles: VcfAlleles, kept: Array) -> Values:
    """A field of frequencies of some alleles. Fields that differ only in what they take share the search."""
    key = str(field.column), field.populations
    if key not in alleles.frequencies:
        record, starts, stops, _ = alleles.column(key[0])
        place = np.full(len(alleles.alts), -1)
        place[record] = np.arange(len(record))
        place = place[alleles.record[kept]]
        there = np.flatnonzero(place >= 0)
        raw = alleles.texts(starts, stops)
        pairs = zip(place[there].tolist(), alleles.number[kept[there]].tolist(), strict=True)
        alleles.frequencies[key] = there, [frequencies(raw[at], field.populations, number) for at, number in pairs]
    there, found = alleles.frequencies[key]
    what = FREQUENCIES.index(field.frequency)
    known = {b"": 0}
    codes = np.zeros(len(kept), np.int64)
    codes[there] = [-known.setdefault(values[what], len(known)) for values in found]
    return Values(codes, list(known)[1:])


def _rs_numbers(buffer: Array, starts: Array, stops: Array) -> Array:
    """The numbers that stand there, with or without `rs`; 0 where something else does."""
    last = len(buffer) - 1
    prefixed = (buffer[np.minimum(starts, last)] == ord("r")) & (buffer[np.minimum(starts + 1, last)] == ord("s"))
    starts = starts + 2 * prefixed
    size = stops - starts
    first = buffer[np.minimum(starts, last)]
    good = (size > 0) & (size <= MAX_DIGITS) & (first != ord("0"))
    numbers = np.zeros(len(starts), np.int64)
    for place in range(min(int(size.max(initial=0)), MAX_DIGITS)):
        there = size > place
        digit = buffer[np.minimum(starts + place, last)] - np.uint8(ord("0"))
        good &= (digit < 10) | ~there
        numbers = np.where(there, numbers * 10 + digit, numbers)
    return np.where(good, numbers, 0)
