"""What `make bench-annotate` measures on: chromosome 21 with a full gene set, 12 tracks (and 24), and VCF files.

`python -m gas.benchmarks.annotate_data` makes it in var/bench/annotate, once: the same data on every machine that has the
same samples. The gene models and some calls are real where the samples are at hand (Ensembl; NA12878 of the Platinum
Genomes), else made with about the same density. The sequence is made: random bases in which coding regions are open
reading frames and each REF is what stands there, as no nuclear sequence comes with the set-up.
"""

import gzip
import hashlib
import json
import os
import shutil
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pysam

Array = npt.NDArray[Any]
Rows = list[tuple[int, int, str]]  # 0-based half-open intervals, each with its value

CHECKOUT = Path(__file__).resolve().parents[2]
FOLDER = CHECKOUT / "var" / "bench" / "annotate"
CONTIG = "21"
SAMPLES = 100
NEAR = 5  # bp around an exon that count as near it
SEED = 21
BASES = np.frombuffer(b"ACGT", np.uint8)
COMPLEMENT = np.frombuffer(bytes.maketrans(b"ACGT", b"TGCA"), np.uint8)
LETTERS = np.frombuffer(b"A" * 76 + b"C" * 52 + b"G" * 52 + b"T" * 76, np.uint8)  # 41 % GC, as chromosome 21 has
BANDS: list[tuple[str, float]] = [  # GRCh38, chromosome 21: name and end (Mb)
    ("p13", 3.1), ("p12", 7), ("p11.2", 10.9), ("p11.1", 12), ("q11.1", 13), ("q11.2", 15), ("q21.1", 22.6),
    ("q21.2", 25.5), ("q21.3", 30.2), ("q22.11", 34.4), ("q22.12", 36.4), ("q22.13", 38.3), ("q22.2", 41.2), ("q22.3", 46.8),
]  # fmt: skip


@dataclass(frozen=True)
class Sizes:
    """How much to make; the defaults are those of the benchmark."""

    length: int = 46_709_983  # bp of GRCh38's chromosome 21
    sites: int = 300_000
    many: int = 3_000_000  # a tenth of them is a file of its own: growth is measured between the two
    genotyped: int = 30_000
    small: int = 350
    known: int = 700_000  # records of the dbSNP-like track
    scale: float = 1.0  # of the interval tracks


@dataclass(frozen=True)
class Track:
    """An interval track: random intervals of some length (bp), or what `rows_of` gives for its name."""

    name: str
    count: int = 0
    shortest: int = 0
    longest: int = 0
    kind: str = "interval"

    @property
    def file(self) -> str:
        return f"{self.name.lower()}.bed.gz"

    @property
    def info(self) -> str:
        return f"GAS_{self.name.upper()}"


TRACKS = [
    Track("CytoBand"),
    Track("GeneNames", kind="gene"),
    Track("GAD", 2000, 1000, 50_000),
    Track("GWAS", 1500, 1, 1),
    Track("TargetScan", 1000, 7, 8),
    Track("DGV", 8000, 1000, 200_000, kind="proportional"),
    Track("McCarroll", 40, 1000, 100_000),
    Track("Conrad", 150, 1000, 50_000),
    Track("AbParts", 5, 10_000, 300_000),
    Track("SegDup", 1500, 1000, 60_000),
    Track("TFBS", 70_000, 6, 25),
]  # and dbSNP: 12


class Variants(NamedTuple):
    """Records sorted by position: 0-based positions (int64[n]), REF and ALT as VCF writes them."""

    positions: Array
    refs: list[str]
    alts: list[str]

    def take(self, rows: Array) -> "Variants":
        chosen = rows.tolist()
        return Variants(self.positions[rows], [self.refs[row] for row in chosen], [self.alts[row] for row in chosen])

    def merged(self, other: "Variants") -> "Variants":
        both = Variants(
            np.concatenate([self.positions, other.positions]), self.refs + other.refs, self.alts + other.alts
        )
        return both.take(np.argsort(both.positions, kind="stable"))


class Part(NamedTuple):
    """A stretch of coding sequence; `phase` is how many of its first bases belong to the codon before."""

    start: int
    end: int
    phase: int


@dataclass
class Models:
    """What a GFF3 file says, as far as it is needed here."""

    coding: dict[tuple[str, str], list[Part]] = field(default_factory=lambda: defaultdict(list))  # (transcript, strand)
    exons: list[tuple[int, int]] = field(default_factory=list)
    genes: Rows = field(default_factory=list)


def prepare(folder: Path = FOLDER, sizes: Sizes | None = None, samples: Path | None = None) -> Path:
    """Makes everything in the folder, unless it is there already; returns the folder.

    reference/source-12 and source-24 have reference.toml and the files it names; sites.vcf, many.vcf, tenth.vcf (a tenth
    of many.vcf), genotyped.vcf (100 samples), ungenotyped.vcf (the same records without), small.vcf.
    """
    sizes = sizes or Sizes()
    calls, models = _real_files(samples or samples_folder(), sizes)
    stamp = folder / "made-by"
    made_by = f"{hashlib.sha256(Path(__file__).read_bytes()).hexdigest()} {astuple(sizes)} {models or 'made genes'}\n"
    if stamp.is_file() and stamp.read_text() == made_by:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "source-12").mkdir(parents=True)
    _make(folder, sizes, calls, models)
    stamp.write_text(made_by)
    return folder


def samples_folder() -> Path:
    return Path(os.environ.get("GAS_SAMPLES") or CHECKOUT.parent / "shared" / "samples")


def _real_files(samples: Path, sizes: Sizes) -> tuple[Path | None, Path | None]:
    """The real calls and gene models, which need the whole length."""
    calls = samples / "chr21" / "PG_NA12878_hg38-chr21.vcf.gz"
    models = samples / "chr21" / "ensembl-chr21.gff3.gz"
    there = sizes.length >= Sizes.length and calls.is_file() and models.is_file()
    return (calls, models) if there else (None, None)


def _make(folder: Path, sizes: Sizes, calls: Path | None, gff: Path | None) -> None:
    source = folder / "source-12"
    rng = np.random.default_rng(SEED)
    text = gzip.decompress(gff.read_bytes()).decode() if gff else made_genes(sizes.length, rng)
    (source / "genes.gff3.gz").write_bytes(gzip.compress(text.encode(), 1, mtime=0))
    models = read_models(text)
    bases = LETTERS[rng.integers(0, 256, sizes.length, np.uint8)]
    bases[: sizes.length // 10] = ord("N")  # nearly 5 Mb of the real one are unknown
    open_frames(bases, models.coding)
    real = real_calls(calls) if calls else Variants(np.zeros(0, np.int64), [], [])
    for position, ref in zip(real.positions.tolist(), real.refs, strict=True):
        bases[position : position + len(ref)] = np.frombuffer(ref.encode(), np.uint8)
    write_fasta(source / "genome.fa", bases)

    sites = more(real, sizes.sites, bases, models.exons, rng)
    many = more(sites, sizes.many, bases, models.exons, rng)
    _write_inputs(folder, sizes, sites, many, rng)
    _write_known(source, known_of(sites, many, sizes.known, rng), rng)
    for track in TRACKS:
        _write_bed(source / track.file, rows_of(track, sizes, models, sites, rng))
    names = dict.fromkeys(name for _, _, name in models.genes)
    (source / "gene_names.tsv").write_text("symbol\tname\n" + "".join(f"{n}\t{n} of 21; a gene\n" for n in names))
    (source / "reference.toml").write_text(manifest("bench-12", sizes, copies=1))
    doubled = folder / "source-24"
    doubled.mkdir()
    for file in source.iterdir():
        (doubled / file.name).symlink_to(file)
    (doubled / "reference.toml").unlink()
    (doubled / "reference.toml").write_text(manifest("bench-24", sizes, copies=2))


# --- genes and sequence ----------------------------------------------------------------------------------------------


def made_genes(length: int, rng: np.random.Generator) -> str:
    """GFF3 text as Ensembl writes it: a gene each 55 kb, 1-5 transcripts in each, two in five of them coding."""
    count = max(length // 55_000, 3)
    spot = (length - length // 8) // count
    lines = ["##gff-version 3"]
    for number in range(count):
        start = length // 9 + number * spot + int(rng.integers(spot // 4)) + 1
        lines += _made_gene(f"GENE{number}", start, spot // 2, rng)
    return "\n".join(lines) + "\n"


def _made_gene(name: str, start: int, longest: int, rng: np.random.Generator) -> list[str]:
    strand, coding = "+-"[int(rng.integers(2))], bool(rng.random() < 0.4)
    exons = min(int(rng.integers(1, 12)), longest // 600 + 1)
    biotype = "protein_coding" if coding else "lincRNA"
    about = f"Name={name};biotype={biotype}"
    step = longest // exons
    begins = [start + step * n + int(rng.integers(step // 3)) for n in range(exons)]
    spans = [(begin, begin + int(rng.integers(80, 180))) for begin in begins]
    lines = [_gff("gene", (spans[0][0], spans[-1][1]), strand, ".", f"ID=gene:{name};{about};gene_id={name}")]
    for number in range(int(rng.integers(1, 6))):
        own = spans[: max(len(spans) - number, 1)]
        lines += _made_transcript(f"{name}T{number}", f"gene:{name}", own, strand, biotype)
    return lines


def _made_transcript(name: str, gene: str, spans: list[tuple[int, int]], strand: str, biotype: str) -> list[str]:
    tags = f"ID=transcript:{name};Parent={gene};Name={name};biotype={biotype};transcript_id={name}"
    lines = [_gff("transcript", (spans[0][0], spans[-1][1]), strand, ".", tags)]
    parent = f"Parent=transcript:{name}"
    ordered = spans if strand == "+" else spans[::-1]
    phase, left = 0, sum(end - start + 1 for start, end in spans) // 3 * 3
    for rank, (start, end) in enumerate(ordered, 1):
        lines.append(_gff("exon", (start, end), strand, ".", f"{parent};rank={rank}"))
        if biotype == "protein_coding":
            size = min(end - start + 1, left)
            part = (start, start + size - 1) if strand == "+" else (end - size + 1, end)
            lines.append(_gff("CDS", part, strand, str(phase), f"ID=CDS:{name};{parent};protein_id={name}P"))
            phase, left = (phase - size) % 3, left - size
    return lines


def _gff(kind: str, span: tuple[int, int], strand: str, phase: str, attributes: str) -> str:
    return f"{CONTIG}\tmade\t{kind}\t{span[0]}\t{span[1]}\t.\t{strand}\t{phase}\t{attributes}"


def read_models(text: str) -> Models:
    models = Models()
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        _, _, kind, first, last, _, strand, phase, attributes = line.split("\t")
        start, end = int(first) - 1, int(last)
        tags = dict(tag.split("=", 1) for tag in attributes.split(";") if "=" in tag)
        if kind == "CDS":
            models.coding[tags["Parent"], strand].append(Part(start, end, int(phase)))
        elif kind == "exon":
            models.exons.append((start, end))
        elif tags.get("ID", "").startswith("gene:"):
            models.genes.append((start, end, tags.get("Name", tags["ID"])))
    return models


def open_frames(bases: Array, coding: dict[tuple[str, str], list[Part]]) -> None:
    """Takes stop codons out of coding sequences, in place; whole ones begin with ATG and end with TAA.

    Twice, as transcripts share bases in other frames; longer ones last, so that theirs are right in doubt.
    """
    by_length = sorted(coding.items(), key=_bases_of)
    for (_, strand), parts in by_length + by_length:
        forward = strand == "+"
        ordered = sorted(parts, reverse=not forward)
        steps = [np.arange(part.start, part.end)[:: 1 if forward else -1] for part in ordered]
        places = np.concatenate(steps)[ordered[0].phase :]
        places = places[: len(places) // 3 * 3].reshape(-1, 3)
        codons = bases[places] if forward else COMPLEMENT[bases[places]]
        one, two, three = codons.T
        amber = (two == ord("A")) & ((three == ord("A")) | (three == ord("G")))
        opal = (two == ord("G")) & (three == ord("A"))
        codons[(one == ord("T")) & (amber | opal), 0] = ord("C")  # CAA, CAG and CGA are amino acids
        if len(codons) > 1 and not ordered[0].phase:
            codons[0], codons[-1] = np.frombuffer(b"ATG", np.uint8), np.frombuffer(b"TAA", np.uint8)
        bases[places] = codons if forward else COMPLEMENT[codons]


def _bases_of(item: tuple[object, list[Part]]) -> int:
    return sum(part.end - part.start for part in item[1])


def write_fasta(path: Path, bases: Array, width: int = 60) -> None:
    """With its .fai."""
    whole = len(bases) // width * width
    rows = np.full((whole // width, width + 1), ord("\n"), np.uint8)
    rows[:, :width] = bases[:whole].reshape(-1, width)
    rest = bases[whole:].tobytes()
    path.write_bytes(b">%b\n%b%b" % (CONTIG.encode(), rows.tobytes(), rest + b"\n" if rest else b""))
    pysam.faidx(str(path))


# --- variants --------------------------------------------------------------------------------------------------------


def real_calls(path: Path) -> Variants:
    """The calls of a file; of calls that overlap, the first."""
    positions, refs, alts, last = [], [], [], 0
    for line in gzip.decompress(path.read_bytes()).decode().splitlines():
        if line.startswith("#"):
            continue
        _, pos, _, ref, alt, _ = line.split("\t", 5)
        if int(pos) > last:
            last = int(pos) + len(ref) - 1
            positions.append(int(pos) - 1)
            refs.append(ref.upper())
            alts.append(alt.upper())
    return Variants(np.array(positions, np.int64), refs, alts)


def more(
    variants: Variants, total: int, bases: Array, exons: Iterable[tuple[int, int]], rng: np.random.Generator
) -> Variants:
    """These variants and as many made ones, at other places, that there are `total`; a fifth of these are near exons."""
    wanted = total - len(variants.positions)
    free = bases != ord("N")
    free[variants.positions] = False
    free[-20:] = False  # a deletion has to end before the sequence does
    near = np.zeros(len(bases), bool)
    for start, end in exons:
        near[max(start - NEAR, 0) : end + NEAR] = True
    there = np.flatnonzero(near & free)
    chosen = rng.choice(there, min(wanted // 5, len(there)), replace=False)
    free[chosen] = False
    places = np.concatenate([chosen, _drawn(free, wanted - len(chosen), rng)])
    return variants.merged(made_variants(np.sort(places), bases, rng))


def _drawn(free: Array, count: int, rng: np.random.Generator) -> Array:
    """Different places out of the free ones."""
    drawn = np.zeros(0, np.int64)
    while len(drawn) < count:
        tried = rng.integers(0, len(free), count * 2)
        drawn = np.unique(np.concatenate([drawn, tried[free[tried]]]))
    return rng.choice(drawn, count, replace=False)


def made_variants(places: Array, bases: Array, rng: np.random.Generator) -> Variants:
    """One variant at each place: 85 % SNV, 5 % insertions, 5 % deletions (1-6 bp), 2 % MNV, 3 % with two ALT alleles."""
    count = len(places)
    kind, size, turn = rng.random(count), rng.integers(1, 7, count), rng.integers(1, 4, count)
    pool = LETTERS[rng.integers(0, 256, count + 6, np.uint8)].tobytes().decode()
    letters = bases[places]
    refs, alts = list(letters.tobytes().decode()), list(_other(letters, turn).tobytes().decode())
    second = _other(letters, turn % 3 + 1).tobytes().decode()
    for row in np.flatnonzero(kind >= 0.85).tolist():
        share, length, place = kind[row], int(size[row]), int(places[row])
        if share < 0.90:
            alts[row] = refs[row] + pool[row : row + length]
        elif share < 0.95:
            alts[row], refs[row] = refs[row], bases[place : place + 1 + length].tobytes().decode()
        elif share < 0.97:
            pair = bases[place : place + 2]
            refs[row], alts[row] = pair.tobytes().decode(), _other(pair, turn[row]).tobytes().decode()
        else:
            alts[row] += "," + second[row]
    return Variants(places, refs, alts)


def _other(letters: Array, turn: Array) -> Array:
    """Another base for each: the one 1, 2 or 3 further in ACGT."""
    return BASES[(np.searchsorted(BASES, letters) + turn) % 4]


def known_of(sites: Variants, many: Variants, count: int, rng: np.random.Generator) -> Variants:
    """What the dbSNP-like track has: 60 % of the sites, and others out of the many."""
    common = min(len(sites.positions) * 6 // 10, count)
    chosen = sites.take(np.sort(rng.choice(len(sites.positions), common, replace=False)))
    others = np.flatnonzero(~np.isin(many.positions, sites.positions))
    rest = rng.choice(others, min(count - common, len(others)), replace=False)
    return chosen.merged(many.take(np.sort(rest)))


def _write_inputs(folder: Path, sizes: Sizes, sites: Variants, many: Variants, rng: np.random.Generator) -> None:
    write_vcf(folder / "sites.vcf", sites, sizes.length, rng)
    write_vcf(folder / "many.vcf", many, sizes.length, rng)
    write_vcf(folder / "tenth.vcf", many.take(np.arange(0, len(many.positions), 10)), sizes.length, rng)
    few = sites.take(np.sort(rng.choice(len(sites.positions), sizes.genotyped, replace=False)))
    write_vcf(folder / "ungenotyped.vcf", few, sizes.length, rng)
    write_vcf(folder / "genotyped.vcf", few, sizes.length, rng, SAMPLES)
    small = sites.take(np.sort(rng.choice(len(sites.positions), sizes.small, replace=False)))
    write_vcf(folder / "small.vcf", small, sizes.length, rng)


def write_vcf(path: Path, variants: Variants, length: int, rng: np.random.Generator, samples: int = 0) -> None:
    names = "".join(f"\tS{number}" for number in range(samples))
    header = [
        "##fileformat=VCFv4.2",
        f"##contig=<ID={CONTIG},length={length}>",
        '##FILTER=<ID=PASS,Description="All filters passed">',
        '##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth">',
        '##INFO=<ID=NS,Number=1,Type=Integer,Description="Samples with data">',
        '##INFO=<ID=AN,Number=1,Type=Integer,Description="Alleles called">',
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO" + ("\tFORMAT" + names if samples else ""),
    ]
    # 10,007 endings, so that none comes again within the 32 KB that gzip looks back
    endings = [
        f"{qual}\tPASS\tDP={depth};NS={samples_seen};AN=200"
        for qual, depth, samples_seen in rng.integers((20, 10, 20), (99, 4000, 60), (10_007, 3)).tolist()
    ]
    starts = zip((variants.positions + 1).tolist(), variants.refs, variants.alts, strict=True)
    lines = [f"{CONTIG}\t{pos}\t.\t{r}\t{a}\t{endings[n % 10_007]}" for n, (pos, r, a) in enumerate(starts)]
    with path.open("w", newline="\n") as file:
        file.write("\n".join(header) + "\n")
        if samples:
            genotypes = np.frombuffer(b"\t0|0\t0|1\t1|1", np.uint8).reshape(3, 4)
            calls = genotypes[rng.choice(3, (len(lines), samples), p=[0.8, 0.15, 0.05])].reshape(len(lines), -1)
            lines = [f"{line}\tGT{row.tobytes().decode()}" for line, row in zip(lines, calls, strict=True)]
        file.write("\n".join(lines) + "\n")


# --- tracks ----------------------------------------------------------------------------------------------------------


def rows_of(track: Track, sizes: Sizes, models: Models, sites: Variants, rng: np.random.Generator) -> Rows:
    """The intervals of a track, sorted."""
    if track.name == "CytoBand":
        borders = [min(int(end * 1e6), Sizes.length) * sizes.length // Sizes.length for _, end in BANDS]
        return [(s, e, CONTIG + band) for s, e, (band, _) in zip([0, *borders], borders, BANDS, strict=False)]
    if track.name == "GeneNames":
        return sorted(models.genes)
    count = max(int(track.count * sizes.scale), 1)
    starts: Array = rng.integers(sizes.length // 10, sizes.length - 10, count)
    if track.name == "GWAS":  # associations are at variants
        starts = rng.choice(sites.positions, min(count, len(sites.positions)), replace=False)
    ends = np.minimum(starts + rng.integers(track.shortest, track.longest + 1, len(starts)), sizes.length)
    spans = sorted(zip(starts.tolist(), ends.tolist(), strict=True))
    return [(start, end, f"{track.name}{number}") for number, (start, end) in enumerate(spans)]


def _write_bed(path: Path, rows: Rows) -> None:
    text = "".join(f"{CONTIG}\t{start}\t{end}\t{value}\n" for start, end, value in rows)
    _write_indexed(path, text, "bed")


def _write_known(source: Path, known: Variants, rng: np.random.Generator) -> None:
    header = [
        "##fileformat=VCFv4.2",
        f"##contig=<ID={CONTIG}>",
        '##INFO=<ID=GMAF,Number=1,Type=Float,Description="Minor allele frequency">',
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO",
    ]
    frequencies = (rng.random(len(known.positions)) / 2).tolist()
    records = zip((known.positions + 1).tolist(), known.refs, known.alts, frequencies, strict=True)
    lines = [f"{CONTIG}\t{pos}\trs{n}\t{r}\t{a}\t.\t.\tGMAF={f:.4f}" for n, (pos, r, a, f) in enumerate(records, 100)]
    _write_indexed(source / "dbsnp.vcf.gz", "\n".join([*header, *lines]) + "\n", "vcf")


def _write_indexed(path: Path, text: str, preset: Literal["bed", "vcf"]) -> None:
    """BGZF with .tbi: the programs that we are measured against ask for both."""
    with pysam.BGZFile(str(path), "w", index=None) as file:
        file.write(text.encode())
    pysam.tabix_index(str(path), preset=preset, force=True)


def manifest(name: str, sizes: Sizes, copies: int) -> str:
    """reference.toml, with each track declared this many times under different names."""
    blocks = [
        _table("", name=name, build="GRCh38", description="Chromosome 21 for benchmarks", fasta="genome.fa", promoter=500),
        _table("[[contigs]]", name=CONTIG, length=sizes.length, aliases=["chr21", "NC_000021.9"], genetic_code=1),
        _table("[genes]", file="genes.gff3.gz", source="benchmark", version="1", url="", licence=""),
    ]  # fmt: skip
    for copy in ("", "2")[:copies]:
        blocks += _allele_track(copy)
        for track in TRACKS:
            blocks += _interval_track(track, copy)
    return "\n".join(blocks)


def _allele_track(copy: str) -> list[str]:
    return [
        _table("[[tracks]]", name=f"dbSNP{copy}", kind="allele", file="dbsnp.vcf.gz", **_SOURCE),
        "[[tracks.fields]]\nid = true\n",
        _table("[[tracks.fields]]", info=f"GAS_MAF{copy}", column="GMAF", type="Float", description="Frequency"),
    ]


_SOURCE = {"source": "benchmark", "version": "1", "url": "", "licence": ""}


def _interval_track(track: Track, copy: str) -> list[str]:
    facts: dict[str, object] = {"name": f"{track.name}{copy}", "kind": track.kind, "file": track.file, **_SOURCE}
    column: object = 4
    if track.kind == "gene":
        facts |= {"file": "gene_names.tsv", "columns": {"gene": "symbol"}}
        column = "name"
    if track.kind == "proportional":
        facts["overlap"] = f"{track.info}{copy}_OVERLAP"
    text = _table("[[tracks.fields]]", info=f"{track.info}{copy}", column=column, type="String", description=track.name)
    return [_table("[[tracks]]", **facts), text]


def _table(heading: str, **values: object) -> str:
    """TOML, whose strings, numbers and lists are written as in JSON."""
    lines = [heading] if heading else []
    for key, value in values.items():
        if isinstance(value, dict):
            lines.append(f"{key} = {{{', '.join(f'{k} = {json.dumps(v)}' for k, v in value.items())}}}")
        else:
            lines.append(f"{key} = {json.dumps(value)}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    prepare()
