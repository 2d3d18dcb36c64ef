"""Installed references: where they are and what they hold.

`python -m jobs.annotation.references install` makes the default one. A reference is a folder `<root>/<name>/`
with `reference.toml`, a FASTA file with its .fai, and one GFF3 file for each contig. The root is
$GAS_REFERENCE_DIR, else `var/reference` of the checkout.
"""

import functools
import hashlib
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

from jobs.annotation.errors import AnnotationError
from jobs.annotation.genes import Features, read_gff

CHECKOUT = Path(__file__).resolve().parents[3]
DEFAULT = "rCRS"


@dataclass(frozen=True)
class Contig:
    """One sequence of a reference: upper-case bases, gene models and NCBI translation table number."""

    name: str
    sequence: bytes
    md5: str
    genetic_code: int
    gff: Path
    features: Features


@dataclass(frozen=True)
class Source:
    """A package that a reference was built from."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True)
class Reference:
    """An installed reference; `digest` is that of reference.toml, which lists those of its files."""

    name: str
    build: str
    description: str
    digest: str
    fasta: Path
    sources: list[Source]
    contigs: list[Contig]
    aliases: dict[bytes, Contig]

    def facts(self) -> dict[str, str]:
        """What a result says of its reference."""
        return {
            "name": self.name,
            "build": self.build,
            "description": self.description,
            "digest": self.digest,
            "sources": ", ".join(f"{source.name} {source.version}" for source in self.sources),
        }

    def contig(self, name: bytes) -> Contig | None:
        """The contig that a file means by this name, or None when the reference does not have it."""
        return self.aliases.get(name)


def root() -> Path:
    """The folder of all references."""
    return Path(os.environ.get("GAS_REFERENCE_DIR") or CHECKOUT / "var" / "reference")


def load(name: str | None = None) -> Reference:
    """The reference of this name (default rCRS). Raises AnnotationError `reference_missing`."""
    name = name or DEFAULT
    folder = root() / name
    try:
        if Path(name).name != name:
            raise FileNotFoundError(name)
        return _load(folder, (folder / "reference.toml").stat().st_mtime_ns)
    except (OSError, ValueError, KeyError) as error:
        raise AnnotationError(
            "reference_missing",
            f"The reference {name} is not installed or is damaged. Install it with: "
            "python -m jobs.annotation.references install",
        ) from error


@functools.lru_cache(maxsize=4)
def _load(folder: Path, _mtime_ns: int) -> Reference:
    """Read once for each installation, so that a warm process has it ready."""
    text = (folder / "reference.toml").read_bytes()
    facts = tomllib.loads(text.decode())
    fasta = folder / facts["fasta"]
    sequences = _sequences(fasta)
    contigs: list[Contig] = []
    aliases: dict[bytes, Contig] = {}
    for entry in facts["contigs"]:
        contig = Contig(
            name=entry["name"],
            sequence=sequences[entry["name"]],
            md5=entry["md5"],
            genetic_code=entry["genetic_code"],
            gff=folder / entry["gff"],
            features=read_gff(folder / entry["gff"]),
        )
        contigs.append(contig)
        aliases |= {alias.encode(): contig for alias in [contig.name, *entry["aliases"]]}
    return Reference(
        name=facts["name"],
        build=facts["build"],
        description=facts["description"],
        digest="sha256:" + hashlib.sha256(text).hexdigest(),
        fasta=fasta,
        sources=[Source(s["name"], s["version"], s["sha256"]) for s in facts["sources"]],
        contigs=contigs,
        aliases=aliases,
    )


def _sequences(fasta: Path) -> dict[str, bytes]:
    sequences = {}
    for entry in fasta.read_bytes().split(b">")[1:]:
        head, _, body = entry.partition(b"\n")
        sequences[head.split()[0].decode()] = body.replace(b"\n", b"").upper()
    return sequences
