"""Which haplotypes of which samples carry an ALT allele: the genotypes of some records of a block, as csq reads them.

As `bcftools csq -p s` does, heterozygous genotypes that are not phased are skipped, as is a sample whose first allele
is missing, and a record in which a sample has more than two alleles. Homozygous genotypes need no phase.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .block import Block
from .records import is_plain
from .reference.arrays import Array

EVERY = -1  # phase set of a homozygous genotype: it lies on the haplotypes of all of them
NO_SET = -2  # phased without a phase set: all these are one (VCF 4.3, 1.4.2)
CELLS = 1 << 20  # genotypes that are looked at together

_DIGIT = np.zeros(256, bool)
_DIGIT[list(b"0123456789.")] = True
_END = np.zeros(256, bool)
_END[list(b":\t\n")] = True
_MISSING = ord(".")


@dataclass
class Carriers:
    """Where ALT alleles lie, sorted by row and haplotype; sample s has the haplotypes 2s and 2s + 1.

    `row` counts the rows that were asked for; `allele` is 1 for the first ALT; `phase_set` is PS, EVERY or NO_SET.
    """

    row: Array
    haplotype: Array
    allele: Array
    phase_set: Array


def carriers(block: Block, rows: Array, samples: int) -> Carriers:
    """The carriers of the ALT alleles of some rows (int64[n], ascending), of those spelled out in bases."""
    step = max(1, CELLS // samples)
    tabs = np.flatnonzero(np.frombuffer(block.text, np.uint8) == ord("\t"))
    parts = [_carriers(block, rows[at : at + step], samples, tabs, at) for at in range(0, len(rows), step)]
    whole = [np.concatenate(column) for column in zip(*parts, strict=True)] if parts else [np.zeros(0, np.int64)] * 4
    return Carriers(*whole)


def _carriers(block: Block, rows: Array, samples: int, tabs: Array, offset: int) -> tuple[Array, Array, Array, Array]:
    starts = tabs[np.searchsorted(tabs, block.stops[rows, 8])[:, None] + np.arange(samples)] + 1
    alleles, haploid, skipped = _called(block.text, starts)
    formats = block.column(8, rows)
    alleles[[not (keys + b":").startswith(b"GT:") for keys in formats]] = 0
    every = haploid | (alleles[:, :, 0] == alleles[:, :, 1])
    alleles[skipped] = 0
    highest = alleles.max(axis=(1, 2)).tolist()
    for place, alts in enumerate(block.column(4, rows)):
        if highest[place] > 1 or (highest[place] and not is_plain(alts)):
            _drop(alleles[place], alts.split(b","))
    row, sample, second = np.nonzero(alleles > 0)
    phase_set = np.where(every[row, sample], EVERY, NO_SET)
    for carrier in _with_phase_set(formats, row, phase_set):
        start = int(starts[row[carrier], sample[carrier]])
        number = formats[row[carrier]].split(b":").index(b"PS")
        phase_set[carrier] = _phase_set(_cell(block.text, start).split(b":"), number)
    return row + offset, 2 * sample + second, alleles[row, sample, second], phase_set


def _called(text: bytes, starts: Array) -> tuple[Array, Array, Array]:
    """Alleles of each genotype (int32[rows, samples, 2], -1 where missing); which are haploid, and to be skipped."""
    buffer = np.frombuffer(text, np.uint8)
    first, sign, second, after = (buffer[np.minimum(starts + place, len(buffer) - 1)] for place in range(4))
    haploid = _DIGIT[first] & _END[sign]
    diploid = _DIGIT[first] & ((sign == ord("|")) | (sign == ord("/"))) & _DIGIT[second] & _END[after]
    alleles = np.stack([first, second], axis=2).astype(np.int32) - ord("0")
    alleles[np.stack([first, second], axis=2) == _MISSING] = -1
    alleles[haploid, 1] = -1
    unphased = diploid & (sign == ord("/"))
    many = np.zeros(starts.shape, bool)
    for row, sample in np.argwhere(~haploid & ~diploid).tolist():
        genotype = _cell(text, int(starts[row, sample])).partition(b":")[0]
        called = _alleles(genotype)
        haploid[row, sample], many[row, sample] = len(called) == 1, len(called) > 2
        alleles[row, sample] = [*called, -1][:2]
        unphased[row, sample] = b"|" not in genotype
    one, other = alleles[:, :, 0], alleles[:, :, 1]
    skipped = (one < 0) | (unphased & (other >= 0) & (one != other))
    return alleles, haploid, skipped | many.any(axis=1, keepdims=True)


def _alleles(genotype: bytes) -> list[int]:
    """The alleles of a genotype, -1 where one is missing; VCF 4.4 may have a sign before the first."""
    values = genotype.replace(b"|", b"/").removeprefix(b"/").split(b"/")
    return [int(value) if value.isdigit() and len(value) < 9 else -1 for value in values]


def _drop(alleles: Array, alts: list[bytes]) -> None:
    """Takes out alleles that are not there, or not spelled out in bases."""
    good = np.array([False, *map(is_plain, alts), False])
    alleles[~good[np.clip(alleles, 0, len(alts) + 1)]] = 0


def _with_phase_set(formats: list[bytes], row: Array, phase_set: Array) -> Iterator[int]:
    """The carriers whose phase set is to be looked up."""
    declared = np.array([b"PS" in keys.split(b":") for keys in formats])
    if declared.any():
        yield from np.flatnonzero(declared[row] & (phase_set == NO_SET)).tolist()


def _phase_set(values: list[bytes], number: int) -> int:
    """PS as a number; some programs write text there."""
    value = values[number] if number < len(values) else b"."
    if value in {b".", b""}:
        return NO_SET
    if value.isdigit() and len(value) < 19:
        return int(value)
    return int.from_bytes(hashlib.blake2b(value, digest_size=7).digest())


def _cell(text: bytes, start: int) -> bytes:
    """The text of a sample's column."""
    end = text.find(b"\n", start)
    tab = text.find(b"\t", start, end)
    return text[start : tab if tab >= 0 else end]
