"""What a reference is built from: `reference.toml` of a source folder, read and checked.

The format is that of docs/references.md. What is wrong with a declaration is told in whole sentences, all at once.
"""

import re
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs.annotation.errors import AnnotationError

SOURCE_FAULT = "reference_missing"  # the code of every error in a declaration or a source file
FILE_NAME = "reference.toml"
PROMOTER = 500  # bp upstream of a transcript
KINDS = ("allele", "interval", "proportional", "gene")
TYPES = ("String", "Integer", "Float")
FREQUENCIES = ("alt", "minor", "population")
FORMATS = {".vcf": "vcf", ".bed": "bed", ".gff": "gff", ".gff3": "gff", ".tsv": "tsv", ".txt": "tsv", ".tab": "tsv"}
BUILT_IN = {"gene", "location", "near", "far", "transcript", "exon"}  # tracks made from the gene models

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_INFO = re.compile(r"GAS_[A-Za-z0-9_.]+")
_MITOCHONDRIAL = ("MT", "chrM", "M", "chrMT")
_REQUIRED_COLUMNS = {"allele": {"chrom", "start", "ref", "alt"}, "gene": {"gene"}}


@dataclass(frozen=True)
class Contig:
    """A sequence. `length` (bp) and `md5` (of the upper-case bases) are None while only the FASTA knows them."""

    name: str
    length: int | None = None
    aliases: tuple[str, ...] = ()
    genetic_code: int = 1  # number of the NCBI translation table
    md5: str | None = None
    promoter: int = PROMOTER


@dataclass(frozen=True)
class Field:
    """What of a track is written where: to the INFO field `info`, or to the column ID."""

    column: str | int
    info: str = ""
    id: bool = False
    type: str = "String"
    description: str = ""
    populations: tuple[bytes, ...] = ()  # of a column like dbSNP's FREQ: the first that has a frequency is taken
    frequency: str = ""  # and what of it

    @property
    def is_joined(self) -> bool:
        """Whether the values of equal alleles are joined; of numbers, and the studies of numbers, the first is taken."""
        return self.type == "String" and not self.populations


@dataclass(frozen=True)
class Track:
    """A file of positions with values. `facts` is its table in the declaration, as written."""

    name: str
    kind: str
    file: Path
    format: str
    fields: tuple[Field, ...]
    columns: dict[str, str | int] = field(default_factory=dict)
    one_based: bool = False
    overlap: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Chain:
    """A chain file, and the build that it leads from. `facts` is its table in the declaration, as written."""

    build: str
    file: Path
    facts: dict[str, Any]


@dataclass(frozen=True)
class Declaration:
    """A checked declaration. `facts` is the whole file as written; paths are absolute."""

    name: str
    facts: dict[str, Any]
    contigs: tuple[Contig, ...]
    tracks: tuple[Track, ...]
    chains: tuple[Chain, ...]
    fasta: Path | None
    genes: Path | None
    promoter: int


def read(folder: Path) -> Declaration:
    """The declaration of a source folder. Raises AnnotationError with one sentence for each fault."""
    path = folder / FILE_NAME
    try:
        facts = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise AnnotationError(SOURCE_FAULT, f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise AnnotationError(SOURCE_FAULT, f"{path} is not TOML: {error}.") from error
    reader = _Reader(folder, facts)
    declaration = reader.declaration()
    if reader.faults:
        raise AnnotationError(SOURCE_FAULT, *(f"{path}: {fault}" for fault in reader.faults))
    return declaration


def usual_aliases(name: str) -> tuple[str, ...]:
    """How else files call a human chromosome: chr1 and 1, MT and chrM."""
    if name in _MITOCHONDRIAL:
        return tuple(alias for alias in _MITOCHONDRIAL if alias != name)
    if re.fullmatch(r"chr([0-9]+|[XY])", name):
        return (name.removeprefix("chr"),)
    return (f"chr{name}",) if re.fullmatch(r"[0-9]+|[XY]", name) else ()


def usual_code(name: str) -> int:
    """Translation table 2 (vertebrate mitochondrial) for the mitochondrial contig, else 1."""
    return 2 if name in _MITOCHONDRIAL else 1


class _Reader:
    """Turns the tables of a declaration into objects and gathers what is wrong with them."""

    def __init__(self, folder: Path, facts: dict[str, Any]) -> None:
        self.folder, self.facts = folder, facts
        self.faults: list[str] = []

    def declaration(self) -> Declaration:
        name = self.value(self.facts, "the reference", "name", str, required=True)
        if name and not _NAME.fullmatch(name):
            self.faults.append(f"the name {name!r} may hold letters, digits, '.', '_' and '-' only.")
        self.value(self.facts, "the reference", "build", str, required=True)
        promoter = self.value(self.facts, "the reference", "promoter", int, PROMOTER)
        genes = self.value(self.facts, "the reference", "genes", dict, {})
        declaration = Declaration(
            name=name,
            facts=self.facts,
            contigs=tuple(self.contig(table, promoter) for table in self.tables("contigs")),
            tracks=tuple(self.track(table) for table in self.tables("tracks")),
            chains=tuple(self.chain(table) for table in self.tables("chains")),
            fasta=self.file(self.facts, "the reference", "fasta"),
            genes=self.file(genes, "[genes]", "file", required=bool(genes)),
            promoter=promoter,
        )
        self.check_whole(declaration)
        return declaration

    def check_whole(self, declaration: Declaration) -> None:
        if not declaration.contigs and not declaration.fasta:
            self.faults.append("there are neither [[contigs]] nor a fasta file.")
        names = [name for contig in declaration.contigs for name in {contig.name, *contig.aliases}]
        self.unique("contig name or alias", names)
        self.unique("build of a chain file", [chain.build for chain in declaration.chains])
        self.unique("track", [track.name for track in declaration.tracks])
        infos = [field.info for track in declaration.tracks for field in track.fields if field.info]
        self.unique("INFO field", infos + [track.overlap for track in declaration.tracks if track.overlap])
        if any(track.kind == "gene" for track in declaration.tracks) and not declaration.genes:
            self.faults.append('a track of kind "gene" needs gene models; declare them with [genes].')

    def unique(self, what: str, names: list[str]) -> None:
        self.faults += [f"the {what} {name!r} occurs {n} times." for name, n in Counter(names).items() if n > 1]

    def contig(self, table: dict[str, Any], promoter: int) -> Contig:
        name = self.value(table, "a contig", "name", str, required=True)
        where = f"contig {name!r}"
        if name and not _NAME.fullmatch(name):
            self.faults.append(f"{where}: a name may hold letters, digits, '.', '_' and '-' only.")
        length = self.value(table, where, "length", int)
        if length is None and "fasta" not in self.facts:
            self.faults.append(f"{where} needs a length, because there is no fasta file.")
        if length is not None and not 0 < length < 2**31:
            self.faults.append(f"{where}: the length {length} is not between 1 and {2**31 - 1}.")
        aliases = self.value(table, where, "aliases", list, [])
        return Contig(
            name,
            length,
            tuple(str(alias) for alias in aliases),
            self.value(table, where, "genetic_code", int, usual_code(name)),
            self.value(table, where, "md5", str),
            self.value(table, where, "promoter", int, promoter),
        )

    def chain(self, table: dict[str, Any]) -> Chain:
        build = self.value(table, "a chain file", "from", str, required=True)
        file = self.file(table, f"the chain file from {build}", "file", required=True)
        return Chain(build, file or self.folder, table)

    def track(self, table: dict[str, Any]) -> Track:
        name = self.value(table, "a track", "name", str, required=True)
        where = f"track {name!r}"
        if name in BUILT_IN or not name or "/" in name:
            self.faults.append(f"{where}: choose another name; these are taken: {', '.join(sorted(BUILT_IN))}.")
        kind = self.choice(table, where, "kind", KINDS)
        file = self.file(table, where, "file", required=True)
        suffix = Path(file.name.removesuffix(".gz").removesuffix(".bgz")).suffix if file else ""
        form = self.choice(table, where, "format", sorted(set(FORMATS.values())), FORMATS.get(suffix, ""))
        fields = tuple(self.field(entry, where, kind) for entry in self.tables("fields", table, where))
        if not fields:
            self.faults.append(f"{where} has no [[tracks.fields]], so that nothing of it would be written.")
        columns = self.value(table, where, "columns", dict, {})
        required = _REQUIRED_COLUMNS.get(kind, {"chrom", "start", "end"}) if form == "tsv" else set()
        if missing := sorted(required - columns.keys()):
            self.faults.append(f"{where}: columns must also name {', '.join(missing)}.")
        if (kind == "allele" and form not in ("vcf", "tsv")) or (kind == "gene" and form != "tsv"):
            self.faults.append(f'{where}: a track of kind "{kind}" cannot be read from a {form} file.')
        if any(field.populations for field in fields) and (kind, form) != ("allele", "vcf"):
            self.faults.append(f'{where}: populations belong to tracks of kind "allele" from a vcf file.')
        overlap = self.value(table, where, "overlap", str, "")
        if (kind == "proportional") != bool(_INFO.fullmatch(overlap)):
            self.faults.append(
                f'{where}: overlap = "GAS_..." belongs to tracks of kind "proportional", and to no other.'
            )
        one_based = self.value(table, where, "one_based", bool, False)
        return Track(name, kind, file or Path(), form, fields, columns, one_based, overlap, table)

    def field(self, table: dict[str, Any], where: str, kind: str) -> Field:
        info = self.value(table, where, "info", str, "")
        is_id = self.value(table, where, "id", bool, False)
        if is_id == bool(info):
            self.faults.append(f"{where}: a field needs either info or id = true.")
        if info and not _INFO.fullmatch(info):
            self.faults.append(
                f"{where}: the INFO name {info!r} must start with GAS_ and go on with letters, digits, _."
            )
        if is_id and kind != "allele":
            self.faults.append(f'{where}: only a track of kind "allele" can fill the column ID.')
        column = table.get("column", "ID" if is_id else None)
        if not isinstance(column, str | int) or isinstance(column, bool):
            self.faults.append(f"{where}: a field needs a column, by name or number.")
            column = ""
        type_ = self.choice(table, where, "type", TYPES, "String")
        description = self.value(table, where, "description", str, "")
        return Field(column, info, is_id, type_, description, *self.frequency(table, where))

    def frequency(self, table: dict[str, Any], where: str) -> tuple[tuple[bytes, ...], str]:
        """Of which populations, and what, a field has that is a frequency."""
        populations = self.value(table, where, "populations", list, [])
        if not populations:
            if "frequency" in table:
                self.faults.append(f"{where}: frequency = ... needs populations = [...], in the order of preference.")
            return (), ""
        what = self.choice(table, where, "frequency", FREQUENCIES, FREQUENCIES[0])
        return tuple(str(population).encode() for population in populations), what

    def tables(
        self, key: str, table: dict[str, Any] | None = None, where: str = "the reference"
    ) -> list[dict[str, Any]]:
        entries = self.value(self.facts if table is None else table, where, key, list, [])
        if all(isinstance(entry, dict) for entry in entries):
            return list(entries)
        self.faults.append(f"{where}: {key} must be tables, each headed [[{key}]].")
        return []

    def choice(self, table: dict[str, Any], where: str, key: str, allowed: Any, default: str = "") -> str:
        value = str(table.get(key, default))
        if value not in allowed:
            self.faults.append(f"{where}: {key} is {value!r}, expected one of {', '.join(allowed)}.")
        return value

    def file(self, table: dict[str, Any], where: str, key: str, *, required: bool = False) -> Path | None:
        name = self.value(table, where, key, str, required=required)
        if not name:
            return None
        path: Path = (self.folder / name).resolve()
        if not path.is_file():
            self.faults.append(f"{where}: the file {name} is not there.")
        return path

    def value(  # noqa: PLR0913 (a table, who owns it, a key, and what is expected there)
        self, table: dict[str, Any], where: str, key: str, kind: type, default: Any = None, *, required: bool = False
    ) -> Any:
        value = table.get(key, default)
        if value is None and required:
            self.faults.append(f"{where} has no {key}.")
            return kind()
        if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
            self.faults.append(f"{where}: {key} is {value!r}, expected {_SPOKEN[kind]}.")
            return default if default is not None else kind()
        return value


_SPOKEN = {str: "text in quotes", int: "a whole number", bool: "true or false", list: "a list", dict: "a table"}
