"""annotate(): from the user's file to the annotated file, its index, the count log, skipped.tsv and summary.json.

One pass over the input, block by block: each block is parsed, checked, annotated and compressed on its own, in this
process or in others. What was found is added up, and decides at the end whether there is a result; its header, which
declares all that the records use, is written then, before the blocks. Only a file that is not sorted is read again.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TextIO

from .annotator import Annotator
from .block import Block, Skipped, parse
from .choice import choose
from .csq import csq_server
from .errors import AnnotationError, from_os_error
from .haplotypes import ask
from .header import Header, split_header
from .liftover.files import LiftOver, lift_over
from .lines import BGZF_EOF, Lines
from .members import insert
from .noting import note
from .older import OlderRecords
from .output import BgzfWriter, append_members, index
from .provenance import annotated_header
from .reference import Reference
from .scan import Piece, Scan, check_lengths
from .sorting import sorted_texts
from .summary import Summary, summarise
from .tabix import Index, spans_of
from .workers import Text, in_order

SUFFIXES = (".vcf.gz", ".vcf.bgz", ".vcf", ".gz", ".bgz", ".zip")
SKIPPED_HEADER = "line\trecord\treason\n"

Progress = Callable[[int, int], None]


class _Unsorted(Exception):
    """The records are not sorted by contig and position."""


def annotate(  # noqa: PLR0913 - all but the first two are options
    input_path: Path | str,
    output_dir: Path | str,
    *,
    reference: str | None = None,
    lift_from: str | None = None,
    stem: str | None = None,
    progress: Progress | None = None,
    processes: int = 1,
) -> Summary:
    """Annotates a VCF file: `<stem>.annot.vcf.gz`, its `.tbi`, `<stem>.vcf.count.log`, `skipped.tsv`, `summary.json`.

    With `lift_from`, a build or "header" (the one that the header tells), its records are lifted over first.
    `progress(done, total)` counts records, a few times a second; total is an estimate until the end. Raises
    AnnotationError, after which output_dir has no file of ours. It forks for csq, and for more than one process: in a
    process of several threads use ForkServer.
    """
    input_path, output_dir = Path(input_path), Path(output_dir)
    stem = stem or default_stem(input_path)
    lines = Lines(input_path)
    header, texts = split_header(lines.blocks())
    first = next(texts, b"") or next(texts, b"")
    lifting = lift_over(reference, lift_from, header, first) if lift_from else None
    chosen, notes = (lifting.reference, []) if lifting else choose(reference, header, first)
    made = not output_dir.exists()
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".annotate-", dir=output_dir) as folder:
            work = Path(folder, "work")
            work.mkdir()
            result = Path(folder, f"{stem}.annot.vcf.gz")
            run = _Run(lifting.header if lifting else header, chosen, work, processes, _Throttle(progress, lines))
            try:
                with csq_server():
                    if lifting:
                        found = run.annotate_lifted(lifting, chain([first], texts))
                    else:
                        found = run.annotate(_numbered(header.length + 1, chain([first], texts)))
            except _Unsorted:
                with csq_server():
                    found = run.annotate_sorted(_numbered(header.length + 1, split_header(lines.blocks())[1]))
            found.check(chosen)
            with BgzfWriter(result, "the results") as out:
                out.write(annotated_header(found, chosen))
            body_at = result.stat().st_size - len(BGZF_EOF)
            append_members(result, run.body)
            run.skipped.replace(Path(folder, "skipped.tsv"))
            shutil.rmtree(work)
            summary = summarise(lines, found, chosen, notes, written=run.write_index(result, body_at), lifting=lifting)
            _check_receipt(summary, run.lines - found.blank_lines)
            result.with_name(f"{stem}.vcf.count.log").write_text(summary.count_log(), encoding="utf-8")
            result.with_name("summary.json").write_text(summary.as_json(), encoding="utf-8")
            for path in Path(folder).iterdir():
                path.replace(output_dir / path.name)
    except OSError as error:
        raise from_os_error(error, "the results") from error
    finally:
        if made and output_dir.is_dir() and not any(output_dir.iterdir()):
            output_dir.rmdir()
    if progress:
        progress(summary.records, summary.records)
    return summary


def default_stem(input_path: Path) -> str:
    """The file name without .vcf, .vcf.gz, .vcf.bgz, .gz, .bgz or .zip."""
    name = input_path.name
    if name.lower().endswith(".zip"):
        name = name[:-4]
    suffix = next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)] or name


class _Run:
    """One pass over the records; `body` is their compressed text and `skipped` the table of those left out."""

    def __init__(self, header: Header, reference: Reference, work: Path, processes: int, report: "_Throttle") -> None:
        self.header, self.reference, self.work, self.report = header, reference, work, report
        self.processes = processes
        self.lines = 0
        self.older = OlderRecords(header.version)
        self.body, self.skipped = work / "body.gz", work / "skipped.tsv"
        self.index = Index()

    def annotate(self, texts: Iterable[Text]) -> Scan:
        """Annotates all blocks, in order. Raises _Unsorted."""
        found = Scan(self.header)
        self.index = Index()
        ends: list[int] = []
        parts = Path(tempfile.mkdtemp(dir=self.work))  # of this pass alone
        annotate = partial(annotate_text, self.reference, self.header.width, parts)
        with self.body.open("wb"), self.skipped.open("w", encoding="utf-8") as skipped:
            skipped.write(SKIPPED_HEADER)
            for part, piece in in_order(annotate, self._counted(texts), self.processes):
                check_lengths(self.header, (name for name, _ in piece.runs), self.reference)
                found.add(piece)
                if not found.sorted:
                    raise _Unsorted
                self.index.add(piece.written, piece.spans, ends[-1] if ends else 0)
                append_members(self.body, part)
                part.unlink()
                ends.append(self.body.stat().st_size - len(BGZF_EOF))
                self._write(skipped, piece.skipped)
                self.report(found.records)
        found.mends = self.older.sentences()
        self._add_haplotypes(found, parts, ends)
        return found

    def _add_haplotypes(self, found: Scan, parts: Path, ends: list[int]) -> None:
        """Puts GAS_HAPLOTYPE into records of the body, in which block n ends at byte `ends[n]`."""
        said = ask(self.reference, (noted(parts, number) for number in range(len(ends))), parts)
        if said.insertions:
            self.index.move(insert(self.body, ends, said.insertions))
        found.haplotypes, found.unanswered = len(said.insertions), said.unanswered

    def write_index(self, result: Path, body_at: int) -> int:
        """Writes the index of the result, in which the records start at byte `body_at`; how many there are."""
        if not self.index.whole:
            return index(result)
        self.index.write(result.with_name(result.name + ".tbi"), body_at)
        return self.index.records

    def _counted(self, texts: Iterable[Text]) -> Iterator[Text]:
        """The texts as VCF 4.3 has them; adds up their lines."""
        self.lines = 0
        self.older = OlderRecords(self.header.version)
        for text in texts:
            self.lines += text.text.count(b"\n")
            yield text._replace(text=self.older.mended(text.text))

    def annotate_sorted(self, texts: Iterable[Text]) -> Scan:
        """The same for records that are not sorted: sorts them first."""
        before = Scan(self.header)
        rows: list[Skipped] = []

        def blocks() -> Iterator[Block]:
            for text in texts:
                block = parse(text.text, text.line, self.header.width)
                before.skip(block.skipped)
                before.blank_lines += block.blank
                rows.extend(block.skipped)
                yield block

        found = self.annotate(_numbered(0, sorted_texts(blocks(), self.work)))
        self.lines += before.skipped + before.blank_lines
        found.skipped, found.faults, found.blank_lines = before.skipped, before.faults, before.blank_lines
        with self.skipped.open("a", encoding="utf-8") as skipped:
            self._write(skipped, rows)
        found.sorted = False
        if found.mismatch:
            found.mismatch.line = 0  # its line in the file is not known any more
        return found

    def annotate_lifted(self, lifting: LiftOver, texts: Iterable[bytes]) -> Scan:
        """The same for records of another build: lifts them over first, which sorts them."""
        rejects = self.work / "rejects.tsv"

        def lifted(file: TextIO) -> Iterator[bytes]:
            for text in lifting.texts(texts, file, self.work):
                self.report.total = lifting.lifted
                yield text

        with rejects.open("w", encoding="utf-8") as file:
            found = self.annotate(_numbered(0, lifted(file)))
        with self.skipped.open("ab") as skipped, rejects.open("rb") as rows:
            shutil.copyfileobj(rows, skipped)
        self.lines, found.blank_lines, found.skipped = lifting.lines, lifting.blank, lifting.left_out
        return found

    def _write(self, skipped: TextIO, rows: list[Skipped]) -> None:
        skipped.writelines(f"{row.line}\t{row.place}\t{row.reason}\n" for row in rows)


def annotate_text(reference: Reference, width: int, work: Path, text: Text) -> tuple[Path, Piece]:
    """Parses, annotates and compresses one block; in a file of its own, with what was found in it."""
    block = parse(text.text, text.line, width)
    piece = Piece.of(block)
    path = work / f"{text.number}.gz"
    with BgzfWriter(path, "the results") as out:
        if piece.sorted and len(block):
            with tempfile.TemporaryDirectory(dir=work) as folder:
                annotator = Annotator(reference, Path(folder))
                annotated = annotator.annotate(block)
            out.write(annotated)
            note(reference, block, text.number, annotated, noted(work, text.number))
            piece.tally, piece.mismatch = annotator.tally, annotator.mismatch
    if piece.sorted and len(block):
        piece.written, piece.spans = spans_of(block, annotated, out.sizes)
    return path, piece


def noted(work: Path, number: int) -> Path:
    """Where a block notes what haplotypes.ask() needs."""
    return work / f"{number}.haplotypes"


def _numbered(line: int, texts: Iterable[bytes]) -> Iterator[Text]:
    for number, text in enumerate(texts):
        yield Text(number, line, text)
        line += text.count(b"\n")


def _check_receipt(summary: Summary, read: int) -> None:
    """Every line that was read, but for blank ones, is in the result or among those skipped."""
    if not read == summary.records == summary.written + summary.skipped:
        counts = f"{read:,} records were read, {summary.written:,} written and {summary.skipped:,} skipped"
        raise AnnotationError("engine_failed", f"The receipt does not add up: {counts}.")


class _Throttle:
    """Passes on progress four times a second at most; the total is estimated from the share of the file that is read."""

    def __init__(self, progress: Progress | None, lines: Lines) -> None:
        self.progress, self.lines, self.next = progress, lines, 0.0
        self.total = 0  # where it is known

    def __call__(self, done: int) -> None:
        if self.progress and time.monotonic() >= self.next:
            self.next = time.monotonic() + 0.25
            self.progress(done, self.total or max(done, round(done / max(self.lines.share, 1e-9))))
