"""Names of thousands of substitutions at once, on a made genome of many transcripts, beside a count of base after base."""

import random
from collections import defaultdict
from itertools import pairwise

import pytest

from jobs.annotation.hgvs import Transcripts, info_fields
from jobs.annotation.hgvs.genetic_code import AMINO_ACIDS, CODONS, GENETIC_CODES
from jobs.annotation.reference.gene_models import parse
from jobs.annotation.reference.transcripts import compile_transcripts
from jobs.annotation.tests import made_genome

OTHER_STRAND = str.maketrans("ACGT", "TGCA")
TABLE = dict(zip(CODONS, GENETIC_CODES[1][0], strict=True))
CONTIG = "1"


class Counted:
    """A transcript as GFF3 lines tell of it; positions of the contig are 1-based."""

    def __init__(self, lines):
        kinds = defaultdict(list)
        for kind, start, end, strand, phase in lines:
            kinds[kind].append((start, end, phase))
            self.strand = strand
        step = 1 if self.strand == "+" else -1
        self.exons = [range(start, end + 1)[::step] for start, end, _ in sorted(kinds["exon"])[::step]]
        coding = sorted(kinds["CDS"])[::step]
        self.cds = [at for start, end, _ in coding for at in range(start, end + 1)[::step]]
        self.cut = -int(coding[0][2]) % 3 if coding else 0
        self.positions = self._positions()

    def _positions(self):
        """HGVS position by position of the contig, introns too."""
        exonic = [at for exon in self.exons for at in exon]
        if self.cds:
            first, last = exonic.index(self.cds[0]), exonic.index(self.cds[-1])
            numbers = [
                *range(-first, 0),
                *range(1, last - first + 2),
                *(f"*{n + 1}" for n in range(len(exonic) - last - 1)),
            ]
        else:
            numbers = range(1, len(exonic) + 1)
        found = {at: str(number) for at, number in zip(exonic, numbers, strict=True)}
        for before, after in pairwise(self.exons):
            intron = list(range(before[-1], after[0], before.step))[1:]
            for n, at in enumerate(intron, 1):
                back = len(intron) + 1 - n
                found[at] = f"{found[before[-1]]}+{n}" if n <= back else f"{found[after[0]]}-{back}"
        return found

    def change(self, bases, at, alt):
        """Number of the codon, codon before and after, where it is whole and neither the first nor a stop; else None."""
        index = self.cds.index(at) + self.cut
        places = self.cds[index // 3 * 3 - self.cut :][:3] if index > 2 else []
        codon = "".join(bases[place - 1] for place in places)
        codon = codon if self.strand == "+" else codon.translate(OTHER_STRAND)
        if len(codon) < 3 or TABLE[codon] == "*":
            return None
        return index // 3 + 1, codon, codon[: index % 3] + alt + codon[index % 3 + 1 :]


def counted(text):
    """The transcripts of CONTIG, by id."""
    lines = defaultdict(list)
    for line in text.splitlines()[1:]:
        contig, _, kind, start, end, _, strand, phase, attributes = line.split("\t")
        if contig == CONTIG and kind in ("exon", "CDS"):
            parent = attributes.partition("Parent=transcript:")[2]
            lines[parent].append((kind, int(start), int(end), strand, phase))
    return {name: Counted(own) for name, own in lines.items()}


def names_of(models, bases, genes, sites):
    """c., p. and codon texts by transcript, for each site (row, pos, REF, ALT), all asked at once; and all transcripts."""
    arrays = {f"{group}/{name}": own[name] for group, own in compile_transcripts(models).items() for name in own}
    transcripts = Transcripts(arrays, genes, memoryview(bases.encode()), 1)
    entries = ",".join(f"missense|G|{name}|protein_coding" for name in transcripts.names).encode()
    records = [(row, at, ref.encode(), alt.encode()) for row, at, ref, alt in sites]
    found = info_fields(transcripts, records, {row: entries for row, _, _, _ in sites})
    return [split(found.get(row, b"").decode()) for row, _, _, _ in sites], transcripts.names


def split(info):
    fields = dict(item.split("=", 1) for item in info.split(";")[1:])
    kinds = [fields.get(key, "").split(",") for key in ("GAS_HGVSC", "GAS_HGVSP", "GAS_CODON")]
    return [dict(item.split(":", 1) for item in kind if item) for kind in kinds]


def marked(codon, other):
    """Changed bases in upper case."""
    return "".join(a if a != b else a.lower() for a, b in zip(codon, other, strict=True))


def said_of(change):
    """p. name and codon text."""
    number, before, after = change
    old, new = TABLE[before], TABLE[after]
    said = "%3D" if old == new else AMINO_ACIDS[new]
    return f"p.({AMINO_ACIDS[old]}{number}{said})", f"{marked(before, after)}/{marked(after, before)}"


@pytest.mark.parametrize("seed", [1, 2])
def test_names_of_substitutions_on_all_transcripts_of_a_genome(seed):
    contigs, exons, _, text = made_genome.models(seed)
    bases, rng = contigs[CONTIG], random.Random(seed)
    lines = [line.encode() for line in text.splitlines(keepends=True) if line.startswith(f"{CONTIG}\t")]
    models = parse(lines)
    genes = sorted(
        rng.sample(range(len(models.genes)), len(models.genes) * 3 // 4)
    )  # numbers and rows are not the same
    near = {at for start, end in exons[CONTIG] for at in range(start - 5, end + 6)}
    places = sorted(rng.sample(sorted(near), 2000))
    sites = [(at * 10, at, bases[at - 1], rng.choice("ACGT".replace(bases[at - 1], ""))) for at in places]
    found, names = names_of(models, bases, genes, sites)
    assert names == [t.name.decode() for gene in genes for t in models.genes[gene].transcripts]
    known = {name: own for name, own in counted(text).items() if name in names}
    assert known.keys() == set(names)
    compared = 0
    for (_, at, ref, alt), (c, p, codons) in zip(sites, found, strict=True):
        here = {name: known[name] for name in names if at in known[name].positions}
        assert list(c) == list(here), at
        for name, own in here.items():
            old, new = (ref, alt) if own.strand == "+" else (ref.translate(OTHER_STRAND), alt.translate(OTHER_STRAND))
            assert c[name] == f"{'c' if own.cds else 'n'}.{own.positions[at]}{old}>{new}", (at, name)
            assert (name in p) == (at in own.cds), (at, name)
            if name in p and (
                change := own.change(bases, at, new)
            ):  # others test starts, stops and codons that are cut
                assert (p[name], codons[name]) == said_of(change), (at, name)
                compared += 1
    assert compared > 1000
    kinds = {(own.strand, bool(own.cds), bool(own.cut)) for own in known.values()}
    assert kinds >= {(strand, *kind) for strand in "+-" for kind in [(True, True), (True, False), (False, False)]}
