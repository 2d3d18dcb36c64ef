"""The ## lines of a header as VCF 4.3 has them (section 1.4), where older or careless files have something else."""

import re
from collections.abc import Callable, Iterable
from itertools import count

from .errors import quoted
from .records import CHROM

REQUIRED = {  # what declarations of each kind must have, and what stands in for it
    b"INFO": {b"Number": b".", b"Type": b"String", b"Description": b"Not described in the input"},
    b"FORMAT": {b"Number": b".", b"Type": b"String", b"Description": b"Not described in the input"},
    b"FILTER": {b"Description": b"Not described in the input"},
    b"ALT": {b"Description": b"Not described in the input"},
    b"contig": {},
}
ALWAYS_QUOTED = {b"Description", b"Source", b"Version"}
TYPES = (b"Integer", b"Float", b"Flag", b"Character", b"String")
NUMBERS = re.compile(rb"\d+|[ARG.PM]|L[ARG]")

_LINE = re.compile(rb"##([^=<>\s]+)=(.*)", re.DOTALL)
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_NEXT = rb"\s*(?:,\s*[A-Za-z_][\w.]*\s*=|$)"  # what follows a value
_PAIR = re.compile(
    rb"\s*([A-Za-z_][\w.]*)\s*=\s*"
    rb'(?:"((?:[^"\\]|\\.|"(?!' + _NEXT + rb'))*)"|(\[[^\]"]*\])|((?:[^,]|,(?!\s*[A-Za-z_][\w.]*\s*=))*))'
    rb"\s*(?:,|$)",
    re.DOTALL,
)
_ESCAPED = re.compile(rb'\\(["\\])|(["\\])')
_BARE = re.compile(rb'[^",<>\s]+')

PUT_RIGHT = "Header lines that were not as VCF 4.3 has them were put right: {}."
DROPPED = "Second declarations of the same name were dropped: {}."
COMMENTS = "Header lines that could not be read were kept as ##comment lines: {}."
UNBRACKETED = "Header lines in < > without an ID were kept without the brackets: {}."
LATIN_1 = "Text of the header that is not UTF-8 was read as Latin-1: {}."

Note = Callable[[str, bytes], None]
Pairs = dict[bytes, bytes]


def mended_lines(meta: Iterable[bytes]) -> tuple[list[bytes], list[str]]:
    """The lines as VCF 4.3 has them, and a sentence for each kind of mend. Lines that are right stay byte for byte."""
    mends: dict[str, list[bytes]] = {}

    def note(sentence: str, name: bytes) -> None:
        mends.setdefault(sentence, []).append(name)

    seen: dict[bytes, dict[bytes, int]] = {}
    lines = [line for raw in meta if (line := _unique(_mended(raw, note), seen, note))]
    return lines, [sentence.format(_listed(names)) for sentence, names in mends.items()]


def utf8(text: bytes) -> bytes:
    """The text, read as Latin-1 when it is not UTF-8."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1").encode()
    return text


def _mended(raw: bytes, note: Note) -> bytes:
    text = utf8(raw)
    if text != raw:
        note(LATIN_1, raw[2:])
    line = _CONTROL.sub(b" ", text).rstrip(b" \t")
    match = _LINE.fullmatch(line)
    if not match or not match[2]:
        note(COMMENTS, raw[2:])
        return b"##comment=" + (line.strip(b"#<> \t") or b".")
    kind, value = match.groups()
    if kind in REQUIRED or value.startswith(b"<"):
        line = _structured(kind, value, note)
    start = len(b"##=<") + len(kind)
    if line != text and line[:start] == text[:start]:  # else it has become another line, which is noted
        note(PUT_RIGHT, raw[2:])
    return line


def _structured(kind: bytes, value: bytes, note: Note) -> bytes:
    """A line of the form ##kind=<key=value,...>."""
    pairs = _pairs(value[1:-1]) if value.startswith(b"<") and value.endswith(b">") else {}
    name = pairs.get(b"ID", b"")
    if name and (kind != b"contig" or CHROM.fullmatch(name[1:-1] if name.startswith(b'"') else name)):
        return b"##%b=<%b>" % (kind, b",".join(_written(*pair) for pair in _whole(kind, pairs).items()))
    if kind in REQUIRED:
        note(COMMENTS, kind)
        return b"##comment=%b=%b" % (kind, value)
    note(UNBRACKETED, kind)  # such as PEDIGREE and pedigreeDB before VCF 4.3
    return b"##%b=%b" % (kind, value.strip(b"<>") or b".")


def _pairs(text: bytes) -> Pairs:
    """Keys and values, those in quotes without them but with their escapes; none when the text is no such list."""
    pairs: Pairs = {}
    at = 0
    while at < len(text):
        match = _PAIR.match(text, at)
        if not match:
            return {}
        key, inner, listed, bare = match.groups()
        in_quotes = b'"%b"' % _ESCAPED.sub(_escape, inner or b"")
        pairs.setdefault(key, in_quotes if inner is not None else listed or bare.strip())
        at = match.end()
    return pairs


def _escape(match: re.Match[bytes]) -> bytes:
    return b"\\" + (match[1] or match[2])


def _whole(kind: bytes, pairs: Pairs) -> Pairs:
    """The pairs with what a declaration of this kind must have, in a form that VCF knows."""
    whole = {key: value for key, value in pairs.items() if value} | {
        key: default for key, default in REQUIRED.get(kind, {}).items() if not pairs.get(key)
    }
    if not whole.get(b"length", b"0").isdigit():
        del whole[b"length"]
    if b"Type" not in REQUIRED.get(kind, ()):
        return whole
    number, type_ = whole[b"Number"].strip(b'"'), whole[b"Type"].strip(b'" ')
    number = number if NUMBERS.fullmatch(number) else b"."
    type_ = next((known for known in TYPES if known.lower() == type_.lower()), b"String")
    if kind == b"FORMAT" and type_ == b"Flag":
        type_, number = b"String", b"1"
    elif type_ == b"Flag":
        number = b"0"
    elif number == b"0":
        number, type_ = (b"0", b"Flag") if kind == b"INFO" else (b".", type_)
    return whole | {b"Number": number, b"Type": type_}


def _written(key: bytes, value: bytes) -> bytes:
    quoted_already = len(value) > 1 and value[:1] + value[-1:] in {b'""', b"[]"}
    if not quoted_already and (key in ALWAYS_QUOTED or not _BARE.fullmatch(value)):
        value = b'"%b"' % _ESCAPED.sub(_escape, value)
    return b"%b=%b" % (key, value)


_ID = re.compile(rb"##([^=<>\s]+)=<(?:[^\"]*?,)?ID=(\"?[^,>]+)")


def _unique(line: bytes, seen: dict[bytes, dict[bytes, int]], note: Note) -> bytes:
    """The line; nothing when it declares again what is declared; with another ID when its kind declares nothing.

    `seen` has the IDs of each kind, each with the number that was put behind it last.
    """
    match = _ID.match(line)
    if not match:
        return line
    kind, name = match.groups()
    known = seen.setdefault(kind, {})
    if name in known:
        if kind in REQUIRED:
            note(DROPPED, b"%b %b" % (kind, name))
            return b""
        number = next(n for n in count(known[name] + 1) if b"%b.%d" % (name, n) not in known)
        known[name] = number
        name = b"%b.%d" % (name, number)
        line = line[: match.start(2)] + name + line[match.end(2) :]
    known[name] = 1
    return line


def _listed(names: list[bytes]) -> str:
    more = len(names) - 3
    return ", ".join(map(quoted, names[:3])) + (f" and {more:,} more" if more > 0 else "")
