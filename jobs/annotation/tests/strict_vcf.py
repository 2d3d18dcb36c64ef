"""A strict reader of VCF 4.3 to 4.5, for tests: independent of the engine and of htslib, which lets much pass.

Sections named in messages and comments are those of the VCF 4.5 specification. What it does not look at: whether
reserved keys are declared as section 1.6.1 has them, numbers LA, LR, LG, P and M, and ALT declarations.
"""

import gzip
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

FIXED = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"]
REQUIRED = {
    "INFO": {"ID", "Number", "Type", "Description"},
    "FORMAT": {"ID", "Number", "Type", "Description"},
    "FILTER": {"ID", "Description"},
    "ALT": {"ID", "Description"},
}
QUOTED = {"Description", "Source", "Version"}
FREE_NUMBERS = {".", "LA", "LR", "LG", "P", "M"}
INT_RANGE = range(-(1 << 31) + 8, 1 << 31)  # section 1.3

_FILEFORMAT = re.compile(r"##fileformat=VCFv4\.[345]")
_META = re.compile(r"##([^=<>\s]+)=(.+)")
_PAIR = re.compile(r'([A-Za-z_][\w.]*)=(?:"((?:[^"\\]|\\["\\])*)"|(\[[^\]"]*\]|[^",<>\s]+))(,|$)')
_KEY = re.compile(r"[A-Za-z_][0-9A-Za-z_.]*|1000G")
_CONTIG = re.compile(r"[0-9A-Za-z!#$%&+./:;?@^_|~-][0-9A-Za-z!#$%&*+./:;=?@^_|~-]*")
_BASES = re.compile(r"[ACGTNacgtn]+")
_ALT = re.compile(
    r"[ACGTNacgtn]+|\*|<[^<>,\s]+>"
    r"|(?:[ACGTNacgtn]+|\.)[\[\]][^\[\]\s,]+[\[\]]|[\[\]][^\[\]\s,]+[\[\]](?:[ACGTNacgtn]+|\.)"  # breakends
    r"|\.[ACGTNacgtn]+|[ACGTNacgtn]+\."
)
_INTEGER = re.compile(r"-?\d+")
_FLOAT = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?i:inf|infinity|nan)")
_GT = re.compile(r"[|/]?(?:\.|\d+)(?:[|/](?:\.|\d+))*")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Field(NamedTuple):
    """A declaration of INFO or FORMAT."""

    number: str
    type: str


class Header(NamedTuple):
    fields: dict[str, dict[str, Field]]  # of INFO and of FORMAT
    ids: dict[str, set[str]]  # of every kind of structured line
    samples: list[str] | None  # None without a FORMAT column

    @property
    def width(self) -> int:
        return 8 if self.samples is None else 9 + len(self.samples)


class Record(NamedTuple):
    number: int
    contig: str
    pos: int
    alts: list[str]


def check(path: Path) -> int:
    """Raises AssertionError with a sentence at the first fault of a file, plain or gzip; else its count of records."""
    lines = enumerate(_lines(path), 1)
    header = _header(lines)
    count, last, seen = 0, None, set()
    for number, line in lines:
        record = _record(number, line, header)
        if last and last.contig == record.contig:
            _require(last.pos <= record.pos, number, f"POS {record.pos} comes after {last.pos}: not sorted")
        else:
            _require(record.contig not in seen, number, f"the records of {record.contig} are not contiguous")
            seen.add(record.contig)
        count, last = count + 1, record
    return count


def _fail(number: int, what: str) -> NoReturn:
    raise AssertionError(f"Line {number}: {what}.")


def _require(holds: object, number: int, what: str) -> None:
    if not holds:
        _fail(number, what)


def _lines(path: Path) -> Iterator[str]:
    """The lines without LF, of UTF-8 text without BOM, CR and control characters."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    with gzip.open(path) if packed else path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            try:
                line = raw.decode("utf-8")
            except UnicodeDecodeError as error:
                raise AssertionError(f"Line {number}: not UTF-8 text ({error.reason}).") from error
            _require(line.endswith("\n"), number, "the last line does not end with LF")
            line = line[:-1]
            _require(not line.startswith("\ufeff"), number, "begins with a byte order mark")
            _require(not _CONTROL.search(line), number, "has a control character")
            yield line


def _header(lines: Iterator[tuple[int, str]]) -> Header:
    number, line = next(lines, (1, ""))
    _require(_FILEFORMAT.fullmatch(line), number, f"##fileformat=VCFv4.3 to 4.5 was expected, found {line[:60]!r}")
    fields: dict[str, dict[str, Field]] = {"INFO": {}, "FORMAT": {}}
    ids: dict[str, set[str]] = {"FILTER": {"PASS"}, "contig": set()}
    for number, line in lines:
        if not line.startswith("##"):
            return Header(fields, ids, _samples(number, line))
        kind, pairs = _meta(number, line)
        if pairs is None:
            continue
        name = pairs["ID"]
        known = ids.setdefault(kind, set())
        _require(name not in known or (kind, name) == ("FILTER", "PASS"), number, f"{kind} {name} is declared twice")
        known.add(name)
        if kind in fields:
            fields[kind][name] = _field(number, kind, pairs)
        if kind == "contig":
            _require(_CONTIG.fullmatch(name), number, f"contig {name!r} has a character that section 1.4.7 forbids")
            _require(pairs.get("length", "1").isdigit(), number, f"the length of contig {name} is no number")
    raise AssertionError("The file ends without a #CHROM line.")


def _meta(number: int, line: str) -> tuple[str, dict[str, str] | None]:
    """The kind of a ## line, and the pairs of a structured one."""
    match = _META.fullmatch(line)
    if not match:
        _fail(number, f"not ##key=value: {line[:60]!r}")
    kind, value = match.groups()
    _require(kind != "fileformat", number, "a second ##fileformat")
    if kind not in {*REQUIRED, "contig"} and not value.startswith("<"):
        return kind, None
    _require(value.startswith("<") and value.endswith(">"), number, f"{kind} is not enclosed in < and >")
    pairs = _pairs(number, value[1:-1])
    missing = REQUIRED.get(kind, {"ID"}) - pairs.keys()
    _require(not missing, number, f"{kind} lacks {', '.join(sorted(missing))}")
    return kind, pairs


def _pairs(number: int, text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    at, comma = 0, ","
    while comma:
        match = _PAIR.match(text, at)
        if not match:
            _fail(number, f"not key=value, or quotes are wrong, from {text[at : at + 40]!r}")
        key, quoted, plain, comma = match.groups()
        _require(key not in pairs, number, f"the key {key} stands twice")
        _require(key not in QUOTED or quoted is not None, number, f"{key} is not in quotes")
        pairs[key] = plain if quoted is None else quoted
        at = match.end()
    return pairs


def _field(number: int, kind: str, pairs: dict[str, str]) -> Field:
    name, field = pairs["ID"], Field(pairs["Number"], pairs["Type"])
    types = {"Integer", "Float", "Character", "String"} | ({"Flag"} if kind == "INFO" else set())
    _require(_KEY.fullmatch(name), number, f"{name!r} is no {kind} key (section 1.6)")
    _require(field.type in types, number, f"{kind} {name} has the unknown type {field.type}")
    known = field.number.isdigit() or field.number in {"A", "R", "G"} | FREE_NUMBERS
    _require(known, number, f"{kind} {name} has the unknown number {field.number}")
    _require((field.type == "Flag") == (field.number == "0"), number, f"{kind} {name}: Number=0 and Flag go together")
    return field


def _samples(number: int, line: str) -> list[str] | None:
    columns = line.split("\t")
    _require(columns[:8] == FIXED, number, f"the #CHROM line was expected, found {line[:60]!r}")
    if len(columns) == 8:
        return None
    _require(columns[8] == "FORMAT", number, f"the ninth column is {columns[8]!r}, not FORMAT")
    samples = columns[9:]
    _require(all(samples), number, "a sample has no name")
    _require(len(set(samples)) == len(samples), number, "a sample stands twice")
    return samples


def _record(number: int, line: str, header: Header) -> Record:
    columns = line.split("\t")
    _require(len(columns) == header.width, number, f"{len(columns)} columns, the #CHROM line has {header.width}")
    for name, value in zip(FIXED, columns, strict=False):
        _require(value, number, f"{name} is empty")
    contig, pos, identifier, ref, alt, qual, filters, info = columns[:8]
    _require(contig in header.ids["contig"], number, f"the contig {contig} is not declared")
    _require(pos.isascii() and pos.isdigit() and int(pos) in INT_RANGE, number, f"POS is {pos!r}")
    _require(" " not in identifier, number, "ID has a space")
    _require(_distinct(identifier.split(";")), number, f"ID {identifier} is repeated or partly empty")
    _require(_BASES.fullmatch(ref), number, f"REF is {ref[:40]!r}")
    alts = [] if alt == "." else alt.split(",")
    for allele in alts:
        _require(_ALT.fullmatch(allele), number, f"ALT is {allele[:40]!r}")
    _require(len(set(alts)) == len(alts), number, "an ALT stands twice")
    _require(qual == "." or _FLOAT.fullmatch(qual), number, f"QUAL is {qual!r}")
    _check_filters(number, filters, header)
    record = Record(number, contig, int(pos), alts)
    _check_info(record, info, header.fields["INFO"])
    if header.samples is not None:
        _check_samples(record, columns[8], columns[9:], header)
    return record


def _distinct(items: list[str]) -> bool:
    return all(items) and len(set(items)) == len(items)


def _check_filters(number: int, filters: str, header: Header) -> None:
    if filters in ("PASS", "."):
        return
    names = filters.split(";")
    _require(_distinct(names), number, f"FILTER {filters} is repeated or partly empty")
    _require(not {"PASS", ".", "0"} & set(names), number, f"FILTER is {filters}")
    for name in names:
        _require(name in header.ids["FILTER"], number, f"the FILTER {name} is not declared")


def _check_info(record: Record, info: str, declared: dict[str, Field]) -> None:
    if info == ".":
        return
    seen = set()
    for pair in info.split(";"):
        key, equals, text = pair.partition("=")
        _require(key, record.number, "INFO has an empty entry")
        _require(key in declared, record.number, f"the INFO key {key} is not declared")
        _require(key not in seen, record.number, f"the INFO key {key} stands twice")
        seen.add(key)
        if declared[key].type == "Flag":
            _require(not equals, record.number, f"INFO {key} is a flag and has a value")
            continue
        _require(text, record.number, f"INFO {key} has no value")
        _require("=" not in text, record.number, f"INFO {key} has an equals sign in its value")
        _check_values(record, f"INFO {key}", text, declared[key], ploidy=2)


def _check_samples(record: Record, text: str, samples: list[str], header: Header) -> None:
    keys, declared = text.split(":"), header.fields["FORMAT"]
    _require(_distinct(keys), record.number, f"FORMAT {text} is repeated or partly empty")
    _require("GT" not in keys[1:], record.number, "GT is not the first key of FORMAT")
    for key in keys:
        _require(key in declared, record.number, f"the FORMAT key {key} is not declared")
    for name, sample in zip(header.samples or [], samples, strict=True):
        values = sample.split(":")
        where = f"sample {name}"
        _require(len(values) <= len(keys), record.number, f"{where} has {len(values)} values for {len(keys)} keys")
        ploidy = None
        for key, value in zip(keys, values, strict=False):
            _require(value, record.number, f"{where}: {key} is empty")
            if key == "GT":
                ploidy = _ploidy(record, where, value)
            else:
                _check_values(record, f"{where}: {key}", value, declared[key], ploidy)


def _ploidy(record: Record, where: str, genotype: str) -> int | None:
    """How many alleles a genotype has; None when it is missing altogether."""
    _require(_GT.fullmatch(genotype), record.number, f"{where}: GT is {genotype!r}")
    alleles = re.split(r"[|/]", genotype.lstrip("|/"))
    for allele in alleles:
        _require(allele == "." or int(allele) <= len(record.alts), record.number, f"{where}: GT names allele {allele}")
    return None if genotype == "." else len(alleles)


def _check_values(record: Record, where: str, text: str, field: Field, ploidy: int | None) -> None:
    """Number and type of one entry. A single '.' stands for all its values (section 1.6.2)."""
    if text == ".":
        return
    _require(not _BAD_PERCENT.search(text), record.number, f"{where} has a % that encodes nothing")
    values = text.split(",")
    expected = _expected(field.number, len(record.alts), ploidy)
    _require(
        expected is None or len(values) == expected,
        record.number,
        f"{where} has {len(values)} values, Number={field.number} expects {expected}",
    )
    for value in values:
        _require(
            value and (value == "." or _is_of(field.type, value)),
            record.number,
            f"{where} is {value[:40]!r}, no {field.type}",
        )


def _expected(number: str, alts: int, ploidy: int | None) -> int | None:
    if number in FREE_NUMBERS:
        return None
    if number == "G":  # as many as genotypes of that ploidy
        return None if ploidy is None else math.comb(alts + ploidy, ploidy)
    return {"A": alts, "R": alts + 1}.get(number) if number in "AR" else int(number)


def _is_of(kind: str, value: str) -> bool:
    if kind == "Integer":
        return _INTEGER.fullmatch(value) is not None and int(value) in INT_RANGE
    if kind == "Float":
        return _FLOAT.fullmatch(value) is not None
    return kind == "String" or len(re.sub("%[0-9A-Fa-f]{2}", "x", value)) == 1
