"""Lifts records over to another genome build along a chain file, and says of each that does not lift why.

The format: https://genome.ucsc.edu/goldenPath/help/chain.html. A chain aligns a stretch of the source with one of the
target by blocks without gaps; a record lifts when its whole REF lies in one block. REF must then be what the target
has there: where it is not, the record is left out, as exchanging REF and ALT would falsify genotypes and INFO.
"""

import gzip
import heapq
import re
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

import numpy as np

from .errors import AnnotationError, from_os_error, quoted
from .header import Header, split_header
from .lines import Lines
from .output import BgzfWriter
from .reference.arrays import Array

LIFTED_FROM = b"GAS_LIFTED_FROM"
RUN = 8 << 20  # bytes of text that are sorted at once

# Why a record does not lift
REASONS = {
    "malformed": "the record has the wrong number of columns, or no number in POS, or no bases in REF",
    "symbolic": "an ALT is symbolic or a breakend: its other coordinates are not lifted",
    "contig_unknown": "the chain file has no such contig",
    "vanished": "the target has nothing in the place of REF",
    "split": "the bases of REF, or those beside an insertion, are not together in the target",
    "several_places": "the target has more than one place for REF",
    "no_target_sequence": "the sequence of the target contig is not at hand, so REF cannot be checked",
    "ref_differs": "the target has other bases than REF",
    "ref_alt_swapped": "the target has the bases of an ALT as its reference",
}

_COMPLEMENT = bytes.maketrans(b"ACGTNRYSWKMBDHVacgtnryswkmbdhv", b"TGCANYRSWMKVHDBtgcanyrswmkvhdb")
_BASES = re.compile(rb"[ACGTNRYSWKMBDHVacgtnryswkmbdhv]+")
_PLACED_META = re.compile(rb"##(contig|reference|assembly|gas_liftover)=|##INFO=<(?:.*?,)?ID=GAS_LIFTED_FROM[,>]")
_RESERVED = re.compile(rb"[%;=,\s]")


class Bases(Protocol):
    """A sequence in upper or lower case: bytes, a memory map of a FASTA contig, or an array of uint8."""

    def __len__(self) -> int: ...
    def __getitem__(self, key: slice, /) -> Any: ...


SequenceOf = Callable[[bytes], Bases | None]  # of a target contig, as the chain file names it


class Lifted(NamedTuple):
    """A record in the target; `pos` is 0-based, `reverse` tells that its strand was flipped."""

    contig: bytes
    pos: int
    ref: bytes
    alts: list[bytes]
    reverse: bool


class Counts(NamedTuple):
    """What became of the records of a file: their number is `lifted` and the sum of `reasons`."""

    lifted: int
    reasons: Counter[str]


class Place(NamedTuple):
    """Where source bases lie: the first of them is at `at` in the target, the others after it, or before if reverse.

    `beyond` is how many bases of the same block follow.
    """

    contig: bytes
    at: int
    reverse: bool
    beyond: int


class Blocks(NamedTuple):
    """Of one source contig, all blocks by start; 0-based, half-open. `at` is the target's base of the block's first.

    `reach` is the largest end so far: it is sorted, where ends are not when chains overlap.
    """

    start: Array
    end: Array
    reach: Array
    target: Array
    at: Array
    reverse: Array


class Chain:
    """A chain file: `targets` are names and lengths of its target contigs, by karyotype and then by name."""

    def __init__(self, name: str, contigs: dict[bytes, Blocks], targets: dict[bytes, int]) -> None:
        self.name = name
        self.contigs = contigs
        self.targets = targets
        self._names = list(targets)

    @classmethod
    def read(cls, path: Path) -> "Chain":
        """Reads a chain file, plain or gzip. Raises AnnotationError unreadable or reference_missing (damaged)."""
        rows: dict[bytes, list[tuple[int, int, bytes, int, bool]]] = {}
        sizes: dict[bytes, int] = {}
        try:
            with path.open("rb") as raw:
                packed = raw.read(2) == b"\x1f\x8b"
            with gzip.open(path) if packed else path.open("rb") as file:
                for chain in _chains(file, path.name):
                    sizes[chain.target] = chain.target_size
                    rows.setdefault(chain.source, []).extend(chain.blocks)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise _damaged(path.name, "its compressed data is cut short or wrong") from error
        except OSError as error:
            raise AnnotationError("unreadable", f"The chain file {path.name} cannot be read: {error}.") from error
        targets = {name: sizes[name] for name in sorted(sizes, key=_karyotype)}
        numbers = {name: number for number, name in enumerate(targets)}
        return cls(path.name, {name: _compiled(blocks, numbers) for name, blocks in rows.items()}, targets)

    def places(self, contig: bytes, start: int, end: int) -> list[Place] | str:
        """All places of the bases [start, end), together and in one block each; or why there is none."""
        blocks = next((self.contigs[name] for name in _aliases(contig) if name in self.contigs), None)
        if blocks is None:
            return "contig_unknown"
        first = int(np.searchsorted(blocks.reach, start, "right"))
        stop = int(np.searchsorted(blocks.start, end, "left"))
        if first >= stop:
            return "vanished"
        whole = [row for row in range(first, stop) if blocks.start[row] <= start and end <= blocks.end[row]]
        if not whole:
            return "split"
        return [self._place(blocks, row, start, end) for row in whole]

    def _place(self, blocks: Blocks, row: int, start: int, end: int) -> Place:
        reverse, into = bool(blocks.reverse[row]), start - int(blocks.start[row])
        at = int(blocks.at[row]) + (-into if reverse else into)
        return Place(self._names[blocks.target[row]], at, reverse, int(blocks.end[row]) - end)

    def lift(self, contig: bytes, pos: int, ref: bytes, alts: list[bytes], sequence_of: SequenceOf) -> Lifted | str:
        """The record in the target, or a key of REASONS. `pos` is 0-based; `alts` is empty for an ALT of '.'."""
        found = _unliftable(ref, alts) or self.places(contig, pos, pos + len(ref))
        if isinstance(found, str):
            return found
        if len({place[:3] for place in found}) > 1:
            return "several_places"
        place = max(found, key=lambda place: place.beyond)
        sequence = sequence_of(place.contig)
        return "no_target_sequence" if sequence is None else _moved(place, ref, alts, sequence)


def lift_file(input_path: Path, output_path: Path, chain: Chain, sequence_of: SequenceOf) -> Counts:
    """Writes the lifted records, sorted, to a VCF file (BGZF when its name ends with .gz), the others to a TSV.

    The TSV is `unlifted_path(output_path)`. Contigs are named as the chain file names them. Of INFO only END follows;
    other fields with coordinates, strands or bases (such as AA) stay as they were. Memory is bounded.
    Raises AnnotationError when the input cannot be read or the output not be written.
    """
    header, blocks = split_header(Lines(input_path).blocks())
    others = unlifted_path(output_path)
    try:
        with tempfile.TemporaryDirectory(dir=output_path.parent) as folder, others.open("wb") as unlifted:
            unlifted.write(b"#line\tCHROM\tPOS\tID\tREF\tALT\treason\n")
            lift = partial(_lift_columns, width=header.width, chain=chain, sequence_of=sequence_of)
            runs = _Runs(Path(folder), chain.targets)
            runs.add(_lifted_records(header, blocks, lift, unlifted))
            with _writer(output_path) as output:
                output.write(_lifted_header(header, chain))
                for line in runs.sorted():
                    output.write(line)
    except BaseException as error:
        output_path.unlink(missing_ok=True)
        others.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise from_os_error(error, output_path.name) from error
        raise
    return runs.counts


def unlifted_path(output_path: Path) -> Path:
    """Where the records go that do not lift: x.unlifted.tsv beside x.vcf or x.vcf.gz."""
    return output_path.with_name(output_path.name.removesuffix(".gz").removesuffix(".vcf") + ".unlifted.tsv")


class _ChainText(NamedTuple):
    """One chain: its blocks are (start, end, target, at, reverse), as in Blocks."""

    source: bytes
    target: bytes
    target_size: int
    blocks: list[tuple[int, int, bytes, int, bool]]


def _chains(file: Iterable[bytes], name: str) -> Iterator[_ChainText]:
    lines = ((number, line.split()) for number, line in enumerate(file, 1) if line.strip() and line[:1] != b"#")
    for number, words in lines:
        if words[0] != b"chain":
            raise _damaged(name, f"line {number} is not the start of a chain")
        try:
            yield _chain(words, lines)
        except (ValueError, IndexError) as error:
            raise _damaged(name, f"the chain that starts at line {number} is malformed") from error


def _chain(words: list[bytes], lines: Iterator[tuple[int, list[bytes]]]) -> _ChainText:
    """Raises ValueError or IndexError when the chain is not as the format has it."""
    _, _, source, _, strand, start, end, target, size, target_strand, target_start, target_end = words[:12]
    reverse = {b"+": False, b"-": True}[target_strand] if target_strand in b"+-" else None
    if strand != b"+" or reverse is None:
        raise ValueError
    rows: list[tuple[int, int, bytes, int, bool]] = []
    at, into = int(start), int(target_start)
    for _, numbers in lines:
        length, gap, target_gap = (int(number) for number in (*numbers, b"0", b"0")[:3])
        if min(length, gap, target_gap) < 0 or len(numbers) not in (1, 3):
            raise ValueError
        place = int(size) - 1 - into if reverse else into
        if rows and rows[-1][1] == at and abs(place - rows[-1][3]) == at - rows[-1][0]:
            rows[-1] = (rows[-1][0], at + length, *rows[-1][2:])  # no gap on either side
        else:
            rows.append((at, at + length, target, place, reverse))
        at, into = at + length + gap, into + length + target_gap
        if len(numbers) == 1:
            break
    if (at, into) != (int(end), int(target_end)) or into > int(size) or min(int(start), int(target_start)) < 0:
        raise ValueError
    return _ChainText(source, target, int(size), rows)


def _compiled(rows: list[tuple[int, int, bytes, int, bool]], numbers: dict[bytes, int]) -> Blocks:
    rows.sort(key=itemgetter(0, 1))
    start, end, targets, at, reverse = zip(*rows, strict=True)
    ends = np.array(end, np.int64)
    return Blocks(
        np.array(start, np.int64),
        ends,
        np.maximum.accumulate(ends),
        np.array([numbers[name] for name in targets], np.int32),
        np.array(at, np.int64),
        np.array(reverse, np.bool_),
    )


def _damaged(name: str, why: str) -> AnnotationError:
    return AnnotationError("reference_missing", f"The chain file {name} is damaged: {why}. Fetch it again.")


def _aliases(contig: bytes) -> tuple[bytes, ...]:
    """The contig as chain files may name it: 1 or chr1; MT, M or chrM."""
    bare = contig.removeprefix(b"chr")
    if bare in (b"M", b"MT"):
        return contig, b"chrM", b"MT", b"M", b"chrMT"
    return contig, b"chr" + bare, bare


def _karyotype(contig: bytes) -> tuple[int, bytes]:
    bare = contig.removeprefix(b"chr")
    if bare.isdigit():
        return int(bare), contig
    return {b"X": 1000, b"Y": 1001, b"M": 1002, b"MT": 1002}.get(bare, 1003), contig


def _unliftable(ref: bytes, alts: list[bytes]) -> str:
    """A key of REASONS, or nothing."""
    if not _BASES.fullmatch(ref):
        return "malformed"
    return "" if all(alt == b"*" or _BASES.fullmatch(alt) for alt in alts) else "symbolic"


def _moved(place: Place, ref: bytes, alts: list[bytes], sequence: Bases) -> Lifted | str:
    start = place.at - len(ref) + 1 if place.reverse else place.at
    alleles = [_flipped(allele) if place.reverse else allele for allele in (ref, *alts)]
    if why := _ref_fault(start, alleles, sequence):
        return why
    if place.reverse and any(alt != b"*" and len(alt) != len(ref) for alt in alts):
        if not place.beyond and len(ref) == 1:
            return "split"  # what is inserted would stand in a gap of the alignment
        start, alleles = _anchored(start, alleles, sequence)
    return Lifted(place.contig, start, alleles[0], alleles[1:], place.reverse)


def _flipped(allele: bytes) -> bytes:
    return allele.translate(_COMPLEMENT)[::-1]


def _ref_fault(start: int, alleles: list[bytes], sequence: Bases) -> str:
    """A key of REASONS when the target is not REF, the first of the alleles; else nothing."""
    ref = alleles[0]
    has = bytes(sequence[start : start + len(ref)]).upper()
    if has == ref.upper():
        return ""
    return "ref_alt_swapped" if has in (alt.upper() for alt in alleles[1:]) else "ref_differs"


def _anchored(start: int, alleles: list[bytes], sequence: Bases) -> tuple[int, list[bytes]]:
    """Indels on the other strand: what was their anchor now stands behind them, and they are not leftmost any more.

    The anchor goes, the alleles move left as far as they can, and get the base before as their anchor (Tan et al.
    2015, doi:10.1093/bioinformatics/btv112); at the start of the contig, the base after (VCF 4.5 section 1.6.1).
    """
    spelled = [allele for allele in alleles if allele != b"*"]
    while True:
        if all(spelled) and len({allele[-1:].upper() for allele in spelled}) == 1:
            spelled = [allele[:-1] for allele in spelled]
        elif all(spelled):
            break
        elif start:
            start -= 1
            before = bytes(sequence[start : start + 1])
            spelled = [before + allele for allele in spelled]
        else:
            after = bytes(sequence[len(spelled[0]) : len(spelled[0]) + 1])
            spelled = [allele + after for allele in spelled]
            break
    rest = iter(spelled)
    return start, [allele if allele == b"*" else next(rest) for allele in alleles]


def _lifted_records(
    header: Header, blocks: Iterable[bytes], lift: Callable[[list[bytes]], Lifted | str], unlifted: IO[bytes]
) -> Iterator[tuple[bytes, int, bytes] | str]:
    """Contig, position and line of each record that lifts; of the others, which are written down, the reason."""
    number = header.length
    for block in blocks:
        for line in block.split(b"\n")[:-1]:
            number += 1
            if not line.strip():
                continue
            columns = line.split(b"\t")
            lifted = lift(columns)
            if isinstance(lifted, str):
                unlifted.write(b"\t".join([b"%d" % number, *(columns + [b""] * 5)[:5], lifted.encode()]) + b"\n")
                yield lifted
            else:
                yield lifted.contig, lifted.pos, _line(columns, lifted)


def _lift_columns(columns: list[bytes], width: int, chain: Chain, sequence_of: SequenceOf) -> Lifted | str:
    if len(columns) != width or not re.fullmatch(rb"\d{1,10}", columns[1]):
        return "malformed"
    contig, pos, _, ref, alt = columns[:5]
    return chain.lift(contig, int(pos) - 1, ref, [] if alt == b"." else alt.split(b","), sequence_of)


def _line(columns: list[bytes], lifted: Lifted) -> bytes:
    contig, pos, identifier, _, _, qual, filters, info = columns[:8]
    end = b"END=%d" % (lifted.pos + len(lifted.ref))
    pairs = [] if info == b"." else info.split(b";")
    pairs = [end if pair.startswith(b"END=") else pair for pair in pairs if not pair.startswith(LIFTED_FROM + b"=")]
    name = _RESERVED.sub(lambda match: b"%%%02X" % match[0][0], contig)
    pairs.append(LIFTED_FROM + b"=" + name + b":" + pos)
    alts = b",".join(lifted.alts) or b"."
    start = [lifted.contig, b"%d" % (lifted.pos + 1), identifier, lifted.ref, alts, qual, filters, b";".join(pairs)]
    return b"\t".join(start + columns[8:]) + b"\n"


def _lifted_header(header: Header, chain: Chain) -> bytes:
    contigs = [b"##contig=<ID=%b,length=%d>" % target for target in chain.targets.items()]
    return b"".join(
        line + b"\n"
        for line in (
            b"##fileformat=VCFv%d.%d" % max(header.version, (4, 2)),
            *(line for line in header.meta if not _PLACED_META.match(line)),
            b"##gas_liftover=" + quoted(chain.name.encode()).strip("'").encode(),
            *contigs,
            b"##INFO=<ID=" + LIFTED_FROM + b",Number=1,Type=String,"
            b'Description="Contig and position in the file from which the record was lifted over">',
            header.columns,
        )
    )


def _writer(path: Path) -> AbstractContextManager[Any]:
    return BgzfWriter(path, path.name) if path.suffix == ".gz" else path.open("wb")


class _Runs:
    """Lifted records sorted by contig and position, in pieces on disk; those of one place stay in their order."""

    def __init__(self, folder: Path, contigs: Iterable[bytes]) -> None:
        self.folder = folder
        self.ranks = {name: rank for rank, name in enumerate(contigs)}
        self.paths: list[Path] = []
        self.counts = Counts(0, Counter())

    def add(self, records: Iterable[tuple[bytes, int, bytes] | str]) -> None:
        """Takes all records, and counts the reasons why others did not lift."""
        run: list[tuple[int, int, bytes]] = []
        size, lifted, reasons = 0, 0, self.counts.reasons
        for record in records:
            if isinstance(record, str):
                reasons[record] += 1
                continue
            contig, pos, line = record
            run.append((self.ranks[contig], pos, line))
            lifted, size = lifted + 1, size + len(line)
            if size > RUN:
                self._write(run)
                run, size = [], 0
        self._write(run)
        self.counts = Counts(lifted, reasons)

    def sorted(self) -> Iterator[bytes]:
        with ExitStack() as stack:
            runs = [_keyed(stack.enter_context(path.open("rb"))) for path in self.paths]
            for _, _, line in heapq.merge(*runs, key=itemgetter(0, 1)):
                yield line

    def _write(self, run: list[tuple[int, int, bytes]]) -> None:
        run.sort(key=itemgetter(0, 1))
        self.paths.append(self.folder / str(len(self.paths)))
        self.paths[-1].write_bytes(b"".join(b"%d %d %b" % record for record in run))


def _keyed(file: IO[bytes]) -> Iterator[tuple[int, int, bytes]]:
    for line in file:
        rank, pos, text = line.split(b" ", 2)
        yield int(rank), int(pos), text
