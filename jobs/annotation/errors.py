"""The one exception of the engine, and how file content is quoted in its sentences."""

import errno

MAX_FAULTS = 10
MAX_QUOTED = 40


class AnnotationError(Exception):
    """The input cannot be annotated, or the engine could not do it.

    `code` is a stable word for programs, one of CODES; `faults` are whole sentences for the person who sent
    the file: what was found, where, what was expected and how to mend it.
    """

    def __init__(self, code: str, *faults: str) -> None:
        assert code in CODES, code
        super().__init__(code, *faults)
        self.code = code
        self.faults = list(faults)

    def __str__(self) -> str:
        return f"{self.code}: {' '.join(self.faults)}"


# What each code means; the last six concern a run in a process of its own.
CODES = {
    "empty_file": "the file has no bytes",
    "not_vcf": "the file is not VCF text",
    "bad_header": "the VCF header cannot be read",
    "no_records": "there is a header and no record",
    "bad_records": "some records are malformed",
    "line_too_long": "a line exceeds lines.MAX_LINE",
    "header_too_large": "the header exceeds lines.MAX_HEADER",
    "truncated": "the compressed file ends too early",
    "corrupt": "the compressed data is damaged",
    "bomb": "the file decompresses to more than we take",
    "wrong_build": "the file was made against another reference",
    "needs_lift_over": "the same, and a chain file is installed that leads from there to a reference",
    "unreadable": "the input cannot be opened or read",
    "command_missing": "the program of ANNOTATOR_COMMAND cannot be started",
    "command_failed": "the program of ANNOTATOR_COMMAND ended with an error",
    "command_result": "the program of ANNOTATOR_COMMAND left no result, or one that cannot be used",
    "reference_missing": "the reference is not installed or damaged",
    "output_unwritable": "the results cannot be written",
    "disk_full": "no space left for the results",
    "engine_failed": "bcftools or the engine itself failed; the file may be in order",
    "engine_crashed": "the process ended without a result; worth another try",
    "too_much_memory": "the memory limit was reached",
    "too_much_time": "the CPU or wall-clock limit was reached",
    "output_too_large": "the limit on the size of a result file was reached",
    "killed": "somebody ended the run",
}


def quoted(field: bytes) -> str:
    """The offending field for a message: printable ASCII only, at most 40 characters, in quotes that it cannot close."""
    text = "".join(chr(c) if 32 <= c < 127 and c != 39 else "?" for c in field[: MAX_QUOTED + 1])
    return f"'{text[:MAX_QUOTED]}...'" if len(text) > MAX_QUOTED else f"'{text}'"


def from_os_error(error: OSError, what: str) -> AnnotationError:
    """The AnnotationError that tells an OSError met while writing `what`."""
    code, reason = {
        errno.ENOSPC: ("disk_full", "there is no space left on the disk"),
        errno.EDQUOT: ("disk_full", "the disk quota is used up"),
        errno.ENOMEM: ("too_much_memory", "there is no memory left"),
        errno.EFBIG: ("output_too_large", "the file grew beyond the size allowed for a result"),
    }.get(error.errno or 0, ("output_unwritable", error.strerror or str(error)))
    return AnnotationError(code, f"Writing {what} failed: {reason}.")
