"""Building a reference from local files: what is compiled, and what is said of faulty sources."""

import gzip
import tomllib

import numpy as np
import pytest

from jobs.annotation.errors import AnnotationError
from jobs.annotation.reference import FORMAT, arrays, installed, load, toml
from jobs.annotation.reference import __main__ as command_line
from jobs.annotation.reference.build import build
from jobs.annotation.reference.intervals import compile_intervals
from jobs.annotation.reference.upkeep import remove, verify
from jobs.annotation.tracks import AlleleTrack, IntervalTrack, Texts, allele_key

BASES = "ACGTTTTACGGACCATGGCCTAAGTCCAGTACGATTACAG"  # 40
DECLARATION = """\
name = "small"
build = "test"
description = "One contig"
fasta = "genome.fa"
promoter = 5
[[contigs]]
name = "21"
aliases = ["chr21"]
"""
GENES = """\
##gff-version 3
chr21\tx\tgene\t14\t22\t.\t+\t.\tID=gene:G1;Name=ABC;biotype=protein_coding
chr21\tx\tmRNA\t14\t22\t.\t+\t.\tID=transcript:T1;Parent=gene:G1;biotype=protein_coding
chr21\tx\texon\t14\t22\t.\t+\t.\tParent=transcript:T1
chr21\tx\tCDS\t14\t22\t.\t+\t0\tID=CDS:P1;Parent=transcript:T1
"""


@pytest.fixture
def source(tmp_path):
    """A folder with a declaration; `source(more TOML, file name=content)` adds to it."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "genome.fa").write_text(f">chr21 test\n{BASES[:25].lower()}\n{BASES[25:]}\n")
    (folder / "reference.toml").write_text(DECLARATION)

    def add(more="", **files):
        for name, content in files.items():
            data = content if isinstance(content, bytes) else content.encode()
            (folder / name.replace("__", ".")).write_bytes(data)
        (folder / "reference.toml").write_text(DECLARATION + more)
        return folder

    return add


@pytest.fixture
def root(tmp_path, monkeypatch):
    folder = tmp_path / "root"
    monkeypatch.setenv("GAS_REFERENCE_DIR", str(folder))
    return folder


def track(kind, file, *fields, **facts):
    """The declaration of a track named `t`."""
    facts = {"name": "t", "kind": kind, "file": file} | facts
    return toml.dumps({"tracks": [facts | {"fields": list(fields)}]})


def values_of(version, name="t", fields=1):
    """(start, end, values) of the intervals of a track."""
    own = IntervalTrack(arrays.load(version / "21.arrays"), name, [b"GAS_X"] * fields)
    places = zip(own.arrays["start"].tolist(), own.arrays["end"].tolist(), strict=True)
    return [(*place, own.values(number)) for number, place in enumerate(places)]


def alleles_of(version, *alleles, fields=1):
    """The values of each (start, REF, ALT), or None."""
    own = AlleleTrack(arrays.load(version / "21.arrays"), "t", fields)
    rows = {int(key): number for number, key in enumerate(own.key)}
    found = [rows.get(allele_key(*allele)) for allele in alleles]
    return [
        None if row is None else [own.values(field, np.array([row]))[0] for field in range(fields)] for row in found
    ]


def faults(folder, root):
    with pytest.raises(AnnotationError) as caught:
        build(folder, root)
    return caught.value.faults


def test_the_sequence_is_one_line_in_upper_case(source, root):
    version = build(source(), root)
    assert (version / "genome.fa").read_text() == f">21\n{BASES}\n"
    assert (version / "genome.fa.fai").read_text() == "21\t40\t4\t40\t41\n"
    contig = load("small").contig(b"chr21")
    assert (contig.name, contig.length, contig.genetic_code) == ("21", 40, 1)
    assert bytes(contig.data.bases) == BASES.encode()


def test_a_gzipped_fasta_and_contigs_that_are_not_declared(source, root):
    text = gzip.compress(b">chrM\nACGT\n>7\nAC\nGT\nN\n\n")
    folder = source()
    (folder / "reference.toml").write_text('name = "small"\nbuild = "test"\nfasta = "all.fa.gz"\n')
    (folder / "all.fa.gz").write_bytes(text)
    build(folder, root)
    reference = load("small")
    assert [(c.name, c.length, c.genetic_code) for c in reference.contigs] == [("chrM", 4, 2), ("7", 5, 1)]
    assert reference.contig(b"MT").name == "chrM"
    assert reference.contig(b"chr7").name == "7"


def test_genes(source, root):
    version = build(source('[genes]\nfile = "genes.gff3.gz"\n', genes__gff3__gz=gzip.compress(GENES.encode())), root)
    assert values_of(version, "gene") == [(13, 22, [b"ABC"])]
    assert values_of(version, "location", 2) == [
        (8, 13, [b"ABC|T1|+|promoter|", b"promoter"]),
        (13, 22, [b"ABC|T1|+|CDS|1/1", b"CDS"]),
    ]
    gff = (version / "21.gff3").read_text()
    assert gff == GENES.replace("chr21", "21")
    data = load("small").contigs[0].data
    assert data.gff([0]).decode() == gff.partition("\n")[2]
    assert data.arrays["gene/spliced"].tolist() == [False]
    assert {"near/start", "far/text"} <= data.arrays.keys()


INTERVALS = [(3, 10, [b"a%20b"]), (20, 21, [b"c"])]


@pytest.mark.parametrize(
    ("name", "text", "column", "facts"),
    [
        ("t.bed", "track x\nchr21\t3\t10\ta b\n21\t20\t20\tc\n", 4, {}),
        (
            "t.gff3",
            "##gff\nchr21\t.\tx\t4\t10\t.\t.\t.\tName=a%20b\n21\t.\tx\t21\t21\t.\t.\t.\tID=1;Name=c\n",
            "Name",
            {},
        ),
        (
            "t.tsv",
            "#where\tfrom\tto\twhat\nchr21\t4\t10\ta b\n21\t21\t21\tc\n",
            "what",
            {"columns": {"chrom": "where", "start": "from", "end": "to"}, "one_based": True},
        ),
        ("t.txt", "1\tchr21\t3\t10\ta b\r\n1\t21\t20\t21\tc\r\n", 5, {"columns": {"chrom": 2, "start": 3, "end": 4}}),
        ("t.vcf", "##x\nchr21\t4\t.\tA\t<DEL>\t.\t.\tEND=10;N=a%20b\n21\t21\t.\tT\t.\t.\t.\tN=c\n", "N", {}),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_intervals_of_every_format(source, root, name, text, column, facts, compressed):
    name += ".gz" if compressed else ""
    declared = track("interval", name, {"info": "GAS_X", "column": column}, **facts)
    version = build(source(declared, **{name: gzip.compress(text.encode()) if compressed else text}), root)
    assert values_of(version) == INTERVALS


def test_intervals_of_equal_values():
    made = compile_intervals([(0, 2, (b"a",)), (3, 5, (b"a",)), (6, 8, (b"b",))], [b"X"])
    assert Texts(made, "text").of(made["sets"]) == [b";X=a", b"", b";X=a", b"", b";X=b", b""]


def test_proportional_overlap(source, root):
    declared = track("proportional", "t.bed", {"info": "GAS_X", "column": 4}, overlap="GAS_PART")
    build(source(declared, t__bed="21\t3\t10\tx\n"), root)
    assert load("small").tracks[0].overlap.name == "GAS_PART"


def test_alleles_are_split_and_as_far_left_as_they_go(source, root):
    vcf = (
        "##INFO=<ID=AF,Number=A,Type=Float>\n##INFO=<ID=AD,Number=R,Type=Integer>\n"
        "chr21\t1\trs1\tA\tC,G\t.\t.\tAF=0.1,0.2;AD=9,8,7;DB\n"
        "21\t6\trs2;rs3\tTT\tT\t.\t.\tAF=0.3\n"  # one T of four, at 4 to 7
    )
    fields = [{"id": True}, *({"info": f"GAS_{key}", "column": key} for key in ("AF", "AD", "DB"))]
    version = build(source(track("allele", "t.vcf", *fields), t__vcf=vcf), root)
    assert alleles_of(version, (0, b"A", b"C"), (0, b"A", b"G"), (3, b"T", b""), (5, b"T", b""), fields=4) == [
        [b"rs1", b"0.1", b"8", b"1"],
        [b"rs1", b"0.2", b"7", b"1"],
        [b"rs2;rs3", b"0.3", b"", b""],
        None,
    ]


def test_numbers_of_dbsnp_without_prefix_fill_the_id(source, root):
    vcf = "21\t1\t77\tA\tC\t.\t.\tRS=12|34\n"
    version = build(source(track("allele", "t.vcf", {"id": True, "column": "RS"}), t__vcf=vcf), root)
    assert alleles_of(version, (0, b"A", b"C")) == [[b"rs12;rs34"]]


def test_a_table_of_genes(source, root):
    declared = '[genes]\nfile = "genes.gff3"\n' + track(
        "gene", "t.tsv", {"info": "GAS_X", "column": "name"}, columns={"gene": "symbol"}
    )
    version = build(source(declared, genes__gff3=GENES, t__tsv="symbol\tname\nXYZ\tno\nABC\tfirst; one\n"), root)
    assert values_of(version) == [(13, 22, [b"first%3B%20one"])]


def test_alleles_of_another_build_are_refused(source, root):
    rows = "".join(f"21\t{pos}\t.\t{'G' if BASES[pos - 1] != 'G' else 'C'}\tGG\t.\t.\tA=1\n" for pos in range(1, 7))
    folder = source(track("allele", "t.vcf", {"info": "GAS_X", "column": "A"}), t__vcf=rows)
    assert "6 of 6 REF alleles differ" in faults(folder, root)[0]
    assert installed() == []


def test_what_does_not_fit_is_told(source, root):
    told = []
    text = "21\t3\t10\tin\n21\t30\t41\tbeyond\nGL1\t1\t2\tstrange\n"
    version = build(source(track("interval", "t.bed", {"info": "GAS_X", "column": 4}), t__bed=text), root, told.append)
    assert values_of(version) == [(3, 10, [b"in"])]
    assert "t.bed: 1 lines on other contigs (GL1...) are left out." in told
    assert "t.bed: 1 entries beyond the end of contig 21 are left out." in told


@pytest.mark.parametrize("cores", [{0}, {0, 1, 2}])
def test_contigs_are_compiled_side_by_side(source, root, monkeypatch, cores):
    """What they tell comes in their order, and a fault in one is a fault of the build."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _process: cores)
    names = [f"c{number}" for number in range(4)]
    folder = source(track("interval", "t.bed", {"info": "GAS_X", "column": 4}))
    declaration = (folder / "reference.toml").read_text().replace('name = "21"\naliases = ["chr21"]\n', 'name = "c0"\n')
    (folder / "reference.toml").write_text(
        declaration.replace("[[tracks]]", '[genes]\nfile = "genes.gff3"\n[[tracks]]', 1)
    )
    (folder / "genome.fa").write_text("".join(f">{name}\n{BASES}\n" for name in names))
    (folder / "t.bed").write_text("".join(f"{name}\t3\t10\tx\n{name}\t30\t41\tbeyond\n" for name in names))
    (folder / "genes.gff3").write_text("".join(GENES.replace("chr21", name) for name in names))
    told = []
    version = build(folder, root, told.append)
    assert [sentence for sentence in told if "contig c" in sentence] == [
        sentence.format(name)
        for name in names
        for sentence in ("t.bed: 1 entries beyond the end of contig {} are left out.", "Built contig {}.")
    ]
    assert {f"{name}.arrays" for name in names} <= {path.name for path in version.iterdir()}
    (folder / "genes.gff3").write_text(
        GENES.replace("chr21", "c0") + GENES.replace("chr21\tx\tgene\t14", "c2\tx\tgene\tone")
    )
    assert "cannot be read on contig c2: a line has not the nine columns of GFF3" in faults(folder, root)[0]


def test_a_version_replaces_the_one_before(source, root):
    declared = track("interval", "t.bed", {"info": "GAS_X", "column": 4})
    first = build(source(declared, t__bed="21\t3\t10\tx\n"), root)
    assert build(source(declared), root) == first  # the same sources
    second = build(source(declared, t__bed="21\t3\t10\ty\n"), root)
    assert [path.name for path in (root / "small" / "versions").iterdir()] == [second.name]
    assert (root / "small" / "current").resolve() == second
    assert load("small").folder == second


def test_a_failed_build_leaves_the_version_before(source, root):
    first = build(source(), root)
    faults(source(genome__fa="no fasta\n"), root)
    assert (root / "small" / "current").resolve() == first
    assert list((root / "small" / "versions").iterdir()) == [first]


def test_a_reference_of_another_version_of_gas_has_to_be_built_again(source, root):
    path = build(source(), root) / "reference.toml"
    path.write_text(path.read_text().replace(f"format = {FORMAT}\n", "format = 1\n"))
    with pytest.raises(AnnotationError) as error:
        load("small")
    assert error.value.code == "reference_missing"
    assert "has the format 1 of another version of GAS" in str(error.value)
    assert "reference install small" in str(error.value)


def test_the_manifest(source, root):
    version = build(
        source('[genes]\nfile = "genes.gff3"\nsource = "Ensembl"\nversion = 110\n', genes__gff3=GENES), root
    )
    facts = tomllib.loads((version / "reference.toml").read_text())
    assert sorted(facts["sha256"]) == ["21.arrays", "21.gff3", "genome.fa", "genome.fa.fai"]
    assert facts["contigs"][0]["md5"] == "8edbdf2985b69ea2f0fdc921d12ab9a0"
    assert facts["sources"][0]["name"] == "Ensembl"
    assert facts["sources"][0]["version"] == "110"
    assert verify("small", root) == []


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("[[contigs]]\nname = 'chr21'\n", "the contig name or alias 'chr21' occurs 2 times."),
        ("[genes]\nfile = 'none.gff3'\n", "[genes]: the file none.gff3 is not there."),
        (track("interval", "genome.fa", {"info": "GAS_X", "column": 4}), "track 't': format is '', expected one of"),
        (track("near", "t.bed", {"info": "GAS_X", "column": 4}), "track 't': kind is 'near', expected one of"),
        (track("interval", "t.bed", {"info": "AF", "column": 4}), "track 't': the INFO name 'AF' must start with GAS_"),
        (
            track("interval", "t.bed", {"id": True, "column": 4}),
            'only a track of kind "allele" can fill the column ID.',
        ),
        (track("interval", "t.bed"), "track 't' has no [[tracks.fields]]"),
        (track("allele", "t.bed", {"info": "GAS_X", "column": 4}), "cannot be read from a bed file."),
        (track("proportional", "t.bed", {"info": "GAS_X", "column": 4}), 'overlap = "GAS_..." belongs to tracks of'),
        (track("interval", "t.tsv", {"info": "GAS_X", "column": 4}), "columns must also name chrom, end, start."),
        (track("gene", "t.tsv", {"info": "GAS_X", "column": 4}, columns={"gene": 1}), "needs gene models"),
        (
            track("allele", "t.vcf", {"info": "GAS_X", "column": "FREQ", "frequency": "alt"}),
            "frequency = ... needs populations = [...]",
        ),
        (
            track("allele", "t.vcf", {"info": "GAS_X", "column": "FREQ", "populations": ["A"], "frequency": "most"}),
            "frequency is 'most', expected one of alt, minor, population.",
        ),
        (
            track("interval", "t.bed", {"info": "GAS_X", "column": 4, "populations": ["A"]}),
            'populations belong to tracks of kind "allele" from a vcf file.',
        ),
        ("[[contigs]]\nname = 'a/b'\nlength = 'x'\n", "a name may hold letters, digits"),
        (
            "[[tracks]]\nname = 'gene'\n",
            "choose another name; these are taken: exon, far, gene, location, near, transcript.",
        ),
        ("x = [", "is not TOML"),
    ],
)
def test_faulty_declarations(source, root, more, expected):
    found = faults(source(more, t__bed="", t__tsv="", t__vcf=""), root)
    assert any(expected in fault for fault in found), found
    assert not root.exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("21\t3\n", "t.bed, line 1: "),
        ("#\n21\tthree\t5\n", "t.bed, line 2: "),
        ("21\t9\t5\n", "line 1: it ends at 5, before its start 9: "),
        ("22\t1\t5\n", "has no entry on a contig of this reference."),
        (gzip.compress(b"21\t1\t5\tx\n" * 99, mtime=0)[:-9], "it may be incomplete"),
    ],
)
def test_faulty_tracks(source, root, text, expected):
    found = faults(source(track("interval", "t.bed", {"info": "GAS_X", "column": 4}), t__bed=text), root)
    assert expected in found[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ACGT\n", "is not FASTA: its first line does not start with '>'."),
        (">21\nAC*T\n", "it has '*' among its bases."),
        (">21\nAC\n>chr21\nAC\n", "has the contig 21 twice."),
        (">22\nAC\n", "The FASTA file has no contig 21, and no length is declared for it."),
    ],
)
def test_faulty_fasta(source, root, text, expected):
    assert expected in faults(source(genome__fa=text), root)[0]


def test_a_fasta_of_another_length_or_content(source, root):
    folder = source('length = 39\nmd5 = "0"\n')
    assert faults(folder, root) == [
        "Contig 21 has 40 bases in the FASTA file, declared 39.",
        "The bases of contig 21 have the MD5 8edbdf2985b69ea2f0fdc921d12ab9a0, declared 0.",
    ]


def test_a_missing_declaration(tmp_path, root):
    assert faults(tmp_path, root) == [f"{tmp_path}/reference.toml cannot be read: No such file or directory."]


def test_damage_is_found_and_a_reference_removed(source, root):
    version = build(source(), root)
    (version / "genome.fa").write_text("x")
    (version / "21.arrays").unlink()
    assert verify("small", root) == [
        "small: 21.arrays is missing.",
        "small: genome.fa was changed or is damaged; its SHA-256 differs.",
    ]
    remove("small", root)
    assert installed() == []
    assert verify("small", root) == ["The reference small is not installed, or its reference.toml is damaged."]
    with pytest.raises(AnnotationError, match="not installed"):
        remove("small", root)


def test_the_command_line(source, root, capsys):
    assert command_line.main(["build", str(source())]) == 0
    assert command_line.main(["list"]) == 0
    assert "\nsmall\t" in capsys.readouterr().out
    assert command_line.main(["verify"]) == 0
    assert command_line.main(["remove", "small"]) == 0
    assert command_line.main(["verify", "small"]) == 1
    assert command_line.main(["remove", "small"]) == 1
    assert capsys.readouterr().err == "The reference small is not installed.\n"
