"""GAS_HAPLOTYPE: what csq says of the user's own file, phases and all, where that is not what BCSQ says."""

import gzip
import os
import random
import re
import signal

import pysam
import pytest

from jobs.annotation import annotate, csq, haplotypes, lines
from jobs.annotation.tests import made_genome
from jobs.annotation.tests.conftest import COLUMNS, HEADER, data_lines
from jobs.annotation.tests.test_identity import bcftools, corrected, info

GENOTYPES = ["0|0", "0|0", "0|1", "1|0", "1|1", "1/1", "0/1", ".|1", "1|.", "./.", "1/.", "0", "1", "."]
TWO = ["1|2", "2|1", "2/2", "0|2", "1/2"]
ARG, CYS, LEU, PHE = "340R>340H", "340R>340C", "340R>340L", "340R>340F"  # codon 340 of MT-ND4, CGC at 11777


def fields(path, key="GAS_HAPLOTYPE"):
    return [info(row).get(key) for row in data_lines(path)]


@pytest.fixture
def said(vcf, out):
    """GAS_HAPLOTYPE of records of MT, given as (POS, REF, ALT, genotypes of the samples)."""

    def run(*records, keys="GT", **options):
        samples = records[0][3].split()
        columns = "\t".join([COLUMNS, "FORMAT", *(f"S{number}" for number in range(len(samples)))])
        rows = ["\t".join(["MT", str(p), ".", r, a, ".", ".", ".", keys, *g.split()]) for p, r, a, g in records]
        annotate(vcf(*rows, columns=columns), out, **options)
        return fields(out / "in.annot.vcf.gz")

    return run


def nd4(change, dna):
    return f"missense|MT-ND4|MT-ND4-201|protein_coding|+|{change}|{dna}"


TOGETHER = [nd4(PHE, "11777C>T+11778G>T"), "@11777"]
ALSO_ALONE = [f"{nd4(CYS, '11777C>T')},{TOGETHER[0]}", "@11777"]  # on one haplotype, with the other on the second


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("0|1", "0|1", TOGETHER),
        ("1|0", "1|0", TOGETHER),
        ("1/1", "0|1", ALSO_ALONE),  # homozygous: on either haplotype
        ("1/1", "1/1", TOGETHER),
        ("1", "1", TOGETHER),
        ("0|1", "1|0", [None, None]),
        ("0/1", "0/1", [None, None]),
        ("0/1", "0|1", [None, None]),
        ("1/1", "0/1", [None, None]),
        ("0/1", "1/1", [None, None]),
        (".|1", "0|1", [None, None]),  # csq skips a sample whose first allele is missing
        ("1|.", "1|.", TOGETHER),
        ("0|1|0", "0|1|0", [None, None]),
        ("./.", "1|1", [None, None]),
        ("|1", "/1|0", TOGETHER),  # VCF 4.4 has a sign before the first allele
    ],
)
def test_two_substitutions_in_a_codon(first, second, expected, said):
    assert said((11777, "C", "T", first), (11778, "G", "T", second)) == expected


def test_each_haplotype_of_each_sample_counts(said):
    found = said((11777, "C", "T", "0|1 0|0 0|1"), (11778, "G", "T", "0|0 1|0 0|1"))
    assert found == [
        f"{nd4(CYS, '11777C>T')},{nd4(PHE, '11777C>T+11778G>T')}",
        f"{nd4(LEU, '11778G>T')},@11777",
    ]


def test_only_alleles_that_are_carried(said, out):
    found = said((11777, "C", "A,T", "0|2"), (11778, "G", "T,A", "0|1"))
    assert found == TOGETHER
    assert said((11777, "C", "<DEL>,T", "1|0"), (11778, "G", "T", "1|0")) == [None, None]
    assert said((11777, "C", "T", "0|7"), (11778, "G", "T", "0|1"), (11779, "C", "A", "0|1"))[0] is None
    assert "could not be taken into account" not in (out / "in.vcf.count.log").read_text()


def test_minus_strand(said):
    """ND6 codon 64: its bases stand at 14484, 14483, 14482."""
    found = said((14483, "A", "G", "0|1"), (14484, "T", "C", "0|1"))
    assert found == ["@14484", "missense|MT-ND6|MT-ND6-201|protein_coding|-|64M>64A|14483A>G+14484T>C"]


def test_a_frame_shift_that_is_undone(said):
    """A base less, and five bases on a base more: AGT CGC ATC becomes AGT GCA TCA."""
    assert said((11776, "TC", "T", "0|1"), (11782, "C", "CA", "1|0")) == [None, None]
    protein = "missense&inframe_altering|MT-ND4|MT-ND4-201|protein_coding|+|339SRI>339SAS"
    undone = said((11776, "TC", "T", "0|1"), (11782, "C", "CA", "0|1"))
    assert undone == [f"{protein}|11776TC>T+11782C>CA", "@11776"]


def test_what_follows_a_new_stop_codon_says_so(said):
    """TGA is tryptophan in mitochondria, AGA a stop: codon 340, CGC to AGA."""
    found = said((11777, "C", "A", "0|1"), (11779, "C", "A", "0|1"), (11788, "C", "T", "0|1"))
    assert found[0].startswith("stop_gained|MT-ND4|MT-ND4-201|protein_coding|+|340R>340*|")
    assert found[1] == "@11777"
    assert found[2].startswith("*")


@pytest.mark.parametrize(
    ("keys", "first", "second", "expected"),
    [
        ("GT:PS", "0|1:1", "0|1:1", TOGETHER),
        ("GT:PS", "0|1:1", "0|1:2", [None, None]),
        ("GT:PS", "0|1:A", "0|1:B", [None, None]),
        ("GT:PS", "0|1:A", "0|1:A", TOGETHER),
        ("GT:PS", "0|1:.", "0|1", TOGETHER),
        ("GT:PS", "0|1:1", "0|1:.", [None, None]),
        ("GT:PS", "1/1:1", "0|1:2", ALSO_ALONE),
        ("GT:DP:PS", "0|1:9:1", "0|1:9:2", [None, None]),
        ("GT:DP:PS", "0|1:1:5", "0|1:2:5", TOGETHER),
        ("DP:GT", "1:0|1", "1:0|1", [None, None]),  # GT is first, or it is not there
    ],
)
def test_phase_sets(keys, first, second, expected, said):
    assert said((11777, "C", "T", first), (11778, "G", "T", second), keys=keys) == expected


def test_many_alleles(said):
    alts = ",".join(["C" + "A" * number for number in range(1, 11)] + ["T"])
    assert said((11777, "C", alts, "0|11"), (11778, "G", "T", "0|1")) == TOGETHER


# --- against csq on the whole file -----------------------------------------------------------------------------------


def phased(genome, count, seed, samples):
    """The lines of a file of random genotypes."""
    rng = random.Random(seed)
    some = [variant for variant in made_genome.variants(genome, count, seed) if plain(variant)]
    for variant in some:
        several = "," in variant.alts
        yield variant.line(".", "GT", *(rng.choice(GENOTYPES + TWO * several) for _ in range(samples)))


def plain(variant):
    """Bases only, and no replacement of several by several: csq crashes on some of them at the end of an exon."""
    lengths = [len(alt) for alt in variant.alts.split(",")]
    return set(variant.ref + variant.alts) <= set("ACGT,") and (len(variant.ref) == 1 or max(lengths) == 1)


def write(genome, path, rows, samples):
    path.write_text(genome.header(*(f"S{number}" for number in range(samples))) + "".join(rows))
    return path


def csq_phased(genome, path):
    """The data lines of `bcftools csq -p s` on a file as it is."""
    target = path.with_suffix(".csq.vcf")
    files = ["-f", genome.folder / "genome.fa", "-g", genome.folder / "genes.gff3", "-o", target, path]
    assert bcftools("csq", "-p", "s", "-Ov", "-v", "0", *files) == 0
    return [line.split("\t") for line in target.read_text().splitlines() if line[0] != "#"]


@pytest.mark.parametrize(("seed", "count", "samples"), [(3, 2000, 1), (2, 1500, 3), (4, 1500, 40)])
def test_what_csq_says_of_the_file(seed, count, samples, made, tmp_path, out):
    rows = list(phased(made, count, seed, samples))
    path = write(made, tmp_path / "in.vcf", rows, samples)
    summary = annotate(path, out)
    ours, theirs = data_lines(out / "in.annot.vcf.gz"), csq_phased(made, path)
    assert [row[8:] for row in ours] == [line.rstrip("\n").split("\t")[8:] for line in rows]
    told = [corrected(info(row)["BCSQ"], made.spliced).split(",") if "BCSQ" in info(row) else [] for row in theirs]
    expected = []
    for own, entries, pointers in zip(ours, told, pointers_of(theirs, told), strict=True):
        wanted = {entry for entry in entries if entry[0] != "@"} | pointers
        expected.append(wanted if wanted - set(info(own).get("BCSQ", "").split(",")) else set())
    found = [info(row).get("GAS_HAPLOTYPE", "").split(",") for row in ours]
    assert [place for place in zip(found, expected, ours, strict=True) if set(place[0]) - {""} != place[1]] == []
    assert all(len(entries) == len(set(entries)) for entries in found)
    assert summary.haplotypes == sum(map(bool, expected)) > 100
    pairs = list(zip(found, told, strict=True))
    known = [entry in entries for entries, others in pairs for entry in others if entry[0] == "@"]
    assert sum(known) > 0.9 * len(known) > 30


def pointers_of(rows, told):
    """Pointers to the records at which others are described: csq's own may lead astray (haplotypes.py)."""
    led = [set() for _ in rows]
    for number, (row, entries) in enumerate(zip(rows, told, strict=True)):
        changes = {
            change for entry in entries if "+" in entry.split("|")[-1] for change in entry.split("|")[-1].split("+")
        }
        for other in range(max(0, number - 500), min(len(rows), number + 500)):
            own = {f"{rows[other][1]}{rows[other][3]}>{alt}" for alt in rows[other][4].split(",")}
            if other != number and rows[other][0] == row[0] and own & changes:
                led[other].add(f"@{row[1]}")
    return led


# --- blocks, processes, order ----------------------------------------------------------------------------------------


@pytest.fixture
def results(made, tmp_path, monkeypatch):
    """Annotates lines of two samples with blocks of some size, and gives the text of the result."""

    def run(rows, block=lines.BLOCK, processes=1):
        monkeypatch.setattr(lines, "BLOCK", block)
        path = write(made, tmp_path / "in.vcf", rows, 2)
        summary = annotate(path, tmp_path / "out", processes=processes)
        text = gzip.decompress((tmp_path / "out" / "in.annot.vcf.gz").read_bytes())
        assert summary.haplotypes == text.count(b";GAS_HAPLOTYPE=") > 50
        return text

    return run


def test_ends_of_blocks_and_processes_change_nothing(made, results):
    rows = list(phased(made, 2000, 7, 2))
    whole = results(rows)
    assert results(rows, block=2000) == whole
    assert results(rows, block=9000, processes=2) == whole


def test_size_of_the_calls_changes_nothing(made, results, monkeypatch):
    rows = list(phased(made, 2000, 7, 2))
    whole = results(rows)
    monkeypatch.setattr(haplotypes, "CELLS", 1)
    assert results(rows) == whole


def test_unsorted_records(made, results):
    rows = list(phased(made, 2000, 7, 2))
    places = dict.fromkeys(map(tuple, (row.split("\t")[:2] for row in rows)))
    unique = [row for row in rows if places.pop(tuple(row.split("\t")[:2]), 0) is None]
    order = sorted(unique, key=lambda row: (row.split("\t")[0], int(row.split("\t")[1]) % 7))
    assert results(order, block=9000).split(b"#CHROM")[1] == results(unique).split(b"#CHROM")[1]


def test_twice_is_once_and_the_index_finds_all(made, results, tmp_path):
    text = results(list(phased(made, 2000, 7, 2)))
    again = results([line + "\n" for line in text.decode().splitlines() if line[0] != "#"])
    assert again.split(b"#CHROM")[1] == text.split(b"#CHROM")[1]
    with pysam.TabixFile(str(tmp_path / "out" / "in.annot.vcf.gz")) as file:
        indexed = [row for name in file.contigs for row in file.fetch(name)]
    assert indexed == [line for line in text.decode().splitlines() if line[0] != "#"]


def test_nothing_is_asked_where_nothing_is_together(said, monkeypatch):
    def never(*_arguments):
        raise AssertionError

    monkeypatch.setattr(haplotypes, "_ask", never)
    assert said((11777, "C", "T", "0|1"), (11778, "G", "T", "1|0")) == [None, None]


def test_a_file_without_samples(vcf, out):
    annotate(vcf(("MT", 11777, "C", "T"), ("MT", 11778, "G", "T")), out)
    assert fields(out / "in.annot.vcf.gz") == [None, None]


def test_the_users_own_bcsq_is_not_mistaken_for_ours(vcf, out):
    columns = COLUMNS + "\tFORMAT\tS"
    rows = [
        "MT\t11777\tBCSQ=x;y\tC\tT\t.\t.\tXBCSQ=a,b;BCSQ=c\tGT\t0|1",
        "MT\t11778\t.\tG\tT\t.\t.\tBCSQ=d;Z\tGT\t0|1",
    ]
    annotate(vcf(*rows, columns=columns, header=HEADER), out)
    first, second = data_lines(out / "in.annot.vcf.gz")
    assert first[7].startswith(f"XBCSQ=a,b;BCSQ={nd4(CYS, '11777C>T')};GAS_HAPLOTYPE={TOGETHER[0]};GAS_")
    assert second[7].startswith(f"Z;BCSQ={nd4(LEU, '11778G>T')};GAS_HAPLOTYPE=@11777;GAS_")


def test_a_call_that_crashes_costs_only_its_genes(made, results, monkeypatch, tmp_path):
    rows = list(phased(made, 2000, 7, 2))
    whole = results(rows)
    run = csq.run_csq

    def crashing(options, code, fasta, gff, side, target):
        if options == csq.PHASED and b"\n2\t" in side.read_bytes():
            signal.signal(signal.SIGSEGV, signal.SIG_DFL)  # without a trace
            os.kill(os.getpid(), signal.SIGSEGV)
        run(options, code, fasta, gff, side, target)

    monkeypatch.setattr(csq, "run_csq", crashing)
    spared = re.sub(rb"(?m)^(2\t.*?);GAS_HAPLOTYPE=[^;]*", rb"\1", whole)
    assert results(rows) == spared != whole
    log = (tmp_path / "out" / "in.vcf.count.log").read_text()
    assert "Note: Records of which haplotypes could not be taken into account" in log
