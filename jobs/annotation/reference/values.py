"""Values of source files as INFO holds them: percent-encoded after VCF 4.5 section 1.0.2, and after our contract."""

import re
from urllib.parse import unquote_to_bytes

_SHARE = re.compile(rb"[0-9]+(?:\.[0-9]*)?(?:[eE]-?[0-9]+)?|\.[0-9]+")
_UNSAFE = re.compile(rb"[\x00-\x20\x7f%;,=]")


def encoded(value: bytes) -> bytes:
    """The value without what has a meaning in INFO: controls, space, percent, semicolon, comma, equals sign."""
    if not _UNSAFE.search(value):
        return value
    return _UNSAFE.sub(lambda match: b"%%%02X" % match[0][0], value)


def decoded(value: bytes) -> bytes:
    """The value of a percent-encoded attribute."""
    return unquote_to_bytes(value) if b"%" in value else value


def frequencies(value: bytes, populations: tuple[bytes, ...], number: int) -> tuple[bytes, bytes, bytes]:
    """From `study:REF,ALT,ALT|study:...` (dbSNP's FREQ), of the first population that has one for this ALT (from 0):

    its frequency; the second largest of the record, which dbSNP calls that of the minor allele; the population's name.
    They are empty when none of them has one.
    """
    value = b"|" + value
    for population in populations:
        if (at := value.find(b"|%b:" % population)) >= 0:
            shares = value[at + len(population) + 2 :].partition(b"|")[0].split(b",")
            if number + 1 < len(shares) and _SHARE.fullmatch(shares[number + 1]):
                minor = sorted(filter(_SHARE.fullmatch, shares), key=float)[-2:][0]
                return shares[number + 1], minor, encoded(population)
    return b"", b"", b""
