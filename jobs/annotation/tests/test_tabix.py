"""The index made while writing finds what an index made by reading finds."""

import random
import shutil

import pysam
import pysam.bcftools
import pytest

from jobs.annotation import annotate, engine, lines

FAR = (1 << 29) - 1  # the last position that an index holds


def records(seed):
    """Sorted records on two contigs that no reference has: crowds, gaps, long REFs, ends in INFO, and whole chromosomes."""
    chance = random.Random(seed)
    made = []
    for contig in ("scaffold_9", "10"):
        places = [chance.choice((1, 16384, 16385, 131072, 1 << 26, FAR)) for _ in range(20)]
        places += [chance.randrange(1, 10 ** chance.randrange(3, 9)) for _ in range(300)]
        for pos in sorted(places):
            ref = "A" * chance.choice((1, 1, 1, 2, 40, 20_000))
            if pos == FAR:
                made.append((contig, pos, "A", "C", "."))
                continue
            end = min(pos + chance.choice((0, 20_000, 90_000_000)), FAR)
            info = chance.choice((".", ".", ".", f"END={end}", f"SVLEN=-{end - pos}", "SVLEN=5,-70000", "END=1"))
            made.append((contig, pos, ref, "<DEL>" if "SVLEN" in info else ref[:-1] + "C", info))
    return made


def fetched(path, contig, start, end):
    with pysam.TabixFile(str(path)) as file:
        return list(file.fetch(contig, start, end))


def regions(seed):
    chance = random.Random(-seed)
    for _ in range(150):
        start = chance.choice((chance.randrange(0, 10 ** chance.randrange(1, 9)), chance.randrange(0, FAR)))
        yield chance.choice(("scaffold_9", "10")), start, min(start + 10 ** chance.randrange(0, 8), FAR)
    yield from (("10", 0, FAR), ("scaffold_9", FAR - 1, FAR), ("10", 16383, 16384))


@pytest.fixture
def write(tmp_path):
    """Writes records (contig, POS, REF, ALT, INFO), with more columns after them."""

    def write(made, *columns):
        head = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"]
        head += ["FORMAT", "S"] if columns else []
        rows = [(c, str(p), ".", r, a, ".", ".", i, *columns) for c, p, r, a, i in made]
        path = tmp_path / "in.vcf"
        path.write_text("##fileformat=VCFv4.2\n" + "".join("\t".join(row) + "\n" for row in [head, *rows]))
        return path

    return write


@pytest.mark.parametrize(("seed", "block"), [(1, 1 << 20), (2, 3000), (3, 400)])
def test_queries_are_answered_as_by_an_index_made_by_reading(write, out, tmp_path, monkeypatch, seed, block):
    monkeypatch.setattr(lines, "BLOCK", block)
    monkeypatch.setattr(engine, "index", None)  # it is not made by reading
    made = records(seed)
    annotate(write(made), out)
    result, copy = out / "in.annot.vcf.gz", tmp_path / "copy.vcf.gz"
    shutil.copy(result, copy)
    pysam.bcftools.index("--tbi", str(copy))
    found = [fetched(result, *region) for region in regions(seed)]
    assert found == [fetched(copy, *region) for region in regions(seed)]
    assert sum(map(len, found)) > len(made)
    assert int(pysam.bcftools.index("-n", str(result))) == len(made)
    assert pysam.bcftools.index("-s", str(result)) == pysam.bcftools.index("-s", str(copy))


def test_a_query_reads_only_where_its_records_are(write, out, tmp_path):
    annotate(write([("10", pos, "A", "C", f"X={pos * 7919 % 100_003}") for pos in range(1, 3_000_000, 40)]), out)
    result, torn = out / "in.annot.vcf.gz", tmp_path / "torn.vcf.gz"
    data = result.read_bytes()
    tenth = len(data) // 10
    torn.write_bytes(data[:tenth] + b"\0" * 7 * tenth + data[8 * tenth :])
    shutil.copy(f"{result}.tbi", f"{torn}.tbi")
    for region in (("10", 2_800_000, 2_801_000), ("10", 2_999_900, 3_000_000), ("10", 100, 200)):
        assert fetched(torn, *region) == fetched(result, *region) != []
    with pytest.raises(ValueError, match="iteration failed"):
        fetched(torn, "10", 1_500_000, 1_501_000)


def test_lengths_that_differ_by_sample_are_left_to_bcftools(write, out, monkeypatch):
    made = []
    monkeypatch.setattr(engine, "index", lambda path: made.append(path) or 1)
    annotate(write([("10", 5, "A", "<*>", ".")], "GT:LEN", "0/0:70000"), out)
    assert [path.name for path in made] == ["in.annot.vcf.gz"]
