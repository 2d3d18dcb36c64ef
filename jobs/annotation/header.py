"""The VCF header: read as people write it, written as VCF 4.3 or later with everything declared."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from . import lines
from .errors import AnnotationError, quoted
from .meta import mended_lines, utf8

FIXED = b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
_VERSION = re.compile(rb"##(?:file)?format=VCFv?(\d{1,3})\.(\d{1,3})\s*$")
DECLARED = re.compile(rb"##(INFO|FORMAT|FILTER|contig)=<(?:.*?,)?ID=([^,>]+)")
_CONTIG_LENGTH = re.compile(rb"##contig=<(?:.*?,)?length=(\d{1,18})")
# VCF 3.3: ##INFO=DP,1,Integer,"Total Depth" and ##FILTER=q10,"Quality below 10"
_OLD_FIELD = re.compile(rb'##(INFO|FORMAT)=([^<,]+),(-?\d+),(\w+),"?(.*?)"?\s*$')
_OLD_FILTER = re.compile(rb'##FILTER=([^<,]+),"?(.*?)"?\s*$')

# texts of whole lines, each ended by LF; the first without the header
Blocks = Iterator[bytes]


@dataclass(frozen=True)
class Header:
    """A header: `meta` is all but ##fileformat and #CHROM, `length` the number of all its lines."""

    version: tuple[int, int]
    meta: list[bytes]
    columns: bytes
    length: int
    mends: list[str]

    @cached_property
    def declared(self) -> dict[bytes, set[bytes]]:
        """The IDs of each kind of declaration."""
        declared: dict[bytes, set[bytes]] = {
            b"INFO": set(),
            b"FORMAT": set(),
            b"FILTER": {b"PASS"},
            b"contig": set(),
        }
        for line in self.meta:
            if match := DECLARED.match(line):
                declared[match[1]].add(match[2])
        return declared

    @property
    def width(self) -> int:
        return self.columns.count(b"\t") + 1

    @property
    def samples(self) -> int:
        return max(0, self.width - 9)

    def contig_lengths(self) -> dict[bytes, int]:
        """Declared length of each contig that has one."""
        lengths = {}
        for line in self.meta:
            name, length = DECLARED.match(line), _CONTIG_LENGTH.match(line)
            if name and length:
                lengths[name[2]] = int(length[1])
        return lengths


def split_header(blocks: Blocks) -> tuple[Header, Blocks]:
    """The header, and the text after it. Raises AnnotationError when there is none."""
    head: list[bytes] = []
    size = 0
    for block in blocks:
        start = 0
        while start < len(block):
            end = block.index(b"\n", start)
            head.append(block[start:end])
            if not head[-1].startswith(b"##"):
                return _parsed(head), _chained(block[end + 1 :], blocks)
            size += end - start
            if size > lines.MAX_HEADER:
                raise AnnotationError(
                    "header_too_large",
                    f"The header is larger than {lines.MAX_HEADER >> 20} MiB, the most that is read.",
                )
            start = end + 1
    raise AnnotationError("bad_header", f"The file ends after {len(head)} header lines without a #CHROM line.")


def _chained(rest: bytes, blocks: Blocks) -> Blocks:
    yield rest
    yield from blocks


def _parsed(head: list[bytes]) -> Header:
    *meta, columns = head
    mends: list[str] = []
    if not columns.startswith(b"#"):
        _refuse(meta, len(head))
    version = (4, 2)
    if match := next(filter(None, map(_VERSION.match, meta)), None):
        version = int(match[1]), int(match[2])
    else:
        mends.append("There was no ##fileformat line; the file was read as VCF 4.2.")
    if version[0] not in {3, 4}:
        raise AnnotationError("bad_header", f"VCF {version[0]}.{version[1]} is not known; versions 3 and 4 are.")
    if version < (4, 0) and any(map(_modern, meta)):
        meta = [_modern(line) or line for line in meta]
        mends.append(f"Declarations in the style of VCF {version[0]}.{version[1]} were rewritten.")
    _check_columns(columns, len(head))
    meta, more = mended_lines(line for line in meta if not line.startswith((b"##fileformat=", b"##format=VCF")))
    return Header(version, meta, utf8(columns), len(head), mends + more)


def _refuse(meta: list[bytes], number: int) -> None:
    if any(map(_VERSION.match, meta)):
        raise AnnotationError("bad_header", f"Line {number}: the #CHROM line was expected here, after the ## lines.")
    raise AnnotationError(
        "not_vcf",
        f"Line {number} is not a VCF header line. A VCF file starts with ##fileformat=VCFv4.2 "
        "(or another version), and its #CHROM line stands before the records.",
    )


def _check_columns(columns: bytes, number: int) -> None:
    if columns != FIXED and not (columns + b"\t").startswith(FIXED + b"\tFORMAT\t"):
        names = b" ".join(columns.split()[:9])
        why = "separated by tabs" if names.startswith(FIXED.replace(b"\t", b" ")) else "CHROM to INFO, then FORMAT"
        raise AnnotationError(
            "bad_header",
            f"Line {number}: the #CHROM line is not as VCF has it ({why}); found {quoted(columns)}.",
        )
    samples = columns.split(b"\t")[9:]
    if len(set(samples)) < len(samples):
        [(twice, _)] = Counter(samples).most_common(1)
        raise AnnotationError(
            "bad_header",
            f"Line {number}: sample {quoted(twice)} stands in the #CHROM line twice. "
            "Rename it with: bcftools reheader -s NAMES.txt -o out.vcf.gz FILE",
        )


def _modern(line: bytes) -> bytes:
    if match := _OLD_FIELD.match(line):
        kind, name, number, type_, text = match.groups()
        number = b"." if number == b"-1" else number
        return b'##%b=<ID=%b,Number=%b,Type=%b,Description="%b">' % (kind, name, number, type_, text)
    if match := _OLD_FILTER.match(line):
        return b'##FILTER=<ID=%b,Description="%b">' % match.groups()
    return b""
