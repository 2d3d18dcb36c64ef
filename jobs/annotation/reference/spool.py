"""Parts a source file by contig on the disk, so that no more than one contig of it has to be in memory."""

import marshal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from .declaration import Track
from .gene_models import PARENT, is_wanted
from .source_files import line_blocks, rows

Names = Callable[[bytes], str | None]


class Spool:
    """Files of one source, one for each contig; `strange` counts what is on contigs that the reference has not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.strange: Counter[str] = Counter()
        self.count = 0
        self._files: dict[str, IO[bytes]] = {}
        folder.mkdir(parents=True)

    def file(self, contig: str) -> IO[bytes]:
        """Where what is on the contig goes."""
        if contig not in self._files:
            self._files[contig] = (self.folder / contig).open("wb")
        return self._files[contig]

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def records(self, contig: str) -> Iterator[Any]:
        """The tuples written for a contig."""
        path = self.folder / contig
        if not path.is_file():
            return
        with path.open("rb") as file:
            while True:
                try:
                    yield marshal.load(file)  # noqa: S302 (our own file of a moment ago)
                except EOFError:
                    return

    def lines(self, contig: str) -> list[bytes]:
        """The lines written for a contig."""
        path = self.folder / contig
        return path.read_bytes().splitlines(keepends=True) if path.is_file() else []


def spool_genes(path: Path, folder: Path, name_of: Names) -> Spool:
    """The lines of a GFF3 file that tell of genes, with our name of the contig in front."""
    spool = Spool(folder)
    for lines in line_blocks(path):
        parted: dict[bytes, list[bytes]] = {}
        for line in lines:
            if PARENT in line or is_wanted(line):  # most are of the first kind
                contig = line[: line.find(b"\t")]
                if (own := parted.get(contig)) is None:
                    own = parted[contig] = []
                own.append(line)
        for contig, own in parted.items():
            if name := name_of(contig):
                spool.file(name).writelines(_renamed(own, contig, name.encode()))
                spool.count += len(own)
            else:
                spool.strange[contig.decode(errors="replace")] += len(own)
    spool.close()
    return spool


def _renamed(lines: list[bytes], contig: bytes, name: bytes) -> list[bytes]:
    """The lines with the contig called by our name, and ended by a newline."""
    if contig != name:
        lines = [name + line[len(contig) :] for line in lines]
    if lines[0].endswith(b"\r\n") or not lines[-1].endswith(b"\n"):
        lines = [line.rstrip(b"\r\n") + b"\n" for line in lines]
    return lines


def spool_track(track: Track, folder: Path, name_of: Names) -> Spool:
    """The rows of a track as tuples (start, end, REF, ALT, values)."""
    spool = Spool(folder)
    known: dict[bytes, str | None] = {}
    for contig, start, end, ref, alt, values in rows(track):
        if contig not in known:
            known[contig] = name_of(contig)
        if name := known[contig]:
            marshal.dump((start, end, ref, alt, values), spool.file(name))
            spool.count += 1
        else:
            spool.strange[contig.decode(errors="replace")] += 1
    spool.close()
    return spool
