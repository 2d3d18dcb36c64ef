"""Records move along a chain to where base by base they belong, or have a reason why not."""

import gzip
import random
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.annotation import AnnotationError, lines
from jobs.annotation import liftover as module
from jobs.annotation.liftover import REASONS, Chain, Counts, Lifted, lift_file, unlifted_path
from jobs.annotation.tests.strict_vcf import check

# source chr1:  0 ACGTACGTAC 10 [GG] 12 TTTTGGGG 20, chain 1 to A:2 with TTTTGGGG at 15;
#               30 CCATTTGA 38, chain 2 to B, of 20 bases, on its minus strand
SOURCE = b"ACGTACGTACGGTTTTGGGG" + b"N" * 10 + b"CCATTTGA"
TARGETS = {b"chrA": b"nnACGTACGTACNNNTTTTGGGGNN", b"chrB": b"GGGGGTCAAATGGAAAAAAA"}
CHAINS = b"""\
# a comment
chain 900 chr1 40 + 0 20 chrA 25 + 2 23 1
10 2 3
8

chain 800 chr1 40 + 30 38 chrB 20 - 7 15 2
8
"""


@pytest.fixture
def chain(tmp_path):
    return read(tmp_path, CHAINS)


def read(folder, text):
    path = Path(folder) / "a.chain.gz"
    path.write_bytes(gzip.compress(text))
    return Chain.read(path)


@pytest.mark.parametrize(
    ("pos", "ref", "alts", "expected"),
    [
        (0, b"A", [b"G"], Lifted(b"chrA", 2, b"A", [b"G"], False)),
        (0, b"A", [], Lifted(b"chrA", 2, b"A", [], False)),
        (9, b"c", [b"t", b"*"], Lifted(b"chrA", 11, b"c", [b"t", b"*"], False)),
        (9, b"C", [b"CA"], Lifted(b"chrA", 11, b"C", [b"CA"], False)),
        (12, b"TT", [b"T", b"GG"], Lifted(b"chrA", 15, b"TT", [b"T", b"GG"], False)),
        (9, b"CG", [b"C"], "split"),
        (9, b"CGGT", [b"C"], "split"),
        (10, b"G", [b"C"], "vanished"),
        (25, b"N", [b"C"], "vanished"),
        (-1, b"N", [b"C"], "vanished"),
        (0, b"A", [b"G", b"<DEL>"], "symbolic"),
        (0, b"A", [b"G]chr2:5]"], "symbolic"),
        (0, b"A1", [b"G"], "malformed"),
        (0, b"G", [b"C"], "ref_differs"),
        (0, b"G", [b"C", b"A"], "ref_alt_swapped"),
        # the target's minus strand
        (32, b"A", [b"G", b"*"], Lifted(b"chrB", 10, b"T", [b"C", b"*"], True)),
        (31, b"CAT", [b"GGG"], Lifted(b"chrB", 9, b"ATG", [b"CCC"], True)),
        (31, b"C", [b"A"], Lifted(b"chrB", 11, b"G", [b"T"], True)),
        # its anchor A (32) is dropped; one T of TTT goes, leftmost in AAA
        (32, b"AT", [b"A"], Lifted(b"chrB", 6, b"CA", [b"C"], True)),
        (32, b"AT", [b"A", b"*", b"ATT"], Lifted(b"chrB", 6, b"CA", [b"C", b"*", b"CAA"], True)),
        (32, b"A", [b"AC"], Lifted(b"chrB", 9, b"A", [b"AG"], True)),
        (32, b"A", [b"AT"], Lifted(b"chrB", 6, b"C", [b"CA"], True)),
        (31, b"CAT", [b"GG"], Lifted(b"chrB", 9, b"ATG", [b"CC"], True)),
        (37, b"A", [b"AC"], "split"),
        (36, b"GA", [b"G"], Lifted(b"chrB", 4, b"GT", [b"G"], True)),
    ],
)
def test_lift(pos, ref, alts, expected, chain):
    for contig in (b"chr1", b"1"):
        assert chain.lift(contig, pos, ref, alts, TARGETS.get) == expected
    arrays = {name: np.frombuffer(text, np.uint8) for name, text in TARGETS.items()}
    assert chain.lift(b"chr1", pos, ref, alts, arrays.get) == expected


def test_no_contig_and_no_sequence(chain):
    assert chain.lift(b"chr2", 0, b"A", [b"G"], TARGETS.get) == "contig_unknown"
    assert chain.lift(b"chr1", 0, b"A", [b"G"], {}.get) == "no_target_sequence"


def test_two_places(tmp_path):
    chain = read(tmp_path, CHAINS + b"chain 1 chr1 40 + 5 15 chrA 25 + 7 17 3\n10\n")
    assert chain.lift(b"chr1", 4, b"A", [], TARGETS.get) == Lifted(b"chrA", 6, b"A", [], False)
    assert chain.lift(b"chr1", 5, b"C", [], TARGETS.get) == Lifted(b"chrA", 7, b"C", [], False)  # both say the same
    assert chain.lift(b"chr1", 12, b"T", [], TARGETS.get) == "several_places"
    assert chain.lift(b"chr1", 9, b"CG", [], TARGETS.get) == "ref_differs"  # together in the third chain only


def test_the_base_beside_an_insertion_may_be_in_another_chain(tmp_path):
    chain = read(tmp_path, CHAINS + b"chain 1 chr1 40 + 30 33 chrB 20 - 7 10 3\n3\n")
    assert chain.lift(b"chr1", 32, b"A", [b"AC"], TARGETS.get) == Lifted(b"chrB", 9, b"A", [b"AG"], True)


def test_indel_at_the_start_of_a_contig_is_anchored_behind(tmp_path):
    chain = read(tmp_path, b"chain 1 1 6 + 0 6 1 6 - 0 6 1\n6\n")
    sequences = {b"1": b"AAATCG"}
    assert chain.lift(b"1", 2, b"AT", [b"A"], sequences.get) == Lifted(b"1", 0, b"AA", [b"A"], True)
    assert chain.lift(b"1", 2, b"ATTT", [b"A"], sequences.get) == Lifted(b"1", 0, b"AAAT", [b"T"], True)
    assert chain.lift(b"1", 2, b"A", [b"ATT"], sequences.get) == Lifted(b"1", 0, b"A", [b"AAA"], True)


def test_targets_are_in_karyotype_order(tmp_path):
    names = [b"chr10", b"chrUn", b"chrM", b"chr2", b"chrX"]
    text = b"".join(b"chain 1 a 5 + 0 5 %b 9 + 0 5 1\n5\n\n" % name for name in names)
    assert read(tmp_path, text).targets == dict.fromkeys([b"chr2", b"chr10", b"chrX", b"chrM", b"chrUn"], 9)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (b"# a comment", b"not a chain", "line 1 is not the start of a chain"),
        (b"10 2 3", b"10 2", "the chain that starts at line 2 is malformed"),
        (b"10 2 3", b"10 x 3", "the chain that starts at line 2 is malformed"),
        (b"10 2 3", b"10 2 4", "the chain that starts at line 2 is malformed"),
        (b"10 2 3", b"-10 22 3", "the chain that starts at line 2 is malformed"),
        (b"chrA 25 +", b"chrA 20 +", "the chain that starts at line 2 is malformed"),
        (b"chrA 25 +", b"chrA 25 *", "the chain that starts at line 2 is malformed"),
        (b" 2 23 1", b"", "the chain that starts at line 2 is malformed"),
        (b"38 chrB 20 - 7 15 2\n8\n", b"38 chrB 20 - 7 15 2\n", "the chain that starts at line 6 is malformed"),
    ],
)
def test_damaged_chain(old, new, line, tmp_path):
    assert old in CHAINS
    with pytest.raises(AnnotationError) as caught:
        read(tmp_path, CHAINS.replace(old, new))
    assert caught.value.code == "reference_missing"
    assert caught.value.faults == [f"The chain file a.chain.gz is damaged: {line}. Fetch it again."]


def test_cut_or_missing_chain(tmp_path):
    path = tmp_path / "b.chain.gz"
    with pytest.raises(AnnotationError) as caught:
        Chain.read(path)
    assert caught.value.code == "unreadable"
    path.write_bytes(gzip.compress(CHAINS)[:-12])
    with pytest.raises(AnnotationError) as caught:
        Chain.read(path)
    assert caught.value.code == "reference_missing"


# Against brute force: random chains over random sequences, and every base followed on its own.

COMPLEMENT = dict(zip("ACGT", "TGCA", strict=True))
BASES = st.text("ACGT", min_size=1, max_size=4)
SIZE = 40


@st.composite
def one_chain(draw):
    """Source start, target contig, strand, target start and [(length, gap, target gap)]."""
    blocks = draw(st.lists(st.tuples(st.integers(1, 8), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=3))
    blocks[-1] = (blocks[-1][0], 0, 0)
    spans = [sum(block[0] + block[side] for block in blocks) for side in (1, 2)]
    start, target_start = (draw(st.integers(0, SIZE - span)) for span in spans)
    return start, draw(st.sampled_from("ab")), draw(st.booleans()), target_start, blocks


def flipped(bases):
    return "".join(COMPLEMENT[base] for base in reversed(bases))


def text_of(chains):
    text = ""
    for start, target, reverse, target_start, blocks in chains:
        ends = [begin + sum(b[0] + b[side] for b in blocks) for begin, side in ((start, 1), (target_start, 2))]
        text += f"chain 1 1 {SIZE} + {start} {ends[0]} {target} {SIZE} {'-' if reverse else '+'} "
        text += f"{target_start} {ends[1]} 1\n" + "".join(f"{a} {b} {c}\n" for a, b, c in blocks[:-1])
        text += f"{blocks[-1][0]}\n\n"
    return text.encode()


def bases_of(chains):
    """For each stretch without gaps: where every source base lies, as {source: (target, position, reverse)}."""
    runs = []
    for start, target, reverse, target_start, blocks in chains:
        at, into, gap = start, target_start, True
        for length, source_gap, target_gap in blocks:
            if gap:
                runs.append({})
            for base in range(length):
                place = into + base
                runs[-1][at + base] = (target, SIZE - 1 - place if reverse else place, reverse)
            at, into, gap = at + length + source_gap, into + length + target_gap, source_gap or target_gap
    return runs


def expected_place(runs, pos, ref, alts):
    """Where the first base of REF belongs, or the reason why nowhere."""
    wanted = range(pos, pos + len(ref))
    whole = [run for run in runs if all(base in run for base in wanted)]
    if not whole:
        return "split" if any(base in run for run in runs for base in wanted) else "vanished"
    if len({run[pos] for run in whole}) > 1:
        return "several_places"
    between = len(ref) == 1 and any(len(alt) > 1 for alt in alts)
    if whole[0][pos][2] and between and not any(pos + 1 in run for run in whole):
        return "split"
    return whole[0][pos]


@settings(max_examples=400, deadline=None)
@given(
    chains=st.lists(one_chain(), min_size=1, max_size=3),
    seed=st.integers(0, 1000),
    letters=st.sampled_from(["AC", "ACGT"]),
    records=st.lists(
        st.tuples(st.integers(0, SIZE - 4), st.integers(1, 4), st.lists(BASES, min_size=1, max_size=2), st.booleans()),
        min_size=1,
        max_size=20,
    ),
)
def test_brute_force(chains, seed, letters, records):
    dice = random.Random(seed)
    source, *others = ("".join(dice.choices(letters, k=SIZE)) for _ in range(3))
    runs, targets = bases_of(chains), dict(zip("ab", map(list, others), strict=True))
    for run in runs:
        for base, (target, place, reverse) in run.items():
            targets[target][place] = COMPLEMENT[source[base]] if reverse else source[base]
    sequences = {name.encode(): "".join(text).encode() for name, text in targets.items()}
    with tempfile.TemporaryDirectory() as folder:
        chain = read(folder, text_of(chains))
    for pos, length, tails, anchored in records:
        ref = source[pos : pos + length]
        alts = [ref[0] + tail if anchored else tail for tail in tails]
        found = chain.lift(b"1", pos, ref.encode(), [alt.encode() for alt in alts], sequences.get)
        same_as_brute_force(found, expected_place(runs, pos, ref, alts), (ref, *alts), sequences)


def same_as_brute_force(found, expected, alleles, sequences):
    ref = alleles[0]
    if isinstance(expected, str):
        if found in ("ref_differs", "ref_alt_swapped"):  # chains that overwrote each other; told before the gap
            assert expected == "split"
            return
        assert found == expected
        return
    target, place, reverse = expected
    start = place - len(ref) + 1 if reverse else place
    alleles = [flipped(allele) if reverse else allele for allele in alleles]
    sequence = sequences[target.encode()].decode()
    if (has := sequence[start : start + len(ref)]) != alleles[0]:
        assert found == ("ref_alt_swapped" if has in alleles[1:] else "ref_differs")
        return
    assert isinstance(found, Lifted)
    assert (found.contig, found.reverse) == (target.encode(), reverse)
    lifted = [allele.decode() for allele in (found.ref, *found.alts)]
    assert all(lifted)
    for allele, moved in zip(alleles, lifted, strict=True):  # the same haplotypes
        assert replaced(sequence, start, ref, allele) == replaced(sequence, found.pos, lifted[0], moved)


def replaced(sequence, start, ref, alt):
    return sequence[:start] + alt + sequence[start + len(ref) :]


# Whole files

HEADER = """\
##fileformat=VCFv4.3
##reference=hg18.fa
##contig=<ID=chr1,length=40>
##INFO=<ID=END,Number=1,Type=Integer,Description="end">
##INFO=<ID=DP,Number=1,Type=Integer,Description="depth">
##INFO=<ID=GAS_LIFTED_FROM,Number=1,Type=String,Description="older">
##FORMAT=<ID=GT,Number=1,Type=String,Description="genotype">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1
"""
RECORDS = """\
chr1\t33\tr1\tAT\tA\t50\tPASS\tDP=3;END=34\tGT\t0/1
chr1\t11\tr2\tG\tC\t50\tPASS\t.\tGT\t0/1
chr1\t14\tr3\tT\tC\t.\t.\tGAS_LIFTED_FROM=9:9\tGT\t1|1
chr1\t1\tr4\tA\tG\t.\t.\t.\tGT\t0/1
chr1\tx\tr5\tA\tG\t.\t.\t.\tGT\t0/1
chr1\t5
chr1\t14\tr6\tT\tG\t.\t.\t.\tGT\t0/1
chr2\t5\tr7\tA\tG\t.\t.\t.\tGT\t0/1
"""
LIFTED = """\
chrA\t3\tr4\tA\tG\t.\t.\tGAS_LIFTED_FROM=chr1:1\tGT\t0/1
chrA\t17\tr3\tT\tC\t.\t.\tGAS_LIFTED_FROM=chr1:14\tGT\t1|1
chrA\t17\tr6\tT\tG\t.\t.\tGAS_LIFTED_FROM=chr1:14\tGT\t0/1
chrB\t7\tr1\tCA\tC\t50\tPASS\tDP=3;END=8;GAS_LIFTED_FROM=chr1:33\tGT\t0/1
"""
UNLIFTED = """\
#line\tCHROM\tPOS\tID\tREF\tALT\treason
10\tchr1\t11\tr2\tG\tC\tvanished
13\tchr1\tx\tr5\tA\tG\tmalformed
14\tchr1\t5\t\t\t\tmalformed
16\tchr2\t5\tr7\tA\tG\tcontig_unknown
"""


@pytest.mark.parametrize("run", [1, 200, module.RUN])
@pytest.mark.parametrize("name", ["out.vcf", "out.vcf.gz"])
def test_lift_file(run, name, chain, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "RUN", run)
    source, out = tmp_path / "in.vcf", tmp_path / name
    source.write_text(HEADER + RECORDS)
    counts = lift_file(source, out, chain, TARGETS.get)
    assert counts == Counts(4, Counter(vanished=1, malformed=2, contig_unknown=1))
    assert counts.lifted + counts.reasons.total() == len(RECORDS.splitlines())
    assert counts.reasons.keys() <= REASONS.keys()
    assert check(out) == 4
    text = (gzip.decompress(out.read_bytes()) if name.endswith("gz") else out.read_bytes()).decode()
    header, records = text[: text.index("chrA\t")], text[text.index("chrA\t") :]
    assert records == LIFTED
    assert "##gas_liftover=a.chain.gz\n##contig=<ID=chrA,length=25>\n##contig=<ID=chrB,length=20>\n" in header
    assert "hg18" not in header
    assert "chr1" not in header
    assert unlifted_path(out).read_text() == UNLIFTED
    assert {path.name for path in tmp_path.iterdir()} == {"a.chain.gz", "in.vcf", name, "out.unlifted.tsv"}


def test_a_failure_leaves_no_file(chain, tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "BLOCK", 100)
    source = tmp_path / "in.vcf"
    source.write_text(HEADER + RECORDS + "\0\n")
    with pytest.raises(AnnotationError) as caught:
        lift_file(source, tmp_path / "out.vcf", chain, TARGETS.get)
    assert caught.value.code == "not_vcf"
    source.write_text(HEADER + RECORDS)
    with pytest.raises(AnnotationError) as caught:
        lift_file(source, tmp_path / "missing" / "out.vcf", chain, TARGETS.get)
    assert caught.value.code == "output_unwritable"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.chain.gz", "in.vcf"]
