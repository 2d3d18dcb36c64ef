"""`python -m jobs.annotation INPUT --output-dir DIR`: annotates one VCF file.

Exit code 0 and five files in DIR, or 1 and one sentence for each fault on standard error.
"""

import argparse
import sys
from pathlib import Path

from .child import Request, run_alone


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m jobs.annotation", description=__doc__)
    parser.add_argument("input", type=Path, help="a VCF file: plain, gzip, BGZF or the one file in a ZIP")
    parser.add_argument("--output-dir", type=Path, required=True, help="where the results go; made when missing")
    parser.add_argument("--reference", help="name of an installed reference (default: as the file needs)")
    parser.add_argument(
        "--lift-from", metavar="BUILD", help="lift the records over from this build, such as hg18, first"
    )
    parser.add_argument("--stem", help="first part of the result names (default: that of INPUT)")
    parser.add_argument("--processes", type=int, default=1, help="how many blocks are annotated at a time (default 1)")
    asked = parser.parse_args(arguments)
    if asked.stem and Path(asked.stem).name != asked.stem:
        parser.error("--stem is a file name without a folder")
    paths = str(asked.input), str(asked.output_dir)
    outcome = run_alone(Request(*paths, asked.stem, asked.reference, asked.processes, asked.lift_from))
    sys.stderr.write("".join(f"{fault}\n" for fault in outcome.faults))
    return 0 if outcome.ok else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
