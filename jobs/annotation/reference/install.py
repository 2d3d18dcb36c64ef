"""Installs a reference from its public sources: fetches them, declares them and builds.

Which references there are, and where each file comes from, says sources.toml. The files stay in `<cache>/<name>/`,
together with the reference.toml that was built from, so that building again needs no network.
"""

import argparse
import fcntl
import shutil
import sys
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from jobs.annotation.errors import AnnotationError, from_os_error

from . import CHECKOUT, root, toml
from .build import build
from .fetch import FAILED, Fetched, download

SOURCES = Path(__file__).with_name("sources.toml")
LATEST = "latest"
FIRST_KEYS = ("name", "build", "description", "fasta", "promoter")  # of reference.toml, in this order
FETCH_KEYS = ("url", "sha256", "bytes", "built")  # of a source in the table, of no use to build
CHAIN = "chain-from-"  # before the build, the name of a chain file for --skip
GB = 1_000_000_000

Entry = dict[str, Any]
Told = Callable[[str, int, int], None]  # file name, bytes that are here, bytes of the whole


@dataclass(frozen=True)
class Part:
    """One file of a reference: its name for --skip, and its entry in the table."""

    name: str
    entry: Entry

    @property
    def file(self) -> str:
        """The name that it has in the source folder."""
        name = str(self.entry.get("file") or PurePosixPath(urlsplit(self.entry["url"]).path).name)
        if not name or Path(name).name != name:
            raise AnnotationError(FAILED, f"The file of {self.name} is a name without a folder, not '{name}'.")
        return name


def install(  # noqa: PLR0913 - all but the first four by name
    name: str,
    into: Path,
    cache: Path,
    sources: Path = SOURCES,
    *,
    skip: Iterable[str] = (),
    refresh: bool = False,
    told: Told | None = None,
    log: Callable[[str], None] | None = None,
) -> Path:
    """Fetches the sources of the reference into `cache` and builds it in the root `into`; the folder that was built.

    `skip` names parts that are not wanted: genome, genes, a track, or chain-from- with a build. With `refresh` the
    sources that are always the newest are fetched again. `told` hears of the fetching, `log` of the building. Raises
    AnnotationError, and then what was fetched so far stays for the next time.
    """
    declared = _declared(name, sources)
    parts = _wanted(declared, skip)
    folder = cache / name
    with _alone(folder):
        if refresh:
            _forget_latest(parts, folder)
        _require_space(parts, folder, into)
        fetched = [_fetch(part, folder, told) for part in parts]
        _write(folder / "reference.toml", _manifest(declared, parts, fetched))
        return build(folder, into, log)


def installable(sources: Path = SOURCES) -> dict[str, str]:
    """The references in the table: name to description."""
    return {entry["name"]: entry["description"] for entry in _table(sources)}


def add_install(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Adds `install NAME` to a command line; its parsed arguments have `run`, which takes them and gives an exit code.

    An AnnotationError goes to the caller.
    """
    parser = subparsers.add_parser(
        "install", help="fetch the public sources of a reference and build it", description=_help()
    )
    parser.add_argument("name", metavar="NAME", help="GRCh38 or GRCh37, or a name in the table of --sources")
    parser.add_argument(
        "--skip",
        action="append",
        default=[],
        metavar="PART",
        help="a part that is not wanted: genome, genes, a track such as dbSNP (28 GB) or chain-from-NCBI36; may be given again",
    )
    parser.add_argument("--refresh", action="store_true", help="fetch the sources anew that may have a newer version")
    parser.add_argument("--sources", type=Path, default=SOURCES, metavar="TOML", help="another table of sources")
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="where fetched files stay (default var/cache/reference)"
    )
    parser.set_defaults(run=run_install)
    return parser


def run_install(arguments: argparse.Namespace) -> int:
    """`install` of the command line."""
    cache = arguments.cache or CHECKOUT / "var" / "cache" / "reference"
    folder = install(
        arguments.name,
        root(),
        cache,
        arguments.sources,
        skip=arguments.skip,
        refresh=arguments.refresh,
        told=Printer(),
        log=_say,
    )
    _say(f"Reference {arguments.name} installed: {folder}")
    return 0


def _say(sentence: str) -> None:
    sys.stdout.write(sentence + "\n")
    sys.stdout.flush()


class Printer:
    """Writes the progress of each file to standard error: every second on a terminal, else at each tenth."""

    def __init__(self) -> None:
        self.live = sys.stderr.isatty()
        self.file = ""
        self.tenth = -1
        self.at = 0.0

    def __call__(self, file: str, done: int, total: int) -> None:
        if file != self.file:
            self.file, self.tenth, self.at = file, -1, 0.0
        tenth = 10 * done // total if total else 10
        due = time.monotonic() >= self.at + 1 if self.live else tenth > self.tenth
        if due or done == total:
            self.tenth, self.at = tenth, time.monotonic()
            end = "\r" if self.live and done < total else "\n"
            sys.stderr.write(f"{file}: {_size(done)} of {_size(total)}, {100 * done // max(total, 1)} %{end}")
            sys.stderr.flush()


def _help() -> str:
    lines = [f"{name}: {text}." for name, text in installable().items()]
    return "Fetches the public sources of a reference and builds it; goes on where it was stopped. " + " ".join(lines)


def _table(sources: Path) -> list[Entry]:
    """The references of a table, each with what is needed to fetch it; `build` checks the rest."""
    try:
        table = list(tomllib.loads(sources.read_text())["references"])
        for entry in table:
            missing = [f"{entry['name']} {key}" for key in ("build", "description", "contigs") if key not in entry]
            missing += [f"url of {part.name}" for part in _parts(entry) if "url" not in part.entry]
            if missing:
                raise ValueError(f"it lacks {', '.join(missing)}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise AnnotationError(FAILED, f"The table of sources {sources} cannot be read: {error}.") from error
    return table


def _declared(name: str, sources: Path) -> Entry:
    table = {entry["name"]: entry for entry in _table(sources)}
    if name not in table or Path(name).name != name:
        raise AnnotationError(
            FAILED,
            f"There are no sources for a reference '{name}'. There are for: {', '.join(sorted(table))}.",
            "A reference of your own files is made with: build DIR",
        )
    return table[name]


def _parts(declared: Entry) -> list[Part]:
    parts = [Part(key, declared[key]) for key in ("genome", "genes") if key in declared]
    parts += [Part(track["name"], track) for track in declared.get("tracks", ())]
    return parts + [Part(f"{CHAIN}{chain['from']}", chain) for chain in declared.get("chains", ())]


def _wanted(declared: Entry, skip: Iterable[str]) -> list[Part]:
    parts = _parts(declared)
    unwanted = {name.lower() for name in skip}
    unknown = unwanted - {part.name.lower() for part in parts}
    if unknown:
        raise AnnotationError(
            FAILED,
            f"{declared['name']} has no part {', '.join(sorted(unknown))}. "
            f"Its parts are: {', '.join(part.name for part in parts)}.",
        )
    without_genes = "genes" not in declared or "genes" in unwanted  # then nothing can be found by a gene's name
    return [
        part
        for part in parts
        if part.name.lower() not in unwanted and not (without_genes and part.entry.get("kind") == "gene")
    ]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Holds the folder, so that two installations do not write the same files."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise from_os_error(error, str(folder)) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise AnnotationError(FAILED, f"Another installation is at work in {folder}. Wait for its end.") from error
        yield


def _forget_latest(parts: list[Part], folder: Path) -> None:
    for part in parts:
        if part.entry.get("version") == LATEST:
            (folder / f"{part.file}.json").unlink(missing_ok=True)


def _require_space(parts: list[Part], folder: Path, into: Path) -> None:
    """Compares what the table says of sizes with the free space of the one or two disks concerned."""
    needed: dict[int, int] = {}
    places: dict[int, Path] = {}
    for place, key in ((folder, "bytes"), (_existing(into), "built")):
        device = place.stat().st_dev
        places.setdefault(device, place)
        for part in parts:
            here = _bytes_here(folder / part.file) if key == "bytes" else 0
            needed[device] = needed.get(device, 0) + max(int(part.entry.get(key, 0)) - here, 0)
    for device, place in places.items():
        free = shutil.disk_usage(place).free
        if needed.get(device, 0) > free:
            raise AnnotationError(
                "disk_full",
                f"The disk of {place} has {_size(free)} free, and the reference needs about {_size(needed[device])}.",
                f"The largest parts are {_largest(parts)}: leave out what you do not want with --skip.",
            )


def _existing(path: Path) -> Path:
    """The path or the nearest folder above it that is there."""
    return path if path.exists() else _existing(path.absolute().parent)


def _bytes_here(path: Path) -> int:
    """How much of a file has been fetched already."""
    for candidate in (path, path.with_name(path.name + ".part")):
        if candidate.exists():
            return candidate.stat().st_size
    return 0


def _largest(parts: list[Part]) -> str:
    sizes = sorted(
        ((part.entry.get("bytes", 0) + part.entry.get("built", 0), part.name) for part in parts), reverse=True
    )
    return ", ".join(f"{name} ({_size(size)})" for size, name in sizes[:3])


def _size(size: int) -> str:
    """Bytes for people, in decimal units."""
    for unit, scale in (("GB", GB), ("MB", GB // 1000), ("kB", 1000)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} bytes"


def _fetch(part: Part, folder: Path, told: Told | None) -> Fetched:
    def progress(done: int, total: int) -> None:
        if told:
            told(part.file, done, total)

    return download(part.entry["url"], folder / part.file, part.entry.get("sha256"), progress)


def _manifest(declared: Entry, parts: list[Part], fetched: list[Fetched]) -> str:
    """The reference.toml of the source folder: the declaration with files in place of addresses."""
    facts: Entry = {key: declared[key] for key in FIRST_KEYS if key in declared}
    tracks, chains, listed = [], [], []
    for part, got in zip(parts, fetched, strict=True):
        entry = {key: value for key, value in part.entry.items() if key not in FETCH_KEYS}
        entry |= {"file": part.file, "url": got.url, "version": _version(part.entry, got)}
        if part.name.startswith(CHAIN):
            chains.append(entry)
            continue
        listed.append(_source(part, entry, got))
        if part.name == "genome":
            facts["fasta"] = part.file
        elif part.name == "genes":
            facts["genes"] = entry
        else:
            tracks.append(entry)
    facts |= {"contigs": declared["contigs"], "tracks": tracks, "chains": chains, "sources": listed}
    return toml.dumps(facts)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise from_os_error(error, str(path)) from error


def _source(part: Part, entry: Entry, got: Fetched) -> Entry:
    return {
        "name": part.name if part.entry.get("source") in (None, part.name) else f"{entry['source']} ({part.name})",
        "version": entry["version"],
        "url": got.url,
        "sha256": got.sha256,
        "licence": entry.get("licence", ""),
    }


def _version(entry: Entry, got: Fetched) -> str:
    """The version in the table; of a source that is always the newest, the day of the file or of its fetching."""
    version = str(entry.get("version", LATEST))
    if version != LATEST:
        return version
    try:
        return parsedate_to_datetime(got.modified).date().isoformat()
    except ValueError:
        return got.fetched[:10]
