"""What cannot be annotated is refused with a code and a sentence for each fault, and leaves no file."""

import gzip
import random
import zipfile
from contextlib import nullcontext

import pysam
import pytest

from jobs.annotation import AnnotationError, annotate, lines, scan

START = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
GOOD = "MT\t3243\t.\tA\tG\t.\t.\t.\n"
POS = "expected a whole number from 0 to 536,870,911"


@pytest.fixture
def refused(tmp_path):
    """Annotates these bytes and returns the error, having seen that nothing was written."""

    def run(content, name="in.vcf"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        with pytest.raises(AnnotationError) as caught:
            annotate(path, tmp_path / "out")
        assert not (tmp_path / "out").exists()
        return caught.value

    return run


@pytest.mark.parametrize(
    ("content", "code", "sentence"),
    [
        ("", "empty_file", "The file is empty; a VCF file was expected."),
        (START, "no_records", "The file has a header and no record; there is nothing to annotate."),
        (START + "\n\n", "no_records", "The file has a header and no record; there is nothing to annotate."),
        (
            GOOD,
            "not_vcf",
            "Line 1 is not a VCF header line. A VCF file starts with ##fileformat=VCFv4.2 "
            "(or another version), and its #CHROM line stands before the records.",
        ),
        (
            "##fileformat=VCFv4.2\n" + GOOD,
            "bad_header",
            "Line 2: the #CHROM line was expected here, after the ## lines.",
        ),
        (
            "##fileformat=VCFv4.2\n##x=y\n",
            "bad_header",
            "The file ends after 2 header lines without a #CHROM line.",
        ),
        (
            START.replace("\tPOS", " POS"),
            "bad_header",
            "Line 2: the #CHROM line is not as VCF has it (separated by tabs); "
            "found '#CHROM POS?ID?REF?ALT?QUAL?FILTER?INFO'.",
        ),
        (
            "##fileformat=VCFv7.0\n" + START,
            "bad_header",
            "VCF 7.0 is not known; versions 3 and 4 are.",
        ),
        (
            START.replace("INFO", "INFO\tFORMAT\tS1\tS1") + GOOD,
            "bad_header",
            "Line 2: sample 'S1' stands in the #CHROM line twice. "
            "Rename it with: bcftools reheader -s NAMES.txt -o out.vcf.gz FILE",
        ),
        (
            (START + GOOD).encode("utf-16"),
            "not_vcf",
            "The file is UTF-16 text, not VCF text. Save it as UTF-8 text: iconv -f UTF-16 -t UTF-8 FILE > out.vcf.",
        ),
        (
            b"PK\x03\x04" + bytes(50),
            "not_vcf",
            "The file is a ZIP archive, not VCF text. Unpack it and send the VCF file inside.",
        ),
        (
            (START + GOOD).replace("\n", "\r"),
            "not_vcf",
            "The lines of the file end with CR alone. "
            r"Turn CR line ends into LF with: tr '\r' '\n' < FILE > out.vcf",
        ),
        (START + GOOD + "MT\t\0", "not_vcf", "Line 4 has a NUL byte: this is not VCF text."),
        (START + "MT\t4000\n", "bad_records", "Line 3 has 2 columns and the #CHROM line has 8."),
        (
            START + GOOD.replace("\t", " "),
            "bad_records",
            "Line 3 has 1 column and the #CHROM line has 8; it seems to use spaces, tabs are expected.",
        ),
        (
            START.replace("INFO", "INFO\tFORMAT\tS1\tS2") + GOOD.replace("\n", "\tGT\t0/1\n"),
            "bad_records",
            "Line 3 has 10 columns and the #CHROM line has 11.",
        ),
        (START + "MT\tabc\t.\tA\tG\t.\t.\t.\n", "bad_records", f"Line 3: POS is 'abc', {POS}."),
        (START + "MT\t-5\t.\tA\tG\t.\t.\t.\n", "bad_records", f"Line 3: POS is '-5', {POS}."),
        (START + "MT\t600000000\t.\tA\tG\t.\t.\t.\n", "bad_records", f"Line 3: POS is '600000000', {POS}."),
        (
            START + "MT\t5\t.\t-\tG\t.\t.\t.\n",
            "bad_records",
            "Line 3: REF is '-', expected bases (A, C, G, T, N).",
        ),
        (
            START + "MT\t5\t.\tA\tG;T\tx\t.\t\n",
            "bad_records",
            "Line 3: ALT is 'G;T', expected bases, <ID>, * or a breakend, separated by commas, or '.'; "
            "QUAL is 'x', expected a number or '.'; "
            "INFO is empty, expected key=value pairs separated by semicolons, or '.'.",
        ),
        (
            START + "MT\t5\t.\tA\t<DEL>\t.\t.\tEND=99999999999\n",
            "bad_records",
            "Line 3: END is '99999999999', expected at most 536,870,911.",
        ),
        (
            START + START,
            "bad_records",
            "Line 3 is a header line after the first record; two files may have been joined. "
            "Join VCF files with: bcftools concat -a -Oz -o out.vcf.gz A.vcf.gz B.vcf.gz",
        ),
        (
            START + "MT\t5\t.\tA\t" + "Q\x1b" * 50 + "\t.\t.\t.\n",
            "bad_records",
            f"Line 3: ALT is '{'Q?' * 20}...', expected bases, <ID>, * or a breakend, separated by commas, or '.'.",
        ),
    ],
)
def test_refused(content, code, sentence, refused):
    error = refused(content)
    assert (error.code, error.faults[0]) == (code, sentence)


def test_binary_junk(refused):
    assert refused(random.Random(1).randbytes(100_000)).code == "not_vcf"


def test_ten_lines_are_named_and_the_rest_counted(refused):
    error = refused(START + "MT\tx\t.\tA\tG\t.\t.\t.\n" * 25)
    assert error.code == "bad_records"
    assert error.faults == [
        *(f"Line {number}: POS is 'x', {POS}." for number in range(3, 13)),
        "And 15 more such lines.",
    ]


@pytest.fixture
def compressed():
    """Text that does not compress well, as gzip."""
    noise = random.Random(1)
    return gzip.compress((START + "".join(f"1\t5\t{noise.random()}\tA\tG\t.\t.\t.\n" for _ in range(9000))).encode())


@pytest.mark.parametrize("kept", [30, 1000, -4])
def test_truncated_gzip(kept, compressed, refused):
    error = refused(compressed[:kept], "in.vcf.gz")
    assert error.code == "truncated"
    assert error.faults == [
        "The compressed file is cut short: the compressed data stops before its end. The transfer probably "
        "stopped early: send the file again, or compress the original again with: bgzip FILE.vcf"
    ]


def test_truncated_bgzf(tmp_path, refused):
    path = tmp_path / "whole.gz"
    with pysam.BGZFile(str(path), "w") as file:
        file.write((START + GOOD).encode())
    error = refused(path.read_bytes()[:-28])
    assert error.code == "truncated"
    assert "its BGZF end-of-file block is missing" in error.faults[0]


def test_damaged_gzip(compressed, refused):
    error = refused(compressed[:5000] + bytes(100) + compressed[5100:])
    assert error.code == "corrupt"
    assert "gzip -t FILE" in error.faults[0]


def test_single_line_of_10_mb(refused):
    error = refused(START + GOOD + "MT\t5\t.\tA\t<X>\t.\t.\t" + "A" * 10_000_000 + "\n" + GOOD)
    assert error.code == "line_too_long"
    assert error.faults == ["Line 4 is longer than 8 MiB, the longest that is read."]


def test_long_line_in_gzip(refused):
    error = refused(gzip.compress((START + "A" * 50_000_000).encode()))
    assert error.code == "line_too_long"
    assert error.faults == ["Line 3 is longer than 8 MiB, the longest that is read."]


def test_header_of_20_mb(refused):
    error = refused("##fileformat=VCFv4.2\n" + f"##x={'y' * 1000}\n" * 20_000 + START)
    assert error.code == "header_too_large"
    assert error.faults == ["The header is larger than 16 MiB, the most that is read."]


def test_gzip_bomb(refused, monkeypatch):
    monkeypatch.setattr(lines, "RATIO_FROM", 3 << 20)
    error = refused(gzip.compress((START + GOOD * 200_000).encode()))
    assert error.code == "bomb"
    assert "400 bytes per compressed byte" in error.faults[0]


def test_more_text_than_is_taken(refused, monkeypatch):
    monkeypatch.setattr(lines, "MAX_TEXT", 1 << 20)
    assert refused(START + GOOD * 100_000).code == "bomb"


def test_endless_different_names(refused, monkeypatch):
    """The names that a file uses are kept in memory, so their number is limited."""
    monkeypatch.setattr(scan, "MAX_NAMES", 100)
    error = refused(START + "".join(f"c{number}\t5\t.\tA\tG\t.\t.\t.\n" for number in range(101)))
    assert error.code == "bad_records"
    assert error.faults == ["The records use more than 100 different contigs, INFO keys, filters or formats."]


def test_length_of_old_ucsc_chrm(refused):
    start = START.replace("#CHROM", "##contig=<ID=chrM,length=16571>\n#CHROM")
    error = refused(start + GOOD.replace("MT", "chrM"))
    assert error.code == "wrong_build"
    assert error.faults == [
        "The file was not made against the reference rCRS (NC_012920.1): "
        "its header declares 16,571 bp for chrM, the reference has 16,569. "
        "Call the variants against NC_012920.1 again, or leave these records out with: "
        "bcftools view -t ^chrM -Oz -o out.vcf.gz FILE"
    ]


def test_ref_of_another_sequence(refused):
    wrong = GOOD.replace("A\tG", "C\tG")
    error = refused(START + GOOD * 40 + wrong * 5)
    assert error.code == "wrong_build"
    assert error.faults == [
        "The file was not made against the reference rCRS (NC_012920.1): REF differs from the reference in "
        "5 of 45 records; the first is line 43, MT:3243, where REF is 'C' and the reference has 'A'. "
        "Call the variants against NC_012920.1 again, or leave these records out with: "
        "bcftools view -t ^MT -Oz -o out.vcf.gz FILE"
    ]


@pytest.mark.parametrize(("good", "wrong"), [(45, 5), (0, 4)])
def test_few_wrong_refs_pass_and_are_counted(good, wrong, tmp_path):
    path = tmp_path / "in.vcf"
    path.write_text(START + GOOD * good + GOOD.replace("A\tG", "C\tG") * wrong)
    summary = annotate(path, tmp_path)
    assert (summary.annotated, summary.not_annotated) == (good, {"ref_mismatch": wrong})


@pytest.mark.parametrize(("share", "wrong", "refused"), [("0.5", 40, False), ("0.5", 41, True), ("0", 5, True)])
def test_the_share_of_wrong_refs_is_a_setting(share, wrong, refused, tmp_path, monkeypatch):
    monkeypatch.setenv("GAS_MAX_REF_MISMATCH", share)
    path = tmp_path / "in.vcf"
    path.write_text(START + GOOD * 40 + GOOD.replace("A\tG", "C\tG") * wrong)
    with pytest.raises(AnnotationError, match="wrong_build") if refused else nullcontext():
        annotate(path, tmp_path)


@pytest.mark.parametrize("share", ["ten", "nan", "2"])
def test_a_share_that_is_none(share, refused, monkeypatch):
    monkeypatch.setenv("GAS_MAX_REF_MISMATCH", share)
    error = refused(START + GOOD.replace("A\tG", "C\tG") * 5)
    assert error.code == "engine_failed"
    assert error.faults == [
        f"The setting GAS_MAX_REF_MISMATCH is '{share}'; a share from 0 to 1 was expected, such as 0.1."
    ]


@pytest.mark.parametrize(("name", "reason"), [("missing.vcf", "No such file or directory"), ("", "Is a directory")])
def test_unreadable(name, reason, tmp_path):
    with pytest.raises(AnnotationError) as caught:
        annotate(tmp_path / name, tmp_path / "out")
    assert (caught.value.code, caught.value.faults) == (
        "unreadable",
        [f"The input file cannot be read: {reason}."],
    )


def test_reference_that_is_not_installed(tmp_path):
    path = tmp_path / "in.vcf"
    path.write_text(START + GOOD)
    for name in ("hg99", "../rCRS"):
        with pytest.raises(AnnotationError) as caught:
            annotate(path, tmp_path, reference=name)
        assert caught.value.code == "reference_missing"
        assert f"python manage.py reference install {name}" in caught.value.faults[1]


def test_no_genotype_in_any_message(refused):
    error = refused(
        START.replace("INFO", "INFO\tFORMAT\tS1") + GOOD.replace("3243", "x").replace("\n", "\tGT\t0/1\n") * 2
    )
    assert len(error.faults) == 2
    assert "0/1" not in str(error)


@pytest.fixture
def zipped(tmp_path):
    """The bytes of a ZIP archive with these files."""

    def pack(files, method=zipfile.ZIP_DEFLATED):
        path = tmp_path / "packed.zip"
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return path.read_bytes()

    return pack


CLUTTER = {"run/": "", "__MACOSX/run/._in.vcf": "\0", "run/.DS_Store": "\0"}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zip_with_one_file_is_read(method, zipped, tmp_path):
    path = tmp_path / "in.zip"
    path.write_bytes(zipped(CLUTTER | {"run/in.vcf": "\ufeff" + (START + GOOD).replace("\n", "\r\n")}, method))
    read = lines.Lines(path)
    assert list(read.blocks()) == list(read.blocks()) == [(START + GOOD).encode()]
    assert (read.compression, read.bom, read.crlf) == ("ZIP", True, True)


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({}, "no file"),
        (CLUTTER, "no file"),
        ({"a.vcf": "", "b.vcf": ""}, "2 files ('a.vcf', 'b.vcf')"),
        ({f"{name}\n.vcf": "" for name in range(5)}, "5 files ('0?.vcf', '1?.vcf', '2?.vcf', ...)"),
    ],
)
def test_zip_without_exactly_one_file(files, found, zipped, refused):
    error = refused(zipped(files), "in.zip")
    assert (error.code, error.faults) == (
        "not_vcf",
        [f"The ZIP archive holds {found}; one VCF file was expected. Send each VCF file on its own."],
    )


@pytest.mark.parametrize(
    ("inner", "what"),
    [("in.zip", "a ZIP archive"), ("in.vcf.gz", "a gzip file inside a compressed file"), ("in.bcf", "a BCF file")],
)
def test_archive_in_zip(inner, what, zipped, refused):
    content = {
        "in.zip": zipped({"in.vcf": START + GOOD}),
        "in.vcf.gz": gzip.compress((START + GOOD).encode()),
        "in.bcf": b"BCF\2\2",
    }[inner]
    error = refused(zipped({inner: content}), "in.zip")
    assert error.code == "not_vcf"
    assert error.faults[0].startswith(f"The file inside the ZIP archive is {what}, not VCF text. ")


def test_encrypted_zip(zipped, refused):
    content = bytearray(zipped({"in.vcf": START + GOOD}))
    content[6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    error = refused(bytes(content), "in.zip")
    assert error.code == "not_vcf"
    assert error.faults == ["The ZIP archive is encrypted with a password. Unpack it and send the VCF file inside."]


@pytest.mark.parametrize(("method", "name"), [(zipfile.ZIP_BZIP2, "bzip2"), (zipfile.ZIP_LZMA, "LZMA")])
def test_zip_of_a_method_without_limits(method, name, zipped, refused):
    error = refused(zipped({"in.vcf": START + GOOD}, method), "in.zip")
    assert error.code == "not_vcf"
    assert error.faults[0].startswith(f"The ZIP archive is packed by the method {name}; ")


def test_cut_or_damaged_zip(zipped, refused):
    content = zipped({"in.vcf": START + "".join(f"1\t{n}\t.\tA\tG\t.\t.\tX={n * n}\n" for n in range(9000))})
    error = refused(content[:5000], "in.zip")
    assert error.code == "truncated"
    assert "the directory at the end of the ZIP archive is missing or damaged" in error.faults[0]
    error = refused(content[:5000] + bytes(100) + content[5100:], "in.zip")
    assert error.code == "corrupt"
    assert "unzip -t FILE" in error.faults[0]


@pytest.mark.parametrize(
    ("part", "place", "code"),
    [
        (b"PK\3\4", 30, "corrupt"),  # the name of the file, before its data
        (b"PK\1\2", 6, "truncated"),  # the version that unpacks it
        (b"PK\1\2", 45, "corrupt"),  # where its data starts
        (b"PK\1\2", 46, "corrupt"),  # its name
        (b"PK\5\6", 19, "corrupt"),  # where the directory starts
    ],
)
def test_zip_with_a_damaged_byte(part, place, code, zipped, refused):
    """Found by fuzzing: zipfile has an exception of its own for each."""
    content = bytearray(zipped({"in.vcf": START + GOOD}))
    content[content.index(part) + place] = 0x7F
    assert refused(bytes(content), "in.zip").code == code


def test_zip_bomb(zipped, refused, monkeypatch):
    monkeypatch.setattr(lines, "RATIO_FROM", 3 << 20)
    error = refused(zipped({"in.vcf": START + GOOD * 200_000}), "in.zip")
    assert error.code == "bomb"
    assert "400 bytes per compressed byte" in error.faults[0]


def test_zip_of_endless_entries(zipped, refused, monkeypatch):
    monkeypatch.setattr(lines, "MAX_DIRECTORY", 100_000)
    error = refused(zipped({f"{name}.vcf": "" for name in range(3000)}), "in.zip")
    assert error.code == "not_vcf"
    assert error.faults == ["The ZIP archive has thousands of entries; one VCF file was expected."]
