"""Values of source files as INFO holds them: percent-encoded after VCF 4.5 section 1.0.2, and after our contract."""

import re
from urllib.parse import unquote_to_bytes

_UNSAFE = re.compile(rb"[\x00-\x20\x7f%;,=]")


def encoded(value: bytes) -> bytes:
    """The value without what has a meaning in INFO: controls, space, percent, semicolon, comma, equals sign."""
    if not _UNSAFE.search(value):
        return value
    return _UNSAFE.sub(lambda match: b"%%%02X" % match[0][0], value)


def decoded(value: bytes) -> bytes:
    """The value of a percent-encoded attribute."""
    return unquote_to_bytes(value) if b"%" in value else value
