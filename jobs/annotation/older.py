"""Records as VCF 4.3 has them, where older versions have something else; and text that is not UTF-8."""

import re
from collections import Counter

from .meta import utf8

VERSION = (4, 3)  # of VCF, from which on nothing is mended here but the encoding

PERCENT = "A % in INFO that encodes nothing was written %25, as VCF 4.3 has it; records: {:,}."
PLAIN = "Values of VCF 3 (FILTER 0, QUAL -1, ALT D2, ALT IAC) were written PASS, ., <D2>, <IAC>; records: {:,}."
LATIN_1 = "Text that is not UTF-8 was read as Latin-1; records: {:,}."

_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_INFO = re.compile(rb"^((?:[^\t\n]+\t){7})([^\t\n]*%[^\t\n]*)", re.MULTILINE)
_OLD = re.compile(rb"^((?:[^\t\n]+\t){4})([^\t\n]+)\t([^\t\n]+)\t([^\t\n]+)(?=\t)", re.MULTILINE)
_OLD_ALLELE = re.compile(rb"(?<![^,])(D\d+|I[ACGTN]+)(?![^,])")


class OlderRecords:
    """Mends texts of whole lines of one file, whose header states `version`, and counts the records that it changed."""

    def __init__(self, version: tuple[int, int]) -> None:
        self.version = version
        self.changed: Counter[str] = Counter()

    def mended(self, text: bytes) -> bytes:
        if not text.isascii() and utf8(text) != text:
            text = self._by_line(text)
        if self.version < VERSION and b"%" in text:
            text = _INFO.sub(self._encode, text)
        if self.version < (4, 0):
            text = _OLD.sub(self._renew, text)
        return text

    def sentences(self) -> list[str]:
        return [sentence.format(count) for sentence, count in self.changed.items() if count]

    def _by_line(self, text: bytes) -> bytes:
        lines = text.split(b"\n")
        mended = [utf8(line) for line in lines]
        self.changed[LATIN_1] += sum(map(bytes.__ne__, lines, mended))
        return b"\n".join(mended)

    def _encode(self, match: re.Match[bytes]) -> bytes:
        info = _PERCENT.sub(b"%25", match[2])
        self.changed[PERCENT] += info != match[2]
        return match[1] + info

    def _renew(self, match: re.Match[bytes]) -> bytes:
        before, alt, qual, filters = match.groups()
        alt = _OLD_ALLELE.sub(rb"<\1>", alt)
        columns = [alt, b"." if qual in (b"-1", b"-1.0") else qual, b"PASS" if filters == b"0" else filters]
        renewed = before + b"\t".join(columns)
        self.changed[PLAIN] += renewed != match[0]
        return renewed
