"""Which reference a file is annotated against: the one asked for, else the one that its header tells; and what is noted."""

from dataclasses import replace

import pytest

from jobs.annotation import AnnotationError, annotate, reference

NCBI36 = "##fileformat=VCFv4.1\n##reference=human_b36_both.fasta\n"
TWO_BUILDS = "##fileformat=VCFv4.1\n##contig=<ID=21,length=46709983>\n##reference=hg19.fa\n"
NUCLEAR, MT = ("21", 30000000, "A", "G"), ("MT", 3243, "A", "G")

pytestmark = pytest.mark.usefixtures("all_references")


def test_the_one_asked_for_is_taken_also_where_another_would_be_found(vcf, out):
    path = vcf(MT)
    assert annotate(path, out).reference["name"] == "rCRS"
    assert annotate(path, out, reference="GRCh38").reference["name"] == "GRCh38"


def test_asked_for_nothing_is_assumed(vcf, out):
    assumed = "The header does not tell the genome build; GRCh38 was assumed."
    assert assumed in annotate(vcf(NUCLEAR), out).notes
    assert assumed not in annotate(vcf(NUCLEAR), out, reference="GRCh38").notes


@pytest.mark.parametrize("name", ["GRCh37", "..", "../reference/GRCh38", "/etc", "GRCh38/current", "grch38", " GRCh38"])
def test_one_that_is_not_installed_names_those_that_are(name, vcf, out):
    with pytest.raises(AnnotationError) as caught:
        annotate(vcf(NUCLEAR), out, reference=name)
    assert caught.value.code == "reference_missing"
    assert caught.value.faults == [
        f"The reference {name} was asked for and is not installed; these are: GRCh38, rCRS.",
        "Choose one of them, or none, to have it found out from the file; "
        f"or have {name} installed with: python manage.py reference install {name}",
    ]
    assert not out.exists()


def test_one_that_contradicts_the_header_is_refused(vcf, out):
    with pytest.raises(AnnotationError) as caught:
        annotate(vcf(NUCLEAR, header=NCBI36), out, reference="GRCh38")
    assert caught.value.code == "wrong_build"
    assert "made against NCBI36 (hg18), the reference is GRCh38" in caught.value.faults[0]
    assert "reference build DIR" in caught.value.faults[1]


def test_where_the_header_contradicts_itself_the_choice_decides(vcf, out):
    path = vcf(NUCLEAR, header=TWO_BUILDS)
    with pytest.raises(AnnotationError, match="or choose the reference yourself"):
        annotate(path, out)
    first, *_ = annotate(path, out, reference="GRCh38").notes
    assert first.startswith("The header contradicts itself: its header declares 46,709,983 bp for 21 (GRCh38), yet ")
    assert first.endswith("##reference=hg19.fa (GRCh37). GRCh38 was asked for, and taken.")


def test_a_reference_without_any_of_the_contigs_is_noted(vcf, out):
    summary = annotate(vcf(NUCLEAR, ("7", 5, "A", "G")), out, reference="rCRS")
    assert summary.annotated == 0
    assert summary.notes == [
        "The reference rCRS has none of the contigs of the file ('21', '7'), so that nothing was annotated. "
        "Choose a reference that has them; what there is tells: python manage.py reference list"
    ]


def test_with_bases_and_all_contigs_nothing_is_noted(vcf, out):
    summary = annotate(vcf(MT), out)
    assert summary.notes == []
    assert "Note:" not in summary.count_log()


def test_a_reference_of_our_own_without_bases_is_built_again(vcf, out, monkeypatch):
    ours = replace(reference.load("GRCh38"), build="our strain")
    monkeypatch.setattr(reference, "load", lambda name: ours)
    notes = annotate(vcf(NUCLEAR), out, reference="GRCh38").notes
    assert notes[-1].endswith("python manage.py reference build DIR, with a fasta file in its reference.toml")
