"""What the engine says is what bcftools says of the user's whole file: consequences, and tracks that both have."""

import faulthandler
import gzip
import subprocess
import sys

import pysam
import pytest

from jobs.annotation import annotate
from jobs.annotation.tests import made_genome
from jobs.annotation.tests.conftest import data_lines

BCFTOOLS = """
import sys, pysam.bcftools
getattr(pysam.bcftools, sys.argv[1])(*sys.argv[2:], catch_stdout=False)
"""
# `ATTA` to `AACCCGACATGTCTA` at the end of an exon: csq 1.24 reads past the end of a string of its own
CRASHES_CSQ = made_genome.Variant("1", 50625, "ATTA", "AACCCGACATGTCTA")


def bcftools(*arguments):
    """Runs it in a process of its own: csq keeps positions between calls."""
    return subprocess.run([sys.executable, "-c", BCFTOOLS, *map(str, arguments)], check=False).returncode


def csq(genome, path, *options):
    """The data lines of `bcftools csq -l` on a file as it is."""
    target = path.with_suffix(".csq.vcf")
    files = ["-f", genome.folder / "genome.fa", "-g", genome.folder / "genes.gff3", "-o", target, path]
    assert bcftools("csq", "-l", "-Ov", "-v", "0", *options, *files) == 0
    return [line.split("\t") for line in target.read_text().splitlines() if line[0] != "#"]


def info(fields):
    return {} if fields[7] == "." else dict(item.partition("=")[::2] for item in fields[7].split(";"))


def corrected(bcsq, spliced):
    """A BCSQ value with the corrections that the header of a result states."""
    entries = [entry.split("|") for entry in bcsq.split(",")]
    for entry in entries:
        if entry[0] == "intron" and entry[1] not in spliced:
            entry[0] = "incomplete_terminal_codon"
        if entry[0] == "synonymous&start_lost":
            entry[0] = "synonymous&start_retained"
    return ",".join(map("|".join, entries))


def disagreements(ours, theirs, spliced):
    """Records of which the two say different things, and how many have a consequence."""
    expected = [corrected(info(fields)["BCSQ"], spliced) if "BCSQ" in info(fields) else None for fields in theirs]
    found = [info(fields).get("BCSQ") for fields in ours]
    assert [fields[:2] for fields in ours] == [fields[:2] for fields in theirs]
    places = zip([fields[:5] for fields in ours], found, expected, strict=True)
    return [place for place in places if place[1] != place[2]], len([value for value in expected if value])


@pytest.fixture
def file_of(tmp_path):
    """Makes a file of variants; `more` gives the columns after FILTER of each."""

    def make(genome, variants, more=lambda _variant: (".",), samples=()):
        path = tmp_path / "in.vcf"
        path.write_text(genome.header(*samples) + "".join(variant.line(*more(variant)) for variant in variants))
        return path

    return make


@pytest.mark.parametrize("seed", [3, 10])
def test_consequences_are_those_of_csq(seed, made, file_of, out):
    """Either strand, all kinds of exons and regions, SNVs, indels, MNVs, replacements, several ALT alleles."""
    path = file_of(made, made_genome.variants(made, 8000, seed))
    summary = annotate(path, out)
    differ, some = disagreements(data_lines(out / "in.annot.vcf.gz"), csq(made, path), made.spliced)
    assert differ == []
    assert some > 7000
    assert {"SNV", "MNV", "insertion", "deletion", "delins", "mixed"} <= summary.classes.keys()
    terms = {"missense", "synonymous", "stop_gained", "stop_lost", "start_lost", "frameshift", "inframe_deletion"}
    terms |= {"inframe_insertion", "splice_acceptor", "splice_donor", "splice_region", "intron", "non_coding"}
    terms |= {"5_prime_utr", "3_prime_utr", "stop_retained", "feature_truncation", "feature_elongation"}
    assert terms <= summary.consequences.keys()


def test_genotypes_change_no_consequence(made, file_of, out):
    genotypes = ["0/1", "1|1", "0|0", "./.", "1"]
    variants = made_genome.variants(made, 2000, 5)
    samples = ["S1", "S2", "S3"]

    def columns(variant):
        return ".", "GT", *(genotypes[(variant.pos + number) % len(genotypes)] for number in range(3))

    path = file_of(made, variants, columns, samples)
    annotate(path, out)
    ours = data_lines(out / "in.annot.vcf.gz")
    assert [fields[8:] for fields in ours] == [list(columns(variant)[1:]) for variant in variants]
    differ, some = disagreements(ours, csq(made, path), made.spliced)
    assert differ == []
    assert some > 1700


def test_a_record_that_csq_crashes_on_costs_no_other_its_consequence(made, file_of, out, no_traces):
    some = made_genome.variants(made, 300, 5)
    files = ["-f", made.folder / "genome.fa", "-g", made.folder / "genes.gff3", "-o", out.with_suffix(".vcf")]
    assert bcftools("csq", "-l", *files, file_of(made, [CRASHES_CSQ])) < 0
    variants = sorted([*some, CRASHES_CSQ], key=lambda variant: (variant.contig, variant.pos))
    summary = annotate(file_of(made, variants), out)
    ours = [fields for fields in data_lines(out / "in.annot.vcf.gz") if fields[1] != str(CRASHES_CSQ.pos)]
    differ, _ = disagreements(ours, csq(made, file_of(made, some)), made.spliced)
    assert differ == []
    [crashing] = [fields for fields in data_lines(out / "in.annot.vcf.gz") if fields not in ours]
    assert "BCSQ" not in info(crashing)
    assert "GAS_GENE" in info(crashing)
    assert "csq crashes on them: 1. All other fields" in summary.notes[-1]


@pytest.fixture
def no_traces():
    """pytest would print where each child stood that crashes."""
    faulthandler.disable()
    yield
    faulthandler.enable(sys.__stderr__)


@pytest.fixture
def indexed(tmp_path):
    """A BGZF copy of a file, with its index, under its name: bcftools counts from 0 in what is called .bed.gz."""
    folder = tmp_path / "indexed"
    folder.mkdir()

    def copy(path, preset):
        content = path.read_bytes()
        target = folder / f"{path.name.removesuffix('.gz')}.gz"
        with pysam.BGZFile(str(target), "w") as file:
            file.write(gzip.decompress(content) if path.suffix == ".gz" else content)
        pysam.tabix_index(str(target), preset=preset)
        return target

    return copy


@pytest.fixture
def annotated_by_bcftools(made, file_of, indexed, out):
    """(our data line, that of `bcftools annotate`) for each record of a file."""

    def run(variants, source, *options):
        """In the order of `variants`, which are sorted by contig, POS, REF and ALT."""
        path = file_of(made, variants)
        files = ["-Ov", "-o", out.with_suffix(".vcf"), indexed(path, "vcf")]
        assert bcftools("annotate", "-a", source, *options, *files) == 0
        annotate(path, out)
        lines = out.with_suffix(".vcf").read_text().splitlines()
        theirs = [line.split("\t") for line in lines if line[0] != "#"]
        rows = zip(sorted(data_lines(out / "in.annot.vcf.gz"), key=_place), sorted(theirs, key=_place), strict=True)
        return list(rows)  # sorted: bcftools changes the order of records at one position

    return run


def test_known_alleles_are_those_of_bcftools_annotate(made, annotated_by_bcftools, indexed):
    """It compares alleles as they are written: so do we, and find the same ones written otherwise as well."""
    known = indexed(made.folder / "known.vcf.gz", "vcf")
    some = made_genome.known(made)
    several = [variant._replace(alts=f"{variant.ref}AC,{variant.alts}") for variant in some[::20]]
    variants = sorted({*made_genome.variants(made, 3000, 6), *some, *several})
    rows = annotated_by_bcftools(variants, known, "-c", "ID,INFO/AF")
    changes = {}
    for number, variant in enumerate(some, 1):
        changes.setdefault(minimal(made, *variant), []).append(number)
    for variant, (ours, theirs) in zip(variants, rows, strict=True):
        same = [changes.get(minimal(made, *variant[:3], alt), []) for alt in variant.alts.split(",")]
        values = [[f"{number / 10_000:g}" for number in numbers] or ["."] for numbers in same]
        # a Float has one value: that of the first record of the allele
        expected = ",".join(first for first, *_ in values)
        assert info(ours).get("GAS_KNOWN_AF", "." + ",." * (len(same) - 1)) == expected
        assert set(ours[2].split(";")) - {"."} == {f"rs{number}" for numbers in same for number in numbers}
        for known_ones, value in zip(values, info(theirs).get("AF", expected).split(","), strict=True):
            assert value in {".", *known_ones}
    assert sum("AF" in info(theirs) for _, theirs in rows) > 1200


def _place(fields):
    return fields[0], int(fields[1]), fields[3], fields[4]


def minimal(genome, contig, pos, ref, alt):
    """The change, found without any rule of normalisation: the bases that differ, and nothing else that tells it apart."""
    bases = genome.bases[contig]
    start = max(pos - 200, 1)  # far enough for the made sequence, which has no long repeats
    before = bases[start - 1 : pos - 1]
    after = bases[pos - 1 + len(ref) : pos - 1 + len(ref) + 200]
    old, new = before + ref + after, before + alt + after
    tail = 0
    while tail < min(len(old), len(new)) and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    head = 0
    while head < min(len(old), len(new)) - tail and old[head] == new[head]:
        head += 1
    return contig, start + head, old[head : len(old) - tail], new[head : len(new) - tail]


def test_overlaps_are_those_of_bcftools_annotate(made, annotated_by_bcftools, indexed, tmp_path):
    """Of SNVs: it takes the whole REF, we the bases that are changed."""
    variants = [
        variant for variant in made_genome.variants(made, 6000, 6) if len(variant.ref) == 1 == len(variant.alts)
    ]
    header = tmp_path / "header.txt"
    header.write_text('##INFO=<ID=REPEAT,Number=.,Type=String,Description="Repeats">\n')
    repeats = indexed(made.folder / "repeats.bed", "bed")
    options = ["-c", "CHROM,FROM,TO,REPEAT", "-h", header, "--merge-logic", "REPEAT:unique"]
    rows = annotated_by_bcftools(variants, repeats, *options)
    found = [sorted(info(ours).get("GAS_REPEAT", "").split(",")) for ours, _ in rows]
    assert found == [sorted(info(theirs).get("REPEAT", "").split(",")) for _, theirs in rows]
    assert sum(len(names) > 1 for names in found) > 50
