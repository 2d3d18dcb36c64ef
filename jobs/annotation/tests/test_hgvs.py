"""HGVS names: published ones, a transcript counted by hand, csq's amino acids, and names applied back to the sequence."""

import re
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.annotation import reference
from jobs.annotation.csq import ALONE, run_csq
from jobs.annotation.hgvs import Transcripts, info_fields
from jobs.annotation.hgvs.changes import LONGEST_ALT
from jobs.annotation.hgvs.genetic_code import AMINO_ACIDS, CODES, CODONS, GENETIC_CODES
from jobs.annotation.hgvs.transcripts import reverse_complement
from jobs.annotation.processes import call_in_child
from jobs.annotation.reference.gene_models import parse
from jobs.annotation.reference.transcripts import compile_transcripts

THREE = {three: one for one, three in AMINO_ACIDS.items()}

# 2 bases, exon 1 (5' UTR of 4, ATG AAA G), intron of 5, exon 2 (AA CAT CAT TTT TAA, 3' UTR GG), intron of 6, exon 3
EXON_1, INTRON_1, EXON_2, INTRON_2, EXON_3 = "CCGC" + "ATGAAAG", "GTCAG", "AACATCATTTTTAAGG", "GTACAG", "CTGACC"
GENE = "TT" + EXON_1 + INTRON_1 + EXON_2 + INTRON_2 + EXON_3 + "TT"
SPANS = [(2, 13), (18, 34), (40, 46)]
CODING = (6, 32)  # from the A of ATG to the end of TAA
ENTRY = b"missense|G|T1|protein_coding"


class Names(NamedTuple):
    c: str
    p: str
    codon: str


def gff(strand, coding=True, phase=0, tag="basic"):
    size, lines = len(GENE), []
    attributes = f"ID=transcript:T1;Parent=gene:G1;biotype=protein_coding;tag={tag}"
    lines.append(f"1\tx\tgene\t3\t46\t.\t{strand}\t.\tID=gene:G1;Name=G")
    lines.append(f"1\tx\tmRNA\t3\t46\t.\t{strand}\t.\t{attributes}")
    for kind, low, high in [("exon", 0, size), *([("CDS", *CODING)] if coding else [])]:
        spans = [(max(start, low), min(end, high)) for start, end in SPANS if start < high]
        for start, end in spans:
            first = phase if kind == "CDS" and start == low else 0
            place = (start + 1, end) if strand == "+" else (size - end + 1, size - start)
            lines.append("\t".join(map(str, ["1", "x", kind, *place, ".", strand, first, "Parent=transcript:T1"])))
    return "\n".join([*lines, ""]).encode()


def transcripts_of(text, contig, code=1):
    """Those of the one gene of a GFF3 text, on a contig of these bases."""
    compiled = compile_transcripts(parse(text.splitlines(keepends=True)))
    arrays = {f"{group}/{name}": array for group, own in compiled.items() for name, array in own.items()}
    return Transcripts(arrays, [0], memoryview(contig.encode()), code)


def fields(transcripts, pos, ref, alt, bcsq=ENTRY):
    """INFO text for one record; "" when there is none."""
    found = info_fields(transcripts, [(7, pos, ref.encode(), alt.encode())], {7: bcsq})
    assert found.keys() <= {7}
    return found.get(7, b"").decode()


def names_in(info, transcript="T1"):
    """The names on one transcript in an INFO text that has one name of each kind."""
    items = dict(item.split("=", 1) for item in info.split(";")[1:])
    values = [items.pop(key, f"{transcript}:") for key in ("GAS_HGVSC", "GAS_HGVSP", "GAS_CODON")]
    assert not items
    assert all(value.startswith(f"{transcript}:") for value in values)
    return Names(*(value.partition(":")[2].replace("%3D", "=") for value in values))


def named(pos, ref, alt, strand="+", code=1, **options):
    """Names of a change at a place of GENE (0-based), written on the strand that the gene lies on."""
    contig = GENE if strand == "+" else reverse_complement(GENE)
    assert GENE[pos : pos + len(ref)] == ref
    if strand == "-":
        pos, ref, alt = len(GENE) - pos - len(ref), reverse_complement(ref), reverse_complement(alt)
        if len(ref) != len(alt):  # VCF has a base in front
            pos, ref, alt = pos - 1, contig[pos - 1] + ref, contig[pos - 1] + alt
    return names_in(fields(transcripts_of(gff(strand, **options), contig, code), pos + 1, ref, alt))


@pytest.mark.parametrize("strand", "+-")
@pytest.mark.parametrize(
    ("pos", "ref", "alt", "c", "p", "codon"),
    [
        (2, "C", "A", "c.-4C>A", "", ""),
        (6, "A", "G", "c.1A>G", "p.(Met1?)", "Atg/Gtg"),
        (9, "A", "G", "c.4A>G", "p.(Lys2Glu)", "Aaa/Gaa"),
        (11, "A", "G", "c.6A>G", "p.(Lys2=)", "aaA/aaG"),
        (9, "A", "T", "c.4A>T", "p.(Lys2Ter)", "Aaa/Taa"),
        (12, "G", "C", "c.7G>C", "p.(Glu3Gln)", "Gaa/Caa"),
        (18, "A", "C", "c.8A>C", "p.(Glu3Ala)", "gAa/gCa"),
        (13, "G", "A", "c.7+1G>A", "", ""),
        (15, "C", "A", "c.7+3C>A", "", ""),  # the middle of an intron of 5
        (16, "A", "C", "c.8-2A>C", "", ""),
        (31, "A", "C", "c.21A>C", "p.(Ter7TyrextTer2)", "taA/taC"),
        (29, "T", "C", "c.19T>C", "p.(Ter7GlnextTer2)", "Taa/Caa"),
        (31, "A", "G", "c.21A>G", "p.(Ter7=)", "taA/taG"),
        (32, "G", "A", "c.*1G>A", "", ""),
        (36, "A", "C", "c.*2+3A>C", "", ""),
        (37, "C", "A", "c.*3-3C>A", "", ""),
        (40, "C", "A", "c.*3C>A", "", ""),
        (8, "GA", "G", "c.6del", "p.(Glu3AsnfsTer?)", "aaA/aa"),
        (8, "G", "GA", "c.6dup", "p.(Glu3ArgfsTer?)", "-/A"),
        (19, "ACAT", "A", "c.13_15del", "p.(His5del)", "CAT/-"),
        (19, "A", "ACAT", "c.13_15dup", "p.(His5dup)", "-/CAT"),
        (22, "T", "TGGG", "c.12_13insGGG", "p.(His4_His5insGly)", "-/GGG"),
        (19, "ACAT", "AG", "c.10_12delinsG", "p.(His4AlafsTer?)", "CAT/G"),
        (21, "AT", "GG", "c.11_12delinsGG", "p.(His4Arg)", "cAT/cGG"),
        (5, "CATG", "C", "c.2_4del", "p.(Met1?)", "aTGAaa/aaa"),
        (11, "AG", "A", "c.7+1del", "p.?", ""),  # the last base of the exon is that of the intron
        (12, "GGT", "G", "c.7+1_7+2del", "", ""),
        (1, "TC", "T", "c.-3del", "", ""),
    ],
)
def test_names_counted_by_hand(strand, pos, ref, alt, c, p, codon):
    assert named(pos, ref, alt, strand) == (c, p, codon)


def test_a_transcript_that_codes_for_nothing_has_n_names():
    assert named(6, "A", "G", coding=False) == ("n.5A>G", "", "")
    assert named(15, "C", "A", coding=False) == ("n.11+3C>A", "", "")
    assert named(19, "ACAT", "A", "-", coding=False) == ("n.17_19del", "", "")


def test_an_incomplete_start_has_no_start_codon_and_counts_the_codon_that_is_cut():
    assert named(6, "A", "G", tag="basic,mRNA_start_NF") == ("c.1A>G", "p.(Met1Val)", "Atg/Gtg")
    # phase 2: AT is the end of codon 1, GAA AGA ACA follow
    assert named(6, "A", "G", phase=2) == ("c.1A>G", "p.?", "")
    assert named(8, "G", "C", phase=2) == ("c.3G>C", "p.(Glu2Gln)", "Gaa/Caa")


def test_stop_gained_inside_an_insertion_or_a_frameshift():
    assert named(22, "T", "TGGGTAAGGG").p == "p.(His4_His5insGlyTer)"
    assert named(22, "T", "TTAAGGG").p == "p.(His5Ter)"
    assert named(9, "A", "ATTTA").p == "p.(Lys2IlefsTer2)"
    assert named(8, "G", "GTA").p == "p.(Lys2Ter)"


def test_what_has_no_name():
    for alt in ("<DEL>", "*", ".", "A[1:5["):
        assert named(9, "A", alt) == ("", "", "")
    assert named(0, "TTCCG", "T") == ("", "", "")  # begins outside of the transcript
    assert named(9, "A", "A" + "C" * LONGEST_ALT) == ("", "", "")
    assert named(9, "A", "N") == ("c.4A>N", "p.?", "")
    assert named(9, "A", "G", code=99) == ("c.4A>G", "", "")  # a genetic code that is not here
    transcripts = transcripts_of(gff("+"), GENE)
    for entry in (b"@7", b"non_coding|G||Mt_rRNA", b"intron|G|other|protein_coding", b"", b"intron|G"):
        assert not fields(transcripts, 10, "A", "G", entry)
        assert fields(transcripts, 10, "A", "G", entry + b"," + ENTRY).startswith(";GAS_HGVSC=T1:c.4A>G;")
    assert info_fields(transcripts, [(1, 10, b"A", b"G")], {2: ENTRY}) == {}
    assert info_fields(transcripts, [], {}) == {}


def test_fields_of_a_record():
    transcripts = transcripts_of(gff("+"), GENE)
    entry = b"missense|G|T1|protein_coding|+|2K>2E|10A>G"
    expected = ";GAS_HGVSC=T1:c.4A>G;GAS_HGVSP=T1:p.(Lys2Glu);GAS_CODON=T1:Aaa/Gaa"
    assert fields(transcripts, 10, "A", "G", entry) == expected
    assert fields(transcripts, 10, "A", "G", entry + b"," + entry) == expected
    assert fields(transcripts, 10, "A", "C,G", entry) == expected  # the entry says which allele it is about
    silent = b"synonymous|G|T1|protein_coding|+|2K|12A>G"
    expected = ";GAS_HGVSC=T1:c.6A>G;GAS_HGVSP=T1:p.(Lys2%3D);GAS_CODON=T1:aaA/aaG"
    assert fields(transcripts, 12, "A", "G", silent) == expected
    utr = b"5_prime_utr|G|T1|protein_coding"
    assert fields(transcripts, 3, "C", "A,<DEL>,G,A", utr) == ";GAS_HGVSC=T1:c.-4C>A,T1:c.-4C>G"
    both = fields(transcripts, 9, "GA", "G,CA", utr)  # a deletion, and a substitution with a base too many
    assert both == (
        ";GAS_HGVSC=T1:c.6del,T1:c.3G>C;GAS_HGVSP=T1:p.(Glu3AsnfsTer?),T1:p.(Met1?);GAS_CODON=T1:aaA/aa,T1:atG/atC"
    )


def test_each_row_has_the_names_of_its_own_record():
    transcripts = transcripts_of(gff("+"), GENE)
    sites = [(30, 10, b"A", b"G"), (5, 1, b"T", b"G"), (8, 9, b"GA", b"G"), (6, 12, b"A", b"G"), (9, 10, b"A", b"T")]
    found = info_fields(transcripts, sites, {30: ENTRY, 5: ENTRY, 8: ENTRY, 6: ENTRY})
    assert list(found) == [30, 8, 6]
    for row, pos, ref, alt in (sites[0], sites[2], sites[3]):
        assert found[row].decode() == fields(transcripts, pos, ref.decode(), alt.decode())


def test_lines_that_contradict_themselves_are_left_out():
    assert transcripts_of(gff("+"), GENE).names == ["T1"]
    for span in ("900\t910", "1\t2"):
        outside = f"1\tx\tCDS\t{span}\t.\t+\t0\tParent=transcript:T1\n".encode()
        assert transcripts_of(gff("+") + outside, GENE).names == []


def places(strand):
    """HGVS position of each base of the transcript, introns too, counted one by one on its own strand."""
    exonic = [at for start, end in SPANS for at in range(start, end)]
    names, coding = {}, [at for at in exonic if CODING[0] <= at < CODING[1]]
    for number, at in enumerate(coding):
        names[at] = str(number + 1)
    before, after = [at for at in exonic if at < CODING[0]], [at for at in exonic if at >= CODING[1]]
    names |= {at: str(-number - 1) for number, at in enumerate(reversed(before))}
    names |= {at: f"*{number + 1}" for number, at in enumerate(after)}
    for (_, left), (right, _) in pairwise(SPANS):
        for at in range(left, right):
            first, second = at - left + 1, right - at
            names[at] = f"{names[left - 1]}+{first}" if first <= second else f"{names[right]}-{second}"
    return {name: at for at, name in names.items()}


def applied(name):
    """GENE changed as a c. name says; independent of the code under test."""
    where = places("+")
    found = re.fullmatch(r"c\.([^_A-Zdi]+)(?:_([^A-Zdi]+))?(?:([A-Z])>([A-Z])|(delins|del|dup|ins)([A-Z]*))", name)
    first, last = where[found[1]], where[found[2] or found[1]]
    if found[3]:
        assert GENE[first] == found[3]
        return GENE[:first] + found[4] + GENE[first + 1 :], first, last
    kind, bases = found[5], found[6]
    if kind == "ins":
        assert last == first + 1
        return GENE[: first + 1] + bases + GENE[last:], first, last
    if kind == "dup":
        return GENE[: last + 1] + GENE[first:], first, last
    return GENE[:first] + bases + GENE[last + 1 :], first, last


@st.composite
def changes(draw):
    start = draw(st.integers(3, 44))
    end = draw(st.integers(start, min(start + 7, 45)))
    alt = draw(st.text("ACGT", max_size=7))
    if start == end:
        alt = alt or "A"
    start -= 1
    return start, GENE[start:end], GENE[start] + alt


@settings(max_examples=600, deadline=None)
@given(changes(), st.sampled_from("+-"))
def test_the_c_name_gives_the_changed_transcript_and_is_the_most_3_prime(change, strand):
    start, ref, alt = change
    name = named(start, ref, alt, strand).c
    changed = GENE[:start] + alt + GENE[start + len(ref) :]
    if changed == GENE or not name:
        return
    result, first, last = applied(name)
    assert result == changed
    if name.endswith("del"):
        assert last == 45 or GENE[first] != GENE[last + 1]
    if name.endswith("dup"):
        assert last == 45 or GENE[first] != GENE[last + 1]
    if re.search(r"\d(ins)", name):
        inserted = name.rpartition("ins")[2]
        assert GENE[last] != inserted[0]
        assert not GENE[2 : first + 1].endswith(inserted)  # else it is a duplication; 2: where the transcript begins


def translated(bases):
    table = dict(zip(CODONS, GENETIC_CODES[1][0], strict=True))
    return "".join(table[bases[at : at + 3]] for at in range(0, len(bases) - 2, 3)).partition("*")


def letters(text):
    return "".join(THREE[three] for three in re.findall("[A-Z][a-z]{2}", text))


def changed_protein(name, old):
    """The protein (with its *) that a p. name says, None where it does not say all of it."""
    body = name[3:-1]
    if "?" in name or "ext" in body or "fs" in body:
        return None
    found = re.fullmatch(r"([A-Z][a-z]{2})(\d+)(?:_([A-Z][a-z]{2})(\d+))?(=|del|dup|ins|delins)?([A-Za-z]*)", body)
    first = int(found[2]) - 1
    last = int(found[4] or found[2]) - 1
    assert old[first] == THREE[found[1]]
    assert not found[3] or old[last] == THREE[found[3]]
    new, kind = letters(found[6]), found[5]
    if kind == "=":
        return old
    if kind == "dup":
        return old[: last + 1] + old[first:]
    if kind == "ins":
        assert last == first + 1
        result = old[:last] + new + old[last:]
    else:
        result = old[:first] + new + old[last + 1 :]
    return result.partition("*")[0] + "*"


@settings(max_examples=800, deadline=None)
@given(changes(), st.sampled_from("+-"))
def test_the_p_name_gives_the_protein_of_the_changed_transcript(change, strand):
    start, ref, alt = change
    end = start + len(ref)
    names = named(start, ref, alt, strand)
    if not names.p or names.p == "p.?" or not any(low <= start and end <= high for low, high in SPANS):
        return
    exons = [(max(low, CODING[0]), high) for low, high in SPANS]
    mutated = "".join(
        GENE[low:start] + alt + GENE[end:high] if low <= start < high else GENE[low:high] for low, high in exons
    )
    old = "".join(translated("".join(GENE[low : min(high, CODING[1])] for low, high in exons[:2]))[:2])
    if start < CODING[0] or not mutated.startswith("ATG"):
        assert names.p == "p.(Met1?)" or mutated.startswith("ATG")
        return
    protein, stop, _ = translated(mutated)
    said = changed_protein(names.p, old)
    if said is not None:
        assert said == protein + stop
        return
    found = re.fullmatch(r"p\.\(([A-Z][a-z]{2})(\d+)([A-Z][a-z]{2})(fs|ext)Ter(\d+|\?)\)", names.p)
    at = int(found[2]) - 1
    assert protein[:at] == old[:at]
    assert (old[at], protein[at]) == (THREE[found[1]], THREE[found[3]])
    assert old[at] != protein[at]
    assert found[5] == ("?" if not stop else str(len(protein) - at + (found[4] == "fs")))


@pytest.fixture
def mitochondrion():
    """The installed mitochondrial reference, and its contig."""
    rcrs = reference.load("rCRS")
    return rcrs, rcrs.contig(b"MT")


def transcripts_on(contig):
    return contig.data.transcripts(range(len(contig.data.arrays["gene/start"])))


@pytest.mark.parametrize(
    ("pos", "ref", "alt", "gene", "c", "p"),
    [
        (11778, "G", "A", "MT-ND4", "c.1019G>A", "p.(Arg340His)"),  # LHON
        (3460, "G", "A", "MT-ND1", "c.154G>A", "p.(Ala52Thr)"),  # LHON
        (14484, "T", "C", "MT-ND6", "c.190A>G", "p.(Met64Val)"),  # LHON, minus strand
        (8993, "T", "G", "MT-ATP6", "c.467T>G", "p.(Leu156Arg)"),  # NARP
        (8993, "T", "C", "MT-ATP6", "c.467T>C", "p.(Leu156Pro)"),  # Leigh
        (3308, "T", "C", "MT-ND1", "c.2T>C", "p.(Met1?)"),
        (3308, "T", "G", "MT-ND1", "c.2T>G", "p.(Met1?)"),
    ],
)
def test_published_mitochondrial_variants(mitochondrion, pos, ref, alt, gene, c, p):
    entry = f"missense|{gene}|{gene}-201|protein_coding".encode()
    names = names_in(fields(transcripts_on(mitochondrion[1]), pos, ref, alt, entry), f"{gene}-201")
    assert (names.c, names.p) == (c, p)


@pytest.mark.parametrize(("gene", "start", "end"), [("ATP6", 8527, 9207), ("ND3", 10059, 10404), ("ND6", 14149, 14673)])
def test_amino_acids_agree_with_csq_for_every_substitution(mitochondrion, tmp_path, gene, start, end):
    rcrs, contig = mitochondrion
    sequence, transcripts = contig.data.sequence(0, contig.length).decode(), transcripts_on(contig)
    side, out = tmp_path / "side.vcf", tmp_path / "out.vcf"
    lines = [
        "##fileformat=VCFv4.2",
        f"##contig=<ID=MT,length={len(sequence)}>",
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO",
    ]
    for pos in range(start, end + 1):
        ref = sequence[pos - 1]
        lines += [f"MT\t{pos}\t.\t{ref}\t{','.join(base for base in 'ACGT' if base != ref)}\t.\t.\t."]
    side.write_text("\n".join(lines) + "\n")
    genes = rcrs.folder / "MT.gff3"
    assert call_in_child(lambda: run_csq(ALONE, 2, rcrs.fasta, genes, side, out)) == 0
    compared = 0
    for line in out.read_text().splitlines():
        if line.startswith("#"):
            continue
        _, pos, _, ref, alt, _, _, info = line.split("\t")
        for entry in info.removeprefix("BCSQ=").split(","):
            parts = entry.split("|")
            if parts[1] != f"MT-{gene}" or len(parts) < 7:
                continue
            names = names_in(fields(transcripts, int(pos), ref, alt, entry.encode()), parts[2])
            compared += 1
            assert said_by_csq(parts[5]) == names.p.replace("extTer?", "") or "(Met1" in names.p, entry
    assert compared == 3 * ((end - start + 1) // 3 * 3)


def said_by_csq(change):
    """340R>340H as a p. name."""
    number, old, new = re.fullmatch(r"(\d+)(.)(?:>\d+(.))?", change).groups()
    old, new = AMINO_ACIDS[old], AMINO_ACIDS[new] if new else "="
    return f"p.({old}{number}{new})"


@pytest.mark.parametrize("number", [1, 2])
def test_a_long_sequence_is_translated_as_its_codons_are(number):
    bases = "".join(CODONS) * 3 + "NTAATNGCNC" + "A"
    for at in range(4):
        codons = [bases[i : i + 3] for i in range(at, len(bases) - 2, 3)]
        assert CODES[number].translate(bases, at) == "".join(CODES[number].translate(codon) for codon in codons)
