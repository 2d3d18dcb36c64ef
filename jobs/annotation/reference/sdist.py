"""Fetches a source distribution with pip, from the index that pip is set up for, without running its code.

pip asks the build backend of every sdist for its metadata, which would run setup.py. Without build isolation
the backend is imported from our path, where a stub answers with the name and version that we asked for.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from jobs.annotation.errors import AnnotationError

STUB_BACKEND = """
import pathlib
class __legacy__:
    @staticmethod
    def prepare_metadata_for_build_wheel(directory, config_settings=None):
        folder = pathlib.Path(directory, "{name}-{version}.dist-info")
        folder.mkdir()
        (folder / "METADATA").write_text("Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
        return folder.name
"""


def download(name: str, version: str, sha256: str, cache: Path) -> Path:
    """The path of the sdist in `cache`, downloaded when it is not there; its SHA-256 is checked."""
    sdist = cache / f"{name}-{version}.tar.gz"
    if not sdist.is_file() or hashlib.sha256(sdist.read_bytes()).hexdigest() != sha256:
        cache.mkdir(parents=True, exist_ok=True)
        sdist.unlink(missing_ok=True)
        with tempfile.TemporaryDirectory() as work:
            _pip_download(name, version, sha256, cache, Path(work))
    return sdist


def _pip_download(name: str, version: str, sha256: str, cache: Path, work: Path) -> None:
    (work / "setuptools").mkdir()
    (work / "setuptools" / "__init__.py").touch()
    (work / "setuptools" / "build_meta.py").write_text(STUB_BACKEND.format(name=name, version=version))
    (work / "requirements.txt").write_text(f"{name}=={version} --hash=sha256:{sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    command += ["--no-binary", name, "--use-pep517", "--no-build-isolation"]
    command += ["--dest", str(cache), "--requirement", str(work / "requirements.txt")]
    environment = {**os.environ, "PYTHONPATH": str(work)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        why = " ".join(line for line in done.stderr.splitlines() if line.startswith("ERROR"))
        raise AnnotationError("reference_missing", f"pip could not download {name} {version}. {why}")
