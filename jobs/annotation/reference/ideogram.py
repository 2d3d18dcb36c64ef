"""The tables in the npm package ideogram 1.53.0 (CC0), which derive from Ensembl 110 and ClinVar of 2024-12-15."""

import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jobs.annotation.errors import AnnotationError

VERSION = "1.53.0"
LICENCE = "CC0-1.0"
DATA = "ideogram/dist/data/"


@dataclass(frozen=True)
class Table:
    """A file of the package, pinned by its SHA-256."""

    what: str
    path: str
    sha256: str


GENES = Table(
    "genes",
    DATA + "cache/genes/homo-sapiens-genes.tsv.gz",
    "710228fe86ec5bde458503df499a8e04c4793b38ead36ef8d87de593b2c71ed8",
)
STRUCTURES = Table(
    "gene structures",
    DATA + "cache/gene-structures/homo-sapiens-gene-structures.tsv.gz",
    "163903deceb2b320ecebdbeb2c451a95c8684cfd0e66d91209964dc04196972c",
)
SYNONYMS = Table(
    "synonyms",
    DATA + "cache/synonyms/homo-sapiens-synonyms.tsv.gz",
    "f761de4cf068a2de29b4f31acb6b8e59cbbe94011b6aef787a01915c10e1ab8f",
)
VARIANTS = Table(
    "ClinVar variants",
    DATA + "cache/variants/homo-sapiens-variants.tsv.gz",
    "f4b72c14e3cdb275921e2d82394c359c2bf6daa1d1900b9c8ea4c10269ce8be2",
)
VARIANT_KEYS = Table(
    "ClinVar keys",
    DATA + "cache/variants/homo-sapiens-variants.tsv.li.gz",
    "87b82f3c661c969ff8fa10da3eb806655d4c01a4fd24046863fa15aaeca81434",
)
BANDS = Table(
    "cytobands",
    DATA + "bands/native/homo-sapiens-GCF_000001405.26.json",
    "9ab9e1e01c8ed6686627745e5713079fc0d9621a5e01aecf4f47c7a1c56214ef",
)

# The tables give strands of coding genes only. tRNAs on the minus strand (feature table of NC_012920.1):
MINUS_TRNAS = {"MT-TQ", "MT-TA", "MT-TN", "MT-TC", "MT-TY", "MT-TS1", "MT-TE", "MT-TP"}
# The control region (D-loop) of NC_012920.1, join(16024..16569,1..576)
D_LOOP = [(1, 576), (16024, 16569)]

_BIOTYPES = {"0": "protein_coding", "1": "nonsense_mediated_decay", "2": "non_stop_decay", "3": "protein_coding_LoF"}
_EXON = "1"  # the other features are untranslated parts of exons

Span = tuple[int, int]  # 1-based, both ends included


def rows(node_modules: Path, table: Table) -> Iterator[list[str]]:
    """The rows of a table. Raises AnnotationError when it is missing or another than expected."""
    for line in gzip.decompress(content(node_modules, table)).decode().splitlines():
        if not line.startswith("#"):
            yield line.split("\t")


def content(node_modules: Path, table: Table) -> bytes:
    """The bytes of a table, checked."""
    path = node_modules / table.path
    if not path.is_file():
        raise AnnotationError("reference_missing", f"{path} is missing. Install it with: npm ci")
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != table.sha256:
        raise AnnotationError("reference_missing", f"{path} is not that of ideogram {VERSION}: its SHA-256 differs.")
    return data


def gff(node_modules: Path, contigs: set[str]) -> Iterator[str]:
    """GFF3 in the dialect of Ensembl: genes, and the transcripts of coding ones.

    UTR lines are left out: exons and CDS say as much, and csq needs them for contigs with a sequence only, here MT,
    which has none. Of genes that are not coding the tables have the span alone; on MT, where no gene has an intron,
    that is all of it.
    """
    yield "##gff-version 3\n"
    if "MT" in contigs:
        for first, last in D_LOOP:
            yield f"MT\tNC_012920.1\tD_loop\t{first}\t{last}\t.\t.\t.\tID=D_loop:{first};Name=D-loop\n"
    structures: dict[str, list[list[str]]] = {}
    for row in rows(node_modules, STRUCTURES):
        structures.setdefault(row[0].rpartition("-")[0], []).append(row)
    seen = set()
    table = list(rows(node_modules, GENES))
    starts: dict[tuple[str, str], list[int]] = {}
    for contig, start, _, _, symbol, *_ in table:
        starts.setdefault((contig, symbol.partition("-")[0]), []).append(int(start))
    for contig, start, length, number, symbol, *_ in table:
        if contig in contigs and (contig, number) not in seen:
            seen.add((contig, number))
            gene = f"ENSG{number.zfill(11)}"
            place = contig, int(start), int(start) + int(length)
            family = starts[contig, symbol.partition("-")[0]]
            based = [
                (base, row) for row in structures.get(symbol, []) if (base := _base(place, row, family)) is not None
            ]
            yield from _gene(place, gene, symbol, based)


def _base(place: tuple[str, int, int], row: list[str], family: list[int]) -> int | None:
    """What the places of a transcript count from: the start of its gene, so that it lies within it.

    The tables take genes whose names agree up to a hyphen (HLA-A and HLA-F, all of MT-) for one in places, and count
    from the start of another. A transcript that fits nowhere, or in two ways, is left out: None.
    """
    _, start, end = place
    spans = [feature.split(";")[1:] for feature in row[4:]]
    first = int(row[1]) + min(int(at) for at, _ in spans)
    last = int(row[1]) + max(int(at) + int(length) for at, length in spans)
    bases = [base for base in {start, *family} if start <= base + first and base + last <= end]
    return start if start in bases else bases[0] if len(bases) == 1 else None


def _gene(
    place: tuple[str, int, int], gene: str, symbol: str, structures: list[tuple[int, list[str]]]
) -> Iterator[str]:
    contig, start, end = place
    strand, biotype = ".", ""
    if structures:
        strand, biotype = structures[0][1][3], _BIOTYPES[min(row[2] for _, row in structures)]
    elif contig == "MT":
        strand, biotype = "-" if symbol in MINUS_TRNAS else "+", "Mt_rRNA" if "RNR" in symbol else "Mt_tRNA"
    kind = f";biotype={biotype}" if biotype else ""
    yield f"{contig}\tEnsembl\tgene\t{start}\t{end}\t.\t{strand}\t.\tID=gene:{gene};Name={symbol}{kind}\n"
    if contig == "MT" and not structures:
        parent = f"transcript:{symbol}-201"
        text = f"ID={parent};Parent=gene:{gene};biotype={biotype};tag=Ensembl_canonical"
        yield f"{contig}\tEnsembl\ttranscript\t{start}\t{end}\t.\t{strand}\t.\t{text}\n"
        yield f"{contig}\tEnsembl\texon\t{start}\t{end}\t.\t{strand}\t.\tParent={parent}\n"
    for number, (base, row) in enumerate(structures):
        yield _transcript(contig, base, gene, row, canonical=number == 0)


def _transcript(contig: str, start_of_places: int, gene: str, row: list[str], *, canonical: bool) -> str:
    """The lines of a transcript; the table has the canonical one of a gene first, and places relative to it."""
    name, offset, biotype, strand, *features = row
    exons: list[Span] = []
    untranslated: list[Span] = []
    base = start_of_places + int(offset)
    for feature in features:
        kind, first, length = feature.split(";")
        start = base + int(first)
        (exons if kind == _EXON else untranslated).append((start, start + int(length)))
    exons.sort()
    untranslated.sort()
    head, tail = f"{contig}\tEnsembl\t", f".\t{strand}\t"
    parent = f"Parent=transcript:{name}"
    text = f"ID=transcript:{name};Parent=gene:{gene};biotype={_BIOTYPES[biotype]}"
    tag = ";tag=Ensembl_canonical" if canonical else ""
    lines = [f"{head}transcript\t{exons[0][0]}\t{exons[-1][1]}\t{tail}.\t{text}{tag}\n"]
    lines += [f"{head}exon\t{start}\t{end}\t{tail}.\t{parent}\n" for start, end in exons]
    done = 0
    coding = _without(exons, untranslated)
    for start, end in coding if strand == "+" else reversed(coding):
        lines.append(f"{head}CDS\t{start}\t{end}\t{tail}{-done % 3}\tID=CDS:{name};{parent}\n")
        done += end - start + 1
    return "".join(lines)


def _without(exons: list[Span], untranslated: list[Span]) -> list[Span]:
    """What of the exons is coding, in order."""
    coding = []
    for start, end in exons:
        at = start
        for left, right in untranslated:
            if right < at or left > end:
                continue
            if at < left:
                coding.append((at, left - 1))
            at = right + 1
        if at <= end:
            coding.append((at, end))
    return coding


def bed(node_modules: Path) -> Iterator[str]:
    """Cytobands as BED; the fourth column is chromosome and band: 21q11.2."""
    for band in json.loads(content(node_modules, BANDS))["chrBands"]:
        contig, arm, name, _, _, start, end, *_ = band.split(" ")
        yield f"{contig}\t{int(start) - 1}\t{end}\t{contig}{arm}{name}\n"


CLINVAR_COLUMNS = ("chrom", "pos", "ref", "alt", "rs", "variation", "significance", "disease", "effect", "review")


def clinvar(node_modules: Path) -> Iterator[str]:
    """ClinVar variants as a table with the columns of CLINVAR_COLUMNS; values of one variant are parted by '|'."""
    keys = _keys(node_modules)
    diseases = [entry.partition("|")[2] for entry in keys["disease_mondo_ids_and_names"]]
    effects = [entry.partition("|")[2] for entry in keys["molecular_consequences"]]
    yield "\t".join(CLINVAR_COLUMNS) + "\n"
    for row in rows(node_modules, VARIANTS):
        contig, pos, number, ref, alt, disease, _, review, significance, _, effect, _, rs = [*row, ""][:13]
        values = [
            f"rs{rs}" if rs else "",
            number,
            keys["clinical_significances"][int(significance)],
            _named(disease, diseases),
            _named(effect, effects),
            keys["clinical_review_statuses"][int(review)],
        ]
        yield "\t".join([contig, pos, ref, alt, *values]) + "\n"


def _named(numbers: str, names: list[str]) -> str:
    return "|".join(names[int(number)] for number in numbers.split(",") if number)


def _keys(node_modules: Path) -> dict[str, list[str]]:
    """What the numbers in the table of variants stand for; written as comments `# name = [...]`."""
    keys = {}
    for line in gzip.decompress(content(node_modules, VARIANT_KEYS)).decode().splitlines():
        name, equals, values = line.removeprefix("# ").partition(" = ")
        if line.startswith("#") and equals:
            keys[name] = json.loads(values)
    return keys


def names(node_modules: Path) -> Iterator[str]:
    """Names and aliases of genes as a table: symbol, name, aliases parted by '|'."""
    aliases = {row[0]: "|".join(row[1:]) for row in rows(node_modules, SYNONYMS)}
    yield "symbol\tname\taliases\n"
    seen = set()
    for row in rows(node_modules, GENES):
        symbol, name = row[4], row[5] if len(row) > 5 else ""
        if symbol not in seen and (name or symbol in aliases):
            seen.add(symbol)
            yield f"{symbol}\t{name}\t{aliases.get(symbol, '')}\n"
