"""Lifts all records of a file over to a reference: a header and texts in, a header and sorted texts out."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from jobs.annotation import builds, reference
from jobs.annotation.block import Block, Skipped, parse
from jobs.annotation.choice import DEFAULT
from jobs.annotation.errors import AnnotationError, quoted
from jobs.annotation.fields import is_ours
from jobs.annotation.header import DECLARED, Header
from jobs.annotation.provenance import LIFTOVER
from jobs.annotation.reference import Reference, chains
from jobs.annotation.reference.chains import ChainFile
from jobs.annotation.sorting import sorted_texts

from .alleles import REASONS, Bases, Lifted, lift
from .chain import MITOCHONDRIAL, Chain, Place

AS_HEADER = "header"  # in place of a build: the one that the header tells
# Named as in Picard's LiftoverVcf
INFO = {
    b"OriginalContig": b'Number=1,Type=String,Description="Contig of the record before it was lifted over"',
    b"OriginalStart": b'Number=1,Type=Integer,Description="POS of the record before it was lifted over"',
    b"ReverseComplementedAlleles": b"Number=0,Type=Flag,"
    b'Description="The record was lifted over to the other strand: its alleles are complemented, genotypes are not"',
}
_OLD = re.compile(rb"GAS_|BCSQ|OriginalContig|OriginalStart|ReverseComplementedAlleles")
_END = re.compile(rb"(?:^|;)END=([^;]*)")
_RESERVED = re.compile(rb"[%;=,\s]")


def lift_over(name: str | None, build: str, header: Header, first: bytes) -> "LiftOver":
    """The way of a file from a build, or AS_HEADER, to the reference `name`, else to any that a chain file leads to.

    `first` is the first text after the header. Raises AnnotationError `wrong_build` or `reference_missing`.
    """
    evidence = builds.detect(header.meta)
    source = evidence.build if build == AS_HEADER else builds.named_build(build) or build
    if source is None:
        raise AnnotationError(
            "wrong_build", "The header does not tell the build that the file was made against: name it, such as GRCh37."
        )
    if evidence.build and builds.named_build(source) not in (None, evidence.build):
        raise AnnotationError(
            "wrong_build", f"The file was made against {evidence.build}, not {source}: {evidence.why}."
        )
    names = [name] if name else sorted(reference.installed(), key=lambda name: name != DEFAULT)
    found = chains.find(source, names)
    if found is None:
        to = name or "any installed reference that has its sequence"
        raise AnnotationError(
            "reference_missing",
            f"There is no chain file from {source} to {to}, so that the file cannot be lifted over.",
            f"Add one with: manage.py reference chain FILE --from {source} --to {name or DEFAULT}; what there is tells: "
            "manage.py reference list",
        )
    return LiftOver(found[1], found[0], header, first)


class LiftOver:
    """A file on its way to the build of a reference.

    `header` is that of the lifted file. When `texts` have been read: `lines` of the input (`blank` ones too), records
    `lifted`, of these `flipped` to the other strand, and `not_lifted` by key of REASONS, `unreadable` ones apart.
    """

    def __init__(self, chain_file: ChainFile, into: Reference, header: Header, first: bytes) -> None:
        self.chain_file, self.reference = chain_file, into
        self.chain = Chain(chain_file.path)
        self.width, self.first_line = header.width, header.length + 1
        self.lengths = header.contig_lengths()
        self.mitochondrial = next(filter(into.contig, MITOCHONDRIAL), b"")
        self.names = self._names(prefixed=re.search(rb"^chr", first, re.MULTILINE) is not None)
        self.header = self._lifted_header(header)
        self.lines = self.blank = self.lifted = self.flipped = self.unreadable = 0
        self.not_lifted: Counter[str] = Counter()

    @property
    def records(self) -> int:
        return self.lines - self.blank

    @property
    def left_out(self) -> int:
        return self.unreadable + self.not_lifted.total()

    def texts(self, texts: Iterable[bytes], rejects: TextIO, folder: Path) -> Iterator[bytes]:
        """The lifted records, by contig and position; the others go to `rejects` as in skipped.tsv, all before the first.

        Memory is bounded; `folder` takes what is to be sorted. Raises AnnotationError `wrong_build` when none lifts, or
        REF differs too often.
        """
        for number, text in enumerate(sorted_texts(self._blocks(texts, rejects), folder, self.names.values())):
            if not number:
                self._check()
            yield text
        self._check()

    def facts(self) -> dict[str, Any]:
        """For summary.json."""
        return {
            "from": self.chain_file.build,
            "chain": self.chain_file.name,
            "chain_sha256": self.chain_file.sha256,
            "lifted": self.lifted,
            "other_strand": self.flipped,
            "not_lifted": dict(self.not_lifted.most_common()),
        }

    def sentence(self) -> str:
        """What became of the records, for people."""
        some = f", {self.flipped:,} of them to the other strand" if self.flipped else ""
        not_lifted = self.not_lifted.total()
        rest = f"Left out, as they do not lift, see skipped.tsv: {not_lifted:,}." if not_lifted else "All lift."
        return (
            f"Records lifted over from {self.chain_file.build} to {self.reference.build} along "
            f"{quoted(self.chain_file.name.encode())}: {self.lifted:,}{some}. {rest}"
        )

    def _names(self, *, prefixed: bool) -> dict[bytes, bytes]:
        """What the contigs of the chain file are called in the lifted file, in the order of the reference."""
        order = {contig.name: rank for rank, contig in enumerate(self.reference.contigs)}
        targets = [(self.reference.contig(name), name) for name in {*self.chain.targets, self.mitochondrial}]
        known = sorted((order[contig.name], name) for contig, name in targets if contig)
        return {name: self._styled(name, prefixed=prefixed) for _, name in known}

    def _styled(self, name: bytes, *, prefixed: bool) -> bytes:
        """A contig of the chain file as the user's file calls its own, with chr or without."""
        bare = b"MT" if name in MITOCHONDRIAL else name.removeprefix(b"chr")
        if not (bare.isdigit() or bare in (b"X", b"Y", b"MT")):
            return name
        styled = b"chr" + bare.replace(b"MT", b"M") if prefixed else bare
        return styled if self.reference.contig(styled) else name

    def _lifted_header(self, header: Header) -> Header:
        contigs = ((name, self.reference.contig(name)) for name in dict.fromkeys(self.names.values()))
        mine = self.reference.name.encode()
        name = quoted(self.chain_file.name.encode()).replace('"', "?").replace("\\", "?")[1:-1]
        facts = f'From="{self.chain_file.build}",To="{self.reference.build}",Chain="{name}"'
        meta = [
            *(line for line in map(self._kept, header.meta) if line),
            LIFTOVER + f'<ID=GAS,{facts},SHA256="{self.chain_file.sha256}">'.encode(),
            *(b"##contig=<ID=%b,length=%d,assembly=%b>" % (name, c.length, mine) for name, c in contigs if c),
            *(b"##INFO=<ID=%b,%b>" % declared for declared in INFO.items()),
        ]
        return replace(header, meta=meta)

    def _kept(self, line: bytes) -> bytes:
        """A header line as it stays: without contigs, and what tells the old build under another key."""
        declared = DECLARED.match(line)
        if declared and (declared[1] == b"contig" or (declared[1] == b"INFO" and declared[2] in INFO)):
            return b""
        evidence = builds.detect([line])
        if evidence.build or evidence.conflict or re.match(rb"##(?:reference|assembly|gas_liftover)=", line):
            return builds.BEFORE_LIFTOVER + line.removeprefix(b"##")
        return line

    def _blocks(self, texts: Iterable[bytes], rejects: TextIO) -> Iterator[Block]:
        line = self.first_line
        for text in texts:
            block = parse(text, line, self.width)
            count = text.count(b"\n")
            line, self.lines = line + count, self.lines + count
            self.blank += block.blank
            self.unreadable += len(block.skipped)
            lifted = list(self._records(block))
            left_out = block.skipped + [record for record in lifted if isinstance(record, Skipped)]
            for row in sorted(left_out, key=lambda row: row.line):
                rejects.write(f"{row.line}\t{row.place}\t{row.reason}\n")
            there = parse(b"".join(record for record in lifted if isinstance(record, bytes)), 0, self.width)
            assert not there.skipped, there.skipped[0]
            yield there

    def _records(self, block: Block) -> Iterator[bytes | Skipped]:
        """Each record as it lifts, or why it does not."""
        columns = zip(*(block.column(number) for number in range(8)), strict=True)
        stops, ends = block.stops[:, 7].tolist(), block.ends.tolist()
        for row, (pos, values) in enumerate(zip(block.pos.tolist(), columns, strict=True)):
            lifted = self._lift(values[0], pos, values[3], values[4], values[7])
            if isinstance(lifted, str):
                self.not_lifted[lifted] += 1
                yield self._skipped(int(block.lines[row]), values[0], pos, lifted)
                continue
            self.lifted += 1
            self.flipped += lifted.reverse
            yield b"\t".join(self._columns(values, lifted)) + block.text[stops[row] : ends[row]] + b"\n"

    def _skipped(self, line: int, contig: bytes, pos: int, reason: str) -> Skipped:
        why = f"Line {line} does not lift over to {self.reference.build}: {REASONS[reason]}."
        return Skipped(line, f"{contig.decode(errors='replace')}:{pos}", why)

    def _lift(self, contig: bytes, pos: int, ref: bytes, alt: bytes, info: bytes) -> Lifted | str:
        end = _END.search(info) if b"END=" in info else None
        if end and end[1] != b"%d" % (pos + len(ref) - 1):
            return "end_differs"
        places = self._places(contig, pos - 1, pos - 1 + len(ref))
        return lift(places, ref, [] if alt == b"." else alt.split(b","), self._bases)

    def _places(self, contig: bytes, start: int, end: int) -> list[Place] | str:
        source, declared = self.chain.source_of(contig), self.lengths.get(contig)
        if source and declared in (None, self.chain.sources[source]):
            return self.chain.places(source, start, end)
        same = self.reference.contig(self.mitochondrial) if contig in MITOCHONDRIAL else None
        if same and declared == same.length:  # GRCh37 has the rCRS as GRCh38 has, UCSC's hg19 has another sequence
            return [Place(self.mitochondrial, start, reverse=False, beyond=0)]
        return "contig_length" if source else "contig_unknown"

    def _bases(self, target: bytes) -> Bases | None:
        contig = self.reference.contig(target)
        return contig.data.bases if contig else None

    def _columns(self, values: Sequence[bytes], lifted: Lifted) -> list[bytes]:
        contig, pos, identifier, _, _, qual, filters, info = values
        pairs = [] if info == b"." else info.split(b";")
        if _OLD.search(info):
            keys = [pair.partition(b"=")[0] for pair in pairs]
            old = [key in INFO or is_ours(key) for key in keys]  # what we wrote before is of the old build
            pairs = [pair for pair, stale in zip(pairs, old, strict=True) if not stale]
        if b"END=" in info:
            end = b"END=%d" % (lifted.pos + len(lifted.ref))
            pairs = [end if pair.startswith(b"END=") else pair for pair in pairs]
        pairs.append(b"OriginalContig=" + _RESERVED.sub(lambda match: b"%%%02X" % match[0][0], contig))
        pairs.append(b"OriginalStart=%d" % int(pos))
        if lifted.reverse:
            pairs.append(b"ReverseComplementedAlleles")
        alts = b",".join(lifted.alts) or b"."
        start = [self.names[lifted.contig], b"%d" % (lifted.pos + 1), identifier, lifted.ref, alts]
        return [*start, qual, filters, b";".join(pairs)]

    def _check(self) -> None:
        """Raises AnnotationError when the file cannot be of the build that it is lifted from."""
        build, wrong = self.chain_file.build, self.not_lifted["ref_differs"]
        if builds.of_another_build(wrong, wrong + self.lifted):
            raise AnnotationError(
                "wrong_build",
                f"The file does not seem to be made against {build}: when it was lifted over, {wrong:,} of "
                f"{wrong + self.lifted:,} records had another REF than {self.reference.build} has in their place.",
                "Name the build that it was made against.",
            )
        if self.not_lifted and not self.lifted:
            why = "; ".join(f"{REASONS[reason]} ({count:,})" for reason, count in self.not_lifted.most_common())
            raise AnnotationError(
                "wrong_build", f"No record of the file lifts over from {build} to {self.reference.build}: {why}."
            )
