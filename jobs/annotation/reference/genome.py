"""The bases of a reference: FASTA in, upper case on one line for each contig out, so that a memory map is the sequence."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from jobs.annotation.errors import AnnotationError, quoted

from .declaration import SOURCE_FAULT
from .source_files import line_blocks

_BASES = b"ACGTNRYSWKMBDHVU"
_BLANKS = b" \t\r\n"


@dataclass(frozen=True)
class Sequence:
    """A contig of genome.fa: length in bases, offset of the first one, MD5 of all (as in SAM's M5)."""

    name: str
    length: int
    offset: int
    md5: str


def write(source: Path, folder: Path, name_of: Callable[[str], str]) -> list[Sequence]:
    """Writes genome.fa and genome.fa.fai from a FASTA file; `name_of` turns its names into ours.

    Raises AnnotationError for a file that is no FASTA, or that has a contig twice.
    """
    found: dict[str, Sequence] = {}
    with (folder / "genome.fa").open("wb") as out:
        writer: _Writer | None = None
        for header, bases in _pieces(source):
            if header is not None:
                if writer:
                    found[writer.name] = writer.finished()
                name = name_of(header)
                if name in found:
                    raise AnnotationError(SOURCE_FAULT, f"{source} has the contig {name} twice.")
                writer = _Writer(out, name)
            elif writer:
                writer.add(bases)
            elif bases:
                raise AnnotationError(SOURCE_FAULT, f"{source} is not FASTA: its first line does not start with '>'.")
        if writer:
            found[writer.name] = writer.finished()
    sequences = [sequence for sequence in found.values() if sequence.length]
    index = (f"{s.name}\t{s.length}\t{s.offset}\t{s.length}\t{s.length + 1}\n" for s in sequences)
    (folder / "genome.fa.fai").write_text("".join(index))
    return sequences


class _Writer:
    """Writes one contig as its bases come."""

    def __init__(self, out: IO[bytes], name: str) -> None:
        self.out, self.name, self.length = out, name, 0
        self.md5 = hashlib.md5(usedforsecurity=False)
        out.write(b">%b\n" % name.encode())
        self.offset = out.tell()

    def add(self, bases: bytes) -> None:
        self.out.write(bases)
        self.md5.update(bases)
        self.length += len(bases)

    def finished(self) -> Sequence:
        self.out.write(b"\n")
        return Sequence(self.name, self.length, self.offset, self.md5.hexdigest())


def _pieces(source: Path) -> Iterator[tuple[str | None, bytes]]:
    """Names of contigs (the first word of a header), each followed by stretches of its bases in upper case."""
    for lines in line_blocks(source):
        start = 0
        for at, line in enumerate(lines):
            if line.startswith(b">"):
                yield None, _checked(source, lines[start:at])
                yield (line[1:].split() or [b""])[0].decode(errors="replace"), b""
                start = at + 1
        yield None, _checked(source, lines[start:])


def _checked(source: Path, lines: list[bytes]) -> bytes:
    bases = b"".join(lines).translate(None, _BLANKS).upper()
    if strange := bases.translate(None, _BASES):
        raise AnnotationError(SOURCE_FAULT, f"{source} is not FASTA of DNA: it has {quoted(strange)} among its bases.")
    return bases
