"""Annotates a block of records: takes the user's bytes, gives them back with ID and INFO filled in, and counts."""

import functools
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .alleles import Variants
from .block import Block
from .consequences import Ask, Site, consequences, terms
from .far import is_near
from .fields import is_ours
from .hgvs import Transcripts, hgvs_fields
from .records import record_class
from .reference import Contig, ContigData, Reference, Track
from .reference.arrays import Array
from .tracks import IntervalTrack, Spans

NONE = b";GAS_REGION=intergenic_region"


@dataclass
class Tally:
    """Counts of records, for the summary."""

    records: int = 0
    annotated: int = 0
    multiallelic: int = 0
    ref_checked: int = 0
    overlap_only: int = 0
    not_annotated: Counter[str] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)
    consequences: Counter[bytes] = field(default_factory=Counter)
    genes: Counter[bytes] = field(default_factory=Counter)
    locations: Counter[bytes] = field(default_factory=Counter)
    tracks: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Tally") -> None:
        for name in ("records", "annotated", "multiallelic", "ref_checked", "overlap_only"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("not_annotated", "classes", "consequences", "genes", "locations", "tracks"):
            getattr(self, name).update(getattr(other, name))

    def terms(self) -> Counter[str]:
        """Records by consequence term; a record counts once under each of its terms."""
        return _spread({value: terms(value) for value in self.consequences}, self.consequences)

    def symbols(self) -> Counter[str]:
        """Records by gene."""
        names = {text: text.partition(b"=")[2].decode().split(",") for text in self.genes}
        return _spread(names, self.genes)

    def regions(self) -> Counter[str]:
        """Records by region."""
        names = {text: text.rpartition(b";GAS_REGION=")[2].decode().split(",") for text in self.locations}
        return _spread(names, self.locations)


@dataclass
class Mismatch:
    """The first record whose REF is not what the reference has."""

    line: int
    contig: bytes
    pos: int
    ref: bytes
    expected: bytes


class Answers(NamedTuple):
    """What is filled in, by row of the block: INFO text, ID column, and BCSQ where it is known without asking csq."""

    info: list[bytes]
    ids: list[bytes]
    far: dict[int, bytes]


class Annotator:
    """Annotates blocks against one reference, with `folder` for what csq reads and writes."""

    def __init__(self, reference: Reference, folder: Path) -> None:
        self.reference, self.folder = reference, folder
        self.tally = Tally()
        self.mismatch: Mismatch | None = None

    def annotate(self, block: Block) -> bytes:
        """The annotated text of a block, whose records are sorted within each run of one contig."""
        self.tally.records += len(block)
        filled = Answers([b""] * len(block), block.column(2), {})
        asks = []
        for name, rows in block.contigs():
            variants = Variants(block, rows)
            self._count_classes(variants)
            if contig := self.reference.contig(name):
                asks += self._overlaps(contig, name, variants, filled)
            else:
                self.tally.not_annotated["contig_not_in_reference"] += len(variants)
        ours = filled.info
        bcsq = filled.far | consequences(self.reference, asks, self.folder)
        self.tally.consequences.update(bcsq.values())
        names = self._names(asks, bcsq)
        for row, value in bcsq.items():
            ours[row] = b";BCSQ=%b%b%b" % (value, names.get(row, b""), ours[row])
        self.tally.annotated += sum(map(bool, ours))
        return _text(block, filled.ids, ours)

    def _names(self, asks: list[Ask], bcsq: dict[int, bytes]) -> dict[int, bytes]:
        """HGVS names and codons of the records near an exon, by row."""
        names = {}
        for contig, sites, genes in asks:
            data, name = contig.data, contig.name.encode()
            transcripts = Transcripts.from_gff(data.gff(genes))
            for row, pos, ref, alt in sites:
                if value := bcsq.get(row):
                    code = contig.genetic_code
                    names[row] = hgvs_fields(transcripts, data.sequence, name, pos, ref, alt, value, code)
        return names

    def _overlaps(self, contig: Contig, name: bytes, variants: Variants, filled: Answers) -> list[Ask]:
        """Looks up everything but csq; returns what to ask csq."""
        data = contig.data
        agree = variants.agreed = self._agree(data, name, variants)
        spans = variants.spans()
        answers = [b""] * len(variants)
        if data.has_genes:
            self._genes(data, spans, answers)
        for track in self.reference.tracks:
            if track.kind == "allele":
                self._alleles(track, data, variants, answers, filled.ids)
            elif overlap := data.intervals.get(track.name):
                self.tally.tracks[track.name] += int(agree[overlap.append(spans, answers)].sum())
        self._put(variants, answers, filled.info)
        if data.bases is None or not data.has_genes:
            return []
        return self._ask(contig, variants, filled.far)

    def _put(self, variants: Variants, answers: list[bytes], ours: list[bytes]) -> None:
        agree, sequence_free = variants.agreed, variants.sequence_free
        self.tally.overlap_only += int((sequence_free & agree).sum())
        for row in np.flatnonzero(sequence_free).tolist():
            if answers[row]:
                answers[row] = b";GAS_OVERLAP_ONLY" + answers[row]
        for row in np.flatnonzero(~agree).tolist():
            answers[row] = b""
        ours[variants.rows] = answers

    def _agree(self, data: ContigData, name: bytes, variants: Variants) -> Array:
        """Which rows have the REF that the reference has; all, where it has no bases."""
        agree = variants.agree(data.bases, data.contig.length)
        wrong = np.flatnonzero(~agree)
        self.tally.ref_checked += len(agree) if data.bases is not None else 0
        if len(wrong):
            self.tally.not_annotated["ref_mismatch"] += len(wrong)
            if self.mismatch is None:
                self.mismatch = self._first_mismatch(data, name, variants, int(wrong[0]))
        return agree

    def _first_mismatch(self, data: ContigData, name: bytes, variants: Variants, row: int) -> Mismatch:
        pos, ref = int(variants.pos[row]), variants.ref(row)
        expected = bytes(data.bases[pos - 1 : pos - 1 + len(ref)]) if data.bases is not None and pos else b""
        return Mismatch(int(variants.lines[row]), name, pos, ref, expected)

    def _genes(self, data: ContigData, spans: Spans, answers: list[bytes]) -> None:
        """Gene, location, region and, outside of genes, the nearest one."""
        before = len(answers)
        genes, locations = [b""] * before, [b""] * before
        data.gene.append(spans, genes)
        data.location.append(spans, locations)
        for row in range(before):
            if not locations[row]:
                locations[row] = NONE
        self.tally.locations.update(locations)
        outside = np.flatnonzero(np.array([not gene for gene in genes]))
        for row, text in zip(outside.tolist(), data.nearest(spans.first[outside], spans.last[outside]), strict=True):
            locations[row] += text
        self.tally.genes.update(filter(None, genes))
        for row, (gene, location) in enumerate(zip(genes, locations, strict=True)):
            answers[row] = gene + location

    def _alleles(
        self,
        track: Track,
        data: ContigData,
        variants: Variants,
        answers: list[bytes],
        ids: list[bytes],
    ) -> None:
        """Appends an allele track's values: one for each ALT allele, and its names to ID."""
        found = data.alleles.get(track.name)
        if found is None:
            return
        keys = variants.keys(data.bases)
        hits, entries = found.find(keys.keys, keys.allele)
        rows = keys.row[hits]
        good = variants.agreed[rows]
        hits, entries, rows = hits[good], entries[good], rows[good]
        self.tally.tracks[track.name] += len(np.unique(rows))
        values = [place for place in range(len(track.fields) + (track.id_field >= 0)) if place != track.id_field]
        offset = variants.rows.start
        by_row: dict[int, list[tuple[int, int]]] = {}
        for row, number, entry in zip(rows.tolist(), keys.number[hits].tolist(), entries.tolist(), strict=True):
            by_row.setdefault(row, []).append((number, entry))
        for row, matches in by_row.items():
            if track.id_field >= 0:
                names = [found.value(track.id_field, entry) for _, entry in matches]
                ids[offset + row] = _with_names(ids[offset + row], names)
            count = variants.alleles(row)
            for info, place in zip(track.fields, values, strict=True):
                column = [b"."] * count
                for number, entry in matches:
                    column[number] = found.value(place, entry) or b"."
                if info.type == "Flag":
                    answers[row] += b";" + info.key
                elif any(value != b"." for value in column):
                    answers[row] += b";%b=%b" % (info.key, b",".join(column))

    def _ask(self, contig: Contig, variants: Variants, far: dict[int, bytes]) -> list[Ask]:
        """The rows near an exon are for csq; what it says of the others is known."""
        data, arrays = contig.data, contig.data.arrays
        usable = variants.agreed & ~variants.sequence_free
        first = variants.pos - 1
        last = first + variants.ref_length - 1
        asked, gap = is_near(arrays, first, last)
        offset = variants.rows.start
        texts = _Texts(arrays["far/text_at"], arrays["far/text"])
        for row in np.flatnonzero(usable & ~asked & (texts.lengths[gap] > 0)).tolist():
            far[offset + row] = texts[int(gap[row])]
        chosen = np.flatnonzero(usable & asked)
        sites = [
            Site(offset + row, pos, variants.ref(row), variants.alt(row))
            for row, pos in zip(chosen.tolist(), variants.pos[chosen].tolist(), strict=True)
        ]
        none = np.zeros(len(chosen), bool)
        genes = genes_of(data.gene, Spans(first[chosen], last[chosen], none))
        return [Ask(contig, sites, genes)] if genes else []

    def _count_classes(self, variants: Variants) -> None:
        classes = self.tally.classes
        classes["SNV"] += int(variants.snv.sum())
        for row in np.flatnonzero(~variants.snv).tolist():
            classes[_class(variants.ref(row), variants.alt(row))] += 1
            self.tally.multiallelic += b"," in variants.alt(row)


class _Texts:
    """A text array."""

    def __init__(self, at: Array, text: Array) -> None:
        self.at, self.text = at.astype(np.int64), text
        self.lengths = np.diff(self.at)

    def __getitem__(self, number: int) -> bytes:
        return self.text[self.at[number] : self.at[number + 1]].tobytes()


def genes_of(track: IntervalTrack, spans: Spans) -> list[int]:
    """The genes that some spans overlap, in ascending order."""
    first, several = track.locate(spans)
    genes: set[int] = set()
    for number in np.unique(track.sets[first]).tolist():
        genes.update(track.members_of(number))
    for row in several.tolist():
        genes.update(track.members(int(spans.first[row]), int(spans.last[row])))
    return sorted(genes)


def _with_names(known: bytes, names: list[bytes]) -> bytes:
    """The ID column with names that it lacks."""
    have = [] if known == b"." else known.split(b";")
    new = dict.fromkeys(name for value in names for name in value.split(b"&") if name and name not in have)
    return b";".join([*have, *new]) or b"."


def _text(block: Block, ids: list[bytes], ours: list[bytes]) -> bytes:
    """The user's lines with ID and INFO replaced; all else is byte for byte theirs."""
    text = block.text
    again = b"GAS_" in text or b"BCSQ" in text
    begins, ends = block.begins.tolist(), block.ends.tolist()
    id_starts, id_stops = block.starts[:, 2].tolist(), block.stops[:, 2].tolist()
    info_starts, info_stops = block.starts[:, 7].tolist(), block.stops[:, 7].tolist()
    parts: list[bytes] = []
    for row, added in enumerate(ours):
        info = text[info_starts[row] : info_stops[row]]
        if again:
            info = _without_ours(info)
        if added:
            info = added[1:] if info == b"." else info.rstrip(b";") + added
        parts += (
            text[begins[row] : id_starts[row]],
            ids[row],
            text[id_stops[row] : info_starts[row]],
            info,
            text[info_stops[row] : ends[row] + 1],
        )
    return b"".join(parts)


def _without_ours(info: bytes) -> bytes:
    return b";".join(item for item in info.split(b";") if not is_ours(item.partition(b"=")[0])) or b"."


@functools.lru_cache(maxsize=10_000)
def _class(ref: bytes, alt: bytes) -> str:
    return record_class(ref, alt.split(b","))


def _spread(names: Mapping[bytes, Iterable[str]], counts: Counter[bytes]) -> Counter[str]:
    """Counts by name, from counts by what has several names."""
    spread: Counter[str] = Counter()
    for key, count in counts.items():
        spread.update(dict.fromkeys(sorted(names[key]), count))
    return spread
