"""A small genome made on the spot, always the same, with all that gene models have; and variants on it.

Nothing in it comes from the engine, so that what the engine says of it can be held against other programs: genes of both
strands with one to many exons (down to 1 base), overlapping and nested, several transcripts, untranslated regions,
coding sequences cut at either end, genes that are not coding, and tracks of every kind.
"""

import gzip
import random
from pathlib import Path
from typing import NamedTuple

LENGTHS = {"1": 60_000, "2": 25_000, "X": 9_000}
COMPLEMENT = str.maketrans("ACGT", "TGCA")
STOPS = {"TAA", "TAG", "TGA"}
DECLARATION = """\
name = "made"
build = "made"
description = "A made genome"
fasta = "genome.fa"
[genes]
file = "genes.gff3.gz"
source = "made genes"
version = "1"
[[tracks]]
name = "Known"
kind = "allele"
file = "known.vcf.gz"
version = "1"
[[tracks.fields]]
column = "ID"
id = true
[[tracks.fields]]
info = "GAS_KNOWN_AF"
column = "AF"
type = "Float"
description = "Frequency"
[[tracks]]
name = "Repeats"
kind = "interval"
file = "repeats.bed"
version = "1"
[[tracks.fields]]
info = "GAS_REPEAT"
column = 4
type = "String"
description = "Names of repeats"
[[tracks]]
name = "Copies"
kind = "proportional"
file = "copies.bed"
version = "1"
overlap = "GAS_COPY_OVERLAP"
[[tracks.fields]]
info = "GAS_COPY"
column = 4
type = "String"
description = "Names of copy-number variants"
[[tracks]]
name = "Names"
kind = "gene"
file = "names.tsv"
version = "1"
columns = {gene = "symbol"}
[[tracks.fields]]
info = "GAS_NAME"
column = "name"
type = "String"
description = "Name of the gene"
"""


class Variant(NamedTuple):
    """A record: POS is 1-based, `alts` are as in the ALT column."""

    contig: str
    pos: int
    ref: str
    alts: str

    def line(self, *more: str) -> str:
        """Its line of a VCF file; `more` are INFO, FORMAT and the samples."""
        return "\t".join([self.contig, str(self.pos), ".", self.ref, self.alts, "50", "PASS", *(more or (".",))]) + "\n"


class Genome(NamedTuple):
    """Its folder has reference.toml and all files named there, and genes.gff3, the gene models as plain text."""

    folder: Path
    bases: dict[str, str]
    exons: dict[str, list[tuple[int, int]]]  # of each contig, 1-based and inclusive
    spliced: set[str]  # symbols of genes with more than one exon
    gff: str

    def header(self, *samples: str) -> str:
        contigs = "".join(f"##contig=<ID={name},length={len(text)}>\n" for name, text in self.bases.items())
        formats = '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n' if samples else ""
        columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO" + "".join(
            f"\t{s}" for s in samples and ("FORMAT", *samples)
        )
        return f"##fileformat=VCFv4.3\n{contigs}{formats}{columns}\n"


def models(seed: int = 1) -> tuple[dict[str, str], dict[str, list[tuple[int, int]]], set[str], str]:
    """The bases and the exons of each contig, the symbols of spliced genes, and the GFF3 text."""
    rng = random.Random(seed)
    text, exons, bases, spliced = ["##gff-version 3\n"], {}, {}, set()
    for contig, length in LENGTHS.items():
        sequence = rng.choices("ACGT", [3, 2, 2, 3], k=length)
        exons[contig] = []
        for gene in _genes(rng, contig, length):
            text += gene.lines()
            exons[contig] += [exon for transcript in gene.transcripts for exon in transcript.exons]
            if any(len(transcript.exons) > 1 for transcript in gene.transcripts):
                spliced.add(gene.name)
            for transcript in gene.transcripts[::-1]:  # the first one's frame is open
                _open_frame(sequence, transcript, gene.strand)
        bases[contig] = "".join(sequence)
    return bases, exons, spliced, "".join(text)


def make(folder: Path) -> Genome:
    """Writes the sources of the reference into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    genome = Genome(folder, *models())
    (folder / "genome.fa").write_text("".join(f">{name}\n{bases}\n" for name, bases in genome.bases.items()))
    (folder / "genes.gff3").write_text(genome.gff)
    (folder / "genes.gff3.gz").write_bytes(gzip.compress(genome.gff.encode(), mtime=0))
    _write_tracks(genome, random.Random(2))
    (folder / "reference.toml").write_text(DECLARATION)
    return genome


# --- genes -----------------------------------------------------------------------------------------------------------


class _Transcript(NamedTuple):
    name: str
    exons: list[tuple[int, int]]
    coding: list[tuple[int, int, int]]  # start, end, phase; in the order of the transcript
    whole: bool  # from ATG to a stop


class _Gene(NamedTuple):
    contig: str
    name: str
    strand: str
    biotype: str
    transcripts: list[_Transcript]

    def lines(self) -> list[str]:
        """GFF3 in Ensembl's dialect."""
        spans = [exon for transcript in self.transcripts for exon in transcript.exons]
        about = f"Name={self.name};biotype={self.biotype};gene_id={self.name}"
        lines = [self._line("gene", min(spans)[0], max(end for _, end in spans), ".", f"ID=gene:{self.name};{about}")]
        for name, exons, coding, _ in self.transcripts:
            about = f"ID=transcript:{name};Parent=gene:{self.name};biotype={self.biotype};transcript_id={name}"
            lines.append(self._line("mRNA" if coding else "lnc_RNA", exons[0][0], exons[-1][1], ".", about))
            lines += [self._line("exon", *exon, ".", f"Parent=transcript:{name}") for exon in exons]
            parts = [(start, end, str(phase)) for start, end, phase in coding]
            lines += [self._line("CDS", *part, f"ID=CDS:{name}P;Parent=transcript:{name}") for part in parts]
            if coding:
                lines += self._untranslated(name, exons, coding)
        return lines

    def _untranslated(self, name: str, exons: list[tuple[int, int]], coding: list[tuple[int, int, int]]) -> list[str]:
        first, last = min(part[0] for part in coding), max(part[1] for part in coding)
        before = [(start, min(end, first - 1)) for start, end in exons if start < first]
        after = [(max(start, last + 1), end) for start, end in exons if end > last]
        kinds = ("five_prime_UTR", "three_prime_UTR")[:: 1 if self.strand == "+" else -1]
        return [
            self._line(kind, *span, ".", f"Parent=transcript:{name}")
            for kind, spans in zip(kinds, (before, after), strict=True)
            for span in spans
        ]

    def _line(self, kind: str, start: int, end: int, phase: str, attributes: str) -> str:
        return f"{self.contig}\tmade\t{kind}\t{start}\t{end}\t.\t{self.strand}\t{phase}\t{attributes}\n"


def _genes(rng: random.Random, contig: str, length: int) -> list[_Gene]:
    """Genes of either strand one after the other, without regard to those of the other strand."""
    genes = []
    for strand in "+-":
        at = 300 + rng.randrange(500)
        while at < length - 4000:
            gene = _gene(rng, contig, f"G{contig}{'PM'[strand == '-']}{len(genes)}", strand, at)
            genes.append(gene)
            end = max(exon[1] for transcript in gene.transcripts for exon in transcript.exons)
            at = end + rng.choice([1, 30, 400, 1500]) if rng.random() < 0.85 else at + 40  # the next one may overlap
    return genes


def _gene(rng: random.Random, contig: str, name: str, strand: str, at: int) -> _Gene:
    exons = []
    for _ in range(rng.choice([1, 1, 2, 3, 5, 9])):
        size = rng.choice([1, 3, 7]) if rng.random() < 0.1 else rng.randrange(20, 180)
        exons.append((at, at + size - 1))
        at += size + rng.choice([25, 60, 150, 400])
    biotype = "protein_coding" if rng.random() < 0.75 else "lincRNA"
    transcripts = []
    for number in range(rng.choice([1, 1, 2, 3])):
        own = exons[number % 2 :][: max(len(exons) - number, 1)] or exons
        transcripts.append(_transcript(rng, f"{name}T{number}", own, strand, coding=biotype == "protein_coding"))
    return _Gene(contig, name, strand, biotype, transcripts)


def _transcript(
    rng: random.Random, name: str, exons: list[tuple[int, int]], strand: str, *, coding: bool
) -> _Transcript:
    total = sum(end - start + 1 for start, end in exons)
    if not coding or total < 30:
        return _Transcript(name, exons, [], whole=False)
    start, stop = rng.choice([0, 10, total // 4]), total - rng.choice([0, 7, total // 5])
    whole = rng.random() < 0.8
    stop -= (stop - start) % 3 if whole else 0
    phase = 0 if whole else rng.randrange(3)
    parts, at = [], 0
    for first, last in exons[:: 1 if strand == "+" else -1]:
        size = last - first + 1
        low, high = max(start, at), min(stop, at + size)
        if low < high:
            span = (
                (first + low - at, first + high - at - 1) if strand == "+" else (last - high + at + 1, last - low + at)
            )
            parts.append((*span, phase))
            phase = (phase - (high - low)) % 3
        at += size
    return _Transcript(name, exons, parts, whole)


def _open_frame(sequence: list[str], transcript: _Transcript, strand: str) -> None:
    """Takes stop codons out of a coding sequence; a whole one begins with ATG and ends with TAA."""
    places = [place - 1 for start, end, _ in transcript.coding for place in _steps(start, end, strand)]
    places = places[transcript.coding[0][2] if transcript.coding else 0 :]
    codons = [places[at : at + 3] for at in range(0, len(places) - 2, 3)]
    for number, codon in enumerate(codons):
        text = "".join(sequence[place] for place in codon)
        text = text if strand == "+" else text.translate(COMPLEMENT)
        if text in STOPS:
            text = "C" + text[1:]
        if transcript.whole:
            text = "ATG" if not number else "TAA" if number == len(codons) - 1 else text
        for place, base in zip(codon, text if strand == "+" else text.translate(COMPLEMENT), strict=True):
            sequence[place] = base


def _steps(start: int, end: int, strand: str) -> range:
    return range(start, end + 1) if strand == "+" else range(end, start - 1, -1)


# --- tracks ----------------------------------------------------------------------------------------------------------


def _write_tracks(genome: Genome, rng: random.Random) -> None:
    header = genome.header().replace("#CHROM", '##INFO=<ID=AF,Number=A,Type=Float,Description="Frequency">\n#CHROM')
    lines = [
        "\t".join([v.contig, str(v.pos), f"rs{number}", v.ref, v.alts, ".", ".", f"AF={number / 10_000:g}"]) + "\n"
        for number, v in enumerate(known(genome), 1)
    ]
    (genome.folder / "known.vcf.gz").write_bytes(gzip.compress((header + "".join(lines)).encode(), mtime=0))
    for file, name, count, longest in (("repeats.bed", "repeat", 300, 200), ("copies.bed", "copy", 60, 5000)):
        rows = []
        for number in range(count):
            contig = rng.choice(list(genome.bases))
            start = rng.randrange(len(genome.bases[contig]) - 1)
            rows.append((contig, start, min(start + rng.randrange(1, longest), len(genome.bases[contig])), number))
        text = "".join(f"{contig}\t{start}\t{end}\t{name}{number}\n" for contig, start, end, number in sorted(rows))
        (genome.folder / file).write_text(text)
    symbols = sorted(genome.spliced)
    table = "".join(f"{symbol}\tthe gene {symbol}, of {number}\n" for number, symbol in enumerate(symbols))
    (genome.folder / "names.tsv").write_text("symbol\tname\n" + table)


def known(genome: Genome) -> list[Variant]:
    """The records of the allele track: number n, counted from 1, is rs<n> and has the frequency n / 10,000."""
    return [variant for variant in variants(genome, 1500, 99) if "," not in variant.alts]


# --- variants --------------------------------------------------------------------------------------------------------


def variants(genome: Genome, count: int, seed: int) -> list[Variant]:
    """SNVs, insertions, deletions, MNVs and replacements, some of them multi-allelic; most near exons; sorted."""
    rng = random.Random(seed)
    order = {name: number for number, name in enumerate(genome.bases)}
    made = [_variant(genome, rng) for _ in range(count)]
    return sorted(set(made), key=lambda variant: (order[variant.contig], variant.pos, variant.ref, variant.alts))


def _variant(genome: Genome, rng: random.Random) -> Variant:
    contig = rng.choices(list(LENGTHS), list(LENGTHS.values()))[0]
    bases = genome.bases[contig]
    if rng.random() < 0.8:
        start, end = rng.choice(genome.exons[contig])
        pos = rng.choice([start, end, rng.randint(start, end)]) + rng.randint(-12, 12)
    else:
        pos = rng.randrange(1, len(bases))
    size = rng.choice([1, 1, 1, 1, 2, 3, 4, 8, 30, 300])
    ref = bases[pos - 1 : pos - 1 + size]
    alts = {_alt(rng, ref) for _ in range(1 if rng.random() < 0.85 else rng.randint(2, 4))} - {ref}
    return Variant(contig, pos, ref, ",".join(sorted(alts)) or _other(rng, ref[0]) + ref[1:])


def _alt(rng: random.Random, ref: str) -> str:
    """Another allele: one base changed, something inserted, something deleted, or all replaced."""
    kind = rng.random()
    if kind < 0.55:
        at = rng.randrange(len(ref))
        return ref[:at] + _other(rng, ref[at]) + ref[at + 1 :]
    some = "".join(rng.choices("ACGT", k=rng.choice([1, 1, 2, 3, 3, 6, 15])))
    if kind < 0.75:
        return ref[0] + some + ref[1:]
    if kind < 0.9 and len(ref) > 1:
        return ref[: rng.randint(1, len(ref) - 1)]
    return some


def _other(rng: random.Random, base: str) -> str:
    return rng.choice([other for other in "ACGT" if other != base])
