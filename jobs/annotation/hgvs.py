"""HGVS names (hgvs-nomenclature.org, version 21) and codon changes of the entries of a BCSQ value that name a transcript.

Positions c. and n. are those of the Ensembl transcript; c.1 is the first base of its coding sequence (CDS), also where
the 5' end of the CDS is incomplete. Protein positions are those of the Ensembl protein, which begins with an X for an
incomplete first codon: one more than bcftools csq says for such a transcript. All p. names are predictions and stand in
parentheses. Deletions, insertions and duplications move to the most 3' position on the transcript's strand, by the
genome's sequence, also across an edge between exon and intron. Not named: inversions, repeats ([n]), alleles other than
bases or with more than LONGEST_ALT of them, and variants that reach out of the transcript.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cached_property
from itertools import count, takewhile
from typing import NamedTuple

# Bases of a contig by 0-based half-open interval, upper case; empty or short outside of the contig
Sequence = Callable[[int, int], bytes]

# NCBI translation tables (gc.prt): amino acids of the 64 codons, each base in the order T, C, A, G, and start codons
GENETIC_CODES = {
    1: (
        "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG",
        "---M------**--*----M---------------M----------------------------",
    ),
    2: (
        "FFLLSSSSYY**CCWWLLLLPPPPHHQQRRRRIIMMTTTTNNKKSS**VVVVAAAADDEEGGGG",
        "----------**--------------------MMMM----------**---M------------",
    ),
}
CODONS = [first + second + third for first in "TCAG" for second in "TCAG" for third in "TCAG"]
AMINO_ACIDS = dict(
    zip(
        "ARNDCQEGHILKMFPSTWYVUX*",
        re.findall("...", "AlaArgAsnAspCysGlnGluGlyHisIleLeuLysMetPheProSerThrTrpTyrValSecXaaTer"),
        strict=True,
    )
)
LONGEST_ALT = 1000  # bases; a name has all that are inserted, once per transcript
LONGEST_CODON_CHANGE = 60  # bases of REF and ALT together; longer ones have no codon text
_COMPLEMENT = str.maketrans("ACGTURYSWKMBDHVN", "TGCAAYRSWMKVHDBN")
_OTHER_STRAND = {"A": "T", "C": "G", "G": "C", "T": "A", "N": "N"}
_BASES = re.compile("[ACGTN]+")
# An exon or CDS line, whose parents may be several; and the id of a transcript whose 5' end is not known. (Attributes
# are percent-encoded, but ids need none.)
_GFF_PART = re.compile(
    rb"^([^\t\n]+)\t[^\t\n]*\t(exon|CDS)\t(\d+)\t(\d+)\t[^\t\n]*\t([+-])\t([.012])\t(?:[^\n]*?;)?Parent=([^;\s]+)",
    re.MULTILINE,
)
_GFF_INCOMPLETE = re.compile(
    rb"^(?=[^\n]*[;\t]tag=[^;\n]*_start_NF)[^\n]*[\t;]ID=(?:transcript:)?([^;\s]+)", re.MULTILINE
)


class Names(NamedTuple):
    """Names of one allele on one transcript; "" where there is none."""

    c: str  # c.64A>G, n.64A>G
    p: str  # p.(Lys22Glu)
    codon: str  # aAa/gAa: changed bases in upper case, on the transcript's strand


class GeneticCode:
    """One of NCBI's translation tables."""

    def __init__(self, amino_acids: str, starts: str) -> None:
        self.amino_acids = dict(zip(CODONS, amino_acids, strict=True))
        self.starts = {codon for codon, start in zip(CODONS, starts, strict=True) if start == "M"}
        # by position in the codon (0-2) and codon + new base: codon text, old amino acid, new one ("=" for the same)
        self.changes = tuple(
            {codon + base: self._change(codon, at, base) for codon in CODONS for base in "ACGT"} for at in range(3)
        )

    def _change(self, codon: str, at: int, base: str) -> tuple[str, str, str]:
        changed = codon[:at] + base + codon[at + 1 :]
        old, new = self.amino_acids[codon], self.amino_acids[changed]
        text = f"{_marked(codon, at, at + 1)}/{_marked(changed, at, at + 1)}"
        return text, AMINO_ACIDS[old], "=" if old == new else AMINO_ACIDS[new]

    def translate(self, bases: str, at: int = 0) -> str:
        """Amino acids of the whole codons of `bases` from `at` on, through stops; X for a codon with other bases."""
        get = self.amino_acids.get
        return "".join([get(bases[i : i + 3], "X") for i in range(at, len(bases) - 2, 3)])

    def translate_to_stop(self, bases: str, at: int) -> str:
        """As translate, up to the first stop, which is included. Piece by piece: a new frame stops soon."""
        protein = ""
        while at + 3 <= len(bases) and not protein.endswith("*"):
            protein += _up_to_stop(self.translate(bases[at : at + 90]))
            at += 90
        return protein


class Transcript:
    """A transcript in coordinates of its own: 0-based from its 5' end, introns left out ("spliced").

    `exons` and `cds` are 0-based half-open intervals on the contig; `phase` is that of the first CDS in GFF3: bases to
    skip to the first whole codon. `complete`: whether the CDS begins with the start codon. Raises ValueError when
    there is no exon, or the CDS is not in the exons.
    """

    def __init__(
        self, strand: int, exons: list[tuple[int, int]], cds: list[tuple[int, int]], phase: int, complete: bool
    ) -> None:
        exons = sorted(exons or cds)
        if not exons:
            raise ValueError("no exon")
        self.strand = strand
        self.exons = exons
        self.start, self.end = exons[0][0], exons[-1][1]
        self.starts = [start for start, _ in exons]
        self.ends = [end for _, end in exons]
        self.offsets = _offsets(exons, strand)  # spliced position = offset of the exon + strand * position
        self.coding = bool(cds)
        self.kind = "c" if cds else "n"  # of HGVS reference sequence
        self.cds_span = (min(cds)[0], max(end for _, end in cds)) if cds else (0, 0)
        self.cds_start, self.cds_end = self._spliced_cds() if cds else (0, 0)
        self.cds_size = self.cds_end - self.cds_start
        self.pad = -phase % 3  # bases of the first codon that are missing at the 5' end
        self.complete = complete and not self.pad
        self.sequence: Sequence = _nothing
        self.code: GeneticCode | None = None

    def _spliced_cds(self) -> tuple[int, int]:
        first, last = self.cds_span[0], self.cds_span[1] - 1
        ends = self.spliced(first), self.spliced(last)
        if ends[0] is None or ends[1] is None:
            raise ValueError("CDS outside of the exons")
        return min(ends[0], ends[1]), max(ends[0], ends[1]) + 1

    def exon_of(self, at: int) -> int:
        """Index of the exon (in the order of the contig) that holds this position of the contig; -1 for none."""
        i = bisect_right(self.starts, at) - 1
        return i if i >= 0 and at < self.ends[i] else -1

    def spliced(self, at: int) -> int | None:
        """The spliced position of a position of the contig, None when it is in no exon."""
        i = self.exon_of(at)
        return None if i < 0 else self.offsets[i] + self.strand * at

    def position(self, at: int) -> str:
        """HGVS position (after c. or n.) of a position of the contig: 64, -3, *5, 64+2, 65-1; "" outside."""
        i = bisect_right(self.starts, at) - 1
        if i < 0 or at >= self.end:
            return ""
        if at < self.ends[i]:
            return self.number(self.offsets[i] + self.strand * at)
        left, right = self.ends[i] - 1, self.starts[i + 1]
        before, after = (left, right) if self.strand > 0 else (right, left)
        # the middle base of an intron of odd length belongs to the exon before it
        if abs(at - before) <= abs(after - at):
            return f"{self._number_at(before)}+{abs(at - before)}"
        return f"{self._number_at(after)}-{abs(after - at)}"

    def _number_at(self, at: int) -> str:
        spliced = self.spliced(at)
        assert spliced is not None
        return self.number(spliced)

    def number(self, spliced: int) -> str:
        """HGVS number of a spliced position."""
        if not self.coding:
            return str(spliced + 1)
        if spliced < self.cds_start:
            return str(spliced - self.cds_start)
        if spliced < self.cds_end:
            return str(spliced - self.cds_start + 1)
        return f"*{spliced - self.cds_end + 1}"

    @cached_property
    def bases(self) -> str:
        """The spliced sequence on the transcript's strand."""
        plus = b"".join(self.sequence(start, end) for start, end in self.exons).decode()
        return plus if self.strand > 0 else reverse_complement(plus)

    @cached_property
    def coded(self) -> str:
        """The CDS, led by an N for each base that its first codon lacks: codon n is [3 * n - 3, 3 * n)."""
        return "N" * self.pad + self.bases[self.cds_start : self.cds_end]

    @cached_property
    def protein(self) -> str:
        """One letter per amino acid, with the final * where the CDS has it. Needs a genetic code."""
        assert self.code is not None
        protein = self.code.translate(self.coded)
        if self.has_start:
            protein = "M" + protein[1:]
        if self.code is _CODES[1]:  # TGA before the end is selenocysteine
            return re.sub(r"\*(?=.)", lambda stop: "U" if _codon(self.coded, stop.start()) == "TGA" else "*", protein)
        return protein

    @cached_property
    def has_start(self) -> bool:
        """Whether the first codon is a start codon."""
        return self.complete and self.code is not None and self.coded[:3] in self.code.starts

    def touches_cds(self, start: int, end: int) -> bool:
        """Whether [start, end) of the contig holds a base of the CDS."""
        low, high = max(start, self.cds_span[0]), min(end, self.cds_span[1])
        return self.coding and any(max(low, first) < min(high, last) for first, last in self.exons)


class Transcripts(dict[bytes, dict[str, Transcript]]):
    """Transcripts by contig and by id as bcftools csq prints it (without "transcript:")."""

    @classmethod
    def from_gff(cls, text: bytes) -> "Transcripts":
        """From GFF3 lines in Ensembl's dialect; those that contradict themselves are left out."""
        transcripts = cls()
        transcripts.add(text)
        return transcripts

    def add(self, text: bytes) -> None:
        """Adds the transcripts of more GFF3 lines, so that the genes of a contig need not be read twice."""
        parts: dict[tuple[bytes, bytes], _Parts] = {}
        for contig, kind, start, end, strand, phase, parents in _GFF_PART.findall(text):
            for parent in parents.split(b","):
                part = parts.get((contig, parent))
                if part is None:
                    part = parts[contig, parent] = _Parts(1 if strand == b"+" else -1, [], [])
                if kind == b"exon":
                    part.exons.append((int(start) - 1, int(end)))
                else:
                    part.cds.append((int(start) - 1, int(end), int(phase) if phase != b"." else 0))
        incomplete = set(_GFF_INCOMPLETE.findall(text)) if b"_start_NF" in text else set()
        for (contig, parent), part in parts.items():
            name = parent.removeprefix(b"transcript:")
            with suppress(ValueError):
                transcript = part.transcript(name not in incomplete)
                self.setdefault(contig, {})[name.decode()] = transcript


class _Parts(NamedTuple):
    strand: int
    exons: list[tuple[int, int]]
    cds: list[tuple[int, int, int]]  # with the phase

    def transcript(self, complete: bool) -> Transcript:
        cds = sorted(self.cds)
        phase = cds[0 if self.strand > 0 else -1][2] if cds else 0
        return Transcript(self.strand, self.exons, [(start, end) for start, end, _ in cds], phase, complete)


def hgvs_fields(  # noqa: PLR0913, PLR0917 - a record, and what it is read against
    transcripts: Transcripts,
    sequence: Sequence,
    contig: bytes,
    pos: int,
    ref: bytes,
    alt: bytes,
    bcsq: bytes,
    genetic_code: int,
) -> bytes:
    """INFO text `;GAS_HGVSC=id:c.64A>G,...;GAS_HGVSP=id:p.(Lys22Glu),...;GAS_CODON=id:aAa/gAa,...` of a record.

    `pos` is 1-based, `ref` agrees with the contig, `alt` is as in the file: alleles separated by commas. An entry of
    `bcsq` with a DNA change names that allele; one without is for all alleles. Fields without a name are left out, and
    so are transcripts that are not known. Values are percent-encoded (VCF 4.3 section 1.2).
    """
    models = transcripts.get(contig)
    if not models:
        return b""
    code, at, reference = _CODES.get(genetic_code), pos - 1, ref.decode().upper()
    c, p, codons = [], [], []
    for name, allele in _named(bcsq.decode(), models, pos, reference, alt.decode().upper()):
        transcript = models[name]
        transcript.sequence, transcript.code = sequence, code
        names = _names(transcript, at, reference, allele)
        if names[0]:
            c.append(f"{name}:{names[0]}")
        if names[1]:
            p.append(f"{name}:{names[1]}")
        if names[2]:
            codons.append(f"{name}:{names[2]}")
    return _info(c, p, codons) if c else b""


def _named(bcsq: str, models: dict[str, Transcript], pos: int, ref: str, alt: str) -> Iterable[tuple[str, str]]:
    """Transcripts and alleles that a BCSQ value is about, each pair once."""
    if "," not in alt:
        entries = [entry.split("|", 3) for entry in bcsq.split(",")]
        return dict.fromkeys([(fields[2], alt) for fields in entries if len(fields) > 2 and fields[2] in models])
    entries = [entry.split("|") for entry in bcsq.split(",")]
    known = [fields for fields in entries if len(fields) > 2 and fields[2] in models]
    changes = {f"{pos}{ref}>{allele}": allele for allele in alt.split(",")}  # as csq writes them
    return dict.fromkeys((fields[2], allele) for fields in known for allele in _alleles_of(fields, changes))


def names(  # noqa: PLR0913, PLR0917 - a record, and what it is read against
    transcripts: Transcripts,
    sequence: Sequence,
    contig: bytes,
    pos: int,
    ref: bytes,
    alt: bytes,
    bcsq_entry: bytes,
    genetic_code: int,
) -> Names:
    """Names for one entry of a BCSQ value, `Consequence|gene|transcript|biotype|strand|aa_change|dna_change`.

    Of several alleles in `alt` the one of the entry's DNA change is named, the first when it has none.
    """
    fields = bcsq_entry.decode().split("|")
    transcript = transcripts.get(contig, {}).get(fields[2]) if len(fields) > 2 else None
    if transcript is None:
        return Names("", "", "")
    reference = ref.decode().upper()
    changes = {f"{pos}{reference}>{allele}": allele for allele in alt.decode().upper().split(",")}
    allele = next(iter(_alleles_of(fields, changes)))
    transcript.sequence, transcript.code = sequence, _CODES.get(genetic_code)
    return Names(*_names(transcript, pos - 1, reference, allele))


def _alleles_of(fields: list[str], changes: dict[str, str]) -> Iterable[str]:
    """The allele that the DNA change of an entry names, else all; `changes` has the alleles by DNA change."""
    change = fields[6] if len(fields) > 6 else ""
    return [changes[change]] if change in changes else changes.values()


def _info(c: list[str], p: list[str], codons: list[str]) -> bytes:
    """Only = of the reserved characters occurs in names."""
    info = ";GAS_HGVSC=" + ",".join(c)
    if p:
        info += ";GAS_HGVSP=" + ",".join(p).replace("=", "%3D")
    if codons:
        info += ";GAS_CODON=" + ",".join(codons)
    return info.encode()


def _names(transcript: Transcript, at: int, ref: str, alt: str) -> tuple[str, str, str]:
    """c. (or n.), p. and codon change of an allele whose REF begins at `at` (0-based)."""
    if len(ref) == 1 == len(alt) and ref != alt and alt in "ACGTN":
        return _substitution(transcript, at, ref, alt)
    if ref == alt or len(alt) > LONGEST_ALT or not _BASES.fullmatch(alt):
        return "", "", ""
    written = trimmed(at, ref, alt)
    change = moved(written, transcript)
    if len(change.ref) == 1 == len(change.alt):
        return _substitution(transcript, change.start, change.ref, change.alt)
    name = _change_name(change, transcript)
    if not name:
        return "", "", ""
    return name, *_protein_and_codon(change, written, transcript)


def _substitution(transcript: Transcript, at: int, ref: str, alt: str) -> tuple[str, str, str]:
    """As _names, for one base. Nearly all records come this way, so it calls nothing that a line can do."""
    if transcript.strand < 0:
        ref, alt = _OTHER_STRAND.get(ref, "N"), _OTHER_STRAND[alt]
    i = bisect_right(transcript.starts, at) - 1
    if i >= 0 and at < transcript.ends[i] and transcript.code is not None:
        coded = transcript.offsets[i] + transcript.strand * at - transcript.cds_start
        if 0 <= coded < transcript.cds_size:
            number, within = divmod(coded + transcript.pad, 3)
            change = transcript.code.changes[within].get(transcript.coded[3 * number : 3 * number + 3] + alt)
            if change is None:  # an N, or a codon of which one end is missing
                return f"c.{coded + 1}{ref}>{alt}", "p.?", ""
            text, old, new = change
            if number and old != "Ter":
                return f"c.{coded + 1}{ref}>{alt}", f"p.({old}{number + 1}{new})", text
            edit = coded + transcript.cds_start
            return f"c.{coded + 1}{ref}>{alt}", protein_change(transcript, edit, edit + 1, alt), text
    position = transcript.position(at)
    return (f"{transcript.kind}.{position}{ref}>{alt}" if position else ""), "", ""


class Change(NamedTuple):
    """Bases [start, end) of the contig, of which `ref` is the sequence, replaced by `alt` (plus strand)."""

    start: int
    end: int
    ref: str
    alt: str


def trimmed(at: int, ref: str, alt: str) -> Change:
    """The change without the bases that REF and ALT share at their ends, those in front first."""
    if ref[0] == alt[0] and (len(ref) == 1 or len(alt) == 1):  # as nearly all indels are written
        return Change(at + 1, at + len(ref), ref[1:], alt[1:])
    front = _shared(ref, alt)
    ref, alt = ref[front:], alt[front:]
    back = _shared(ref[::-1], alt[::-1])
    ref, alt = ref[: len(ref) - back], alt[: len(alt) - back]
    return Change(at + front, at + front + len(ref), ref, alt)


def moved(change: Change, transcript: Transcript) -> Change:
    """A deletion or an insertion at the most 3' place of the transcript where it gives the same sequence."""
    start, end, ref, alt = change
    if bool(ref) == bool(alt) or not transcript.start <= start <= end <= transcript.end:
        return change
    if "N" in ref or "N" in alt:  # unknown bases are not known to be the same; and gaps have millions of them
        return change
    bases, size, step = ref or alt, len(ref or alt), transcript.strand
    ahead = end if step > 0 else start - 1  # the base that the change would move over
    steps = 0
    while transcript.start <= ahead < transcript.end:
        if transcript.sequence(ahead, ahead + 1).decode() != bases[steps % size if step > 0 else -1 - steps % size]:
            break
        ahead += step
        steps += 1
    turn = steps * step % size
    bases = bases[turn:] + bases[:turn]
    return Change(start + steps * step, end + steps * step, bases if ref else "", "" if ref else bases)


def _change_name(change: Change, transcript: Transcript) -> str:
    """c. or n. name of a trimmed and moved change that is no substitution; "" when it leaves the transcript."""
    start, end, ref, alt = change
    if not ref and (copied := _copied(change, transcript)):
        start, end = copied
        text = "dup"
    elif not ref:
        start, end = start - 1, end + 1
        text = "ins" + _on_strand(alt, transcript)
    else:
        text = "delins" + _on_strand(alt, transcript) if alt else "del"
    ends = transcript.position(start), transcript.position(end - 1)
    if not all(ends):
        return ""
    first, last = ends[:: transcript.strand]
    return f"{transcript.kind}.{first if first == last else f'{first}_{last}'}{text}"


def _copied(change: Change, transcript: Transcript) -> tuple[int, int] | None:
    """The bases just 5' of an insertion when it repeats them."""
    size = len(change.alt)
    start = change.start - size if transcript.strand > 0 else change.start
    if start < transcript.start or start + size > transcript.end:
        return None
    return (start, start + size) if transcript.sequence(start, start + size).decode() == change.alt else None


def _protein_and_codon(change: Change, written: Change, transcript: Transcript) -> tuple[str, str]:
    """p. and codon text of a moved change; `written` is the same as the file has it."""
    start, end, ref, alt = change
    if not ref:
        start, end = start - 1, end + 1  # the bases at both sides
    if transcript.code is None or not transcript.coding:
        return "", ""
    exon = transcript.exon_of(start)
    if exon < 0 or end > transcript.ends[exon]:  # splicing may change, nobody can say how
        start, end = min(start, written.start), max(end, written.end)
        return "p.?" if transcript.touches_cds(start, end) else "", ""
    first, last = sorted(transcript.offsets[exon] + transcript.strand * at for at in (start, end - 1))
    edit = (first, last + 1) if ref else (last, last)
    if not (edit[0] < transcript.cds_end and edit[1] > transcript.cds_start and (ref or first >= transcript.cds_start)):
        return "", ""
    alt = _on_strand(alt, transcript)
    return protein_change(transcript, *edit, alt), _codon_text(transcript, *edit, alt)


def _codon_text(transcript: Transcript, start: int, end: int, alt: str) -> str:
    """The codons that bases [start, end) (spliced) lie in, before and after they are replaced by `alt`."""
    if start < transcript.cds_start or end > transcript.cds_end or end - start + len(alt) > LONGEST_CODON_CHANGE:
        return ""
    coded, shift = transcript.coded, transcript.pad - transcript.cds_start
    start, end = start + shift, end + shift
    first, last = start // 3 * 3, -(-end // 3) * 3
    if first < transcript.pad or last > len(coded):
        return ""  # codons of which one end is missing
    before, after = coded[first:start].lower(), coded[end:last].lower()
    old, new = before + coded[start:end] + after, before + alt + after
    return f"{old or '-'}/{new or '-'}"


def protein_change(transcript: Transcript, start: int, end: int, alt: str) -> str:
    """p. name of bases [start, end) (spliced) replaced by `alt` (on the transcript's strand), some of them in the CDS."""
    assert transcript.code is not None
    code, coded = transcript.code, transcript.coded
    shift = transcript.pad - transcript.cds_start
    start, end = start + shift, end + shift
    if start < transcript.pad:
        return "p.(Met1?)" if transcript.has_start else "p.?"
    tail = transcript.bases[transcript.cds_end :]
    changed = coded[:start] + alt + (coded + tail)[end:]
    old = transcript.protein
    first = start // 3
    if first == 0 and transcript.has_start:
        if changed[:3] != "ATG" and code.amino_acids.get(changed[:3]) not in ("M", code.amino_acids[coded[:3]]):
            return "p.(Met1?)"
        if end <= 3 and len(alt) == end - start:
            return "p.(Met1=)"
        first = 1  # it is Met in both
    if (end - start - len(alt)) % 3 or end > len(coded) - len(coded) % 3:
        return _shifted(old, old[:first] + code.translate_to_stop(changed, 3 * first), first)
    longer = len(alt) - (end - start)
    last = max(first - min(longer, 0) // 3 if start < 3 else first, -(-end // 3))
    new = _up_to_stop(code.translate(changed[3 * first : 3 * last + longer]))
    if "*" in old[first:last] and "*" not in new:
        return _extended(old, old[:first] + code.translate_to_stop(changed, 3 * first), first)
    return _in_frame(old, first, old[first:last], new)


def _shifted(old: str, new: str, first: int) -> str:
    """p. name of a change after which another protein follows, up to a new stop; they agree before `first`."""
    at = first + _shared(old[first:], new[first:])
    if at == len(old) == len(new) and new.endswith("*"):
        return f"p.({_residue(old, min(first, at - 1))}=)"
    if at >= len(old) or at >= len(new):
        return "p.?"  # the CDS or the sequence ends before there is a difference
    stop = new.find("*", at)
    if old[at] == "*":
        return f"p.({_residue(old, at)}{AMINO_ACIDS[new[at]]}extTer{stop - at if stop >= 0 else '?'})"
    if stop == at:
        return f"p.({_residue(old, at)}Ter)"
    return f"p.({_residue(old, at)}{AMINO_ACIDS[new[at]]}fsTer{stop - at + 1 if stop >= 0 else '?'})"


def _extended(old: str, new: str, first: int) -> str:
    """As _shifted, when the frame stays and the stop is lost; what no name is made for is p.? (changes before it)."""
    at = first + _shared(old[first:], new[first:])
    return _shifted(old, new, first) if old[at : at + 1] == "*" else "p.?"


def _in_frame(protein: str, first: int, old: str, new: str) -> str:
    """p. name of amino acids `old` (at `first`, 0-based) replaced by `new`, which a stop may end."""
    if old == new:
        return f"p.({_span(protein, first, first + len(old))}=)"
    front = _shared(old, new)
    first, old, new = first + front, old[front:], new[front:]
    if new.startswith("*") and first < len(protein):
        return f"p.({_residue(protein, first)}Ter)"
    if not new.endswith("*") or old.endswith("*"):
        back = _shared(old[::-1], new[::-1])
        old, new = old[: len(old) - back], new[: len(new) - back]
    if len(old) == 1 == len(new):
        return f"p.({_residue(protein, first)}{AMINO_ACIDS[new]})"
    if old and new:
        return f"p.({_span(protein, first, first + len(old))}delins{_three_letters(new)})"
    if old:
        first += _steps(protein, first + len(old), old)
        return f"p.({_span(protein, first, first + len(old))}del)"
    return _inserted(protein, first, new)


def _inserted(protein: str, first: int, new: str) -> str:
    steps = 0 if new.endswith("*") else _steps(protein, first, new)
    turn, first = steps % len(new), first + steps
    new = new[turn:] + new[:turn]
    if first >= len(new) and protein[first - len(new) : first] == new:
        return f"p.({_span(protein, first - len(new), first)}dup)"
    if not 0 < first < len(protein):
        return "p.?"
    return f"p.({_span(protein, first - 1, first + 1)}ins{_three_letters(new)})"


def _steps(protein: str, ahead: int, moving: str) -> int:
    """How far amino acids can move towards the C-terminus, over those from `ahead` on, and give the same protein."""
    size = len(moving)
    pairs = ((protein[ahead + i], moving[i % size]) for i in takewhile(lambda i: ahead + i < len(protein), count()))
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _span(protein: str, start: int, end: int) -> str:
    first = _residue(protein, start)
    return first if end - start <= 1 else f"{first}_{_residue(protein, end - 1)}"


def _residue(protein: str, at: int) -> str:
    return f"{AMINO_ACIDS[protein[at]]}{at + 1}"


def _three_letters(protein: str) -> str:
    return "".join(AMINO_ACIDS[letter] for letter in protein)


def _up_to_stop(protein: str) -> str:
    stop = protein.find("*")
    return protein if stop < 0 else protein[: stop + 1]


def _codon(coded: str, at: int) -> str:
    return coded[3 * at : 3 * at + 3]


def _marked(codon: str, start: int, end: int) -> str:
    return codon[:start].lower() + codon[start:end] + codon[end:].lower()


def _shared(first: str, second: str) -> int:
    """How many characters two texts share at their beginning."""
    for at, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return at
    return min(len(first), len(second))


def _nothing(_start: int, _end: int) -> bytes:
    """The sequence of a transcript that no sequence was given for."""
    return b""


def reverse_complement(bases: str) -> str:
    """The other strand, from its 5' end on."""
    return bases.translate(_COMPLEMENT)[::-1]


def _on_strand(bases: str, transcript: Transcript) -> str:
    return bases if transcript.strand > 0 else reverse_complement(bases)


def _offsets(exons: list[tuple[int, int]], strand: int) -> list[int]:
    offsets, before = [], 0
    for start, end in exons if strand > 0 else reversed(exons):
        offsets.append(before - start if strand > 0 else before + end - 1)
        before += end - start
    return offsets if strand > 0 else offsets[::-1]


_CODES = {number: GeneticCode(*table) for number, table in GENETIC_CODES.items()}
