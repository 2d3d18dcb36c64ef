"""Reads the user's file as lines: plain, gzip or BGZF, with limits, so that none can exhaust the machine."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from .errors import AnnotationError

BLOCK = 2 << 20
MAX_LINE = 8 << 20  # 500,000 genotypes with depths fit
MAX_HEADER = 16 << 20
MAX_TEXT = 100 << 30
MAX_RATIO = 400  # genotype columns of thousands of samples reach 100-200; a bomb reaches 1,000
RATIO_FROM = 64 << 20  # a small file may be as repetitive as it likes

BGZF_EOF = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
BOM = b"\xef\xbb\xbf"

# (first bytes, what such a file is, how to mend it)
FOREIGN = [
    (b"PK\x03\x04", "a ZIP archive", "Unpack it and send the VCF file inside"),
    (b"BZh", "a bzip2 file", "Unpack it: bunzip2 -k FILE"),
    (b"\xfd7zXZ", "an xz file", "Unpack it: unxz -k FILE"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file", "Unpack it: unzstd FILE"),
    (b"BCF", "a BCF file", "Convert it: bcftools view -Oz -o out.vcf.gz FILE"),
    (b"BAM\x01", "a BAM file", "Call variants from it first; GAS annotates VCF files"),
    (b"CRAM", "a CRAM file", "Call variants from it first; GAS annotates VCF files"),
    (b"\xff\xfe", "UTF-16 text", "Save it as UTF-8 text: iconv -f UTF-16 -t UTF-8 FILE > out.vcf"),
    (b"\xfe\xff", "UTF-16 text", "Save it as UTF-8 text: iconv -f UTF-16 -t UTF-8 FILE > out.vcf"),
]


class Lines:
    """The lines of one file, in blocks. `bom` and `crlf` tell what was mended on the way."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bom = self.crlf = False
        try:
            with path.open("rb") as file:
                start = file.read(18)
                self.size = file.seek(0, 2)
                file.seek(max(0, self.size - len(BGZF_EOF)))
                end = file.read()
        except OSError as error:
            reason = error.strerror or str(error)
            raise AnnotationError("unreadable", f"The input file cannot be read: {reason}.") from error
        if not self.size:
            raise AnnotationError("empty_file", "The file is empty; a VCF file was expected.")
        self.compression = _compression(start)
        if self.compression == "BGZF" and end != BGZF_EOF:
            raise _truncated("its BGZF end-of-file block is missing")

    def blocks(self) -> Iterator[list[bytes]]:
        """Lists of whole lines without their ends. Raises AnnotationError on damage and on every limit."""
        tail, number = b"", 1
        with self.path.open("rb") as raw:
            for block in self._text(raw):
                if b"\0" in block:
                    number += block[: block.index(b"\0")].count(b"\n")
                    raise AnnotationError("not_vcf", f"Line {number} has a NUL byte: this is not VCF text.")
                lines = (tail + block).split(b"\n")
                tail = lines.pop()
                if len(tail) > MAX_LINE or (lines and len(lines[0]) > MAX_LINE):
                    line = number if len(lines) == 0 or len(lines[0]) > MAX_LINE else number + len(lines)
                    raise AnnotationError(
                        "line_too_long",
                        f"Line {line} is longer than {MAX_LINE >> 20} MiB, the longest that is read.",
                    )
                number += len(lines)
                yield self._without_cr(lines)
        if tail:
            yield self._without_cr([tail])

    def _text(self, raw: IO[bytes]) -> Iterator[bytes]:
        text = raw if self.compression == "plain" else gzip.GzipFile(fileobj=raw)
        total = 0
        try:
            while block := text.read(BLOCK):
                if not total:
                    block = self._without_bom(block)
                total += len(block)
                if total > MAX_TEXT or (total > RATIO_FROM and total > MAX_RATIO * raw.tell()):
                    raise AnnotationError(
                        "bomb",
                        f"The file decompresses to more than {total >> 20} MiB from {raw.tell() >> 10} KiB; "
                        f"at most {MAX_TEXT >> 30} GiB and {MAX_RATIO} bytes per compressed byte are taken.",
                    )
                yield block
        except EOFError as error:
            raise _truncated("the compressed data stops before its end") from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise AnnotationError(
                "corrupt",
                "The compressed data is damaged. Check it with: gzip -t FILE; "
                "then compress the original again with bgzip, or transfer it again.",
            ) from error
        except OSError as error:
            raise AnnotationError("unreadable", f"The input file cannot be read: {error.strerror}.") from error

    def _without_bom(self, block: bytes) -> bytes:
        for magic, what, mend in FOREIGN:
            if block.startswith(magic):
                raise AnnotationError("not_vcf", f"The file is {what}, not VCF text. {mend}.")
        if b"\r" in block and b"\n" not in block:
            mend = "Turn CR line ends into LF with: tr '\\r' '\\n' < FILE > out.vcf"
            raise AnnotationError("not_vcf", f"The lines of the file end with CR alone. {mend}")
        self.bom = block.startswith(BOM)
        return block.removeprefix(BOM)

    def _without_cr(self, lines: list[bytes]) -> list[bytes]:
        if not any(line.endswith(b"\r") for line in lines):
            return lines
        self.crlf = True
        return [line.removesuffix(b"\r") for line in lines]


def _compression(start: bytes) -> str:
    if not start.startswith(b"\x1f\x8b"):
        return "plain"
    return "BGZF" if start[3:4] == b"\x04" and start[12:14] == b"BC" else "gzip"


def _truncated(how: str) -> AnnotationError:
    return AnnotationError(
        "truncated",
        f"The compressed file is cut short: {how}. The transfer probably stopped early: send the file again, "
        "or compress the original again with: bgzip FILE.vcf",
    )
