"""The grammar of a VCF record (VCF 4.5 section 1.6.1; D and I alleles: VCF 3.3), and what its alleles are."""

import re

from .errors import quoted

MAX_POS = (1 << 29) - 1  # the largest position that a .tbi index holds
CONTROL = bytes(range(9)) + bytes(range(11, 32)) + b"\x7f"

_BASES = rb"[ACGTNRYSWKMBDHVacgtnryswkmbdhv]+"
_ALT = (
    rb"(?:" + _BASES + rb"|\*|<[^<>,\t]+>"
    rb"|(?:" + _BASES + rb"|\.)?[\[\]][^\[\],\t]+:\d+[\[\]](?:" + _BASES + rb"|\.)?"  # breakend
    rb"|\." + _BASES + rb"|" + _BASES + rb"\."  # single breakend
    rb"|D\d+|I[ACGTN]+)"  # VCF 3.3: D2 deletes two bases, IAC inserts AC
)
_COLUMNS = {
    # VCF 4.5, 1.4.7: what a ##contig line can hold
    "CHROM": (
        rb"[0-9A-Za-z!#$%&+./:;?@^_|~-][0-9A-Za-z!#$%&*+./:;=?@^_|~-]*",
        "a contig name without spaces, commas, quotes, brackets or letters beyond ASCII",
    ),
    "POS": (rb"\d{1,9}", f"a whole number from 0 to {MAX_POS:,}"),
    "ID": (rb"[^\t]+", "an identifier or '.'"),
    "REF": (_BASES, "bases (A, C, G, T, N)"),
    "ALT": (
        rb"\.|" + _ALT + rb"(?:," + _ALT + rb")*",
        "bases, <ID>, * or a breakend, separated by commas, or '.'",
    ),
    "QUAL": (
        rb"\.|[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?i:inf|nan|infinity)",
        "a number or '.'",
    ),
    "FILTER": (rb"[^\t]+", "PASS, filter names separated by semicolons, or '.'"),
    "INFO": (rb"[^\t]+", "key=value pairs separated by semicolons, or '.'"),
}
_RULES = {name: (re.compile(rule), expected) for name, (rule, expected) in _COLUMNS.items()}
CHROM, REF, ALT, QUAL = (_RULES[name][0] for name in ("CHROM", "REF", "ALT", "QUAL"))
_END = re.compile(rb"(?:^|;)END=(\d{9,})")
_CONTROL = re.compile(b"[%b]" % CONTROL)
_PLAIN = re.compile(rb"[ACGTNacgtn]+")


def fault_of(line: bytes, number: int, columns: int) -> str:
    """One sentence with all that is wrong with a record; `columns` is how many the #CHROM line has."""
    if line.startswith(b"#"):
        return (
            f"Line {number} is a header line after the first record; two files may have been joined. "
            "Join VCF files with: bcftools concat -a -Oz -o out.vcf.gz A.vcf.gz B.vcf.gz"
        )
    fields = line.split(b"\t")
    if len(fields) != columns:
        spaces = "; it seems to use spaces, tabs are expected" if len(line.split()) >= 8 > len(fields) else ""
        return f"Line {number} has {_count(len(fields))} and the #CHROM line has {columns}{spaces}."
    faults = [
        f"{name} is {quoted(value) if value else 'empty'}, expected {expected}"
        for (name, (rule, expected)), value in zip(_RULES.items(), fields, strict=False)
        if not rule.fullmatch(value) or (name == "POS" and int(value) > MAX_POS)
    ]
    if not faults and (found := _CONTROL.search(line)):
        faults.append(f"there is a control character (byte {found[0][0]:#04x}), expected text")
    if re.fullmatch(rb"0\d+", fields[1]):
        faults.append(
            f"POS is {quoted(fields[1])}, expected no zeros before the number: some programs take it as octal"
        )
    if end := late_end(fields[7]):
        faults.append(f"END is {quoted(end)}, expected at most {MAX_POS:,}")
    if columns > 8 and not fields[8]:
        faults.append("FORMAT is empty, expected keys such as GT, separated by colons")
    return f"Line {number}: {'; '.join(faults)}."


def late_end(info: bytes) -> bytes:
    """The value of END when it is beyond any position that can be indexed, else nothing."""
    match = _END.search(info)
    return match[1] if match and int(match[1][:12]) > MAX_POS else b""


def _count(columns: int) -> str:
    return "1 column" if columns == 1 else f"{columns} columns"


def is_plain(allele: bytes) -> bool:
    """Whether the allele is spelled out in A, C, G, T and N, so that a consequence can be computed."""
    return _PLAIN.fullmatch(allele) is not None


def trimmed(pos: int, ref: bytes, alt: bytes) -> tuple[int, bytes, bytes]:
    """The same change without the bases that both alleles share, first at the end, then at the start."""
    end, alt_end = len(ref), len(alt)
    while end and alt_end and ref[end - 1] == alt[alt_end - 1]:
        end, alt_end = end - 1, alt_end - 1
    shared, shorter = 0, min(end, alt_end)
    while shared < shorter and ref[shared] == alt[shared]:
        shared += 1
    return pos + shared, ref[shared:end], alt[shared:alt_end]


def left_aligned(start: int, ref: bytes, alt: bytes, sequence: bytes | memoryview | None) -> tuple[int, bytes, bytes]:
    """An allele trimmed, and if it is an insertion or deletion moved as far left as the sequence allows; 0-based."""
    return moved_left(*trimmed(start, ref, alt), sequence)


def moved_left(start: int, ref: bytes, alt: bytes, sequence: bytes | memoryview | None) -> tuple[int, bytes, bytes]:
    """A trimmed insertion or deletion, without anchor base, moved as far left as the sequence allows; 0-based.

    After Tan, Abecasis and Kang 2015 (doi:10.1093/bioinformatics/btv112), but for the anchor. Without a sequence, or
    beyond its ends, the change stays where it is.
    """
    moved = ref or alt
    if sequence is None or (ref and alt) or not moved or not 0 < start <= len(sequence):
        return start, ref, alt
    while start and sequence[start - 1] == moved[-1]:
        moved = moved[-1:] + moved[:-1]
        start -= 1
    return (start, moved, b"") if ref else (start, b"", moved)


def allele_class(ref: bytes, alt: bytes) -> str:
    """SNV (SO:0001483), MNV (SO:0002007), insertion, deletion, delins (SO:1000032), symbolic, or no_alt."""
    if alt == b".":
        return "no_alt"
    if len(ref) == len(alt) == 1 and is_plain(alt):
        return "SNV"
    if not is_plain(alt):
        return "symbolic"
    _, ref, alt = trimmed(0, ref.upper(), alt.upper())
    if len(ref) == len(alt):
        return "SNV" if len(ref) == 1 else "MNV" if ref else "no_alt"
    return "insertion" if not ref else "deletion" if not alt else "delins"


def record_class(ref: bytes, alts: list[bytes]) -> str:
    """The class that all alternative alleles share, else `mixed`."""
    classes = {allele_class(ref, alt) for alt in alts}
    return classes.pop() if len(classes) == 1 else "mixed"
