"""Reads the user's file as lines: plain, gzip, BGZF or ZIP, with limits, so that none can exhaust the machine."""

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from .errors import AnnotationError, quoted

BLOCK = 1 << 20  # larger ones are no faster; what is filled in makes each up to twenty times as long
MAX_DIRECTORY = 4 << 20  # bytes, of a ZIP archive
MAX_LINE = 8 << 20  # 500,000 genotypes with depths fit
MAX_HEADER = 16 << 20
MAX_TEXT = 100 << 30
MAX_RATIO = 400  # genotype columns of thousands of samples reach 100-200; a bomb reaches 1,000
RATIO_FROM = 64 << 20  # a small file may be as repetitive as it likes

BGZF_EOF = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
BOM = b"\xef\xbb\xbf"
ZIP_METHODS = {9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "xz"}  # APPNOTE.TXT 4.4.5

# (first bytes, what such a file is, how to mend it)
FOREIGN = [
    (b"PK\x03\x04", "a ZIP archive", "Unpack it and send the VCF file inside"),
    (b"\x1f\x8b", "a gzip file inside a compressed file", "Unpack the outer one and send the file inside"),
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
        self.share = 0.0  # of the file that has been read
        try:
            with path.open("rb") as file:
                start = file.read(30)
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
        if self.compression == "ZIP":
            with _ZipSource(path) as source, _zip_member(source):
                pass  # what cannot be read is told at once

    def blocks(self) -> Iterator[bytes]:
        """Texts of whole lines, each ended by LF. Raises AnnotationError on damage and on every limit."""
        tail, number = b"", 1
        with self._raw() as raw:
            for block in self._text(raw):
                if b"\0" in block:
                    number += (tail + block[: block.index(b"\0")]).count(b"\n")
                    raise AnnotationError("not_vcf", f"Line {number} has a NUL byte: this is not VCF text.")
                end = block.rfind(b"\n") + 1
                text, tail = (tail + block[:end], block[end:]) if end else (b"", tail + block)
                # only a line that began in an earlier block can be too long: blocks are shorter than MAX_LINE
                if len(tail) > MAX_LINE or text.find(b"\n") > MAX_LINE:
                    line = number if not text or text.find(b"\n") > MAX_LINE else number + text.count(b"\n")
                    raise AnnotationError(
                        "line_too_long",
                        f"Line {line} is longer than {MAX_LINE >> 20} MiB, the longest that is read.",
                    )
                number += text.count(b"\n")
                if text:
                    yield self._without_cr(text)
        if tail:
            yield self._without_cr(tail + b"\n")

    def _text(self, raw: IO[bytes]) -> Iterator[bytes]:
        total = 0
        try:
            text = self._uncompressed(raw)
            while block := text.read(BLOCK):
                if not total:
                    block = self._without_bom(block)
                total += len(block)
                self.share = raw.tell() / self.size
                if total > MAX_TEXT or (total > RATIO_FROM and total > MAX_RATIO * raw.tell()):
                    raise AnnotationError(
                        "bomb",
                        f"The file decompresses to more than {total >> 20} MiB from {raw.tell() >> 10} KiB; "
                        f"at most {MAX_TEXT >> 30} GiB and {MAX_RATIO} bytes per compressed byte are taken.",
                    )
                yield block
        except EOFError as error:
            raise _truncated("the compressed data stops before its end") from error
        except (gzip.BadGzipFile, zipfile.BadZipFile, zlib.error) as error:
            raise _damaged("unzip" if self.compression == "ZIP" else "gzip") from error
        except OSError as error:
            raise AnnotationError("unreadable", f"The input file cannot be read: {error.strerror}.") from error

    def _raw(self) -> IO[bytes]:
        return _ZipSource(self.path) if self.compression == "ZIP" else self.path.open("rb")

    def _uncompressed(self, raw: IO[bytes]) -> IO[bytes] | gzip.GzipFile:
        if self.compression == "plain":
            return raw
        return _zip_member(raw) if self.compression == "ZIP" else gzip.GzipFile(fileobj=raw)

    def _without_bom(self, block: bytes) -> bytes:
        for magic, what, mend in FOREIGN:
            if block.startswith(magic):
                file = "The file inside the ZIP archive" if self.compression == "ZIP" else "The file"
                raise AnnotationError("not_vcf", f"{file} is {what}, not VCF text. {mend}.")
        if b"\r" in block and b"\n" not in block:
            mend = "Turn CR line ends into LF with: tr '\\r' '\\n' < FILE > out.vcf"
            raise AnnotationError("not_vcf", f"The lines of the file end with CR alone. {mend}")
        self.bom = block.startswith(BOM)
        return block.removeprefix(BOM)

    def _without_cr(self, text: bytes) -> bytes:
        if b"\r\n" not in text:
            return text
        self.crlf = True
        return text.replace(b"\r\n", b"\n")


class _ZipSource(io.FileIO):
    """A ZIP archive with a limit on its directory: zipfile reads it whole."""

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > MAX_DIRECTORY:
            raise AnnotationError("not_vcf", "The ZIP archive has thousands of entries; one VCF file was expected.")
        return super().read(-1 if size is None else size)


def _zip_member(source: IO[bytes]) -> IO[bytes]:
    """The one file of a ZIP archive, open for reading. Raises AnnotationError when there is not exactly one to read."""
    try:
        archive = zipfile.ZipFile(source)
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, ValueError, OSError) as error:
        # zipfile seeks to where a damaged directory says, and asks for versions that there never were
        raise _truncated("the directory at the end of the ZIP archive is missing or damaged") from error
    files = [info for info in archive.infolist() if not _is_clutter(info)]
    if len(files) != 1:
        found = f"{len(files)} files ({_names(files)})" if files else "no file"
        raise AnnotationError(
            "not_vcf", f"The ZIP archive holds {found}; one VCF file was expected. Send each VCF file on its own."
        )
    if files[0].flag_bits & 0x2041:  # encrypted, strongly encrypted, directory encrypted (APPNOTE.TXT 4.4.4)
        raise AnnotationError(
            "not_vcf", "The ZIP archive is encrypted with a password. Unpack it and send the VCF file inside."
        )
    if files[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # zipfile does not know Deflate64, and of bzip2 and LZMA it unpacks any amount at once
        method = ZIP_METHODS.get(files[0].compress_type, str(files[0].compress_type))
        raise AnnotationError(
            "not_vcf",
            f"The ZIP archive is packed by the method {method}; only stored and deflated files are read. "
            "Unpack it and send the VCF file inside, compressed with bgzip or gzip.",
        )
    try:
        return archive.open(files[0])
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, ValueError, OSError) as error:
        raise _damaged("unzip") from error


def _is_clutter(info: zipfile.ZipInfo) -> bool:
    """Folders, and what macOS adds."""
    parts = info.filename.split("/")
    return info.is_dir() or parts[0] == "__MACOSX" or parts[-1] == ".DS_Store"


def _names(files: list[zipfile.ZipInfo]) -> str:
    shown = [quoted(info.filename.encode(errors="replace")) for info in files[:3]]
    return ", ".join(shown + ["..."] * (len(files) > len(shown)))


def _compression(start: bytes) -> str:
    # a local file header with a name, or the directory of an empty archive
    if (start.startswith(b"PK\x03\x04") and any(start[26:28])) or start.startswith(b"PK\x05\x06"):
        return "ZIP"
    if not start.startswith(b"\x1f\x8b"):
        return "plain"
    return "BGZF" if start[3:4] == b"\x04" and start[12:14] == b"BC" else "gzip"


def _damaged(program: str) -> AnnotationError:
    check = f"Check it with: {program} -t FILE"
    again = "then compress the original again with bgzip, or transfer it again"
    return AnnotationError("corrupt", f"The compressed data is damaged. {check}; {again}.")


def _truncated(how: str) -> AnnotationError:
    return AnnotationError(
        "truncated",
        f"The compressed file is cut short: {how}. The transfer probably stopped early: send the file again, "
        "or compress the original again with: bgzip FILE.vcf",
    )
