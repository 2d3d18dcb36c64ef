"""annotate(): from the user's file to the annotated file, its index, the count log and summary.json.

Two passes over the input. The first (scan.py) finds every fault before anything is written. The second
(annotator.py) takes the file block by block, asks csq about each, and joins the answers to the user's bytes.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from . import references
from .annotator import Annotator, Tally
from .errors import AnnotationError, from_os_error
from .header import split_header
from .lines import Lines
from .output import BgzfWriter, index
from .provenance import annotated_header, replaced_info
from .references import Reference
from .scan import Scan, scan
from .sorting import sorted_blocks
from .summary import Summary, summarise

SUFFIXES = (".vcf.gz", ".vcf.bgz", ".vcf", ".gz", ".bgz")

Progress = Callable[[int, int], None]


def annotate(
    input_path: Path | str,
    output_dir: Path | str,
    *,
    reference: str | None = None,
    stem: str | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Annotates a VCF file: `<stem>.annot.vcf.gz`, its `.tbi`, `<stem>.vcf.count.log` and `summary.json`.

    `progress(done, total)` counts records, a few times a second; while the file is first read, done is 0 and
    total grows. Raises AnnotationError, after which output_dir has no file of ours. It forks for csq: in a
    process of several threads use ForkServer.
    """
    input_path, output_dir = Path(input_path), Path(output_dir)
    stem = stem or default_stem(input_path)
    report = _Throttle(progress)
    lines = Lines(input_path)
    chosen = references.load(reference)
    header, blocks = split_header(lines.blocks())
    found = scan(header, blocks, chosen, lambda records: report(0, records))
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".annotate-", dir=output_dir) as folder:
            result = Path(folder, f"{stem}.annot.vcf.gz")
            tally = _write_records(result, lines, found, chosen, report)
            summary = summarise(lines, found, tally, chosen, written=index(result))
            _check_receipt(summary)
            result.with_name(f"{stem}.vcf.count.log").write_text(summary.count_log(), encoding="utf-8")
            result.with_name("summary.json").write_text(summary.as_json(), encoding="utf-8")
            for path in Path(folder).iterdir():
                path.replace(output_dir / path.name)
    except OSError as error:
        raise from_os_error(error, "the results") from error
    return summary


def default_stem(input_path: Path) -> str:
    """The file name without .vcf, .vcf.gz, .vcf.bgz, .gz or .bgz."""
    name = input_path.name
    suffix = next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)] or name


def _write_records(
    result: Path,
    lines: Lines,
    found: Scan,
    reference: Reference,
    report: "_Throttle",
) -> Tally:
    with tempfile.TemporaryDirectory(dir=result.parent) as work, BgzfWriter(result) as out:
        _, blocks = split_header(lines.blocks())
        if not found.sorted:
            ranks = {contig: rank for rank, contig in enumerate(found.contigs)}
            blocks = sorted_blocks(blocks, ranks, Path(work))
        annotator = Annotator(reference, replaced_info(found), Path(work))
        out.write(annotated_header(found, reference))
        for block in blocks:
            out.write(annotator.block(block))
            report(annotator.tally.records, found.records)
    return annotator.tally


def _check_receipt(summary: Summary) -> None:
    if summary.written != summary.records:
        counts = f"{summary.records:,} records were read and {summary.written:,} written"
        raise AnnotationError("engine_failed", f"The receipt does not add up: {counts}.")


class _Throttle:
    """Passes on progress four times a second at most, and the end always."""

    def __init__(self, progress: Progress | None) -> None:
        self.progress, self.next = progress, 0.0

    def __call__(self, done: int, total: int) -> None:
        if self.progress and (done == total or time.monotonic() >= self.next):
            self.next = time.monotonic() + 0.25
            self.progress(done, total)
