"""Known mitochondrial variants come out as the literature has them. Positions and changes: MITOMAP."""

import pytest

from jobs.annotation import reference
from jobs.annotation.csq import ALONE, run_csq
from jobs.annotation.fields import CSQ_DESCRIPTION
from jobs.annotation.processes import call_in_child

KNOWN = {
    "m.3243A>G (MELAS)": (("MT", 3243, "A", "G"), "non_coding|MT-TL1||MT_tRNA", "MT-TL1", "tRNA"),
    "m.1555A>G (deafness)": (("MT", 1555, "A", "G"), "non_coding|MT-RNR1||MT_rRNA", "MT-RNR1", "rRNA"),
    "m.11778G>A (LHON)": (
        ("MT", 11778, "G", "A"),
        "missense|MT-ND4|MT-ND4-201|protein_coding|+|340R>340H|11778G>A",
        "MT-ND4",
        "CDS",
    ),
    "m.8993T>G (NARP)": (
        ("MT", 8993, "T", "G"),
        "missense|MT-ATP6|MT-ATP6-201|protein_coding|+|156L>156R|8993T>G",
        "MT-ATP6",
        "CDS",
    ),
    "m.14484T>C (LHON), minus strand": (
        ("MT", 14484, "T", "C"),
        "missense|MT-ND6|MT-ND6-201|protein_coding|-|64M>64V|14484T>C",
        "MT-ND6",
        "CDS",
    ),
    "m.8528T>C in both ATP genes": (
        ("MT", 8528, "T", "C"),
        "missense|MT-ATP8|MT-ATP8-201|protein_coding|+|55W>55R|8528T>C,"
        "start_lost|MT-ATP6|MT-ATP6-201|protein_coding|+|1M>1T|8528T>C",
        "MT-ATP8,MT-ATP6",
        "CDS",
    ),
    # AGA ends a protein in the vertebrate mitochondrial code (NCBI table 2); in the standard code it is Arg
    "m.7444G>A, stop of CO1": (
        ("MT", 7444, "G", "A"),
        "stop_lost|MT-CO1|MT-CO1-201|protein_coding|+|514*>514K|7444G>A",
        "MT-CO1",
        "CDS",
    ),
    "m.3316G>A, A4T": (
        ("MT", 3316, "G", "A"),
        "missense|MT-ND1|MT-ND1-201|protein_coding|+|4A>4T|3316G>A",
        "MT-ND1",
        "CDS",
    ),
    "m.3308T>C takes the start of ND1": (
        ("MT", 3308, "T", "C"),
        "start_lost|MT-ND1|MT-ND1-201|protein_coding|+|1M>1T|3308T>C",
        "MT-ND1",
        "CDS",
    ),
    "a start codon that stays Met": (
        ("MT", 3309, "A", "G"),
        "synonymous&start_retained|MT-ND1|MT-ND1-201|protein_coding|+|1M|3309A>G",
        "MT-ND1",
        "CDS",
    ),
    "the last base of ND1, no intron": (
        ("MT", 4262, "A", "G"),
        "incomplete_terminal_codon|MT-ND1||protein_coding",
        "MT-ND1",
        "CDS",
    ),
    "m.263A>G, control region": (("MT", 263, "A", "G"), None, None, "D_loop"),
    "m.16189T>C, control region": (("MT", 16189, "T", "C"), None, None, "D_loop"),
    "m.8270C>T, between CO2 and TK": (("MT", 8270, "C", "T"), None, None, "intergenic_region"),
}


@pytest.mark.parametrize("case", KNOWN)
def test_known_variant(case, vcf, annotated):
    record, bcsq, gene, region = KNOWN[case]
    _, [fields] = annotated(vcf(record))
    expected = [f"BCSQ={bcsq}"] if bcsq else []
    expected += [f"GAS_GENE={gene}"] if gene else []
    shown = [item for item in fields[7].split(";") if item.startswith(("BCSQ=", "GAS_GENE=", "GAS_REGION="))]
    assert shown == [*expected, f"GAS_REGION={region}"]


@pytest.mark.parametrize(
    ("record", "genes"),
    [
        (("MT", 8526, "A", "T"), ["MT-ATP8"]),
        (("MT", 8527, "A", "G"), ["MT-ATP8", "MT-ATP6"]),
        (("MT", 8572, "G", "A"), ["MT-ATP8", "MT-ATP6"]),
        (("MT", 8573, "G", "A"), ["MT-ATP6"]),
        (("MT", 5903, "G", "GA"), []),  # inserted right before MT-CO1, which starts at 5904
        (("MT", 5904, "A", "AC"), ["MT-CO1"]),
        (("MT", 8526, "A", "AC"), ["MT-ATP8"]),  # and right before MT-ATP6
        (("MT", 3306, "CATA", "C"), ["MT-ND1"]),  # deletes 3307..3309, and 3306 is its anchor only
        (("MT", 4261, "TAAGA", "T"), ["MT-ND1", "MT-TI"]),
        (("MT", 3243, "A", "<DEL>,G"), ["MT-TL1"]),
    ],
)
def test_genes_are_those_of_the_changed_bases(record, genes, vcf, annotated):
    _, [fields] = annotated(vcf(record))
    found = [item[9:].split(",") for item in fields[7].split(";") if item.startswith("GAS_GENE=")]
    assert found == ([genes] if genes else [])


def test_no_mitochondrial_gene_has_an_intron(vcf, annotated):
    """Every base changed in every way: 49,704 alleles."""
    sequence = bytes(reference.load("rCRS").contigs[0].data.bases).decode()
    records = [
        ("MT", pos, ref, ",".join(alt for alt in "ACGT" if alt != ref))
        for pos, ref in enumerate(sequence, 1)
        if ref != "N"
    ]
    summary, fields = annotated(vcf(*records))
    assert summary.records == summary.annotated == len(fields) == 16568
    assert "intron" not in summary.consequences
    assert not [row for row in fields if "synonymous&start_lost" in row[7]]
    assert summary.consequences["incomplete_terminal_codon"] == 7  # ND1 has two such bases, five genes one
    assert len(summary.genes) == 37
    assert summary.regions == {
        "CDS": 11341,
        "rRNA": 2512,
        "tRNA": 1504,
        "D_loop": 1122,
        "intergenic_region": 89,
    }


def test_description_of_bcsq_is_that_of_csq(vcf, tmp_path):
    """csq states the format of BCSQ in its own header: ours must say the same."""
    loaded = reference.load("rCRS")
    path = vcf(("MT", 3243, "A", "G"), header="##fileformat=VCFv4.2\n##contig=<ID=MT>\n")
    target = tmp_path / "csq.vcf"
    assert not call_in_child(lambda: run_csq(ALONE, 2, loaded.fasta, loaded.folder / "MT.gff3", path, target))
    assert f'Description="{CSQ_DESCRIPTION}"' in target.read_text()
