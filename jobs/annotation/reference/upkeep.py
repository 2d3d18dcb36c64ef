"""Looks after installed references: whether their files are as built, and removal."""

import fcntl
import shutil
import tomllib
from pathlib import Path

from jobs.annotation.errors import AnnotationError

from . import chains
from .build import sha256
from .declaration import FILE_NAME


def verify(name: str, root: Path) -> list[str]:
    """What is wrong with a reference, in sentences; nothing when its files are as built."""
    current = root / name / "current"
    try:
        facts = tomllib.loads((current / FILE_NAME).read_text())
        digests: dict[str, str] = facts["sha256"]
    except (OSError, ValueError, KeyError):
        return [f"The reference {name} is not installed, or its {FILE_NAME} is damaged."]
    faults = []
    if sha256(current / FILE_NAME)[:12] != current.resolve().name:
        faults.append(f"{name}: {FILE_NAME} was changed; its digest is not the name of its folder.")
    for file, expected in digests.items():
        if not (current / file).is_file():
            faults.append(f"{name}: {file} is missing.")
        elif sha256(current / file) != expected:
            faults.append(f"{name}: {file} was changed or is damaged; its SHA-256 differs.")
    return faults + chains.verify(name, root)


def remove(name: str, root: Path) -> None:
    """Removes a reference with all its versions. Raises AnnotationError when it is not there."""
    home = root / name
    if Path(name).name != name or not (home / "versions").is_dir():
        raise AnnotationError("reference_missing", f"The reference {name} is not installed.")
    with (home / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a build may be under way
        (home / "current").unlink(missing_ok=True)  # from here on nobody finds it
        shutil.rmtree(home)
