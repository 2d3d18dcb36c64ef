"""What holds of every result, whatever the file: hypothesis makes odd ones, always the same (`derandomize`)."""

import gzip
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from jobs.annotation import annotate, lines, sorting
from jobs.annotation.tests import made_genome
from jobs.annotation.tests.strict_vcf import check

COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
DECLARED = (
    '##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth">\n'
    '##INFO=<ID=AF,Number=A,Type=Float,Description="Frequency, of each ALT">\n'
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
)
OURS = ("BCSQ", "GAS_")
GENOME = made_genome.Genome(Path(), *made_genome.models())
VARIANTS = made_genome.variants(GENOME, 2000, 21)
STRUCTURAL = ["<DEL>", "<INS:ME:ALU>", "*", ".", "<*>", "N[2:500[", "]X:1]N", ".N", "N."]
BROKEN = ["1\tx\t.\tA\tG\t.\t.\t.", "too short", "2\t7\t.\t-\tG\t.\t.\t.", "# a comment", "1\t5\t.\tA\tG\tx\t.\t."]


class File(NamedTuple):
    """The records, each a list of columns; and the bytes with all that may be odd about a file."""

    records: list[list[str]]
    broken: int
    content: bytes


@st.composite
def record(draw, samples):
    contig, pos, ref, alts = draw(st.sampled_from(VARIANTS))
    contig = draw(st.sampled_from([contig, contig, contig, f"chr{contig}", "GL000192.1"]))
    if draw(st.integers(0, 9)) == 9:
        alts = draw(st.sampled_from(STRUCTURAL))
    elif draw(st.integers(0, 9)) == 9:
        ref, alts = ref.lower(), alts.lower()
    info = draw(
        st.lists(
            st.sampled_from(["DP=7", "DB", "NOT_DECLARED=a%3Db", "END={end}", "BCSQ=old", "GAS_GENE=X", "AF={af}"]),
            unique=True,
        )
    )
    if alts == ".":
        info = [item for item in info if item != "AF={af}"]  # there is no allele to have a frequency
    values = {"end": pos + draw(st.integers(len(ref) - 1, 3000)), "af": ",".join("0.1" for _ in alts.split(","))}
    text = (
        ";".join(info).format_map(values) + draw(st.sampled_from(["", "", ";"]))
        if info
        else draw(st.sampled_from([".", ";"]))
    )
    identifier, filters = draw(st.sampled_from([".", "rs1", "x;y"])), draw(st.sampled_from([".", "PASS", "q10;s50"]))
    columns = [contig, str(pos), identifier, ref, alts, draw(st.sampled_from([".", "30", "1.50e+02"])), filters, text]
    genotypes = [draw(st.sampled_from(["0/1:7", "1|1:.", "./.", "0"])) for _ in range(samples)]
    return columns + ["GT:DP", *genotypes] * bool(samples)


@st.composite
def files(draw):
    samples = draw(st.sampled_from([0, 0, 1, 3]))
    records = draw(st.lists(record(samples), min_size=1, max_size=25))
    if draw(st.booleans()):
        order = list(dict.fromkeys(columns[0] for columns in records))
        records.sort(key=lambda columns: (order.index(columns[0]), int(columns[1])))
    rows = ["\t".join(columns) for columns in records]
    broken = draw(st.lists(st.sampled_from(BROKEN), max_size=2))
    for line in [*broken, *draw(st.sampled_from([[], [], ["", "  "]]))]:
        rows.insert(draw(st.integers(0, len(rows))), line)
    version = draw(st.sampled_from(["4.0", "4.1", "4.2", "4.3", "4.5"]))
    header = f"##fileformat=VCFv{version}\n" + draw(st.sampled_from(["", DECLARED, "##contig=<ID=1,length=60000>\n"]))
    names = "".join(f"\t{name}" for name in ["FORMAT", "S1", "S2", "S3"][: samples + 1] if samples)
    text = header + COLUMNS + names + "\n" + "\n".join(rows) + draw(st.sampled_from(["\n", ""]))
    if draw(st.integers(0, 3)) == 3:
        text = "\ufeff" + text.replace("\n", "\r\n")
    return File(records, len(broken), text.encode())


def some(examples):
    return settings(
        max_examples=examples,
        phases=[Phase.generate],  # making a failing file smaller takes minutes: it is small
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


@pytest.fixture
def run(made, tmp_path):
    """Annotates a file or bytes; the summary and the text of the result."""

    def annotated(content, name="in", **options):
        path = tmp_path / f"{name}.vcf"
        path.write_bytes(content)
        summary = annotate(path, tmp_path / "out", **options)
        with gzip.open(tmp_path / "out" / f"{name}.annot.vcf.gz") as result:
            return summary, result.read()

    annotated.out = tmp_path / "out"
    return annotated


def columns_of(text):
    return [line.split("\t") for line in text.decode().splitlines() if not line.startswith("#")]


def their_info(info):
    """The user's items of INFO, in order."""
    return [item for item in info.split(";") if item not in ("", ".") and not item.startswith(OURS)]


def kept(columns):
    """What stays as it is of a record."""
    return (*columns[:2], *columns[3:7], *columns[8:])


@some(60)
@given(files())
def test_result_is_valid_and_has_the_users_records(run, file):
    summary, text = run(file.content)
    assert check(run.out / "in.annot.vcf.gz") == summary.written == len(file.records)
    assert (summary.records, summary.skipped) == (len(file.records) + file.broken, file.broken)
    assert len((run.out / "skipped.tsv").read_bytes().splitlines()) == 1 + file.broken
    assert (
        f"Receipt: {summary.records} records read, {summary.written} written, {summary.skipped} skipped\n"
        in (run.out / "in.vcf.count.log").read_text()
    )
    found = columns_of(text)
    # sorted by contig, as they appear, and POS; records of one place stay in their order
    order = list(dict.fromkeys(columns[0] for columns in file.records))
    given = sorted(file.records, key=lambda columns: (order.index(columns[0]), int(columns[1])))
    assert [kept(columns) for columns in found] == [kept(columns) for columns in given]
    for ours, theirs in zip(found, given, strict=True):
        names = [name for name in theirs[2].split(";") if name != "."]
        assert [name for name in ours[2].split(";") if name != "."][: len(names)] == names
        items = their_info(theirs[7])
        assert ours[7].split(";")[: len(items)] == items or (ours[7], items) == (".", [])
        assert all(item.startswith(OURS) for item in ours[7].split(";")[len(items) :] if ours[7] != ".")


@some(25)
@given(files())
def test_annotated_twice_is_annotated_once(run, file):
    first, text = run(file.content)
    second, again = run(text, "again")
    assert again == text
    for count in ("written", "annotated", "classes", "consequences", "genes", "regions", "tracks", "contigs"):
        assert getattr(second, count) == getattr(first, count)


@some(25)
@given(files(), st.sampled_from([90, 200, 700]), st.sampled_from([1, 1, 2]))
def test_blocks_and_processes_change_nothing(run, file, block, processes):
    whole, text = run(file.content)
    left_out = (run.out / "skipped.tsv").read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", block)
        patch.setattr(sorting, "RUN", 5 * block)
        patch.setattr(sorting, "MERGED_BLOCK", block)
        pieces, again = run(file.content, processes=processes)
    assert again == text
    assert pieces == whole
    assert sorted((run.out / "skipped.tsv").read_bytes().splitlines()) == sorted(left_out.splitlines())


@some(15)
@given(st.randoms(use_true_random=False))
def test_order_of_records_decides_only_the_order_of_the_result(run, random):
    """Each record's annotation is its own, whatever stands before and after it."""
    chosen = random.sample(VARIANTS, 40)
    shuffled = random.sample(chosen, 40)
    texts = [run((GENOME.header() + "".join(v.line() for v in some)).encode())[1] for some in (chosen, shuffled)]
    first, second = (Counter(map(tuple, columns_of(text))) for text in texts)
    assert first == second
