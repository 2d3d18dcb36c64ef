"""The table of public sources that comes with GAS, and what is built of files of their layout."""

import copy
import gzip
import re
import tomllib

import numpy as np
import pytest

from jobs.annotation import reference
from jobs.annotation.reference import chains, install, toml
from jobs.annotation.tracks import Spans, allele_key


@pytest.fixture(scope="module")
def references():
    return tomllib.loads(install.SOURCES.read_text())["references"]


def test_table_has_both_builds(references):
    assert [entry["name"] for entry in references] == ["GRCh38", "GRCh37"]
    assert list(install.installable()) == ["GRCh38", "GRCh37"]


def test_contigs_have_the_published_lengths(references):
    """Sums over chromosomes 1-22, X, Y of GCA_000001405.15 and GCA_000001405.1 (UCSC's hg38 and hg19 chrom.sizes)."""
    assert [sum(contig["length"] for contig in entry["contigs"][:24]) for entry in references] == [
        3_088_269_832,
        3_095_677_412,
    ]


def test_contigs_have_the_names_that_dbsnp_uses(references):
    chromosomes = [*map(str, range(1, 23)), "X", "Y"]
    for entry in references:
        assert [contig["name"] for contig in entry["contigs"]] == [*chromosomes, "MT"]
        for number, contig in enumerate(entry["contigs"][:24], 1):
            assert contig["aliases"][0] == f"chr{contig['name']}"
            assert re.fullmatch(rf"NC_{number:06d}\.\d+", contig["aliases"][1])
        assert "NC_012920.1" in entry["contigs"][24]["aliases"]
        assert [contig["genetic_code"] for contig in entry["contigs"]] == [1] * 24 + [2]


def test_every_source_is_complete(references):
    for entry in references:
        parts = install._wanted(entry, [])
        assert len({part.name.lower() for part in parts}) == len({part.file for part in parts}) == len(parts)
        for part in parts:
            assert part.entry["url"].startswith("https://")
            assert {"source", "version", "licence", "bytes", "built"} <= part.entry.keys()


def test_every_track_is_complete(references):
    for entry in references:
        infos = []
        for track in entry["tracks"]:
            assert track["kind"] in {"allele", "interval", "proportional", "gene"}
            assert track["format"] in {"vcf", "tsv"}
            assert ("columns" in track) == (track["format"] == "tsv")
            assert ("overlap" in track) == (track["kind"] == "proportional")
            infos += [track["overlap"]] if "overlap" in track else []
            for field in track["fields"]:
                assert field["description"]
                assert field["example"]
                if not field.get("id"):
                    infos.append(field["info"])
                    assert field["column"]
                    assert field["type"] in {"String", "Integer", "Float"}
                    assert ("frequency" in field) == ("populations" in field)
        assert all(re.fullmatch("GAS_[A-Z_]+", info) for info in infos)
        assert len(set(infos)) == len(infos)


def test_every_track_of_the_table_can_be_skipped(references):
    for entry in references:
        everything = ["genome", "genes", *(track["name"] for track in entry["tracks"])]
        everything += [f"chain-from-{chain['from']}" for chain in entry["chains"]]
        assert install._wanted(entry, everything) == []


# both references of the table, with small files of the true layout in place of the real ones

BASES = "ATGGCTTGTGGTAAACGTTGA" + "ACGT" * 500  # a gene at 1-21, then no feature
GENES = """##gff-version 3
21\tensembl\tgene\t1\t21\t.\t+\t.\tID=gene:ENSG1;Name=SOD1;biotype=protein_coding
21\tensembl\tmRNA\t1\t21\t.\t+\t.\tID=transcript:ENST1;Parent=gene:ENSG1;biotype=protein_coding;tag=Ensembl_canonical
21\tensembl\texon\t1\t21\t.\t+\t.\tParent=transcript:ENST1
21\tensembl\tCDS\t1\t21\t.\t+\t0\tID=CDS:ENSP1;Parent=transcript:ENST1
"""
VCF = "##fileformat=VCFv4.2\n{info}#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
DBSNP = VCF.format(info='##INFO=<ID=FREQ,Number=.,Type=String,Description="">\n')
DBSNP += "NC_0000{nc}\t4\trs7\tG\tA,T\t.\t.\tRS=7;VC=SNV;FREQ=1000Genomes:0.9,0.1,.|TOPMED:1,0,0\n"
CLINVAR = VCF.format(info="") + (
    "21\t5\t12345\tC\tT\t.\t.\tCLNDN=Leigh_syndrome|not_provided;CLNREVSTAT=single;CLNSIG=Benign;RS=8\n"
)


def ucsc(*cells, bin=True):
    return "\t".join(["585"] * bin + ["chr21", "9", "12", *cells]) + "\n"


SMALL = {
    "genome": ">21 dna\n" + BASES + "\n>KI270706.1 scaffold\nACGT\n",
    "genes": GENES,
    "ClinVar": CLINVAR,
    "cytoBand": ucsc("q22.11", "gneg", bin=False),
    "GWAS catalog": ucsc(
        *("rs9", "17634449", "Samani NJ", "2007-07-18", "N Engl J Med", "A title", "Heart disease", "1,926", "875"),
        *("21q22.11", "SOD1", "rs9-C", "0.47", "6E-10", "", "1.36", "[1.2-1.6]", "Affymetrix", "N"),
    ),
    "segmental duplications": ucsc(
        *("chr15:101", "0", "+", "chr15", "101", "9", "99", "1", "1000", "N/A", "N/A", "N/A", "N/A", "align", "1"),
        *("0", "0", "1", "1", "0", "0", "0", "0.992904", "0.99", "0.007", "0.007"),
    ),
    "CpG islands": ucsc("CpG: 116", "3", "116", "2", "20", "60", "0.8"),
    "DGV": ucsc(
        *("nsv1", "0", "+", "9", "12", "0", "Deletion", "Conrad et al 2009", "19812545", "CNV", "", "", "", "450"),
        *("0", "1", "", "SOD1", ""),
    ),
    "TargetScan": ucsc("SOD1:miR-124/506", "99", "+"),
    "conserved TFBS": ucsc("V$MYOD_01", "850", "+", "2.47"),
    "HGNC": "hgnc_id\tsymbol\tname\tlocus_group\tlocus_type\talias_symbol\tprev_symbol\tentrez_id\n"
    'HGNC:11179\tSOD1\tsuperoxide dismutase 1\tprotein\tgene with protein product\t"IPOA|X"\tALS|ALS1\t6647\n',
    "chain-from-GRCh37": f"chain 1 21 48129895 + 9 99 21 {len(BASES)} + 9 99 1\n90\n",
    "chain-from-NCBI36": f"chain 1 21 46944323 + 9 99 21 {len(BASES)} + 9 99 1\n90\n",
}


def small_table(site, entry, path):
    """Puts the small files on the server and writes the table that leads to them."""
    small = SMALL | {"dbSNP": DBSNP.format(nc=entry["contigs"][20]["aliases"][1][7:])}
    for part in install._parts(entry):
        address = f"/{part.file}"
        body = small[part.name].encode()
        site.files[address] = gzip.compress(body, mtime=0) if part.file.endswith(".gz") else body
        part.entry.update({"url": site.url(address), "bytes": len(body), "built": len(body)})
    contig = entry["contigs"][20] | {"length": len(BASES)}
    path.write_text(toml.dumps({"references": [entry | {"contigs": [contig]}]}))
    return path


@pytest.mark.parametrize("number", [0, 1])
def test_table_fits_the_layout_of_its_files(site, tmp_path, references, number, monkeypatch):
    entry = copy.deepcopy(references[number])
    sources = small_table(site, entry, tmp_path / "sources.toml")
    folder = install.install(entry["name"], tmp_path / "root", tmp_path / "cache", sources)
    assert folder.is_relative_to(tmp_path / "root" / entry["name"])
    monkeypatch.setenv("GAS_REFERENCE_DIR", str(tmp_path / "root"))
    found = reference.load(entry["name"])
    assert {track.name for track in found.tracks} == {track["name"] for track in entry["tracks"]}
    assert chains.installed(found).keys() == {chain["from"] for chain in entry["chains"]}
    assert {source.version for source in found.sources} >= {"b157", "2024-12-15"}
    data = found.contig(b"chr21").data
    assert intervals(found, data) == {name: values for name, values in EXPECTED.items() if name in data.intervals}
    assert alleles(data, "ClinVar", 4, b"C>T") == [
        b"rs8",
        b"Benign",
        b"Leigh_syndrome|not_provided",
        b"single",
        b"12345",
    ]
    assert alleles(data, "dbSNP", 3, b"G>A") == [b"rs7", b"0.1", b"0.1", b"1000Genomes", b"SNV"]
    assert alleles(data, "dbSNP", 3, b"G>T") == [b"rs7", b"0", b"0", b"TOPMED", b"SNV"]


EXPECTED = {
    "cytoBand": {"GAS_CYTOBAND": b"q22.11"},
    "GWAS catalog": {
        "GAS_GWAS_SNP": b"rs9",
        "GAS_GWAS_TRAIT": b"Heart%20disease",
        "GAS_GWAS_ALLELE": b"rs9-C",
        "GAS_GWAS_PVALUE": b"6E-10",
        "GAS_GWAS_PUBMED": b"17634449",
    },
    "segmental duplications": {"GAS_SEGDUP": b"chr15:101", "GAS_SEGDUP_IDENTITY": b"0.992904"},
    "CpG islands": {"GAS_CPG_ISLAND": b"CpG:%20116"},
    "DGV": {
        "GAS_DGV": b"nsv1",
        "GAS_DGV_TYPE": b"Deletion",
        "GAS_DGV_STUDY": b"Conrad%20et%20al%202009",
    },
    "TargetScan": {"GAS_TARGETSCAN": b"SOD1:miR-124/506"},
    "conserved TFBS": {"GAS_TFBS": b"V$MYOD_01", "GAS_TFBS_Z": b"2.47"},
    "HGNC": {
        "GAS_GENE_NAME": b"superoxide%20dismutase%201",
        "GAS_GENE_HGNC": b"HGNC:11179",
        "GAS_GENE_ALIAS": b"IPOA|X",
        "GAS_GENE_PREVIOUS": b"ALS|ALS1",
        "GAS_GENE_LOCUS": b"gene%20with%20protein%20product",
        "GAS_GENE_NCBI": b"6647",
    },
}


def intervals(found, data):
    """The values of each track at the base before last of the one interval (0-based 10), and none behind it."""
    values = {}
    for track in found.tracks:
        if track.kind != "allele":
            reader = data.intervals[track.name]
            (member,) = reader.overlapped(spans_of(10))
            assert reader.overlapped(spans_of(500)) == []
            names = [field.name for field in track.fields]
            values[track.name] = dict(zip(names, reader.values(member), strict=True))
    return values


def spans_of(base):
    return Spans(np.array([base]), np.array([base]), np.array([False]))


def alleles(data, track, position, allele):
    reader = data.alleles[track]
    keys = np.array([allele_key(position, *allele.split(b">"))])
    _, rows = reader.find(keys, lambda _: allele)
    return [reader.values(field, rows[:1])[0] for field in range(len(reader._texts))]
