"""What can be said of a file before it is annotated: its name, its size against the plan, its first bytes."""

import unicodedata
import zipfile
import zlib
from pathlib import PurePosixPath

from django.template.defaultfilters import filesizeformat

from accounts.models import Plan
from jobs.refusals import Refused

ACCEPTED = (".vcf", ".vcf.gz", ".vcf.bgz", ".zip")
SUFFIXES = (*ACCEPTED, ".vcf.zip")  # what a stem is without
HEAD_BYTES = 65_536  # one BGZF block at least
MOST_TOLD = 2**63 - 1  # bytes; of a number of a thousand digits, which a program can send, nothing can be told
LONGEST_NAME = 200  # bytes of UTF-8; file systems take 255


def clean_file_name(name: str) -> str:
    """The last component of `name` in NFC without control characters. Raises Refused unless it is named like a VCF file."""
    last = PurePosixPath(unicodedata.normalize("NFC", name).replace("\\", "/")).name
    cleaned = "".join(c for c in last if unicodedata.category(c)[0] != "C").strip()
    suffix = next((s for s in sorted(SUFFIXES, key=len, reverse=True) if cleaned.lower().endswith(s)), None)
    if suffix is None or not cleaned[: -len(suffix)].strip("."):
        raise Refused(
            "file_name",
            "This is not a VCF file by its name",
            f"The file is called “{cleaned[:LONGEST_NAME]}”; GAS takes files that end in {', '.join(ACCEPTED)}.",
            "If it is a VCF file, give it such a name.",
        )
    stem = cleaned[: -len(suffix)].encode()[: LONGEST_NAME - len(suffix)].decode(errors="ignore")
    return stem + cleaned[-len(suffix) :]


def check_size(size: int, plan: Plan) -> None:
    """Raises Refused when `size` bytes are none, or more than the plan allows."""
    if size <= 0:
        raise Refused("empty_file", "The file is empty", "It has 0 bytes.", "Choose the file again, or write it anew.")
    if not plan.allows(size):
        size = min(size, MOST_TOLD)
        raise Refused(
            "too_large",
            "The file is too large for your plan",
            f"It has {size:,} bytes ({filesizeformat(size)}); the {plan.name} plan takes up to {plan.upload_limit:,} bytes "
            f"({filesizeformat(plan.upload_limit)}).",
            "Compress it with bgzip, split it by chromosome"
            + (", or upgrade to Premium." if plan.max_upload_bytes else "."),
            upgrade=plan.max_upload_bytes is not None,
            status=413,
        )


def check_head(head: bytes) -> None:
    """Raises Refused unless `head`, the first HEAD_BYTES of a file, begins a VCF: plain, gzip, BGZF, or first in a ZIP."""
    text = _zip_text(head)
    if text is None:
        return  # what is behind the first entry only the annotator sees
    if text[:2] == b"\x1f\x8b" and text is head:
        try:
            text = zlib.decompressobj(wbits=31).decompress(head, 4096)
        except zlib.error:
            raise Refused(
                "bad_gzip",
                "The file cannot be decompressed",
                "It begins like a gzip file, but what follows is not gzip data.",
                "Check it with: gzip -t FILE",
            ) from None
    if text.removeprefix(b"\xef\xbb\xbf")[:17] != b"##fileformat=VCFv"[:17]:
        raise Refused(
            "not_vcf",
            "This is not a VCF file",
            f"Its first line should begin with ##fileformat=VCF, but begins with “{_printable(text)}”.",
            "Upload a VCF file, plain, compressed with bgzip or gzip, or alone in a ZIP archive.",
        )


def _zip_text(head: bytes) -> bytes | None:
    """How the first file of a ZIP archive begins; `head` itself when it is none; None when it cannot be told from here.

    Local file header: APPNOTE.TXT 4.3.7.
    """
    if head[:4] != b"PK\x03\x04" or len(head) < 30:
        return head
    flags, method, name_length, extra_length = (int.from_bytes(head[at : at + 2], "little") for at in (6, 8, 26, 28))
    name, data = head[30 : 30 + name_length], head[30 + name_length + extra_length :]
    clutter = name.endswith((b"/", b".DS_Store")) or name.startswith(b"__MACOSX")
    if clutter or flags & 1 or method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return None
    if method == zipfile.ZIP_STORED:
        return data
    try:
        return zlib.decompressobj(wbits=-15).decompress(data, 4096)
    except zlib.error:
        raise Refused(
            "bad_zip",
            "The file cannot be decompressed",
            "It begins like a ZIP archive, but what follows cannot be unpacked.",
            "Check it with: unzip -t FILE",
        ) from None


def _printable(text: bytes) -> str:
    first = text.split(b"\n", 1)[0][:24].decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "·" for c in first)
