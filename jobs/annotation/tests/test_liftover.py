"""Lift-over of records: places and alleles, also against brute force; damaged and hostile chain files."""

import gzip
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.annotation import AnnotationError
from jobs.annotation.liftover import chain as chain_module
from jobs.annotation.liftover.alleles import Lifted, lift
from jobs.annotation.liftover.chain import Chain

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
    return Chain(path)


def lifted(chain, contig, pos, ref, alts, sequence_of):
    """What becomes of a record; `pos` is 0-based."""
    return lift(chain.places(chain.source_of(contig), pos, pos + len(ref)), ref, alts, sequence_of)


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
        assert lifted(chain, contig, pos, ref, alts, TARGETS.get) == expected


def test_no_contig_and_no_sequence(chain):
    assert chain.source_of(b"chr2") is None
    assert lifted(chain, b"chr1", 0, b"A", [b"G"], {}.get) == "no_target_sequence"


@pytest.mark.parametrize("name", [b"chrM", b"MT", b"M"])
def test_names_of_the_mitochondrion(name, tmp_path):
    assert read(tmp_path, b"chain 1 MT 6 + 0 6 chrM 6 + 0 6 1\n6\n").source_of(name) == b"MT"


def test_two_places(tmp_path):
    chain = read(tmp_path, CHAINS + b"chain 1 chr1 40 + 5 15 chrA 25 + 7 17 3\n10\n")
    assert lifted(chain, b"chr1", 4, b"A", [], TARGETS.get) == Lifted(b"chrA", 6, b"A", [], False)
    assert lifted(chain, b"chr1", 5, b"C", [], TARGETS.get) == Lifted(b"chrA", 7, b"C", [], False)  # both say the same
    assert lifted(chain, b"chr1", 12, b"T", [], TARGETS.get) == "several_places"
    assert lifted(chain, b"chr1", 9, b"CG", [], TARGETS.get) == "ref_differs"  # together in the third chain only


def test_the_base_beside_an_insertion_may_be_in_another_chain(tmp_path):
    chain = read(tmp_path, CHAINS + b"chain 1 chr1 40 + 30 33 chrB 20 - 7 10 3\n3\n")
    assert lifted(chain, b"chr1", 32, b"A", [b"AC"], TARGETS.get) == Lifted(b"chrB", 9, b"A", [b"AG"], True)


def test_indel_at_the_start_of_a_contig_is_anchored_behind(tmp_path):
    chain = read(tmp_path, b"chain 1 1 6 + 0 6 1 6 - 0 6 1\n6\n")
    sequences = {b"1": b"AAATCG"}
    assert lifted(chain, b"1", 2, b"AT", [b"A"], sequences.get) == Lifted(b"1", 0, b"AA", [b"A"], True)
    assert lifted(chain, b"1", 2, b"ATTT", [b"A"], sequences.get) == Lifted(b"1", 0, b"AAAT", [b"T"], True)
    assert lifted(chain, b"1", 2, b"A", [b"ATT"], sequences.get) == Lifted(b"1", 0, b"A", [b"AAA"], True)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (b"# a comment", b"not a chain", "line 1 is not the start of a chain"),
        (b"10 2 3", b"10 2", "the chain that starts at line 2 is malformed"),
        (b"10 2 3", b"10 x 3", "the chain that starts at line 2 is malformed"),
        (b"10 2 3", b"10 2 4", "the chain that starts at line 2 is malformed"),
        (b"10 2 3", b"-10 22 3", "the chain that starts at line 2 is malformed"),
        (b"10 2 3", b"10 2 3 4", "the chain that starts at line 2 is malformed"),
        (b"10 2 3", b"9" * 5000 + b" 2 3", "the chain that starts at line 2 is malformed"),
        (b"10 2 3", b"1" * 10_000, "line 3 has more than 10,000 bytes"),
        (b"chr1 40 + 30", b"chr1 41 + 30", "it gives chr1 two lengths"),
        (b"chr1 40 +", b"chr1 19 +", "the chain that starts at line 2 is malformed"),
        (b"chr1 40 +", b"chr1 40 -", "the chain that starts at line 2 is malformed"),
        (CHAINS, b"# nothing", "it has no chain"),
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
        Chain(path)
    assert (caught.value.code, caught.value.faults) == (
        "unreadable",
        ["The chain file b.chain.gz cannot be read: No such file or directory."],
    )
    path.write_bytes(gzip.compress(CHAINS)[:-12])
    with pytest.raises(AnnotationError) as caught:
        Chain(path)
    assert "its compressed data is cut short or wrong" in caught.value.faults[0]


def test_too_many_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(chain_module, "MAX_BLOCKS", 2)
    with pytest.raises(AnnotationError, match="it has more than 2 blocks"):
        read(tmp_path, CHAINS)


def test_a_bomb_ends_at_its_first_line(tmp_path):
    path = tmp_path / "bomb.chain.gz"
    with gzip.open(path, "wb") as file:
        for _ in range(50):
            file.write(b" " * (1 << 20))
    with pytest.raises(AnnotationError, match="line 1 has more than 10,000 bytes"):
        Chain(path)


def read_or_fault(folder, text):
    try:
        return read(folder, text)
    except AnnotationError as error:
        return error.faults[0]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(CHAINS) - 1), st.integers(0, 255)), min_size=1, max_size=5))
def test_any_damage_is_told_in_a_sentence_or_harmless(changes):
    text = bytearray(CHAINS)
    for place, byte in changes:
        text[place] = byte
    with tempfile.TemporaryDirectory() as folder:
        chain = read_or_fault(folder, bytes(text))
    if isinstance(chain, str):
        assert chain.startswith("The chain file a.chain.gz is damaged: ")
        return
    for source in chain.blocks:
        for pos in range(40):
            lifted(chain, source, pos, b"A", [b"G", b"AC"], TARGETS.get)


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
        found = lifted(chain, b"1", pos, ref.encode(), [alt.encode() for alt in alts], sequences.get)
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
