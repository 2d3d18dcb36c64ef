"""The files that benchmarks run on: a course sample where it is at hand, else one of the same shape."""

import os
import random
from pathlib import Path

from django.conf import settings

RECORDS = 350  # as test.vcf has


def small_vcf(folder: Path) -> tuple[Path, str]:
    """A mitochondrial VCF of 350 records, and what to call it."""
    samples = Path(os.environ.get("GAS_SAMPLES", settings.BASE_DIR.parent / "shared" / "samples"))
    if (samples / "test.vcf").exists():
        return samples / "test.vcf", "test.vcf (350 records)"
    path = folder / "made.vcf"
    path.write_text(made_vcf(RECORDS))
    return path, "made.vcf (350 records)"


def made_vcf(records: int) -> str:
    """`records` substitutions at random places of the rCRS, with its own bases as REF."""
    fasta = settings.BASE_DIR / "var" / "reference" / "rCRS" / "current" / "genome.fa"
    bases = "".join(fasta.read_text().split("\n")[1:])
    chosen = random.Random(1).choices([n for n, base in enumerate(bases) if base in "ACGT"], k=records)
    lines = ["##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    for n in sorted(chosen):
        alt = {"A": "G", "G": "A", "C": "T", "T": "C"}[bases[n]]
        lines.append(f"MT\t{n + 1}\t.\t{bases[n]}\t{alt}\t.\t.\t.")
    return "\n".join(lines) + "\n"
