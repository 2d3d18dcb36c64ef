"""Lists, installs, builds, verifies and removes references, without Django."""

import argparse
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

from jobs.annotation.errors import AnnotationError

from . import chains, default, installed, load, root
from .build import build
from .declaration import FILE_NAME
from .install import add_install, run_install
from .upkeep import remove, verify


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; 0 when all is well. What is wrong goes to stderr, in sentences."""
    options = _parser().parse_args(arguments)
    commands: dict[str, Callable[[argparse.Namespace], int]] = {
        "list": _list,
        "install": run_install,
        "build": _build,
        "chain": _chain,
        "verify": _verify,
        "remove": _remove,
        "install-default": _install_default,
    }
    try:
        return commands[options.command](options)
    except AnnotationError as error:
        sys.stderr.write("\n".join(error.faults) + "\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m jobs.annotation.reference", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="name, version and description of what is installed")
    add_install(commands)
    command = commands.add_parser("build", help="build a reference from local files")
    command.add_argument("folder", type=Path, metavar="DIR", help=f"the folder of its {FILE_NAME} and files")
    command = commands.add_parser("chain", help="add a chain file, along which files of another build are lifted over")
    command.add_argument("file", type=Path, metavar="FILE", help="a UCSC chain file, plain or gzip")
    command.add_argument("--to", required=True, metavar="NAME", help="the installed reference that it leads to")
    command.add_argument(
        "--from", dest="build", metavar="BUILD", help="such as GRCh37 (default: what its lengths tell)"
    )
    command = commands.add_parser("verify", help="compare the files of a reference with their digests")
    command.add_argument("name", nargs="?", metavar="NAME", help="one reference; all when left out")
    command = commands.add_parser("remove", help="remove a reference")
    command.add_argument("name", metavar="NAME")
    command = commands.add_parser("install-default", help="build rCRS and GRCh38; safe to run again")
    command.add_argument("--node-modules", type=Path, default=default.NODE_MODULES, metavar="DIR")
    return parser


def _say(sentence: str) -> None:
    sys.stdout.write(sentence + "\n")
    sys.stdout.flush()


def _list(_options: argparse.Namespace) -> int:
    for name in installed():
        current = root() / name / "current"
        facts = tomllib.loads((current / FILE_NAME).read_text())
        _say(f"{name}\t{current.resolve().name}\t{facts.get('description', '')}")
        for chain in chains.installed(load(name)).values():
            _say(f"\t\tlifts over from {chain.build}, along {chain.name}")
    return 0


def _build(options: argparse.Namespace) -> int:
    _say(f"Built: {build(options.folder, root(), _say)}")
    return 0


def _chain(options: argparse.Namespace) -> int:
    added = chains.add(load(options.to), options.file, options.build)
    _say(f"Files of {added.build} can be lifted over to {options.to}, along {added.name}.")
    return 0


def _verify(options: argparse.Namespace) -> int:
    names = [options.name] if options.name else installed()
    faults = {name: verify(name, root()) for name in names}
    for name, found in faults.items():
        _say("\n".join(found) if found else f"{name}: all files are as built.")
    return int(any(faults.values()))


def _remove(options: argparse.Namespace) -> int:
    remove(options.name, root())
    _say(f"Removed the reference {options.name}.")
    return 0


def _install_default(options: argparse.Namespace) -> int:
    made = default.install(root(), options.node_modules, default.CACHE, _say)
    _say(f"Installed in {root()}: {', '.join(made)}." if made else f"Up to date: {root()}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
