"""Installed references: where they are, and what they say of a contig.

A reference is a folder `<root>/<name>/`, whose `current` leads to the version in use: `reference.toml` says what is in
it, `genome.fa` has the bases, and each contig has one file of arrays and one of gene models. All of it is read by
memory map, by whatever part is asked for. The root is $GAS_REFERENCE_DIR, else `var/reference` of the checkout.
"""

import functools
import hashlib
import mmap
import os
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from jobs.annotation.errors import AnnotationError
from jobs.annotation.fields import Field
from jobs.annotation.hgvs import Transcripts
from jobs.annotation.tracks import AlleleTrack, IntervalTrack

from . import arrays

CHECKOUT = Path(__file__).resolve().parents[3]
DEFAULTS = ("GRCh38", "rCRS")
FORMAT = 3  # of the built files; raise it when they change
OPEN_CONTIGS = 2  # kept in reach at a time: memory grows with the largest contig, not with their number


@dataclass(frozen=True)
class Track:
    """A declared track: `kind` is allele, interval, proportional or gene; `id_field` is which value is for ID, or -1."""

    name: str
    kind: str
    fields: list[Field]
    overlap: Field | None
    id_field: int


@dataclass(frozen=True)
class Source:
    """What a reference was built from."""

    name: str
    version: str
    sha256: str
    licence: str


@dataclass(frozen=True, eq=False)
class Contig:
    """One sequence of a reference; without bases when the reference has no FASTA for it."""

    folder: Path
    name: str
    length: int
    md5: str
    genetic_code: int
    bases_at: int  # in genome.fa, -1 without bases

    @property
    def data(self) -> "ContigData":
        return _data(self)


class ContigData:
    """The mapped data of a contig."""

    def __init__(self, contig: Contig, tracks: list[Track]) -> None:
        self.contig = contig
        self.arrays = arrays.load(contig.folder / f"{contig.name}.arrays")
        self.intervals = {
            track.name: IntervalTrack(self.arrays, track.name, names, track.overlap.key if track.overlap else None)
            for track in tracks
            if track.kind != "allele" and f"{track.name}/breaks" in self.arrays
            for names in [[field.key for field in track.fields]]
        }
        self.alleles = {
            track.name: AlleleTrack(self.arrays, track.name, len(track.fields) + (track.id_field >= 0))
            for track in tracks
            if track.kind == "allele" and f"{track.name}/key" in self.arrays
        }
        self.has_genes = "gene/breaks" in self.arrays

    @cached_property
    def bases(self) -> memoryview | None:
        """The sequence in upper case, or None."""
        if self.contig.bases_at < 0:
            return None
        skipped = self.contig.bases_at % mmap.ALLOCATIONGRANULARITY
        with (self.contig.folder / "genome.fa").open("rb") as file:
            size, offset = skipped + self.contig.length, self.contig.bases_at - skipped
            mapped = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ, offset=offset)
        return memoryview(mapped)[skipped:]

    def sequence(self, start: int, end: int) -> bytes:
        """The bases start..end, half-open. Only for a contig that has them."""
        assert self.bases is not None
        return bytes(self.bases[start:end])

    @cached_property
    def gene(self) -> IntervalTrack:
        return IntervalTrack(self.arrays, "gene", [b"GAS_GENE"])

    @cached_property
    def location(self) -> IntervalTrack:
        return IntervalTrack(self.arrays, "location", [b"GAS_LOCATION", b"GAS_REGION"])

    def nearest(self, first: arrays.Array, last: arrays.Array) -> list[bytes]:
        """`;GAS_NEAREST=gene|distance` for bases first..last that lie in no gene; nothing on a contig without genes."""
        start = self.arrays["gene/start"]
        if not len(start):
            return [b""] * len(first)
        before = np.searchsorted(start, first, "right") - 1
        after = np.searchsorted(start, last, "right")
        left = np.where(before >= 0, self._last_to_end[before], 0)
        right = np.minimum(after, len(start) - 1)
        far = np.iinfo(np.int64).max
        behind = np.where(before >= 0, first - self.arrays["gene/end"][left] + 1, far)
        ahead = np.where(after < len(start), start[right] - last, far)
        genes = np.where(ahead < behind, right, left)
        symbols = {gene: self.gene.values(gene)[0] for gene in set(genes.tolist())}
        distances = np.minimum(behind, ahead).tolist()
        return [
            b";GAS_NEAREST=%b|%d" % (symbols[gene], distance)
            for gene, distance in zip(genes.tolist(), distances, strict=True)
        ]

    @cached_property
    def _last_to_end(self) -> arrays.Array:
        """For each gene, which of those that start no later ends last."""
        end = self.arrays["gene/end"]
        furthest = np.maximum.accumulate(end)
        return np.maximum.accumulate(np.where(end == furthest, np.arange(len(end)), 0))

    def transcripts(self, genes: list[int]) -> Transcripts:
        """The transcripts of some genes. Only for a contig that has bases."""
        assert self.bases is not None
        return Transcripts(self.arrays, genes, self.bases, self.contig.genetic_code)

    def gff(self, genes: list[int]) -> bytes:
        """The GFF3 lines of some genes."""
        at = self.arrays["gene/gff_at"]
        with (self.contig.folder / f"{self.contig.name}.gff3").open("rb") as file:
            return b"".join(os.pread(file.fileno(), int(at[gene + 1] - at[gene]), int(at[gene])) for gene in genes)


@dataclass(frozen=True, eq=False)
class Reference:
    """An installed reference; `digest` is that of its reference.toml, which lists those of its files."""

    name: str
    build: str
    description: str
    digest: str
    folder: Path
    sources: list[Source]
    contigs: list[Contig]
    aliases: dict[bytes, Contig]
    tracks: list[Track]
    genes_source: tuple[str, str] | None

    @property
    def fasta(self) -> Path:
        return self.folder / "genome.fa"

    def facts(self) -> dict[str, str]:
        """What a result says of its reference."""
        return {
            "name": self.name,
            "build": self.build,
            "description": self.description,
            "digest": self.digest,
            "sources": ", ".join(f"{source.name} {source.version}".strip() for source in self.sources),
        }

    def contig(self, name: bytes) -> Contig | None:
        """The contig that a file means by this name, or None when the reference does not have it."""
        return self.aliases.get(name)


def root() -> Path:
    """The folder of all references."""
    return Path(os.environ.get("GAS_REFERENCE_DIR") or CHECKOUT / "var" / "reference")


def installed() -> list[str]:
    """Names of the references that are there."""
    return sorted(path.parent.parent.name for path in root().glob("*/current/reference.toml"))


def load(name: str) -> Reference:
    """The reference of this name. Raises AnnotationError `reference_missing`."""
    try:
        if Path(name).name != name:
            raise FileNotFoundError(name)
        return _load((root() / name / "current").resolve(strict=True))
    except (OSError, ValueError, KeyError) as error:
        raise AnnotationError(
            "reference_missing",
            f"The reference {name} is not installed or is damaged. Install it with: "
            f"python manage.py reference install {name}; "
            "those that come with GAS with: python -m jobs.annotation.reference install-default",
        ) from error


@functools.lru_cache(maxsize=8)
def _load(folder: Path) -> Reference:
    """Read once for each version, so that a warm process has it ready."""
    text = (folder / "reference.toml").read_bytes()
    facts = tomllib.loads(text.decode())
    if facts.get("format") != FORMAT:
        raise AnnotationError(
            "reference_missing",
            f"The reference {facts['name']} has the format {facts.get('format')} of another version of GAS, where this "
            f"one reads {FORMAT}. Build it again: python manage.py reference install {facts['name']}, or for one of "
            "your own: python manage.py reference build DIR",
        )
    bases_at = _fasta_index(folder / "genome.fa.fai")
    contigs: list[Contig] = []
    aliases: dict[bytes, Contig] = {}
    for entry in facts["contigs"]:
        name = entry["name"]
        code = entry.get("genetic_code", 1)
        contig = Contig(folder, name, entry["length"], entry.get("md5", ""), code, bases_at.get(name, -1))
        contigs.append(contig)
        aliases |= {alias.encode(): contig for alias in [name, *entry.get("aliases", [])]}
    genes = facts.get("genes")
    return Reference(
        name=facts["name"],
        build=facts["build"],
        description=facts.get("description", ""),
        digest="sha256:" + hashlib.sha256(text).hexdigest(),
        folder=folder,
        sources=[_source(entry) for entry in facts.get("sources", [])],
        contigs=contigs,
        aliases=aliases,
        tracks=[_track(entry) for entry in facts.get("tracks", [])],
        genes_source=(genes.get("source", ""), str(genes.get("version", ""))) if genes else None,
    )


def _source(entry: dict[str, Any]) -> Source:
    return Source(entry["name"], str(entry.get("version", "")), entry.get("sha256", ""), entry.get("licence", ""))


def _track(entry: dict[str, Any]) -> Track:
    """A track and its fields; the value for the ID column is no INFO field."""
    number = "A" if entry["kind"] == "allele" else "."
    source, version = entry.get("source", entry["name"]), str(entry.get("version", ""))
    fields, id_field = [], -1
    for place, declared in enumerate(entry["fields"]):
        if declared.get("id"):
            id_field = place
            continue
        kind = declared.get("type", "String")
        text, example = declared.get("description", ""), str(declared.get("example", ""))
        fields.append(Field(declared["info"], number, kind, text, source, version, example))
    overlap = None
    if name := entry.get("overlap"):
        text = f"Per cent of the variant that each entry of {fields[0].name} covers"
        overlap = Field(name, ".", "Float", text, source, version, "100")
    return Track(entry["name"], entry["kind"], fields, overlap, id_field)


def _fasta_index(path: Path) -> dict[str, int]:
    """Where the bases of each contig start in the FASTA file, which has them on one line."""
    if not path.is_file():
        return {}
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    return {name: int(offset) for name, _, offset, *_ in rows}


@functools.lru_cache(maxsize=OPEN_CONTIGS)
def _data(contig: Contig) -> ContigData:
    return ContigData(contig, _load(contig.folder).tracks)
