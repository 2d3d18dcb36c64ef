"""Every class of track that AnnTools has, declared as `install` and the documentation declare it, gives its fields."""

import re
import tomllib

import pytest

from jobs.annotation import reference
from jobs.annotation.reference import toml
from jobs.annotation.reference.build import build
from jobs.annotation.reference.declaration import FORMATS

SOURCES = tomllib.loads((reference.CHECKOUT / "jobs/annotation/reference/sources.toml").read_text())
DOCUMENTED = (
    (reference.CHECKOUT / "docs/references.md").read_text().partition("## Tracks of AnnTools without a table")[2]
)
GENES = """\
1\tx\tgene\t101\t900\t.\t+\t.\tID=gene:G1;Name=ABC;biotype=protein_coding
1\tx\tmRNA\t101\t900\t.\t+\t.\tID=transcript:T1;Parent=gene:G1;biotype=protein_coding
1\tx\texon\t101\t900\t.\t+\t.\tParent=transcript:T1
"""
CONTIG = {"name": "1", "length": 2000, "aliases": ["chr1", "NC_000001.10"]}
VCF_INFO = {
    "dbSNP": ("rs77", "RS=77;VC=SNV;FREQ=TOPMED:0.7,0.3|1000Genomes:0.4,0.6"),
    "ClinVar": ("9708", "RS=78;CLNSIG=Pathogenic;CLNDN=Leigh_syndrome;CLNREVSTAT=practice_guideline"),
}
EXPECTED = {
    "GAS_DBSNP_AF": "0.6",
    "GAS_DBSNP_MAF": "0.4",
    "GAS_DBSNP_STUDY": "1000Genomes",
    "GAS_DBSNP_CLASS": "SNV",
    "GAS_CLINVAR": "Pathogenic",
    "GAS_CLINVAR_DISEASE": "Leigh_syndrome",
    "GAS_CLINVAR_REVIEW": "practice_guideline",
    "GAS_CLINVAR_VARIATION": "9708",
    "GAS_DGV_OVERLAP": "100",
    "GAS_MCCARROLL_OVERLAP": "100",
    "GAS_CONRAD_OVERLAP": "100",
}


def documented():
    """The declarations in the documentation, which are indented there."""
    text = re.split(r"\n## ", DOCUMENTED)[0]
    return tomllib.loads("\n".join(line[4:] for line in text.splitlines() if line.startswith("    ")))["tracks"]


def fetched(name):
    """The tracks that `install` builds of a reference."""
    return next(entry for entry in SOURCES["references"] if entry["name"] == name)["tracks"]


def table(track):
    """One row that covers the variant, each cell with a value of its own; with a header line where columns have names."""
    columns, fields = track["columns"], track["fields"]
    places = {"chrom": "chr1", "start": "400", "end": "600", "gene": "ABC"}
    cells = {column: places[what] for what, column in columns.items()}
    cells |= {field["column"]: value_of(field) for field in fields}
    if all(isinstance(column, int) for column in cells):
        return "\t".join(cells.get(number, "-") for number in range(1, max(cells) + 1)) + "\n"
    return "\t".join(cells) + "\n" + "\t".join(cells.values()) + "\n"


def value_of(field):
    return "0.5" if field["type"] == "Float" else f"{field['info']}-value"


def content(track):
    if track.get("format", FORMATS[".tsv"]) == "vcf":
        name, info = VCF_INFO[track["name"]]
        return f"##INFO=<ID=FREQ,Number=.>\nNC_000001.10\t501\t{name}\tA\tG\t.\t.\t{info}\n"
    return table(track)


@pytest.mark.parametrize("name", ["GRCh37", "GRCh38"])
def test_every_field_of_every_track(name, tmp_path, monkeypatch, vcf, annotated):
    tracks = [*fetched(name), *documented()]
    source = tmp_path / "source"
    source.mkdir()
    declared = []
    for number, track in enumerate(tracks):
        (source / f"{number}.txt").write_text(content(track))
        declared.append({**track, "file": f"{number}.txt"})
    (source / "genes.gff3").write_text(GENES)
    facts = {"name": "all", "build": "made", "contigs": [CONTIG], "genes": {"file": "genes.gff3"}, "tracks": declared}
    (source / "reference.toml").write_text(toml.dumps(facts))
    contigs = CONTIG["aliases"]
    monkeypatch.setenv("GAS_REFERENCE_DIR", str(tmp_path / "root"))
    build(source, tmp_path / "root")
    _, records = annotated(vcf((contigs[0], 501, "A", "G")), reference="all")
    info = dict(item.partition("=")[::2] for item in records[0][7].split(";"))
    fields = [field for track in tracks for field in track["fields"] if "info" in field]
    for field in fields:
        assert info[field["info"]] == EXPECTED.get(field["info"], value_of(field)), field
    assert {track["overlap"] for track in tracks if "overlap" in track} <= info.keys()
    assert {key: info[key] for key in info if key.endswith("_OVERLAP")} == {
        key: "100" for key in EXPECTED if key.endswith("_OVERLAP")
    }
    assert records[0][2] == "rs77;rs78"


def test_the_documentation_has_the_four_classes():
    assert [track["name"] for track in documented()] == ["GAD", "McCarroll", "Conrad", "abParts"]
