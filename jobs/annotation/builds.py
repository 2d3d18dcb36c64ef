"""Tells the human genome build that a file is made against, from its header alone.

Lengths of chromosomes: the assembly reports of GCF_000001405.12 (NCBI36), .13 (GRCh37), .26 (GRCh38) and of
GCF_009914755.1 (T2T-CHM13v2.0). In MT the builds differ little: UCSC's hg18 and hg19, and NCBI36, have NC_001807
(16,571 bp), all others the rCRS, NC_012920 (16,569 bp).
"""

import math
import os
import re
from typing import NamedTuple

from .errors import AnnotationError

CHROMOSOMES = [*map(str, range(1, 23)), "X", "Y"]
LENGTHS = {
    build: dict(zip(CHROMOSOMES, map(int, lengths.split()), strict=True))
    for build, lengths in {
        "NCBI36": "247249719 242951149 199501827 191273063 180857866 170899992 158821424 146274826 140273252 135374737 "
        "134452384 132349534 114142980 106368585 100338915 88827254 78774742 76117153 63811651 62435964 46944323 "
        "49691432 154913754 57772954",
        "GRCh37": "249250621 243199373 198022430 191154276 180915260 171115067 159138663 146364022 141213431 135534747 "
        "135006516 133851895 115169878 107349540 102531392 90354753 81195210 78077248 59128983 63025520 48129895 "
        "51304566 155270560 59373566",
        "GRCh38": "248956422 242193529 198295559 190214555 181538259 170805979 159345973 145138636 138394717 133797422 "
        "135086622 133275309 114364328 107043718 101991189 90338345 83257441 80373285 58617616 64444167 46709983 "
        "50818468 156040895 57227415",
        "T2T-CHM13": "248387328 242696752 201105948 193574945 182045439 172126628 160567428 146259331 150617247 "
        "134758134 135127769 133324548 113566686 101161492 99753195 96330374 84276897 80542538 61707364 66210255 "
        "45090682 51324926 154259566 62460029",
    }.items()
}
MT_LENGTHS = {16571: {"NCBI36", "GRCh37"}, 16569: {"GRCh37", "GRCh38", "T2T-CHM13"}}
MAX_REF_MISMATCH = "0.1"
MIN_REF_MISMATCHES = 5
MAX_NAME = 2000  # bytes of a path or URL that are looked at
INSTALLABLE = ("GRCh38", "GRCh37")
BEFORE_LIFTOVER = b"##beforeLiftover_"  # how header lines start that tell of the build before; they are kept for people
OTHER_NAMES = {"NCBI36": "hg18", "GRCh37": "hg19", "GRCh38": "hg38", "T2T-CHM13": "hs1"}

# How references are called in headers; lower case. A name must not go on with a digit: b37, not b370.
_NAMES = {
    "NCBI36": r"hg_?18|(?:ncbi|build|b)[ ._-]?(?:build[ ._-]?)?36(?:\.\d)?|assembly18|gcf_000001405\.1[12]",
    "GRCh37": r"hg_?19|grch_?37|hs37|hs37d5|g1k_v37|(?:ncbi|build|b|v)[ ._-]?37(?:\.\d)?|assembly19"
    r"|gca_000001405\.(?:1|[2-9]|1[0-4])|gcf_000001405\.(?:1[3-9]|2[0-5])",
    "GRCh38": r"hg_?38|grch_?38|hs38|hs38dh|hs38d1|(?:ncbi|build|b|v)[ ._-]?38|assembly38"
    r"|gca_000001405\.(?:1[5-9]|2\d)|gcf_000001405\.(?:2[6-9]|[34]\d)",
    "T2T-CHM13": r"chm[ ._-]?13(?:[ ._-]?v\d)?|hs1|gc[af]_009914755",
}
_NAME = {build: re.compile(rf"(?:(?<![a-z0-9])|(?<=\dto))(?:{names})(?!\d)", re.I) for build, names in _NAMES.items()}

_CONTIG = re.compile(rb"##contig=<(?:.*?,)?ID=([^,>]+)")
_LENGTH = re.compile(rb"[<,]\s*length=(\d{1,18})")
_ASSEMBLY = re.compile(rb'[<,]\s*(?:assembly|URL)="?([^",>]+)', re.I)
# ##reference=..., ##assembly=..., and what GATK, DRAGEN and others write of their command line
_REFERENCE = re.compile(rb"##(reference|assembly|genome[_-]?build|build)\s*=\s*(.+)", re.I)
_TOOL = re.compile(rb"\b(?:reference_sequence|--?reference|--fasta-ref|--ref-dir)[= ]+([^\s,\"']+)", re.I)
_REFSEQ = re.compile(r"NC_0000(\d\d)\.\d+")


class Evidence(NamedTuple):
    """What a header says of its build.

    `build` is a key of LENGTHS, or None when the header does not tell. `why` is a clause for a message, such as "its
    header declares 249,250,621 bp for chr1"; empty when nothing was found. `conflict` is true when two pieces of
    evidence contradict each other: then there is no build, and `why` tells both.
    """

    build: str | None
    why: str
    conflict: bool = False


def named_build(text: str) -> str | None:
    """The build that a reference's name, path or URL speaks of; None when it names none or several."""
    for part in (text.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1], text):
        builds = [build for build, name in _NAME.items() if name.search(part)]
        if builds:
            return builds[0] if len(builds) == 1 else None
    return None


def detect(meta_lines: list[bytes]) -> Evidence:
    """The build from the ## lines of a header: lengths of contigs, names of reference files, assembly tags."""
    clues = _by_length(meta_lines) + _by_name(meta_lines)
    possible = set.intersection(*(builds for builds, _ in clues)) if clues else set(LENGTHS)
    if len(possible) == 1:
        build = possible.pop()
        # the clue that tells most: 16,569 bp of MT would be no reason
        return Evidence(build, next(why for builds, why in sorted(clues, key=lambda clue: len(clue[0]))))
    if possible:
        return Evidence(None, "; ".join(f"{why}, as {_list(sorted(builds))} have" for builds, why in clues))
    return Evidence(None, _contradiction(clues), conflict=True)


def mismatch(evidence: Evidence, reference_build: str, installed: list[str]) -> list[str]:
    """Sentences on why a file must not be annotated against a reference, and what to do; none when it may be.

    `reference_build` is a name such as GRCh38, hg19 or GRCh38.p14; of a reference of another name (only the
    mitochondrion, or another species) nothing can be said. `installed` are the names or builds of what is there.
    """
    wanted = named_build(reference_build)
    if evidence.conflict:
        return [
            f"The header of the file contradicts itself: {evidence.why}.",
            "Correct the header with: bcftools reheader; or choose the reference yourself.",
        ]
    if wanted is None or evidence.build in (None, wanted):
        return []
    build = str(evidence.build)
    return [
        f"The file was made against {build} ({OTHER_NAMES[build]}), the reference is {wanted} "
        f"({OTHER_NAMES[wanted]}): {evidence.why}.",
        _way_out(build, wanted, installed),
    ]


def _way_out(build: str, wanted: str, installed: list[str]) -> str:
    for name in installed:
        if name == build or named_build(name) == build:
            return f"The reference {name} is installed: annotate the file against it."
    if build in INSTALLABLE:
        return f"Install its reference with: manage.py reference install {build}"
    return (
        f"There is no ready reference for {build}: build one from your own files with: manage.py reference build DIR; "
        f"or lift the file over to {wanted}."
    )


def of_another_build(differ: int, checked: int) -> bool:
    """Whether REF alleles that differ from the sequence are too many: at least five, and too large a share of all.

    The share is $GAS_MAX_REF_MISMATCH, from 0 to 1. Raises AnnotationError `engine_failed` when it is something else.
    """
    share = os.environ.get("GAS_MAX_REF_MISMATCH") or MAX_REF_MISMATCH
    try:
        most = float(share)
    except ValueError:
        most = math.nan
    if not 0 <= most <= 1:
        fault = f"The setting GAS_MAX_REF_MISMATCH is {share!r}; a share from 0 to 1 was expected, such as 0.1."
        raise AnnotationError("engine_failed", fault)
    return differ >= MIN_REF_MISMATCHES and differ > most * checked


Clue = tuple[set[str], str]  # builds that it allows, and the clause that tells it


def _by_length(meta_lines: list[bytes]) -> list[Clue]:
    """One clue per set of builds that declared lengths allow, of the first contig that allows it."""
    clues: dict[frozenset[str], str] = {}
    for line in meta_lines:
        contig, length = _CONTIG.match(line), _LENGTH.search(line)
        if contig and length:
            name, bases = contig[1].decode(errors="replace"), int(length[1])
            if builds := _builds_of_length(_chromosome(name), bases):
                clues.setdefault(builds, f"its header declares {bases:,} bp for {name}")
    return [(set(builds), why) for builds, why in clues.items()]


def _builds_of_length(chromosome: str, bases: int) -> frozenset[str]:
    if chromosome == "MT":
        return frozenset(MT_LENGTHS.get(bases, ()))
    return frozenset(build for build, lengths in LENGTHS.items() if lengths.get(chromosome) == bases)


def _chromosome(name: str) -> str:
    """1 to 22, X, Y or MT for the usual names of it: chr1, Chr1, 1, NC_000001.11, chrM, M; else the name itself."""
    if match := _REFSEQ.fullmatch(name):
        number = int(match[1])
        return CHROMOSOMES[number - 1] if 1 <= number <= 24 else name
    name = name[3:] if name[:3].lower() == "chr" else name
    return "MT" if name in ("M", "MT", "NC_012920.1", "NC_001807.4") else name


def _by_name(meta_lines: list[bytes]) -> list[Clue]:
    """One clue per build that is named anywhere, of its first naming."""
    clues: dict[str, str] = {}
    for line in meta_lines:
        for said, value in _namings(line):
            text = value[:MAX_NAME].decode(errors="replace").strip().strip('"')
            if build := named_build(text):
                shown = "".join(c if c.isprintable() else "?" for c in text[-80:])
                clues.setdefault(build, f"its header has {said}{shown}")
    return [({build}, why) for build, why in clues.items()]


def _namings(line: bytes) -> list[tuple[str, bytes]]:
    """What a line calls its reference: how the header says it, and the value."""
    if line.startswith(BEFORE_LIFTOVER):
        return []
    if _CONTIG.match(line):
        return [("a contig of assembly ", match[1]) for match in _ASSEMBLY.finditer(line)]
    if match := _REFERENCE.match(line):
        return [(f"##{match[1].decode()}=", match[2])]
    return [("the command-line option reference ", match[1]) for match in _TOOL.finditer(line)]


def _contradiction(clues: list[Clue]) -> str:
    """Two clues that no build allows both; failing that (three are needed), all of them."""
    for number, (builds, why) in enumerate(clues):
        for others, other in clues[number + 1 :]:
            if not builds & others:
                return f"{why} ({_list(sorted(builds))}), yet {other} ({_list(sorted(others))})"
    return ", yet ".join(f"{why} ({_list(sorted(builds))})" for builds, why in clues)


def _list(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
