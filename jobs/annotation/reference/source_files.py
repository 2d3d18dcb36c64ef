"""Reads the source files of a reference, plain or gzipped: lines, and the rows of BED, GFF, VCF and TSV tracks."""

import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple, Protocol

from jobs.annotation.errors import AnnotationError, quoted

from .declaration import SOURCE_FAULT, Field, Track
from .values import decoded, encoded

BLOCK = 1 << 22  # bytes of lines read at a time
_SPELLED = re.compile(rb"[ACGTN]+")
_RS_NUMBERS = re.compile(rb"[0-9]+(?:[|,;][0-9]+)*")
VCF_COLUMNS = {"ID": 2, "QUAL": 5, "FILTER": 6}


class Row(NamedTuple):
    """A line of a track: its place (0-based, half-open), alleles where it has some, and a value for each field.

    Of a table of genes `contig` is the gene's symbol, and the place means nothing.
    """

    contig: bytes
    start: int
    end: int
    ref: bytes
    alt: bytes
    values: tuple[bytes, ...]


def opened(path: Path) -> IO[bytes] | gzip.GzipFile:
    """The file, decompressed when it starts as a gzip file does, whatever its name."""
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if compressed else path.open("rb")


def line_blocks(path: Path) -> Iterator[list[bytes]]:
    """Whole lines, with their ends, a few megabytes at a time. Raises AnnotationError when the file is damaged."""
    try:
        with opened(path) as file:
            while lines := file.readlines(BLOCK):
                yield lines
    except (EOFError, zlib.error, OSError) as error:
        raise damaged(path, error) from error


def text_blocks(path: Path) -> Iterator[bytes]:
    """Texts of whole lines that end in LF, a few megabytes each. Raises AnnotationError when the file is damaged."""
    tail = b""
    try:
        with opened(path) as file:
            while text := file.read(BLOCK):
                end = text.rfind(b"\n") + 1
                if end:
                    yield (tail + text[:end]).replace(b"\r\n", b"\n")
                tail = text[end:] if end else tail + text
    except (EOFError, zlib.error, OSError) as error:
        raise damaged(path, error) from error
    if tail:
        yield tail.rstrip(b"\r") + b"\n"


def damaged(path: Path, error: Exception) -> AnnotationError:
    return AnnotationError(SOURCE_FAULT, f"{path} cannot be read, it may be incomplete: {error}.")


def rows(track: Track) -> Iterator[Row]:
    """The rows of a track's file. Raises AnnotationError that names the line which is not as declared."""
    read = _reader(track)
    number = 0
    for lines in line_blocks(track.file):
        for line in lines:
            number += 1
            try:
                yield from read.rows(line.rstrip(b"\r\n"))
            except (ValueError, IndexError) as error:
                fault = f"{track.file}, line {number}: {error}: {quoted(line.rstrip())}."
                raise AnnotationError(SOURCE_FAULT, fault) from error


class _Reader(Protocol):
    """What reads the lines of one format."""

    def rows(self, line: bytes) -> Iterator[Row]: ...


def _reader(track: Track) -> _Reader:
    readers: dict[str, Callable[[Track], _Reader]] = {"bed": _Bed, "gff": _Gff, "vcf": _Vcf, "tsv": _Tsv}
    return readers[track.format](track)


class _Tsv:
    """A table with columns by name (of its first line that is no ## comment) or by number, from 1."""

    def __init__(self, track: Track) -> None:
        self.track = track
        self.shift = int(track.one_based)
        names = [*track.columns.values(), *(field.column for field in track.fields)]
        self.at: dict[str | int, int] | None = None
        if all(isinstance(name, int) for name in names):
            self.at = {name: int(name) - 1 for name in names}

    def rows(self, line: bytes) -> Iterator[Row]:
        if self.at is None:
            if line and not line.startswith(b"##"):
                self.at = self._header(line)
            return
        if not line or line.startswith(b"#"):
            return
        cells = line.split(b"\t")
        at, columns = self.at, self.track.columns
        values = tuple(field_value(cells[at[field.column]].strip(b'"'), field) for field in self.track.fields)
        if self.track.kind == "gene":
            yield Row(cells[at[columns["gene"]]], 0, 0, b"", b"", values)
            return
        contig, start = cells[at[columns["chrom"]]], int(cells[at[columns["start"]]]) - self.shift
        if self.track.kind == "allele":
            ref = cells[at[columns["ref"]]].upper()
            for alt in cells[at[columns["alt"]]].upper().split(b","):
                if _SPELLED.fullmatch(ref) and _SPELLED.fullmatch(alt):
                    yield Row(contig, start, start + len(ref), ref, alt, values)
            return
        yield _interval(contig, start, int(cells[at[columns["end"]]]), values)

    def _header(self, line: bytes) -> dict[str | int, int]:
        names = [name.strip().decode() for name in line.lstrip(b"#").split(b"\t")]
        at: dict[str | int, int] = {number: number - 1 for number in range(1, len(names) + 1)}
        at |= {name: place for place, name in enumerate(names)}
        wanted = [*self.track.columns.values(), *(field.column for field in self.track.fields)]
        if missing := [str(name) for name in wanted if name not in at]:
            raise ValueError(f"the header line has no column {', '.join(missing)}")
        return at


class _Bed:
    """BED: contig, start, end; other columns by number."""

    def __init__(self, track: Track) -> None:
        self.track = track
        self.columns = [_number(field.column, track) - 1 for field in track.fields]

    def rows(self, line: bytes) -> Iterator[Row]:
        if not line or line.startswith((b"#", b"track", b"browser")):
            return
        cells = line.split(b"\t") if b"\t" in line else line.split()
        pairs = zip(self.columns, self.track.fields, strict=True)
        values = tuple(field_value(cells[column], field) if column < len(cells) else b"" for column, field in pairs)
        yield _interval(cells[0], int(cells[1]), int(cells[2]), values)


class _Gff:
    """GFF3: attributes by name; the other columns as type, source, score, strand or by number."""

    NAMES = {"source": 1, "type": 2, "score": 5, "strand": 6}

    def __init__(self, track: Track) -> None:
        self.track = track

    def rows(self, line: bytes) -> Iterator[Row]:
        if not line or line.startswith(b"#"):
            return
        cells = line.split(b"\t")
        attributes = dict(item.strip().partition(b"=")[::2] for item in cells[8].split(b";"))
        values = tuple(field_value(self._cell(cells, attributes, field.column), field) for field in self.track.fields)
        yield _interval(cells[0], int(cells[3]) - 1, int(cells[4]), values)

    def _cell(self, cells: list[bytes], attributes: dict[bytes, bytes], column: str | int) -> bytes:
        if isinstance(column, int):
            return cells[column - 1]
        value = attributes.get(column.encode())
        if value is None and column in self.NAMES:
            return cells[self.NAMES[column]]
        return decoded(value or b"")


class _Vcf:
    """VCF as intervals: INFO keys by name, and ID, QUAL, FILTER."""

    def __init__(self, track: Track) -> None:
        self.track = track

    def rows(self, line: bytes) -> Iterator[Row]:
        if not line or line.startswith(b"#"):
            return
        cells = line.split(b"\t")
        items = [item.partition(b"=") for item in cells[7].split(b";")]
        info = {key: decoded(value) if sign else b"1" for key, sign, value in items}
        start = int(cells[1]) - 1
        values = tuple(field_value(self._cell(cells, info, str(field.column)), field) for field in self.track.fields)
        yield _interval(cells[0], start, int(info.get(b"END", 0)) or start + len(cells[3]), values)

    def _cell(self, cells: list[bytes], info: dict[bytes, bytes], column: str) -> bytes:
        if column in VCF_COLUMNS and column.encode() not in info:
            return cells[VCF_COLUMNS[column]]
        return info.get(column.encode(), b"")


def field_value(value: bytes, field: Field) -> bytes:
    """The value as it stands in the result; empty when there is none. In the column ID several are parted by ';'."""
    value = value.strip()
    if value in (b".", b"NA"):
        return b""
    if field.id:
        if _RS_NUMBERS.fullmatch(value):  # rs numbers without their prefix, as in ClinVar's RS
            return b";".join(b"rs" + part for part in re.split(rb"[|,;]", value))
        return b";".join(encoded(part) for part in value.split(b";"))
    return encoded(value)


def _interval(contig: bytes, start: int, end: int, values: tuple[bytes, ...]) -> Row:
    """A row without alleles; a place between two bases (start = end) stands for the base after it."""
    if end < start or start < 0:
        raise ValueError(f"it ends at {end}, before its start {start}")
    return Row(contig, start, max(end, start + 1), b"", b"", values)


def _number(column: str | int, track: Track) -> int:
    if isinstance(column, int) or column.isdigit():
        return int(column)
    fault = f"Track {track.name!r}: columns of a BED file are numbers, not {column!r}."
    raise AnnotationError(SOURCE_FAULT, fault)
