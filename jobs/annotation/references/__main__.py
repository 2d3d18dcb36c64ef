"""`python -m jobs.annotation.references install`: builds the default reference unless it is up to date."""

import argparse
import sys
from pathlib import Path

from jobs.annotation.errors import AnnotationError

from . import CHECKOUT, rcrs, root


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m jobs.annotation.references", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    install = commands.add_parser("install", help="build the reference rCRS; safe to run again")
    install.add_argument("--node-modules", type=Path, default=CHECKOUT / "node_modules", metavar="DIR")
    arguments = parser.parse_args()
    folder = root() / rcrs.NAME
    try:
        built = rcrs.install(folder, arguments.node_modules, CHECKOUT / "var" / "cache")
    except AnnotationError as error:
        sys.stderr.write("\n".join(error.faults) + "\n")
        return 1
    sys.stdout.write(f"Reference {rcrs.NAME} {'installed' if built else 'is up to date'}: {folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
