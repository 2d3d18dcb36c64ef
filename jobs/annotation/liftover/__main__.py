"""Lifts a VCF file over to an installed reference: a sorted VCF file, and a table of the records that do not lift.

Exit code 0, or 1 and one sentence for each fault on standard error.
"""

import argparse
import gzip
import sys
import tempfile
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from jobs.annotation.block import parse
from jobs.annotation.engine import SKIPPED_HEADER
from jobs.annotation.errors import AnnotationError, from_os_error
from jobs.annotation.header import Header, split_header
from jobs.annotation.lines import Lines
from jobs.annotation.older import OlderRecords
from jobs.annotation.output import BgzfWriter, append_members, index
from jobs.annotation.provenance import whole_header
from jobs.annotation.scan import Piece, Scan

from .alleles import REASONS
from .files import AS_HEADER, LiftOver, lift_over


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="liftover", description=__doc__)
    parser.add_argument("input", type=Path, help="a VCF file: plain, gzip, BGZF or the one file in a ZIP")
    parser.add_argument("output", type=Path, help="the lifted file, with an index when it ends with .vcf.gz, else .vcf")
    parser.add_argument("--to", required=True, metavar="NAME", help="an installed reference that has its sequence")
    parser.add_argument(
        "--from",
        dest="build",
        default=AS_HEADER,
        metavar="BUILD",
        help="what the file was made against, such as NCBI36 or hg19 (default: what its header tells)",
    )
    asked = parser.parse_args(arguments)
    if not asked.output.name.endswith((".vcf", ".vcf.gz")):
        parser.error("the name of the lifted file must end with .vcf or .vcf.gz")
    try:
        done = lift_file(asked.input, asked.output, asked.to, asked.build)
    except AnnotationError as error:
        sys.stderr.write("".join(f"{fault}\n" for fault in error.faults))
        return 1
    sys.stdout.write(_report(done, unlifted_path(asked.output)))
    return 0


def lift_file(source: Path, output: Path, to: str, build: str = AS_HEADER) -> LiftOver:
    """Writes `output` (BGZF with its index when it ends with .gz) and `unlifted_path(output)`; what was counted.

    Raises AnnotationError, after which neither is there, or both as they were before.
    """
    header, texts = split_header(Lines(source).blocks())
    texts = map(OlderRecords(header.version).mended, texts)
    first = next(texts, b"") or next(texts, b"")
    lifting = lift_over(to, build, header, first)
    rejects = unlifted_path(output)
    try:
        with tempfile.TemporaryDirectory(prefix=".liftover-", dir=output.parent) as folder:
            work = Path(folder)
            with (work / rejects.name).open("w", encoding="utf-8") as left_out:
                left_out.write(SKIPPED_HEADER)
                found = _write(work / "body", lifting.texts(chain([first], texts), left_out, work), lifting.header)
            written = _join(work / output.name, whole_header(found, lifting.reference, ()), work / "body")
            if lifting.records != written + lifting.left_out:
                counts = f"{lifting.records:,} records were read, {written:,} lifted and {lifting.left_out:,} not"
                raise AnnotationError("engine_failed", f"The receipt does not add up: {counts}.")
            for path in (*work.glob(f"{output.name}*"), work / rejects.name):
                path.replace(output.parent / path.name)
    except OSError as error:
        raise from_os_error(error, output.name) from error
    return lifting


def unlifted_path(output: Path) -> Path:
    """Where the records go that do not lift: x.unlifted.tsv beside x.vcf or x.vcf.gz."""
    return output.with_name(output.name.removesuffix(".gz").removesuffix(".vcf") + ".unlifted.tsv")


def _write(body: Path, texts: Iterable[bytes], header: Header) -> Scan:
    """Writes the records, and finds out what they use that the header must declare."""
    found = Scan(header)
    with BgzfWriter(body, "the lifted records") as out:
        for text in texts:
            found.add(Piece.of(parse(text, 0, header.width)))
            out.write(text)
    return found


def _join(output: Path, header: bytes, body: Path) -> int:
    """Header and records in one file; the number of records in it."""
    if output.suffix == ".gz":
        with BgzfWriter(output, output.name) as out:
            out.write(header)
        append_members(output, body)
        return index(output)
    count = 0
    with output.open("wb") as plain, gzip.open(body) as records:
        plain.write(header)
        for record in records:
            plain.write(record)
            count += 1
    return count


def _report(done: LiftOver, rejects: Path) -> str:
    lines = [
        f"Lifted over from {done.chain_file.build} to {done.reference.name} along {done.chain_file.name}: {done.lifted}",
        f"  on the other strand: {done.flipped}",
        f"Not lifted, see {rejects.name}: {done.left_out}",
        *(f"  {REASONS[reason]}: {count}" for reason, count in done.not_lifted.most_common()),
        *([f"  the record cannot be read: {done.unreadable}"] if done.unreadable else []),
        f"Receipt: {done.records} records read, {done.lifted} lifted, {done.left_out} not lifted",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
