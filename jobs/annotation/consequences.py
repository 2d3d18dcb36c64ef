"""Consequences by `bcftools csq`, on a minimal side file of our own rather than on the user's.

The side file has only what csq needs (CHROM, POS, REF, ALT; ID is the row number), under a contig line of
ours: csq 1.24 crashes without one, and undeclared INFO or FORMAT keys of the user cannot disturb it. Each
call is in a child of its own: csq may crash, and it remembers the last position for the next call in its
process.
"""

import functools
import os
from pathlib import Path

import pysam.bcftools

from .errors import AnnotationError
from .output import no_room
from .processes import call_in_child, crashed
from .references import Contig, Reference

# (row number, POS, REF, ALT) with ALT as in the file, alleles separated by commas
Row = tuple[int, bytes, bytes, bytes]

DESCRIPTION = (
    "Local consequence annotation from BCFtools/csq, "
    "see http://samtools.github.io/bcftools/howtos/csq-calling.html for details. "
    "Format: Consequence|gene|transcript|biotype|strand|amino_acid_change|dna_change"
)
CORRECTIONS = [
    "incomplete_terminal_codon (SO:0001626) stands where csq says intron in a gene that has none",
    "synonymous&start_retained stands where csq says synonymous&start_lost, which contradicts itself",
]


def consequences(reference: Reference, contig: Contig, rows: list[Row], folder: Path) -> dict[int, bytes]:
    """BCSQ values by row number, for the rows that have a consequence.

    Rows are sorted by POS and their REF agrees with the reference. `-l` takes each variant alone: else csq
    would read all records as one haplotype where genotypes are not phased. Raises AnnotationError
    `engine_failed` or `engine_crashed`, or OSError when the side file cannot be written.
    """
    if not rows:
        return {}
    side, out = folder / "side.vcf", folder / "side.out.vcf"
    name = contig.name.encode()
    head = f"##fileformat=VCFv4.2\n##contig=<ID={contig.name},length={len(contig.sequence)}>\n"
    body = b"".join(b"%b\t%b\t%d\t%b\t%b\t.\t.\t.\n" % (name, pos, row, ref, alt) for row, pos, ref, alt in rows)
    side.write_bytes(head.encode() + b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n" + body)
    status = call_in_child(lambda: run_csq(contig.genetic_code, reference.fasta, contig.gff, side, out))
    if os.WIFSIGNALED(status):
        raise crashed("bcftools csq", status)
    if status:
        failed = AnnotationError("engine_failed", "bcftools csq could not compute the consequences.")
        raise no_room(out) or failed
    return _values(out, contig, len(rows))


def run_csq(genetic_code: int, fasta: Path, gff: Path, side: Path, out: Path) -> None:
    """Runs `bcftools csq` in this process, with an NCBI translation table. Raises SamtoolsError."""
    files = ["-f", str(fasta), "-g", str(gff), "-o", str(out), str(side)]
    pysam.bcftools.csq("-l", "-C", str(genetic_code), "-v", "0", "-Ov", *files, catch_stdout=False)


def _values(out: Path, contig: Contig, expected: int) -> dict[int, bytes]:
    values, rows = {}, 0
    for line in out.read_bytes().splitlines():
        if line.startswith(b"#"):
            continue
        rows += 1
        fields = line.split(b"\t")
        if fields[7].startswith(b"BCSQ="):
            values[int(fields[2])] = _corrected(fields[7][5:], contig)
    if rows != expected:
        raise AnnotationError("engine_failed", f"bcftools csq returned {rows:,} of {expected:,} records.")
    return values


def _corrected(value: bytes, contig: Contig) -> bytes:
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
        if term == b"intron" and rest.partition(b"|")[0].decode() not in contig.features.spliced:
            term = b"incomplete_terminal_codon"
        elif term == b"synonymous&start_lost":
            term = b"synonymous&start_retained"
        entries.append(term + b"|" + rest)
    return b",".join(entries)


def terms(value: bytes) -> frozenset[str]:
    """The Sequence Ontology terms in a BCSQ value, as csq shortens them (missense for missense_variant)."""
    if b"," not in value:
        return _terms(value.partition(b"|")[0])
    return frozenset().union(*(_terms(entry.partition(b"|")[0]) for entry in value.split(b",")))


@functools.lru_cache(maxsize=1000)
def _terms(joined: bytes) -> frozenset[str]:
    return frozenset(joined.decode().split("&"))
