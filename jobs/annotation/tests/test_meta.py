"""Header lines as VCF 4.3 has them: what is right stays byte for byte, what is not is mended and told."""

import pytest

from jobs.annotation import annotate
from jobs.annotation.meta import mended_lines
from jobs.annotation.tests.strict_vcf import check
from jobs.annotation.tests.test_strict_vcf import GOOD

NOT_DESCRIBED = 'Description="Not described in the input"'


def mended(*lines):
    found, said = mended_lines([line if isinstance(line, bytes) else line.encode() for line in lines])
    return [line.decode() for line in found], said


def test_good_lines_stay_byte_for_byte():
    lines = [line for line in GOOD.splitlines()[1:] if line.startswith("##")]
    assert len(lines) > 15
    assert mended(*lines) == (lines, [])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ('INFO=<ID=A, Number=1, Type=Integer, Description="x">', 'INFO=<ID=A,Number=1,Type=Integer,Description="x">'),
        ('INFO=<ID=A,Number=-1,Type=Float,Description="x">', 'INFO=<ID=A,Number=.,Type=Float,Description="x">'),
        ('INFO=<ID=A,Number=1,Type=integer,Description="x">', 'INFO=<ID=A,Number=1,Type=Integer,Description="x">'),
        ('INFO=<ID=A,Number=1,Type=Text,Description="x">', 'INFO=<ID=A,Number=1,Type=String,Description="x">'),
        ("INFO=<ID=A,Number=1,Type=Float,Description=x, y>", 'INFO=<ID=A,Number=1,Type=Float,Description="x, y">'),
        ("INFO=<ID=A>", f"INFO=<ID=A,Number=.,Type=String,{NOT_DESCRIBED}>"),
        ('ALT=<ID=DEL,Description="a "b" \\ c">', r'ALT=<ID=DEL,Description="a \"b\" \\ c">'),
        ('FILTER=<ID=q10,Description="x"v>', r'FILTER=<ID=q10,Description="\"x\"v">'),
        ("FILTER=<ID=q10>", f"FILTER=<ID=q10,{NOT_DESCRIBED}>"),
        ('INFO=<ID=A,Number=1,Type=Flag,Description="x">', 'INFO=<ID=A,Number=0,Type=Flag,Description="x">'),
        ('INFO=<ID=A,Number=0,Type=String,Description="x">', 'INFO=<ID=A,Number=0,Type=Flag,Description="x">'),
        ('FORMAT=<ID=A,Number=0,Type=Flag,Description="x">', 'FORMAT=<ID=A,Number=1,Type=String,Description="x">'),
        ("contig=<ID=1,length=unknown,assembly=b 37>", 'contig=<ID=1,assembly="b 37">'),
        ('FILTER=<ID=A,ID=B,Description="x">', 'FILTER=<ID=A,Description="x">'),
    ],
)
def test_declarations_are_put_right(given, expected):
    shown = given[:40] + "..." if len(given) > 40 else given
    told = f"Header lines that were not as VCF 4.3 has them were put right: '{shown}'."
    assert mended(f"##{given}") == ([f"##{expected}"], [told])
    assert mended(f"##{expected}") == ([f"##{expected}"], [])


COMMENT = "Header lines that could not be read were kept as ##comment lines: '{}'."
UNBRACKETED = "Header lines in < > without an ID were kept without the brackets: '{}'."
LATIN_1 = "Text of the header that is not UTF-8 was read as Latin-1: '{}'."


@pytest.mark.parametrize(
    ("given", "expected", "told"),
    [
        ("a word", "comment=a word", COMMENT.format("a word")),
        ("", "comment=.", COMMENT.format("")),
        ("<x>", "comment=x", COMMENT.format("<x>")),
        ("source=", "comment=source=", COMMENT.format("source=")),
        ("INFO=DP only", "comment=INFO=DP only", COMMENT.format("INFO")),
        ("pedigreeDB=<ftp://x>", "pedigreeDB=ftp://x", UNBRACKETED.format("pedigreeDB")),
        ("PEDIGREE=<Derived=A,Original=B>", "PEDIGREE=Derived=A,Original=B", UNBRACKETED.format("PEDIGREE")),
        ("source=Z\xfcrich", "source=Z\xfcrich", LATIN_1.format("source=Z?rich")),
    ],
)
def test_other_lines_are_kept(given, expected, told):
    assert mended(f"##{given}".encode("latin-1")) == ([f"##{expected}"], [told])
    assert mended(f"##{expected}") == ([f"##{expected}"], [])


def test_of_two_declarations_the_first_counts_and_other_lines_get_names_of_their_own():
    info, again = (f'##INFO=<ID=DP,Number=1,Type=Integer,Description="{text}">' for text in ("a", "b"))
    command = '##GATKCommandLine=<ID=X,CommandLine="{}">'
    lines, said = mended(info, again, *map(command.format, (1, 2, 3)), "##contig=<ID=1>", "##contig=<ID=1>")
    renamed = [command.format(n).replace("ID=X", f"ID=X.{n}") for n in (2, 3)]
    assert lines == [info, command.format(1), *renamed, "##contig=<ID=1>"]
    assert said == ["Second declarations of the same name were dropped: 'INFO DP', 'contig 1'."]


def test_a_control_character_becomes_a_space():
    assert mended("##source=a\x01b")[0] == ["##source=a b"]


def test_the_result_of_a_careless_header_is_strictly_valid(vcf, out, text_of):
    header = (
        "##fileformat=VCFv4.0\n##fileformat=none\n##words\n##PEDIGREE=<Derived=A>\n##FILTER=<ID=q10>\n"
        '##INFO=<ID=DP, Number=-1, Type=integer, Description="say "hi"">\n##FORMAT=<ID=GT>\n'
    )
    columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1"
    path = vcf("MT\t3243\t.\tA\tG\t.\tq10\tDP=1,2\tGT\t0/1", header=header, columns=columns)
    summary = annotate(path, out)
    assert check(out / "in.annot.vcf.gz") == summary.written == 1
    first = text_of(out / "in.annot.vcf.gz")
    again = annotate(out / "in.annot.vcf.gz", out, stem="again")
    assert text_of(out / "again.annot.vcf.gz") == first
    assert [mend for mend in again.mends if "INFO fields of an earlier" not in mend] == []
    log = (out / "in.vcf.count.log").read_text()
    assert "  fileformat VCFv4.0 became VCFv4.3.\n" in log
    assert "  Header lines that could not be read were kept as ##comment lines: 'words'.\n" in log
