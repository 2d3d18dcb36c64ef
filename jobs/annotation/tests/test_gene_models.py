"""Gene models: which lines csq gets, and what kind of place each base is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.annotation.reference.gene_models import _Covered, parse

# Two exons, 101-200 and 301-400; coding from 151 to 350
PARTS = [("exon", 101, 200), ("exon", 301, 400), ("CDS", 151, 200), ("CDS", 301, 350)]


def row(kind, start, end, text, strand="+"):
    return f"1\tEnsembl\t{kind}\t{start}\t{end}\t.\t{strand}\t.\t{text}\n".encode()


def gene(parts=PARTS, strand="+", name="ABC", transcript="T1", tag="", biotype="protein_coding"):
    start, end = min(part[1] for part in parts), max(part[2] for part in parts)
    return [
        row("gene", start, end, f"ID=gene:G{name};Name={name};biotype={biotype}", strand),
        *transcript_of(parts, strand, name, transcript, tag, biotype),
    ]


def transcript_of(parts, strand="+", name="ABC", transcript="T1", tag="", biotype="protein_coding"):
    start, end = min(part[1] for part in parts), max(part[2] for part in parts)
    text = f"ID=transcript:{transcript};Parent=gene:G{name};biotype={biotype}" + (f";tag={tag}" if tag else "")
    return [
        row("transcript", start, end, text, strand),
        *(row(*part, f"Parent=transcript:{transcript}", strand) for part in parts),
    ]


def places(lines, promoter=50, length=1000):
    """(first base, last base, value of GAS_LOCATION), 1-based."""
    found = sorted(parse(lines).locations(promoter, length))
    assert all(values[0].split(b"|")[3] == values[1] for _, _, values in found)
    return [(start + 1, end, values[0].decode()) for start, end, values in found]


def test_a_coding_gene_on_the_plus_strand():
    assert places(gene()) == [
        (51, 100, "ABC|T1|+|promoter|"),
        (101, 150, "ABC|T1|+|five_prime_UTR|1/2"),
        (151, 200, "ABC|T1|+|CDS|1/2"),
        (201, 202, "ABC|T1|+|splice_donor_site|1/1"),
        (203, 298, "ABC|T1|+|intron|1/1"),
        (299, 300, "ABC|T1|+|splice_acceptor_site|1/1"),
        (301, 350, "ABC|T1|+|CDS|2/2"),
        (351, 400, "ABC|T1|+|three_prime_UTR|2/2"),
    ]


def test_a_coding_gene_on_the_minus_strand_is_numbered_from_its_end():
    assert places(gene(strand="-")) == [
        (101, 150, "ABC|T1|-|three_prime_UTR|2/2"),
        (151, 200, "ABC|T1|-|CDS|2/2"),
        (201, 202, "ABC|T1|-|splice_acceptor_site|1/1"),
        (203, 298, "ABC|T1|-|intron|1/1"),
        (299, 300, "ABC|T1|-|splice_donor_site|1/1"),
        (301, 350, "ABC|T1|-|CDS|1/2"),
        (351, 400, "ABC|T1|-|five_prime_UTR|1/2"),
        (401, 450, "ABC|T1|-|promoter|"),
    ]


def test_a_noncoding_gene():
    lines = gene([("exon", 101, 200), ("exon", 301, 400)], biotype="lncRNA")
    regions = [text.split("|")[3] for _, _, text in places(lines, promoter=0)]
    assert regions == [
        "noncoding_exon",
        "splice_donor_site",
        "noncoding_intron",
        "splice_acceptor_site",
        "noncoding_exon",
    ]


@pytest.mark.parametrize(("biotype", "region"), [("Mt_tRNA", "tRNA"), ("rRNA", "rRNA"), ("miRNA", "noncoding_exon")])
def test_rna_genes(biotype, region):
    assert places(gene([("exon", 101, 200)], biotype=biotype), promoter=0) == [(101, 200, f"ABC|T1|+|{region}|1/1")]


def test_a_gene_of_which_only_the_span_is_known():
    assert places([row("gene", 5, 9, "ID=gene:G1;Name=ABC", ".")]) == [(5, 9, "ABC||.|gene|")]


def test_a_named_region_without_a_gene():
    assert places([row("D_loop", 1, 9, "ID=D_loop:1;Name=D-loop", ".")]) == [(1, 9, "D-loop|||D_loop|")]


def test_promoters_stay_on_the_contig():
    parts = [("exon", 11, 20)]
    assert places(gene(parts, biotype="lncRNA"))[0] == (1, 10, "ABC|T1|+|promoter|")
    assert places(gene(parts, "-", biotype="lncRNA"), length=25)[1] == (21, 25, "ABC|T1|-|promoter|")


def test_bases_that_a_ribosome_leaves_out():
    parts = [("exon", 101, 200), ("CDS", 101, 150), ("CDS", 152, 200)]
    assert places(gene(parts), promoter=0) == [
        (101, 150, "ABC|T1|+|CDS|1/1"),
        (151, 151, "ABC|T1|+|noncoding_exon|1/1"),
        (152, 200, "ABC|T1|+|CDS|1/1"),
    ]


def test_the_preferred_transcript_is_named_where_transcripts_agree():
    longer = [("exon", 91, 200), ("exon", 301, 400)]
    lines = gene(tag="Ensembl_canonical") + transcript_of(longer, transcript="T2", biotype="lncRNA")
    found = [place for place in places(lines) if "T2" in place[2]]
    assert found == [
        (41, 50, "ABC|T2|+|promoter|"),  # the rest is T1's
        (91, 200, "ABC|T2|+|noncoding_exon|1/2"),
        (203, 298, "ABC|T2|+|noncoding_intron|1/1"),
        (301, 400, "ABC|T2|+|noncoding_exon|2/2"),
    ]


@pytest.mark.parametrize(
    ("tags", "winner"), [(("", ""), "T2"), (("basic,MANE_Select", ""), "T1"), (("basic", "Ensembl_canonical"), "T2")]
)
def test_tag_before_length(tags, winner):
    short, long = [("exon", 101, 200), ("CDS", 101, 130)], [("exon", 101, 200), ("CDS", 101, 190)]
    lines = gene(short, tag=tags[0]) + transcript_of(long, transcript="T2", tag=tags[1])
    named = {text.split("|")[1] for start, _, text in places(lines) if start == 101}
    assert named == {winner}


def test_lines_for_csq_are_grouped_by_gene_and_verbatim():
    first, second = gene(name="AAA"), gene([("exon", 51, 60)], name="BBB", transcript="T2")
    mixed = [line for pair in zip(reversed(first[:3]), reversed(second), strict=True) for line in pair] + first[3:]
    models = parse(mixed)
    text, at = models.gff()
    assert [each.symbol for each in models.genes] == [b"BBB", b"AAA"]  # by start
    assert text[: at[0]] == b"##gff-version 3\n"
    assert text[at[0] : at[1]].splitlines(keepends=True) == second
    assert sorted(text[at[1] : at[2]].splitlines(keepends=True)) == sorted(first)
    assert at[2] == len(text)
    assert models.spliced() == [False, True]


def test_a_part_of_several_transcripts():
    lines = [
        row("gene", 11, 20, "ID=gene:G1;Name=ABC"),
        row("transcript", 11, 20, "ID=transcript:T1;Parent=gene:G1"),
        row("transcript", 11, 20, "ID=transcript:T1_1;Parent=gene:G1"),
        row("exon", 11, 20, "Parent=transcript:T1,transcript:T1_1;Name=E1"),
    ]
    models = parse(lines)
    assert [transcript.exons for transcript in models.genes[0].transcripts] == [[(10, 20)], [(10, 20)]]
    assert sorted(models.gff()[0].splitlines(keepends=True)[1:]) == sorted(lines)


def test_gencode_becomes_ensembl():
    lines = [
        row("gene", 11, 20, "ID=ENSG1.2;gene_id=ENSG1.2;gene_type=protein_coding;gene_name=ABC"),
        row(
            "transcript",
            11,
            20,
            "ID=ENST1.3;Parent=ENSG1.2;gene_type=protein_coding;transcript_type=protein_coding;tag=MANE_Select",
        ),
        row("exon", 11, 20, "ID=exon:ENST1.3:1;Parent=ENST1.3;gene_type=protein_coding"),
        row("CDS", 11, 19, "ID=CDS:ENST1.3;Parent=ENST1.3;gene_type=protein_coding;protein_id=ENSP1.1"),
    ]
    models = parse(lines)
    assert [line.split("\t")[8] for line in models.gff()[0].decode().splitlines()[1:]] == [
        "ID=gene:ENSG1.2;Name=ABC;biotype=protein_coding",
        "ID=transcript:ENST1.3;Parent=gene:ENSG1.2;biotype=protein_coding;tag=MANE_Select",
        "Parent=transcript:ENST1.3",
        "ID=CDS:ENSP1.1;Parent=transcript:ENST1.3",
    ]
    assert places(lines, promoter=0)[0] == (11, 19, "ABC|ENST1.3|+|CDS|1/1")


def test_names_that_have_a_meaning_in_info_are_encoded():
    assert parse([row("gene", 5, 9, "ID=gene:G1;Name=A,B C", "+")]).spans() == [(4, 9, (b"A%2CB%20C",))]


def test_a_line_that_is_no_gff():
    with pytest.raises(ValueError, match="nine columns of GFF3: 'nonsense'"):
        parse([b"nonsense\n"])


spans = st.tuples(st.integers(0, 40), st.integers(1, 10)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(st.lists(spans, max_size=12))
def test_what_is_covered_is_named_once(added):
    cover, seen = _Covered(), set()
    for start, end in added:
        fresh = [base for left, right in cover.add(start, end) for base in range(left, right)]
        assert sorted(fresh) == sorted(set(range(start, end)) - seen)
        seen |= set(range(start, end))
    assert cover.starts == sorted(cover.starts)
    assert sum(cover.ends) - sum(cover.starts) == len(seen)
