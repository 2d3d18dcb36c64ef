"""The build of a file is told from its header, with the reason, and never guessed."""

import pytest

from jobs.annotation.builds import CHROMOSOMES, LENGTHS, Evidence, detect, mismatch, named_build


def meta(text):
    return text.encode().split(b"\n")


@pytest.mark.parametrize("build", LENGTHS)
@pytest.mark.parametrize("chromosome", CHROMOSOMES)
def test_any_one_chromosome_is_enough(build, chromosome):
    length = LENGTHS[build][chromosome]
    for name in (chromosome, f"chr{chromosome}"):
        assert detect(meta(f"##contig=<ID={name},length={length},md5=0>")) == Evidence(
            build, f"its header declares {length:,} bp for {name}"
        )


def test_no_length_is_of_two_builds():
    for chromosome in CHROMOSOMES:
        assert len({lengths[chromosome] for lengths in LENGTHS.values()}) == len(LENGTHS)


@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("/humgen/1kg/reference/human_b36_both.fasta", "NCBI36"),
        ("file:///seq/references/1000GenomesPilot-NCBI36.fasta", "NCBI36"),
        ("hg18", "NCBI36"),
        ("NCBI Build 36.3", "NCBI36"),
        ("ftp://ftp.1000genomes.ebi.ac.uk//vol1/ftp/technical/reference/phase2/hs37d5.fa.gz", "GRCh37"),
        ("file:///lustre/human_g1k_v37.fasta", "GRCh37"),
        ("file:///data/ucsc.hg19.fasta", "GRCh37"),
        ("Homo_sapiens_assembly19.fasta", "GRCh37"),
        ("b37", "GRCh37"),
        ("GRCh37.p13", "GRCh37"),
        ("GCF_000001405.25", "GRCh37"),
        ("GCA_000001405.15_GRCh38_no_alt_analysis_set.fna", "GRCh38"),
        ("file:///GRCh38_full_analysis_set_plus_decoy_hla.fa", "GRCh38"),
        ("/refs/hs38DH.fa", "GRCh38"),
        ("Homo_sapiens_assembly38.fasta", "GRCh38"),
        ("gnomAD_GRCh38", "GRCh38"),
        ("GCF_000001405.40", "GRCh38"),
        ("chm13v2.0.fa", "T2T-CHM13"),
        ("T2T-CHM13", "T2T-CHM13"),
        ("hs1.fa", "T2T-CHM13"),
        ("/liftover/hg19_to_hg38/hg38.fa", "GRCh38"),
        ("/liftover/hg19_to_hg38/genome.fa", None),
        ("hg19ToHg38.fa", None),
        ("GRCm38.fa", None),
        ("mm10", None),
        ("genome_b370.fa", None),
        ("hs1000.fa", None),
        ("rCRS (NC_012920.1)", None),
        ("", None),
    ],
)
def test_names(name, build):
    assert named_build(name) == build
    if name:
        assert detect(meta(f"##reference={name}")).build == build


@pytest.mark.parametrize(
    ("text", "build", "why"),
    [
        ("##reference=human_b36_both.fasta", "NCBI36", "its header has ##reference=human_b36_both.fasta"),
        ("##assembly=GRCh37", "GRCh37", "its header has ##assembly=GRCh37"),
        ("##contig=<ID=20,assembly=B36,species=x>", "NCBI36", "its header has a contig of assembly B36"),
        (
            "##contig=<ID=NC_000001.11,length=248956422>",
            "GRCh38",
            "its header declares 248,956,422 bp for NC_000001.11",
        ),
        (
            '##GATKCommandLine=<ID=X,CommandLine="X reference_sequence=/a/ucsc.hg19.fasta other=hg38">',
            "GRCh37",
            "its header has the command-line option reference /a/ucsc.hg19.fasta",
        ),
        (
            "##contig=<ID=chr1,length=249250621>\n##contig=<ID=chrM,length=16571>\n##reference=x/hg19.fa",
            "GRCh37",
            "its header declares 249,250,621 bp for chr1",
        ),
        (
            "##contig=<ID=MT,length=16569>\n##reference=hs37d5",
            "GRCh37",
            "its header has ##reference=hs37d5",
        ),
        (
            "##contig=<ID=MT,length=16569>",
            None,
            "its header declares 16,569 bp for MT, as GRCh37, GRCh38 and T2T-CHM13 have",
        ),
        ("##contig=<ID=1,length=195471971>\n##reference=GRCm38", None, ""),
        ("##contig=<ID=chr1_random,length=249250621>", None, ""),
        ('##INFO=<ID=hg19,Number=1,Type=String,Description="hg19">', None, ""),
        ("", None, ""),
    ],
)
def test_detected(text, build, why):
    assert detect(meta(text)) == Evidence(build, why)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "##contig=<ID=1,length=249250621>\n##reference=hg38.fa",
            "its header declares 249,250,621 bp for 1 (GRCh37), yet its header has ##reference=hg38.fa (GRCh38)",
        ),
        (
            "##contig=<ID=1,length=249250621>\n##contig=<ID=2,length=242193529>",
            "its header declares 249,250,621 bp for 1 (GRCh37), yet its header declares 242,193,529 bp for 2 (GRCh38)",
        ),
        (
            "##contig=<ID=chrM,length=16571>\n##reference=hg38.fa",
            "its header declares 16,571 bp for chrM (GRCh37 and NCBI36), "
            "yet its header has ##reference=hg38.fa (GRCh38)",
        ),
        (
            "##reference=b37\n##contig=<ID=1,assembly=hg18>",
            "its header has ##reference=b37 (GRCh37), yet its header has a contig of assembly hg18 (NCBI36)",
        ),
    ],
)
def test_contradictions_are_told(text, why):
    evidence = detect(meta(text))
    assert evidence == Evidence(None, why, conflict=True)
    assert mismatch(evidence, "GRCh38", ["GRCh38"]) == [
        f"The header of the file contradicts itself: {why}.",
        "Correct the header with: bcftools reheader; or choose the reference yourself.",
    ]


HG19 = Evidence("GRCh37", "its header has ##reference=hg19.fa")
HG18 = Evidence("NCBI36", "its header has ##reference=hg18.fa")


@pytest.mark.parametrize(
    ("evidence", "reference", "installed", "sentences"),
    [
        (HG19, "GRCh37", [], []),
        (HG19, "hg19", [], []),
        (HG19, "GRCh37.p13", [], []),
        (HG19, "rCRS (NC_012920.1)", [], []),
        (Evidence(None, ""), "GRCh38", [], []),
        (
            HG19,
            "GRCh38",
            ["GRCh38", "rCRS"],
            [
                "The file was made against GRCh37 (hg19), the reference is GRCh38 (hg38): "
                "its header has ##reference=hg19.fa.",
                "Install its reference with: manage.py reference install GRCh37",
            ],
        ),
        (
            HG19,
            "GRCh38",
            ["GRCh38", "our-hg19"],
            [
                "The file was made against GRCh37 (hg19), the reference is GRCh38 (hg38): "
                "its header has ##reference=hg19.fa.",
                "The reference our-hg19 is installed: annotate the file against it.",
            ],
        ),
        (
            HG18,
            "GRCh38",
            ["GRCh38"],
            [
                "The file was made against NCBI36 (hg18), the reference is GRCh38 (hg38): "
                "its header has ##reference=hg18.fa.",
                "There is no ready reference for NCBI36: build one from your own files with: "
                "manage.py reference build DIR; or lift the file over to GRCh38.",
            ],
        ),
    ],
)
def test_mismatch(evidence, reference, installed, sentences):
    assert mismatch(evidence, reference, installed) == sentences
