"""Gene models of a contig, from GFF3 in the dialect of Ensembl or of GENCODE.

Out come the lines that bcftools csq reads, grouped by gene; the genes' spans; and what kind of place each base is in
which transcript. Positions are 0-based, spans half-open; the text of GFF3 is 1-based.
"""

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from jobs.annotation.errors import quoted

from .intervals import Interval
from .values import encoded

Span = tuple[int, int]

SPLICE_SITE = 2  # bases at either end of an intron
# Regions of transcripts whose exons are known by their biotype
_RNA = {b"Mt_tRNA": b"tRNA", b"tRNA": b"tRNA", b"Mt_rRNA": b"rRNA", b"rRNA": b"rRNA"}
_NAMED = {b"D_loop"}  # types that are shown though they are no genes
_UTRS = {b"five_prime_UTR", b"three_prime_UTR", b"UTR"}
_PREFERRED_TAGS = re.compile(rb"Ensembl_canonical|MANE")
_GENCODE = b"gene_type="
PARENT = b"Parent=transcript:"


@dataclass
class Transcript:
    """A transcript; `number` is its place in the file, `exons` and `coding` are sorted once it is complete."""

    name: bytes
    number: int
    start: int
    end: int
    strand: bytes
    biotype: bytes
    tagged: bool
    whole: bool  # its 5' end is known
    lines: list[bytes]
    exons: list[Span] = field(default_factory=list)
    coding: list[Span] = field(default_factory=list)
    phases: dict[Span, int] = field(default_factory=dict)  # of what is coding
    others: list[Span] = field(default_factory=list)

    def finish(self) -> None:
        """Sorts what was gathered; a file without exons has them as what is coding or untranslated."""
        self.exons = sorted(self.exons) or _merged(self.coding + self.others)
        self.coding.sort()

    @property
    def rank(self) -> tuple[bool, bool, int, int]:
        """Sorts the preferred transcript of a gene first: by tag, then coding, then the longest."""
        length = sum(end - start for start, end in self.coding or self.exons)
        return not self.tagged, not self.coding, -length, self.number


@dataclass
class Gene:
    """A gene and its transcripts."""

    id: bytes
    symbol: bytes
    start: int
    end: int
    strand: bytes
    line: bytes
    transcripts: list[Transcript] = field(default_factory=list)

    @property
    def lines(self) -> Iterator[bytes]:
        """Its lines of the file: the gene, then each transcript with what belongs to it."""
        yield self.line
        for transcript in self.transcripts:
            yield from transcript.lines


@dataclass
class GeneModels:
    """Genes by start and end, and other named features (start, end, name, type)."""

    genes: list[Gene]
    named: list[tuple[int, int, bytes, bytes]]

    def gff(self) -> tuple[bytes, list[int]]:
        """GFF3 text for csq, and where each gene's lines start in it; the last offset is the end of the text."""
        parts, at = [b"##gff-version 3\n"], []
        size = len(parts[0])
        for gene in self.genes:
            at.append(size)
            text = b"".join(gene.lines)
            parts.append(text)
            size += len(text)
        return b"".join(parts), [*at, size]

    def spliced(self) -> list[bool]:
        """Whether a transcript of the gene has more than one exon, for each gene."""
        return [any(len(transcript.exons) > 1 for transcript in gene.transcripts) for gene in self.genes]

    def spans(self) -> list[Interval]:
        """The track `gene`: the symbol of each."""
        return [(gene.start, gene.end, (encoded(gene.symbol),)) for gene in self.genes]

    def locations(self, promoter: int, length: int) -> list[Interval]:
        """The track `location`: symbol|transcript|strand|region|n/m, and the region, on a contig of `length` bp.

        Where transcripts of a gene agree on the region of a base, only the preferred one is named.
        """
        found: list[Interval] = []
        for gene in self.genes:
            found += _locations(gene, promoter, length)
        for start, end, name, kind in self.named:
            found.append((start, end, (b"%b|||%b|" % (encoded(name), kind), kind)))
        return found


def parse(lines: list[bytes]) -> GeneModels:
    """The gene models in lines of one contig, in any order. Raises ValueError on a line that is no GFF3."""
    if any(_GENCODE in line for line in lines):
        lines = [_ensembl_line(line) if _GENCODE in line else line for line in lines]
    genes: dict[bytes, Gene] = {}
    transcripts: dict[bytes, Transcript] = {}
    children, parts, named = [], [], []
    for line in lines:
        if b"\tID=transcript:" in line:
            children.append(line)
        elif PARENT in line:
            parts.append(line)
        elif b"\tID=gene:" in line:
            gene = _gene(line, _columns(line))
            genes[gene.id] = gene
        elif (columns := _columns(line))[2] in _NAMED:
            name = _attribute(columns[8], b"Name") or columns[2]
            named.append((int(columns[3]) - 1, int(columns[4]), name, columns[2]))
    for line in children:
        columns = _columns(line)
        if parent := genes.get(_attribute(columns[8], b"Parent")[5:]):
            transcript = _transcript(len(transcripts), line, columns)
            transcripts[transcript.name] = transcript
            parent.transcripts.append(transcript)
    _add_parts(parts, transcripts)
    for transcript in transcripts.values():
        transcript.finish()
    return GeneModels(sorted(genes.values(), key=lambda gene: (gene.start, gene.end, gene.id)), sorted(named))


def _columns(line: bytes) -> list[bytes]:
    columns = line.split(b"\t", 8)
    if len(columns) != 9 or not (columns[3].isdigit() and columns[4].isdigit()):
        raise ValueError(f"a line has not the nine columns of GFF3: {quoted(line.rstrip())}")
    return columns


def _ensembl_line(line: bytes) -> bytes:
    """A line of GENCODE with the attributes as Ensembl writes them."""
    columns = _columns(line)
    return b"\t".join([*columns[:8], _ensembl_attributes(columns[2], columns[8])])


def _ensembl_attributes(kind: bytes, text: bytes) -> bytes:
    """The attributes of a GENCODE line as Ensembl writes them, which is what csq reads."""
    old = dict(item.partition(b"=")[::2] for item in text.rstrip(b"\n").split(b";"))
    new = {}
    if kind == b"gene":
        new = {b"ID": b"gene:" + old[b"ID"], b"Name": old.get(b"gene_name", b""), b"biotype": old[b"gene_type"]}
    elif kind == b"transcript":
        new = {b"ID": b"transcript:" + old[b"ID"], b"Parent": b"gene:" + old.get(b"Parent", b"")}
        new |= {b"biotype": old.get(b"transcript_type", b""), b"tag": old.get(b"tag", b"")}
    elif b"Parent" in old:
        new = {b"ID": b"CDS:" + old.get(b"protein_id", old[b"Parent"])} if kind == b"CDS" else {}
        new |= {b"Parent": b"transcript:" + old[b"Parent"]}
    return b";".join(b"%b=%b" % item for item in (new or old).items()) + b"\n"


def _gene(line: bytes, columns: list[bytes]) -> Gene:
    text = columns[8]
    id_ = _attribute(text, b"ID")[5:]
    return Gene(id_, _attribute(text, b"Name") or id_, int(columns[3]) - 1, int(columns[4]), columns[6], line)


def _transcript(number: int, line: bytes, columns: list[bytes]) -> Transcript:
    text = columns[8]
    return Transcript(
        name=_attribute(text, b"ID")[11:],
        number=number,
        start=int(columns[3]) - 1,
        end=int(columns[4]),
        strand=columns[6],
        biotype=_attribute(text, b"biotype"),
        tagged=bool(_PREFERRED_TAGS.search(_attribute(text, b"tag"))),
        whole=b"_start_NF" not in _attribute(text, b"tag"),
        lines=[line],
    )


def _add_parts(lines: list[bytes], transcripts: dict[bytes, Transcript]) -> None:
    """Gives exons, coding and untranslated parts to their transcripts; what belongs to none is left out.

    A line with several parents goes to csq once, as it is, with the first of them.
    """
    for line in lines:
        names = line[line.find(PARENT) + len(PARENT) :].partition(b";")[0].rstrip()
        if (first := transcripts.get(names)) is not None:
            owners = [first]
        else:
            found = (transcripts.get(name) for name in names.split(b",transcript:"))
            owners = [transcript for transcript in found if transcript]
            if not owners:
                continue
        owners[0].lines.append(line)
        columns = line.split(b"\t", 5)
        if len(columns) != 6:
            raise ValueError(f"a line has not the nine columns of GFF3: {quoted(line.rstrip())}")
        span = int(columns[3]) - 1, int(columns[4])
        for transcript in owners:
            if columns[2] == b"exon":
                transcript.exons.append(span)
            elif columns[2] == b"CDS":
                transcript.coding.append(span)
                transcript.phases[span] = _phase(columns[5])
            elif columns[2] in _UTRS:
                transcript.others.append(span)


def _phase(columns: bytes) -> int:
    """The phase in the columns from the sixth on; 0 where none is given."""
    phase = columns.split(b"\t", 3)[2:3]
    return int(phase[0]) if phase in ([b"0"], [b"1"], [b"2"]) else 0


def _attribute(text: bytes, key: bytes) -> bytes:
    """The value of an attribute, or nothing."""
    if text.startswith(key + b"="):
        start = len(key) + 1
    elif (at := text.find(b";" + key + b"=")) >= 0:
        start = at + len(key) + 2
    else:
        return b""
    end = text.find(b";", start)
    return text[start : end if end >= 0 else None].rstrip(b"\r\n")


def _locations(gene: Gene, promoter: int, length: int) -> Iterator[Interval]:
    symbol = encoded(gene.symbol)
    if not gene.transcripts:  # all that is known is that there is a gene
        yield gene.start, gene.end, (b"%b||%b|gene|" % (symbol, gene.strand), b"gene")
        return
    covered: dict[bytes, _Covered] = {}
    seen: set[tuple[object, ...]] = set()
    for transcript in sorted(gene.transcripts, key=lambda transcript: transcript.rank):
        head = b"%b|%b|%b|" % (symbol, encoded(transcript.name), transcript.strand)
        stretches = [*_exons(transcript, seen), *_introns(transcript, seen), *_upstream(transcript, promoter, length)]
        for start, end, region, number in stretches:
            if (cover := covered.get(region)) is None:
                cover = covered[region] = _Covered()
            for left, right in cover.add(start, end):
                yield left, right, (b"%b%b|%b" % (head, region, number), region)


_Stretch = tuple[int, int, bytes, bytes]  # start, end, region, and n/m in the direction of reading


def _exons(transcript: Transcript, seen: set[tuple[object, ...]]) -> Iterator[_Stretch]:
    """The regions of exons, but for those that a preferred transcript has just so; `seen` are these."""
    exons, coding, forward = transcript.exons, transcript.coding, transcript.strand != b"-"
    first, last = (coding[0][0], coding[-1][1]) if coding else (0, 0)
    between = sum(max(min(end, last) - max(start, first), 0) for start, end in exons)
    gapless = between == sum(end - start for start, end in coding)  # else a ribosome leaves out bases of some exon
    for index, (start, end) in enumerate(exons):
        key = start, end, max(first, start), min(last, end), bool(coding)
        if gapless and key in seen:
            continue
        if gapless:
            seen.add(key)
        number = b"%d/%d" % (index + 1 if forward else len(exons) - index, len(exons))
        for left, right, region in _exon_parts(transcript, start, end, forward):
            yield left, right, region, number


def _introns(transcript: Transcript, seen: set[tuple[object, ...]]) -> Iterator[_Stretch]:
    """Introns and the splice sites at their ends, but for those that a preferred transcript has too."""
    exons, forward = transcript.exons, transcript.strand != b"-"
    introns = len(exons) - 1
    region = b"intron" if transcript.coding else b"noncoding_intron"
    sites = (b"splice_donor_site", b"splice_acceptor_site")
    for index in range(introns):
        start, end = exons[index][1], exons[index + 1][0]
        if start >= end or (region, start, end) in seen:
            continue
        seen.add((region, start, end))
        number = b"%d/%d" % (index + 1 if forward else introns - index, introns)
        yield start, min(start + SPLICE_SITE, end), sites[not forward], number
        yield max(end - SPLICE_SITE, start), end, sites[forward], number
        if end - start > 2 * SPLICE_SITE:
            yield start + SPLICE_SITE, end - SPLICE_SITE, region, number


def _upstream(transcript: Transcript, promoter: int, length: int) -> Iterator[_Stretch]:
    """The bases before a transcript, on a contig of `length` bp."""
    if transcript.strand == b"+":
        start, end = max(transcript.start - promoter, 0), transcript.start
    elif transcript.strand == b"-":
        start, end = transcript.end, min(transcript.end + promoter, length)
    else:
        return
    if start < end:
        yield start, end, b"promoter", b""


def _exon_parts(transcript: Transcript, start: int, end: int, forward: bool) -> Iterator[tuple[int, int, bytes]]:
    """An exon, cut where coding sequence starts and ends."""
    coding = transcript.coding
    if not coding:
        yield start, end, _RNA.get(transcript.biotype, b"noncoding_exon")
        return
    first, last = coding[0][0], coding[-1][1]
    if start < first:
        yield start, min(end, first), b"five_prime_UTR" if forward else b"three_prime_UTR"
    if end > last:
        yield max(start, last), end, b"three_prime_UTR" if forward else b"five_prime_UTR"
    at = max(start, first)
    for span in coding[max(bisect.bisect_right(coding, (start, start)) - 1, 0) :]:
        left, right = max(span[0], start), min(span[1], end)
        if span[0] >= end:
            break
        if left >= right:
            continue
        if at < left:  # bases that a ribosome leaves out
            yield at, left, b"noncoding_exon"
        yield left, right, b"CDS"
        at = right
    if at < min(end, last):
        yield at, min(end, last), b"noncoding_exon"


class _Covered:
    """Bases already spoken for, as disjoint sorted spans."""

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.seen: set[Span] = set()

    def add(self, start: int, end: int) -> list[Span]:
        """Covers start..end; returns the parts that were not covered."""
        if (start, end) in self.seen:
            return []
        self.seen.add((start, end))
        low = bisect.bisect_left(self.ends, start)  # touching spans are joined too
        high = bisect.bisect_right(self.starts, end)
        fresh, at = [], start
        for left, right in zip(self.starts[low:high], self.ends[low:high], strict=True):
            if at < left:
                fresh.append((at, left))
            at = max(at, right)
        if at < end:
            fresh.append((at, end))
        if low < high:
            start, end = min(start, self.starts[low]), max(end, self.ends[high - 1])
        self.starts[low:high], self.ends[low:high] = [start], [end]
        return fresh


def _merged(spans: list[Span]) -> list[Span]:
    """Spans that touch or overlap, joined."""
    joined: list[Any] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((start, end))
    return joined


def is_wanted(line: bytes) -> bool:
    """Whether a line of a GFF3 file tells of a gene, a part of one, or a named feature."""
    if line.startswith(b"#"):
        return False
    if PARENT in line or b"ID=gene:" in line or b"ID=transcript:" in line or _GENCODE in line:
        return True
    return line.split(b"\t", 3)[2:3] in ([kind] for kind in _NAMED)
