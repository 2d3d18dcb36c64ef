"""The strict reader lets good files pass and names the fault of bad ones."""

import gzip

import pytest

from jobs.annotation.tests.strict_vcf import check

GOOD = """\
##fileformat=VCFv4.3
##fileDate=20260101
##source=caller <v1> a=b
##contig=<ID=1,length=1000,assembly="b,37">
##contig=<ID=HLA-A*01:01:01:01>
##META=<ID=Tissue,Type=String,Number=.,Values=[Blood, Brain]>
##FILTER=<ID=PASS,Description="All">
##FILTER=<ID=q10,Description="a \\"b\\" \\\\ c, d=e>">
##ALT=<ID=DEL,Description="Deletion">
##INFO=<ID=A,Number=A,Type=Integer,Description="one per ALT">
##INFO=<ID=R,Number=R,Type=Float,Description="one per allele",Source="s",Version="1">
##INFO=<ID=G,Number=G,Type=Integer,Description="one per genotype">
##INFO=<ID=F,Number=0,Type=Flag,Description="flag">
##INFO=<ID=S,Number=.,Type=String,Description="any">
##INFO=<ID=C,Number=1,Type=Character,Description="character">
##INFO=<ID=T,Number=2,Type=Integer,Description="two">
##FORMAT=<ID=GT,Number=1,Type=String,Description="genotype">
##FORMAT=<ID=PL,Number=G,Type=Integer,Description="likelihoods">
##FORMAT=<ID=FT,Number=1,Type=String,Description="filter">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1\tS2
1\t5\trs1;rs2\tA\tG\t1.5e3\tPASS\tA=-1;R=1,.5;G=1,2,3;F;S=a%3Bb,c d;C=%2C;T=1,.\tGT:PL\t0/1:1,2,3\t1:1,2
1\t5\t.\tAn\t.\t.\tq10\tA=.;R=nan;T=.\tPL\t0\t.
1\t9\t.\tA\tG,<DEL>,*,]1:5]A\t.\t.\tA=1,2,3,4;R=1e-5,-inf,3,4,.\tGT\t./.\t1|4
HLA-A*01:01:01:01\t1\t.\tA\tA[1:7[\t0\t.\t.\tGT:PL:FT\t/0/1/1:1,2,3,4:x\t.
"""
RECORD = GOOD.splitlines()[-4]


@pytest.fixture
def verdict(tmp_path):
    def run(content):
        path = tmp_path / "in.vcf"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return check(path)

    return run


def test_good(verdict):
    assert verdict(GOOD) == verdict(gzip.compress(GOOD.encode())) == 4


def test_good_without_samples_or_records(verdict):
    lines = [line.split("\t") for line in GOOD.splitlines()]
    assert verdict("".join("\t".join(columns[:8]) + "\n" for columns in lines)) == 4
    assert verdict("##fileformat=VCFv4.5\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n") == 0


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        # the text
        ("##fileformat", "\ufeff##fileformat", "Line 1: begins with a byte order mark."),
        ("q10\tA=.", "q10\tS=\x01", "Line 22: has a control character."),
        ("v4.3\n", "v4.3\r\n", "Line 1: has a control character."),
        # the header
        ("VCFv4.3", "VCFv4.2", "Line 1: ##fileformat=VCFv4.3 to 4.5 was expected, found '##fileformat=VCFv4.2'."),
        ("##fileDate=20260101", "##fileformat=VCFv4.3", "Line 2: a second ##fileformat."),
        ("##fileDate=20260101", "##fileDate", "Line 2: not ##key=value: '##fileDate'."),
        ("##fileDate=20260101", "", "Line 2: the #CHROM line was expected, found ''."),
        ("ID=1,length", "ID=1,ID=1,length", "Line 4: the key ID stands twice."),
        ("ID=1,length", "length", "Line 4: contig lacks ID."),
        ("ID=1,length=1000", "ID=1,length=x", "Line 4: the length of contig 1 is no number."),
        ("ID=HLA-A*01", "ID=*01", "Line 5: contig '*01:01:01:01' has a character that section 1.4.7 forbids."),
        ("ID=HLA-A*01:01:01:01", "ID=1", "Line 5: contig 1 is declared twice."),
        ("##META=<ID=Tissue", "##META=<ID=Tis sue", "Line 6: not key=value, or quotes are wrong, from 'ID=Tis sue,"),
        ('\\"b', '"b', "Line 8: not key=value, or quotes are wrong, from"),
        ('"Deletion">', "Deletion>", "Line 9: Description is not in quotes."),
        ('"Deletion">', '"Deletion"', "Line 9: ALT is not enclosed in < and >."),
        (',Description="one per ALT"', "", "Line 10: INFO lacks Description."),
        ("INFO=<ID=A,", "INFO=<ID=A-B,", "Line 10: 'A-B' is no INFO key (section 1.6)."),
        ("ID=R,Number=R", "ID=R,Number=-1", "Line 11: INFO R has the unknown number -1."),
        ('G,Type=Integer,Description="one', 'G,Type=integer,Description="one', "Line 12: INFO G has the unknown type"),
        ("Number=0", "Number=1", "Line 13: INFO F: Number=0 and Flag go together."),
        ("Number=0,Type=Flag", "Number=0,Type=String", "Line 13: INFO F: Number=0 and Flag go together."),
        ("ID=FT,Number=1,Type=String", "ID=FT,Number=0,Type=Flag", "Line 19: FORMAT FT has the unknown type Flag."),
        ("#CHROM\tPOS", "#CHROM POS", "Line 20: the #CHROM line was expected, found '#CHROM POS"),
        ("S1\tS2", "S1\tS1", "Line 20: a sample stands twice."),
        # columns
        ("\t1:1,2\n", "\n", "Line 21: 10 columns, the #CHROM line has 11."),
        ("1\t5\trs1", "2\t5\trs1", "Line 21: the contig 2 is not declared."),
        ("1\t5\trs1", "1\t+5\trs1", "Line 21: POS is '+5'."),
        ("1\t5\trs1", "1\t9999999999\trs1", "Line 21: POS is '9999999999'."),
        ("rs1;rs2", "rs1;rs1", "Line 21: ID rs1;rs1 is repeated or partly empty."),
        ("rs1;rs2", "rs 1", "Line 21: ID has a space."),
        ("rs1;rs2", "", "Line 21: ID is empty."),
        ("\tAn\t", "\tR\t", "Line 22: REF is 'R'."),
        ("\tG,<DEL>", "\tR,<DEL>", "Line 23: ALT is 'R'."),
        ("\tG,<DEL>", "\tG,G", "Line 23: an ALT stands twice."),
        ("\t1.5e3\t", "\tlow\t", "Line 21: QUAL is 'low'."),
        ("\tq10\t", "\tq20\t", "Line 22: the FILTER q20 is not declared."),
        ("\tq10\t", "\tq10;PASS\t", "Line 22: FILTER is q10;PASS."),
        ("\tq10\t", "\tq10;q10\t", "Line 22: FILTER q10;q10 is repeated or partly empty."),
        # INFO
        ("A=-1;", "B=-1;", "Line 21: the INFO key B is not declared."),
        ("A=-1;", "A=-1;A=1;", "Line 21: the INFO key A stands twice."),
        ("A=-1;", "A=-1;;", "Line 21: INFO has an empty entry."),
        ("A=-1;", "A;", "Line 21: INFO A has no value."),
        ("A=-1;", "A=1,2;", "Line 21: INFO A has 2 values, Number=A expects 1."),
        ("A=-1;", "A=1.0;", "Line 21: INFO A is '1.0', no Integer."),
        ("A=-1;", "A=2147483648;", "Line 21: INFO A is '2147483648', no Integer."),
        ("A=-1;", "A=;", "Line 21: INFO A has no value."),
        ("R=1,.5", "R=1", "Line 21: INFO R has 1 values, Number=R expects 2."),
        ("R=1,.5", "R=1,", "Line 21: INFO R is '', no Float."),
        ("R=1,.5", "R=1,x", "Line 21: INFO R is 'x', no Float."),
        ("G=1,2,3", "G=1,2", "Line 21: INFO G has 2 values, Number=G expects 3."),
        (";F;", ";F=1;", "Line 21: INFO F is a flag and has a value."),
        ("a%3Bb", "a=b", "Line 21: INFO S has an equals sign in its value."),
        ("a%3Bb", "a%3", "Line 21: INFO S has a % that encodes nothing."),
        ("C=%2C", "C=ab", "Line 21: INFO C is 'ab', no Character."),
        ("T=1,.", "T=1", "Line 21: INFO T has 1 values, Number=2 expects 2."),
        ("A=.;R", "A=1;R", "Line 22: INFO A has 1 values, Number=A expects 0."),
        # samples
        ("GT:PL\t", "PL:GT\t", "Line 21: GT is not the first key of FORMAT."),
        ("GT:PL\t", "GT:PX\t", "Line 21: the FORMAT key PX is not declared."),
        ("0/1:1,2,3", "0/1:1,2", "Line 21: sample S1: PL has 2 values, Number=G expects 3."),
        ("\t1:1,2\n", "\t1:1,2,3\n", "Line 21: sample S2: PL has 3 values, Number=G expects 2."),
        ("0/1:1,2,3", "0/2:1,2,3", "Line 21: sample S1: GT names allele 2."),
        ("0/1:1,2,3", "0-1:1,2,3", "Line 21: sample S1: GT is '0-1'."),
        ("0/1:1,2,3", "0/1:", "Line 21: sample S1: PL is empty."),
        ("0/1:1,2,3", "0/1:1,2,3:4", "Line 21: sample S1 has 3 values for 2 keys."),
        # order
        ("\n1\t9\t", "\n1\t4\t", "Line 23: POS 4 comes after 5: not sorted."),
        (
            "\nHLA",
            f"\nHLA-A*01:01:01:01\t1\t.\tA\t.\t.\t.\t.\tGT\t.\t.\n{RECORD}\nHLA",
            "Line 25: the records of 1 are",
        ),
    ],
)
def test_bad(old, new, fault, verdict):
    assert old in GOOD
    with pytest.raises(AssertionError) as caught:
        verdict(GOOD.replace(old, new, 1))
    assert str(caught.value).startswith(fault)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "Line 1: ##fileformat=VCFv4.3 to 4.5 was expected, found ''."),
        ("##fileformat=VCFv4.3\n", "The file ends without a #CHROM line."),
        (GOOD[:-1], "Line 24: the last line does not end with LF."),
        (GOOD + "\n", "Line 25: 1 columns, the #CHROM line has 11."),
        (GOOD.encode().replace(b"caller", b"\xe9"), "Line 3: not UTF-8 text (invalid continuation byte)."),
    ],
)
def test_bad_text(content, fault, verdict):
    with pytest.raises(AssertionError) as caught:
        verdict(content)
    assert str(caught.value) == fault
