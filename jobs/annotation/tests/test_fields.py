"""The registry of fields, and the page that is made from it."""

import dataclasses
import inspect
import re

from jobs.annotation import annotate, fields_page, reference
from jobs.annotation.fields import is_ours
from jobs.annotation.provenance import fields_of, gene_fields, sequence_fields
from jobs.annotation.summary import Summary

ND4 = ("MT", 11778, "G", "A")  # the variant of which the examples are


def test_docs_fields_md_is_up_to_date():
    """Else: python -m jobs.annotation.fields_page > docs/fields.md."""
    assert (reference.CHECKOUT / "docs" / "fields.md").read_text() == fields_page.page()


def test_every_field_of_the_default_references_is_on_the_page(all_references):
    page = fields_page.page()
    for name in reference.installed():
        for field in fields_of(reference.load(name)):
            assert f"| `{field.name}` | {field.number} | {field.type} | " in page
            assert is_ours(field.key)


def test_every_field_tells_what_it_means_and_has_an_example():
    rows = [line.split(" | ") for line in fields_page.page().splitlines() if line.startswith("| `")]
    assert len(rows) > 50
    assert [row[0] for row in rows if len(row) != 7 or not row[3] or not row[4]] == []
    assert {row[0] for row in rows if not row[6].startswith("`")} == {"| `GAS_OVERLAP_ONLY`"}


def test_examples_of_the_engine_are_what_it_writes(vcf, annotated):
    _, [fields] = annotated(vcf(ND4))
    written = dict(item.split("=") for item in fields[7].split(";"))
    examples = {field.name: field.example for field in [*sequence_fields(), *gene_fields("", "")]}
    assert written.keys() < examples.keys()
    assert {name: value for name, value in examples.items() if name in written} == written


def test_the_page_explains_every_key_of_summary_json(vcf, out):
    explained = re.findall(r"^(\w+)  ", inspect.getdoc(Summary), re.MULTILINE)
    keys = [field.name for field in dataclasses.fields(annotate(vcf(ND4), out))]
    assert set(explained) | {"written", "multiallelic"} == set(keys)  # these two are told with another
