"""Annotates a block of records: takes the user's bytes, gives them back with ID and INFO filled in, and counts."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .alleles import Keys, Variants
from .block import Block
from .consequences import Ask, Site, consequences
from .far import is_near
from .filling import Filling
from .hgvs import info_fields
from .reference import Contig, ContigData, Reference, Track
from .reference.arrays import Array
from .tally import Tally
from .tracks import AlleleTrack, Column, Spans, Texts

NONE = b";GAS_REGION=intergenic_region"


@dataclass
class Mismatch:
    """The first record whose REF is not what the reference has."""

    line: int
    contig: bytes
    pos: int
    ref: bytes
    expected: bytes


class Annotator:
    """Annotates blocks against one reference, with `folder` for what csq reads and writes."""

    def __init__(self, reference: Reference, folder: Path) -> None:
        self.reference, self.folder = reference, folder
        self.tally = Tally()
        self.mismatch: Mismatch | None = None

    def annotate(self, block: Block) -> bytes:
        """The annotated text of a block, whose records are sorted within each run of one contig."""
        self.tally.records += len(block)
        fillings, asked = [], []
        for name, rows in block.contigs():
            filling, variants = Filling(rows), Variants(block, rows)
            self._count_classes(variants)
            fillings.append(filling)
            if contig := self.reference.contig(name):
                if ask := self._fill(contig, name, variants, filling):
                    asked.append((filling, ask))
            else:
                self.tally.not_annotated["contig_not_in_reference"] += len(variants)
        self._fill_consequences(asked)
        self.tally.annotated += sum(int(filling.filled().sum()) for filling in fillings)
        return b"".join([filling.text(block) for filling in fillings])

    def _fill_consequences(self, asked: list[tuple[Filling, Ask]]) -> None:
        asks = [ask for _, ask in asked]
        crashing: list[Site] = []
        bcsq = consequences(self.reference, asks, self.folder, crashing)
        self.tally.csq_crashed += len(crashing)
        names = self._names(asks, bcsq)
        self.tally.count_consequences(Counter(bcsq.values()))
        for filling, ask in asked:
            rows = [site.row for site in ask.sites if site.row in bcsq]
            texts = [b";BCSQ=%b%b" % (bcsq[row], names.get(row, b"")) for row in rows]
            filling.columns[0].put(np.array(rows, np.int64) - filling.rows.start, texts)

    def _names(self, asks: list[Ask], bcsq: dict[int, bytes]) -> dict[int, bytes]:
        """HGVS names and codons of the records near an exon, by row."""
        names: dict[int, bytes] = {}
        for contig, sites, genes in asks:
            names |= info_fields(contig.data.transcripts(genes), sites, bcsq)
        return names

    def _fill(self, contig: Contig, name: bytes, variants: Variants, filling: Filling) -> Ask | None:
        """Looks up everything but csq; returns what to ask csq, whose answers belong into the first column."""
        data, columns = contig.data, filling.columns
        agree = variants.agreed = self._agree(data, name, variants)
        if data.has_genes:
            columns += self._genes(data, variants)
        keys = variants.keys(data.bases) if data.alleles else None
        for track in self.reference.tracks:
            if keys and (alleles := data.alleles.get(track.name)):
                columns += self._alleles(track, alleles, keys, variants, filling.ids)
            elif overlap := data.intervals.get(track.name):
                column = overlap.column(variants.spans)
                self.tally.tracks[track.name] += int((column.filled & agree).sum())
                columns.append(column)
        if not agree.all():
            filling.clear(~agree)
        self._mark(variants, filling)
        if data.bases is None or not data.has_genes:
            return None
        far, ask = self._ask(contig, variants)
        columns.insert(0, far)
        return ask

    def _mark(self, variants: Variants, filling: Filling) -> None:
        """Marks records of which only overlaps were looked up."""
        if variants.sequence_free.any():
            self.tally.overlap_only += int((variants.sequence_free & variants.agreed).sum())
            column, marked = Column.empty(len(variants)), variants.sequence_free & filling.filled()
            column.put(marked, b";GAS_OVERLAP_ONLY")
            filling.columns.insert(0, column)

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

    def _genes(self, data: ContigData, variants: Variants) -> list[Column]:
        """Gene, location and region, and the nearest gene of what is outside of all."""
        spans, agree = variants.spans, variants.agreed
        genes, locations = data.gene.column(spans), data.location.column(spans)
        locations.put(~locations.filled, NONE)
        self.tally.count_genes(genes.texts[genes.filled & agree].tolist())
        self.tally.count_regions(locations.texts[agree].tolist())
        outside = np.flatnonzero(~genes.filled)
        nearest = Column.empty(len(variants))
        if len(outside) and len(data.arrays["gene/start"]):
            nearest.put(outside, data.nearest(spans.first[outside], spans.last[outside]))
        return [genes, locations, nearest]

    def _alleles(
        self, track: Track, found: AlleleTrack, keys: Keys, variants: Variants, ids: dict[int, bytes]
    ) -> list[Column]:
        """An allele track's values: one for each ALT allele; puts its names into `ids`."""
        hits, entries = found.find(keys.keys, keys.allele)
        rows = keys.row[hits]
        good = variants.agreed[rows]
        hits, entries, rows = hits[good], entries[good], rows[good]
        self.tally.tracks[track.name] += len(set(rows.tolist()))
        if track.id_field >= 0:
            known = variants.ids(rows)
            for row, old, name in zip(rows.tolist(), known, found.values(track.id_field, entries), strict=True):
                if name and name != old:
                    alone = old == b"." and row not in ids and b"&" not in name
                    ids[row] = name if alone else _with_names(ids.get(row, old), name)
        places = [place for place in range(len(track.fields) + (track.id_field >= 0)) if place != track.id_field]
        columns = []
        for info, place in zip(track.fields, places, strict=True):
            column = Column.empty(len(variants))
            if info.type == "Flag":
                column.put(rows, b";" + info.key)
            else:
                values = found.values(place, entries)
                _fill_values(column, info.key, variants, rows, keys.number[hits], values)
            columns.append(column)
        return columns

    def _ask(self, contig: Contig, variants: Variants) -> tuple[Column, Ask | None]:
        """The rows near an exon are for csq; what it says of the others is known."""
        data, arrays = contig.data, contig.data.arrays
        usable = variants.agreed & ~variants.sequence_free
        first = variants.pos - 1
        last = first + variants.ref_length - 1
        near, gap = is_near(arrays, first, last)
        near |= variants.replacing  # of these csq says feature_truncation or feature_elongation wherever they are
        texts = Texts(arrays, "far/text")
        gap = np.where(usable & ~near, gap, 0)  # of which nothing is known
        column = Column.of_runs(gap, lambda gaps: [text and b";BCSQ=" + text for text in texts.of(gaps)])
        for number, count in Counter(gap[column.filled].tolist()).items():
            self.tally.count_consequences({texts[number]: count})
        chosen = np.flatnonzero(usable & near)
        if not len(chosen):
            return column, None
        genes = data.gene.overlapped(Spans(first[chosen], last[chosen], np.zeros(len(chosen), bool)))
        rows, pos = (chosen + variants.rows.start).tolist(), variants.pos[chosen].tolist()
        sites = list(map(Site, rows, pos, variants.column(3, chosen), variants.column(4, chosen)))
        return column, Ask(contig, sites, genes) if genes else None

    def _count_classes(self, variants: Variants) -> None:
        self.tally.classes["SNV"] += int(variants.snv.sum())
        self.tally.count_classes(changes[:2] for changes in variants.others.values())
        self.tally.multiallelic += int(variants.multiallelic.sum())


def _fill_values(  # noqa: PLR0913, PLR0917 - columns of a table
    column: Column, key: bytes, variants: Variants, rows: Array, numbers: Array, values: list[bytes]
) -> None:
    """Puts `;KEY=a,.,b`, a value for each ALT allele; `rows`, `numbers` (of the allele) and `values` are of those found."""
    several = variants.multiallelic[rows]
    filled = np.array(values, object).astype(bool)
    only = np.flatnonzero(filled & ~several)
    column.put(rows[only], [b";%b=%b" % (key, values[place]) for place in only.tolist()])
    by_row: dict[int, dict[int, bytes]] = {}
    for place in np.flatnonzero(filled & several).tolist():
        by_row.setdefault(int(rows[place]), {})[int(numbers[place])] = values[place]
    for row, found in by_row.items():
        count = variants.others[row].alt.count(b",") + 1
        listed = b",".join(found.get(number, b".") for number in range(count))
        column.put(np.array([row]), [b";%b=%b" % (key, listed)])


def _with_names(known: bytes, names: bytes) -> bytes:
    """The ID column with names (joined by '&') that it lacks."""
    have = [] if known == b"." else known.split(b";")
    new = dict.fromkeys(name for name in names.split(b"&") if name and name not in have)
    return b";".join([*have, *new]) or b"."
