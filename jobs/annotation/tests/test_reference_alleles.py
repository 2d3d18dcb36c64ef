"""Alleles that were sorted in runs and merged are those of the file, whatever their order and number."""

import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.annotation.errors import AnnotationError
from jobs.annotation.records import left_aligned
from jobs.annotation.reference import alleles, arrays, vcf_alleles
from jobs.annotation.reference.allele_files import AlleleSpool, coded
from jobs.annotation.reference.declaration import Field, Track
from jobs.annotation.tracks import AlleleTrack, allele_key

BASES = b"ACGTTTTACGGACCATGGCCTAAGTCCAGTACGATTACAG"
SPELLED = st.text("ACGT", min_size=1, max_size=3)
ALLELES = st.text("ACGT", max_size=3).map(str.encode)
KNOWN = st.tuples(st.integers(0, 9), ALLELES, ALLELES).filter(lambda allele: allele[1] != allele[2])
IDS = st.sampled_from([b"", b"rs7", b"rs8", b"rs007", b"rs7;rs9", b"x"])


@pytest.fixture(autouse=True)
def _small_runs(monkeypatch):
    """So small that a handful of alleles is many runs, merged a few rows at a time."""
    monkeypatch.setattr(alleles, "RUN", 3)


def opened(folder, merged, fields):
    path = folder / "contig.arrays"
    arrays.save(path, {f"t/{name}": array for name, array in merged.items()})
    return AlleleTrack(arrays.load(path), "t", fields)


def compiled(folder, records, ids, type_="String"):
    """The track of records (position, REF, ALT, values), added three at a time."""
    runs = alleles.AlleleRuns(folder / "runs", [Field("x", id=is_id, type=type_) for is_id in ids])
    for at in range(0, len(records), 3):
        some = records[at : at + 3]
        keys = np.array([allele_key(*record[:3]) for record in some], np.int64)
        long = [ref + b">" + alt for _, ref, alt, _ in some if not len(ref) == len(alt) == 1]
        columns = zip(*(record[3] for record in some), strict=True)
        runs.add("1", keys, long, [coded(list(c), is_id=is_id) for c, is_id in zip(columns, ids, strict=True)])
    runs.close()
    return opened(folder, runs.merged("1"), len(ids))


def looked_up(track, asked, field):
    """The value of each (position, REF, ALT) that is there."""
    keys = np.array([allele_key(*allele) for allele in asked], np.int64)
    hits, rows = track.find(keys, lambda place: asked[place][1] + b">" + asked[place][2])
    return {asked[hit]: value for hit, value in zip(hits.tolist(), track.values(field, rows), strict=True)}


def joined(records, allele, field):
    return b"&".join(
        dict.fromkeys(values[field] for *other, values in records if tuple(other) == allele and values[field])
    )


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(KNOWN, IDS, st.sampled_from([b"", b"a", b"b", b"rs5"]))), st.lists(KNOWN, min_size=1))
def test_alleles_agree_with_brute_force(tmp_path_factory, known, asked):
    records = [(*allele, values) for allele, *values in known]
    track = compiled(tmp_path_factory.mktemp("t"), records, [True, False])
    asked = [*dict.fromkeys([*asked, *(tuple(record[:3]) for record in records)])]
    there = {tuple(record[:3]) for record in records}
    for field in (0, 1):
        expected = {allele: joined(records, allele, field) for allele in asked if allele in there}
        assert looked_up(track, asked, field) == expected
    assert (np.diff(track.key) >= 0).all()
    assert len(track.key) == len(there)


def test_rs_numbers_are_kept_as_numbers(tmp_path):
    records = [(5, b"A", b"C", [b"rs12"]), (6, b"A", b"C", [b""]), (7, b"A", b"C", [b"rs1;rs2"])]
    track = compiled(tmp_path, records, [True])
    assert track.arrays["0/number"].tolist() == [12, 0, -1]
    assert looked_up(track, [(7, b"A", b"C")], 0) == {(7, b"A", b"C"): b"rs1;rs2"}


def test_equal_checksums_of_other_alleles(tmp_path, monkeypatch):
    """The alleles themselves are compared, not only their checksums."""
    monkeypatch.setattr("jobs.annotation.tracks.zlib.crc32", lambda text: 7)
    records = [(5, b"AC", b"", [b"one"]), (5, b"AG", b"", [b"two"]), (5, b"AC", b"", [b"three"])]
    track = compiled(tmp_path, records, [False])
    asked = [(5, b"AC", b""), (5, b"AG", b""), (5, b"AT", b"")]
    assert [looked_up(track, [allele], 0) for allele in asked] == [
        {asked[0]: b"one&three"},
        {asked[1]: b"two"},
        {},
    ]


@pytest.mark.parametrize("type_", ["Integer", "Float"])
def test_of_numbers_the_first_is_taken(tmp_path, type_):
    """Joined they would be none."""
    records = [(5, b"A", b"C", [value]) for value in (b"", b"0.5", b"0.25")]
    assert looked_up(compiled(tmp_path, records, [False], type_), [(5, b"A", b"C")], 0) == {(5, b"A", b"C"): b"0.5"}


def test_the_study_is_that_of_the_frequency(tmp_path):
    """Equal alleles of two records, after left-aligning: one T of four."""
    freq = "21\t{}\t.\t{}T\t{}\t.\t.\tFREQ={}:{},0.25\n"
    text = freq.format(4, "T", "T", "A", "0.75") + freq.format(5, "T", "T", "B", "0.5,0.25")
    track = track_of(tmp_path, text, *frequencies("A", "B"))
    assert [looked_up(track, [(3, b"T", b"")], field)[3, b"T", b""] for field in range(3)] == [b"0.25", b"0.25", b"A"]


def test_texts_of_several_runs(tmp_path):
    records = [(at, b"A", b"C", [b"t%d" % at]) for at in range(7)]
    track = compiled(tmp_path, records, [False])
    assert list(looked_up(track, [record[:3] for record in records], 0).values()) == [b"t%d" % at for at in range(7)]


def test_samples_are_no_info(tmp_path):
    track = track_of(tmp_path, "21\t1\t.\tA\tC\t.\t.\tN=a\tGT\t0;N=b\n", Field("N", "GAS_N"))
    assert looked_up(track, [(0, b"A", b"C")], 0) == {(0, b"A", b"C"): b"a"}


def test_a_contig_without_alleles(tmp_path):
    assert looked_up(compiled(tmp_path, [], [True, False]), [(5, b"A", b"C")], 0) == {}


def test_equal_files_whatever_the_order_of_alleles(tmp_path):
    records = [(at % 17, b"A", b"CG"[: at % 2 + 1], [b"rs%d" % (at % 17 + 1)]) for at in range(40)]
    for folder, some in (("a", records), ("b", records[::-1])):
        (tmp_path / folder).mkdir()
        compiled(tmp_path / folder, some, [True])
    assert (tmp_path / "a" / "contig.arrays").read_bytes() == (tmp_path / "b" / "contig.arrays").read_bytes()


def spooled(folder, text, *fields, bases=BASES, name="t.vcf"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    track = Track("t", "allele", path, "vcf", fields)
    view = memoryview(bases) if bases else None
    names = {b"21": "21", b"chr21": "21"}
    return AlleleSpool(track, folder / "runs", names.get, lambda _contig: view)


def track_of(folder, text, *fields, bases=BASES):
    return opened(folder, spooled(folder, text, *fields, bases=bases).runs.merged("21"), len(fields))


FIELDS = (
    Field("ID", id=True),
    Field("AF", "GAS_AF"),
    Field("N", "GAS_N"),
    Field("DB", "GAS_DB"),
    Field("FILTER", "GAS_FILTER"),
)


@st.composite
def vcf_records(draw):
    """A record whose REF is mostly that of BASES."""
    start = draw(st.integers(0, len(BASES) - 1))
    ref = BASES[start : start + draw(st.integers(1, 3))].decode()
    ref = draw(st.sampled_from([ref, ref, ref.lower(), "G"]))
    alts = draw(st.lists(st.one_of(SPELLED, st.sampled_from(["<DEL>", "*", "N"])), min_size=1, max_size=3))
    info = [f"AF={','.join(f'0.{draw(st.integers(0, 9))}' for _ in alts)}"]
    info += [f"N={draw(st.sampled_from(['a', 'b', 'c,d', '.']))}", *draw(st.sampled_from([[], ["DB"], ["XDB=1"]]))]
    name = draw(st.sampled_from([".", "rs5", "rs5;rs6", "x"]))
    info = ";".join(draw(st.permutations(info)))
    return start, ref, alts, name, info


def expected_of(records):
    """What the alleles of records have, looked at one by one."""
    found = {}
    for start, ref, alts, name, info in records:
        for number, alt in enumerate(alts):
            if (
                not set(alt) <= set("ACGTN")
                or ref.upper() == alt
                or BASES[start : start + len(ref)] != ref.upper().encode()
            ):
                continue
            keys = dict(item.partition("=")[::2] for item in info.split(";"))
            values = [
                "" if name == "." else name,
                keys["AF"].split(",")[number],
                keys["N"].replace(",", "%2C").replace(".", ""),
                "1" if "DB" in keys else "",
                "PASS",
            ]
            change = left_aligned(start, ref.upper().encode(), alt.encode(), BASES)
            found.setdefault(change, []).append(values)
    return {
        allele: ["&".join(dict.fromkeys(filter(None, column))) for column in zip(*values, strict=True)]
        for allele, values in found.items()
    }


@settings(max_examples=80, deadline=None)
@given(st.lists(vcf_records(), min_size=1), st.integers(1, 200))
def test_a_vcf_file_agrees_with_reading_it_record_by_record(tmp_path_factory, records, block):
    head = "##fileformat=VCFv4.3\n##INFO=<ID=AF,Number=A,Type=Float>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    lines = [
        f"chr21\t{start + 1}\t{name}\t{ref}\t{','.join(alts)}\t.\tPASS\t{info}\n"
        for start, ref, alts, name, info in records
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jobs.annotation.reference.source_files.BLOCK", block)
        track = track_of(tmp_path_factory.mktemp("t"), head + "".join(lines), *FIELDS)
    expected = expected_of(records)
    for field in range(len(FIELDS)):
        found = looked_up(track, list(expected), field) if expected else {}
        assert {allele: value.decode() for allele, value in found.items()} == {
            allele: values[field] for allele, values in expected.items()
        }
    assert len(track.key) == len(expected)


def test_what_differs_from_the_sequence_is_counted(tmp_path):
    text = "21\t1\t.\tA\tC\t.\t.\tX\n21\t1\t.\tG\tC,T\t.\t.\tX\n21\t2\t.\tGG\tT\t.\t.\tX\n21\t99\t.\tA\tC\t.\t.\tX\n"
    spool = spooled(tmp_path, text, Field("X", "GAS_X"))
    assert (spool.checked, spool.differ, spool.count) == (5, 4, 1)


def test_without_a_sequence_nothing_is_compared(tmp_path):
    spool = spooled(tmp_path, "21\t99\t.\tA\tC\t.\t.\tX\n", Field("X", "GAS_X"), bases=None)
    assert (spool.checked, spool.differ, spool.count) == (0, 0, 1)


def test_records_that_cannot_be_read_are_counted(tmp_path):
    text = "##x\n21\t1\t.\tA\tC\t.\t.\tX\n21\tone\t.\tA\tC\t.\t.\tX\n22\t1\t.\tA\tC\t.\t.\tX\n"
    spool = spooled(tmp_path, text, Field("X", "GAS_X"))
    assert (spool.count, spool.unreadable, spool.strange) == (1, 1, {"22": 1})
    assert spool.fault.startswith("Line 3: POS is 'one'")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("##x\n21\t1\t.\tA\tC\n", "t.vcf, line 2: 5 columns, parted by tabs, are less than the 8 of VCF."),
        (gzip.compress(b"21\t1\t.\tA\tC\t.\t.\tX\n" * 99, mtime=0)[:-9], "it may be incomplete"),
    ],
)
def test_what_is_no_vcf_or_damaged(tmp_path, text, fault):
    with pytest.raises(AnnotationError) as caught:
        spooled(tmp_path, text, Field("X", "GAS_X"))
    assert fault in caught.value.faults[0]


def test_windows_line_ends_and_no_last_one(tmp_path):
    track = track_of(tmp_path, b"21\t1\t.\tA\tC\t.\t.\tX=1\r\n21\t2\t.\tC\tT\t.\t.\tX=2\r", Field("X", "GAS_X"))
    assert looked_up(track, [(0, b"A", b"C"), (1, b"C", b"T")], 0) == {(0, b"A", b"C"): b"1", (1, b"C", b"T"): b"2"}


def frequencies(*populations):
    names = tuple(population.encode() for population in populations)
    return [Field("FREQ", f"GAS_{what}", populations=names, frequency=what) for what in ("alt", "minor", "population")]


FREQ = "1000Genomes:0.9,0.1,.|TOPMED:0.6,0.1,0.3|ALFA:1,.,0"


@pytest.mark.parametrize(
    ("populations", "first", "second"),
    [
        (["1000Genomes", "TOPMED"], [b"0.1", b"0.1", b"1000Genomes"], [b"0.3", b"0.3", b"TOPMED"]),
        (["TOPMED", "1000Genomes"], [b"0.1", b"0.3", b"TOPMED"], [b"0.3", b"0.3", b"TOPMED"]),
        (["ALFA"], [b"", b"", b""], [b"0", b"0", b"ALFA"]),
        (["HapMap"], [b"", b"", b""], [b"", b"", b""]),
    ],
)
def test_frequencies_of_the_first_population_that_has_one(tmp_path, populations, first, second):
    track = track_of(tmp_path, f"21\t1\t.\tA\tC,G\t.\t.\tFREQ={FREQ};VC=SNV\n", *frequencies(*populations))
    for alt, expected in ((b"C", first), (b"G", second)):
        assert [looked_up(track, [(0, b"A", alt)], field)[0, b"A", alt] for field in range(3)] == expected


def test_rs_numbers_that_no_number_holds_stay_texts(tmp_path):
    names = ["rs123456789012345678", "rs1234567890123456789", "rs0", "rs01", "rs", "77", "rs1x"]
    text = "".join(f"21\t{at}\t{name}\t{BASES[at - 1 : at].decode()}\tN\t.\t.\tX\n" for at, name in enumerate(names, 1))
    track = track_of(tmp_path, text, Field("ID", id=True))
    asked = [(at, BASES[at : at + 1], b"N") for at in range(len(names))]
    expected = [*(name.encode() for name in names[:5]), b"rs77", b"rs1x"]
    assert list(looked_up(track, asked, 0).values()) == expected
    assert (track.arrays["0/number"] > 0).sum() == 2
    assert vcf_alleles.MAX_DIGITS == 18
