"""GAS_HAPLOTYPE: what the variants of one haplotype do together, where that is not what each does alone.

While blocks are annotated, each notes its records near exons, with BCSQ and the carriers of their ALT alleles
(noting.py). Afterwards `bcftools csq` is asked about the genes in which some haplotype carries two records that may
touch each other, with each different haplotype once, and the field is put into the finished records (members.py). As
csq has it, variants that change a codon together are described at one of their records, and the others point to its
POS: `@11778`.
"""

import functools
import os
import pickle
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, islice, pairwise
from pathlib import Path

import numpy as np

from .consequences import corrected, spliced_genes
from .csq import CRASHES, PHASED, call_csq
from .errors import AnnotationError
from .genotypes import EVERY, Carriers
from .members import Insertion
from .noting import Record, Run, clusters, part
from .output import no_room
from .processes import crashed
from .reference import Contig, ContigData, Reference
from .reference.arrays import Array

CELLS, ROWS = 4 << 20, 50_000  # records times haplotypes, and records, that one call of csq gets
ALONE = set(b"missense synonymous stop_retained intron non_coding 5_prime_utr 3_prime_utr".split())
ALONE |= set(b"splice_region splice_donor splice_acceptor NMD_transcript incomplete_terminal_codon".split())
_NUMBER = re.compile(rb"[0-9]+")


Codon = tuple[bytes, bytes]  # transcript, number


@dataclass
class Group:
    """The records of genes that overlap, of which each haplotype is there once, in order of appearance.

    A haplotype is the ALT alleles on it: `row` counts the records, `lengths` tells how many entries each haplotype has.
    """

    records: list[Record]
    row: Array
    allele: Array
    lengths: Array

    @classmethod
    def of(cls, carried: list[tuple[Record, Carriers]]) -> "Group":
        records = [record for record, _ in carried]
        counts = [stop - start for start, stop in (record.carriers for record in records)]
        parts = [part(block, *record.carriers) for record, block in carried]
        row = np.repeat(np.arange(len(records)), counts)
        haplotype, allele, phase_set = (np.concatenate(column) for column in zip(*parts, strict=True))
        order = np.argsort(haplotype, kind="stable")
        row, haplotype, allele, phase_set = row[order], haplotype[order], allele[order], phase_set[order]
        told = phase_set != EVERY
        if (np.diff(haplotype[told]) == 0)[np.diff(phase_set[told]) != 0].any():
            row, haplotype, allele = _split(row, haplotype, allele, phase_set)
        starts = np.flatnonzero(np.diff(haplotype, prepend=-1))
        lengths = np.diff(starts, append=len(row))
        entries = np.stack([row, allele], axis=1)
        ends = (starts + lengths).tolist()
        texts = [entries[a:b].tobytes() for a, b in zip(starts.tolist(), ends, strict=True)]
        first = dict(zip(reversed(texts), range(len(texts) - 1, -1, -1), strict=True))
        chosen = np.zeros(len(starts), bool)
        chosen[list(first.values())] = True
        kept = np.repeat(chosen, lengths)
        return cls(records, row[kept], allele[kept], lengths[chosen])

    @property
    def matters(self) -> bool:
        """Whether two records on one haplotype may touch each other: else each does what it does alone."""
        codons = functools.cache(lambda number: _codons(self.records[number]))
        rows = iter(self.row.tolist())
        for length in self.lengths.tolist():
            haplotype = list(islice(rows, length))
            if length > 1:
                seen: set[Codon] = set()
                for number in haplotype:
                    changed = codons(number)
                    if changed is None or changed & seen:
                        return True
                    seen |= changed
        return False

    def genotypes(self, width: int) -> Iterator[bytes]:
        """A text for each record: the allele of each haplotype, in so many columns."""
        cells = np.full((len(self.records), width), b"0", object)
        cells[self.row, np.repeat(np.arange(len(self.lengths)), self.lengths)] = [
            b"%d" % n for n in self.allele.tolist()
        ]
        return map(b"\t".join, cells.tolist())


def _split(row: Array, haplotype: Array, allele: Array, phase_set: Array) -> tuple[Array, Array, Array]:
    """Makes a haplotype of a sample one of its own for each phase set: nothing is known of two sets together."""
    parts = []
    for start, stop in pairwise([*np.flatnonzero(np.diff(haplotype, prepend=-1)).tolist(), len(row)]):
        own = phase_set[start:stop]
        sets = dict.fromkeys(own[own != EVERY].tolist())
        parts += [start + np.flatnonzero((own == EVERY) | (own == chosen)) for chosen in sets or [EVERY]]
    places = np.concatenate(parts)
    return row[places], np.repeat(np.arange(len(parts)), list(map(len, parts))), allele[places]


def _codons(record: Record) -> set[Codon] | None:
    """The codons that a record changes; None when it may matter for others too."""
    if not len(record.ref) == 1 == max(map(len, record.alt.split(b","))):
        return None
    codons: set[Codon] = set()
    for entry in record.local.split(b","):
        term, *more = entry.split(b"|")
        if not set(term.split(b"&")) <= ALONE:
            return None
        if number := _NUMBER.match(more[4]) if len(more) > 4 else None:
            codons.add((more[1], number[0]))
    return codons


@dataclass
class Haplotypes:
    """What csq says of haplotypes: fields to insert, and how many records of which it could not say anything."""

    insertions: list[Insertion] = field(default_factory=list)
    unanswered: int = 0


def ask(reference: Reference, paths: Iterable[Path], folder: Path) -> Haplotypes:
    """The fields to insert, sorted by block and offset, for what note() wrote to `paths`, in the order of the blocks.

    Memory grows with the records of overlapping genes, not with the file. Raises AnnotationError, OSError.
    """
    found = Haplotypes()
    for name, groups in _groups(_runs(paths)):
        contig = reference.contig(name)
        assert contig is not None
        for batch in _batches(groups):
            _ask(reference, contig, batch, folder, found)
    return found


def _runs(paths: Iterable[Path]) -> Iterator[Run]:
    for path in paths:
        if path.exists():
            yield from pickle.loads(path.read_bytes())  # noqa: S301 - note() wrote it


def _groups(runs: Iterable[Run]) -> Iterator[tuple[bytes, Iterator[Group]]]:
    """By contig, the groups in which something may differ."""
    for name, same in groupby(runs, key=lambda run: run.name):
        groups = map(Group.of, _by_genes((record, run.carriers) for run in same for record in run.records))
        yield name, (group for group in groups if group.matters)


def _by_genes(carried: Iterable[tuple[Record, Carriers]]) -> Iterator[list[tuple[Record, Carriers]]]:
    gathered: list[tuple[Record, Carriers]] = []
    reach = -1
    for record, block in carried:
        if gathered and record.genes[0] > reach:
            yield gathered
            gathered, reach = [], -1
        gathered.append((record, block))
        reach = max(reach, record.genes[1])
    if gathered:
        yield gathered


def _batches(groups: Iterable[Group]) -> Iterator[list[Group]]:
    batch: list[Group] = []
    rows = columns = 0
    for group in groups:
        rows, columns = rows + len(group.records), max(columns, len(group.lengths))
        if batch and (rows * columns > CELLS or rows > ROWS):
            yield batch
            batch, rows, columns = [], len(group.records), len(group.lengths)
        batch.append(group)
    if batch:
        yield batch


def _ask(reference: Reference, contig: Contig, batch: list[Group], folder: Path, found: Haplotypes) -> None:
    """One call of csq; when it crashes, calls for the halves, down to the genes that it crashes on."""
    side, out, gff = folder / "side.vcf", folder / "side.out.vcf", folder / "side.gff3"
    genes = _genes_of(contig.data, batch)
    gff.write_bytes(b"##gff-version 3\n" + contig.data.gff(genes))
    with side.open("wb") as file:
        file.writelines(_side_lines(contig, batch))
    status = call_csq(PHASED, contig.genetic_code, reference.fasta, gff, side, out)
    if os.WIFSIGNALED(status):
        if os.WTERMSIG(status) not in CRASHES:
            raise crashed("bcftools csq", status)
        if len(batch) == 1:
            found.unanswered += len(batch[0].records)
            return
        for half in (batch[: len(batch) // 2], batch[len(batch) // 2 :]):
            _ask(reference, contig, half, folder, found)
        return
    if status:
        failed = AnnotationError("engine_failed", "bcftools csq could not compute the consequences of haplotypes.")
        raise no_room(out) or failed
    _compare([record for group in batch for record in group.records], out, spliced_genes(contig, genes), found)


def _genes_of(data: ContigData, batch: list[Group]) -> list[int]:
    first, _, _ = clusters(data)
    bounds = np.append(first, len(data.arrays["gene/start"]))
    chosen: set[int] = set()
    for group in batch:
        low, high = group.records[0].genes[0], max(record.genes[1] for record in group.records)
        chosen.update(range(int(bounds[low]), int(bounds[high + 1])))
    return sorted(chosen)


def _side_lines(contig: Contig, batch: list[Group]) -> Iterator[bytes]:
    """VCF text for csq: a haploid column for each haplotype."""
    width, name = max(len(group.lengths) for group in batch), contig.name.encode()
    columns = b"".join(b"\t%d" % number for number in range(width))
    yield b"##fileformat=VCFv4.2\n##contig=<ID=%b,length=%d>\n" % (name, contig.length)
    yield b'##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
    yield b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT" + columns + b"\n"
    for group in batch:
        for record, genotypes in zip(group.records, group.genotypes(width), strict=True):
            head = b"%b\t%d\t.\t%b\t%b\t.\t.\t.\tGT\t" % (name, record.pos, record.ref, record.alt)
            yield b"%b%b\n" % (head, genotypes)


def _compare(records: list[Record], out: Path, spliced: frozenset[bytes], found: Haplotypes) -> None:
    with out.open("rb") as lines:
        values = [_entries(line, spliced) for line in lines if not line.startswith(b"#")]
    if len(values) != len(records):
        raise AnnotationError("engine_failed", f"bcftools csq returned {len(values):,} of {len(records):,} records.")
    described = _described(records, values)
    for number, (record, entries) in enumerate(zip(records, values, strict=True)):
        alleles = (b"%d%b>%b" % (record.pos, record.ref, alt) for alt in record.alt.split(b","))
        places = {pos for allele in alleles for other, pos in described.get(allele, {}).items() if other != number}
        entries += [b"@%d" % pos for pos in sorted(places)]
        local = record.local.split(b",")
        if not set(entries) <= set(local):
            text = b";GAS_HAPLOTYPE=" + b",".join(_ordered(entries, local))
            found.insertions.append(Insertion(record.block, record.offset, text))


def _entries(line: bytes, spliced: frozenset[bytes]) -> list[bytes]:
    """What csq says at a record but for its pointers to others, each entry once.

    csq repeats an entry where haplotypes differ farther on. Its pointers are wrong when it has read on after it wrote
    the record that they lead to, as it does where transcripts overlap: they are taken from the DNA changes instead.
    """
    info = line.split(b"\t", 8)[7]
    if not info.startswith(b"BCSQ="):
        return []
    entries = corrected(info[5:], spliced).split(b",")
    return [entry for entry in dict.fromkeys(entries) if not entry.startswith(b"@")]


def _described(records: list[Record], values: list[list[bytes]]) -> dict[bytes, dict[int, int]]:
    """By allele (11778G>A), which records describe it together with others: their numbers and POS."""
    described: dict[bytes, dict[int, int]] = {}
    for number, (record, entries) in enumerate(zip(records, values, strict=True)):
        for entry in entries:
            if b"+" in (changes := entry.rpartition(b"|")[2]):
                for allele in changes.split(b"+"):
                    described.setdefault(allele, {})[number] = record.pos
    return described


def _ordered(entries: list[bytes], local: list[bytes]) -> list[bytes]:
    """By transcript as in BCSQ, then pointers: csq orders transcripts that end together by what else is in the file."""
    places = {transcript: place for place, transcript in enumerate(map(_transcript, local))}
    return sorted(entries, key=lambda entry: places.get(_transcript(entry), len(places)))


def _transcript(entry: bytes) -> bytes:
    """Gene and transcript, or nothing for a pointer."""
    return b"|".join(entry.split(b"|", 3)[1:3])
