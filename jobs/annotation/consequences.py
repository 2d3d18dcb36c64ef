"""Consequences by `bcftools csq`, on a minimal side file of our own rather than on the user's.

The side file has only what csq needs (CHROM, POS, REF, ALT; ID is the row number), under contig lines of ours: csq 1.24
crashes without them, and undeclared INFO or FORMAT keys of the user cannot disturb it. csq gets only the rows near an
exon, and only the genes that these rows lie in; what it says farther from any exon was asked when the reference was
built (far.py).
"""

import functools
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .csq import ALONE, CRASHES, call_csq
from .errors import AnnotationError
from .output import no_room
from .processes import crashed
from .reference import Contig, Reference

CORRECTIONS = [
    "incomplete_terminal_codon (SO:0001626) stands where csq says intron in a gene that has none",
    "synonymous&start_retained stands where csq says synonymous&start_lost, which contradicts itself",
]

_ENTRY = re.compile(rb"(?:^|,)([^|,]*)")  # what stands first in an entry
MAX_CRASHING = 20  # records of a block: more have another cause, and finding each costs some twenty calls


class Site(NamedTuple):
    """A record for csq: its row, POS (1-based), REF and ALT as in the file but in upper case."""

    row: int
    pos: int
    ref: bytes
    alt: bytes


class Ask(NamedTuple):
    """The records of one contig, sorted by POS, whose REF agrees with the reference, and the genes they lie in."""

    contig: Contig
    sites: Sequence[Site]
    genes: list[int]


def consequences(
    reference: Reference, asks: list[Ask], folder: Path, crashing: list[Site] | None = None
) -> dict[int, bytes]:
    """BCSQ values by row number, for the rows that have a consequence.

    `-l` takes each variant alone: else csq would read all records as one haplotype where genotypes are not phased.
    Records that csq crashes on get none and are appended to `crashing`. Raises AnnotationError `engine_failed` or
    `engine_crashed`, or OSError when the side file cannot be written.
    """
    found: dict[int, bytes] = {}
    crashing = [] if crashing is None else crashing
    for code, batch in _batches(asks):
        found |= _consequences(reference, code, batch, folder, crashing)
    return found


def _batches(asks: list[Ask]) -> list[tuple[int, list[Ask]]]:
    """What one call can answer: one genetic code, and no contig twice (a file may call it MT and chrM)."""
    batches: list[tuple[int, list[Ask]]] = []
    for ask in asks:
        for code, batch in batches:
            if code == ask.contig.genetic_code and all(ask.contig is not other.contig for other in batch):
                batch.append(ask)
                break
        else:
            batches.append((ask.contig.genetic_code, [ask]))
    return batches


def _consequences(
    reference: Reference, code: int, asks: list[Ask], folder: Path, crashing: list[Site]
) -> dict[int, bytes]:
    """What one call says; when it crashes, what calls for the halves say, down to the record that it crashes on.

    csq 1.24 reads memory that is not its own for some replacements across the end of an exon (hap_init).
    """
    side, out, gff = folder / "side.vcf", folder / "side.out.vcf", folder / "side.gff3"
    gff.write_bytes(b"##gff-version 3\n" + b"".join(ask.contig.data.gff(ask.genes) for ask in asks))
    side.write_bytes(side_file(asks))
    status = call_csq(ALONE, code, reference.fasta, gff, side, out)
    if os.WIFSIGNALED(status):
        sites = [site for ask in asks for site in ask.sites]
        if os.WTERMSIG(status) not in CRASHES or len(crashing) == MAX_CRASHING:
            raise crashed("bcftools csq", status)
        if len(sites) == 1:
            crashing += sites
            return {}
        first, second = _halves(asks)
        found = _consequences(reference, code, first, folder, crashing)
        return found | _consequences(reference, code, second, folder, crashing)
    if status:
        failed = AnnotationError("engine_failed", "bcftools csq could not compute the consequences.")
        raise no_room(out) or failed
    values, rows = {}, 0
    spliced = frozenset().union(*(spliced_genes(ask.contig, ask.genes) for ask in asks))
    for line in out.read_bytes().splitlines():
        if line.startswith(b"#"):
            continue
        rows += 1
        fields = line.split(b"\t")
        if fields[7].startswith(b"BCSQ="):
            values[int(fields[2])] = corrected(fields[7][5:], spliced)
    expected = sum(len(ask.sites) for ask in asks)
    if rows != expected:
        raise AnnotationError("engine_failed", f"bcftools csq returned {rows:,} of {expected:,} records.")
    return values


def _halves(asks: list[Ask]) -> tuple[list[Ask], list[Ask]]:
    """The same questions in two parts, about equally many records in each; there are at least two."""
    half = sum(len(ask.sites) for ask in asks) // 2
    first, second = list[Ask](), list[Ask]()
    for ask in asks:
        for part, sites in ((first, ask.sites[:half]), (second, ask.sites[half:])):
            if sites:
                part.append(ask._replace(sites=sites))
        half = max(half - len(ask.sites), 0)
    return first, second


def side_file(asks: list[Ask]) -> bytes:
    """The VCF text for csq."""
    head = b"##fileformat=VCFv4.2\n"
    body = []
    for ask in asks:
        name = ask.contig.name.encode()
        head += b"##contig=<ID=%b,length=%d>\n" % (name, ask.contig.length)
        body += [b"%b\t%d\t%d\t%b\t%b\t.\t.\t.\n" % (name, pos, row, ref, alt) for row, pos, ref, alt in ask.sites]
    return head + b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n" + b"".join(body)


def spliced_genes(contig: Contig, genes: list[int]) -> frozenset[bytes]:
    """Symbols of those genes that have introns."""
    spliced = contig.data.arrays["gene/spliced"]
    return frozenset(contig.data.gene.values(gene)[0] for gene in genes if spliced[gene])


def corrected(value: bytes, spliced: frozenset[bytes]) -> bytes:
    """The value with the terms of CORRECTIONS.

    csq cuts a coding sequence down to whole codons and calls the rest an intron; six mitochondrial genes end
    in T or TA, completed to a stop codon by polyadenylation. And it calls a start codon lost where the amino
    acid stays.
    """
    if b"intron|" not in value and b"synonymous&start_lost|" not in value:
        return value
    entries = []
    for entry in value.split(b","):
        term, _, rest = entry.partition(b"|")
        if term == b"intron" and rest.partition(b"|")[0] not in spliced:
            term = b"incomplete_terminal_codon"
        elif term == b"synonymous&start_lost":
            term = b"synonymous&start_retained"
        entries.append(term + b"|" + rest)
    return b",".join(entries)


def terms_of(value: bytes) -> tuple[str, ...]:
    """The Sequence Ontology terms in a BCSQ value, as csq shortens them (missense for missense_variant)."""
    return _terms(b"&".join(_ENTRY.findall(value)) if b"," in value else value.partition(b"|")[0])


@functools.lru_cache(maxsize=1000)
def _terms(joined: bytes) -> tuple[str, ...]:
    return tuple(dict.fromkeys(joined.decode().split("&")))
