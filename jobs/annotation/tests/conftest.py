"""Small VCF files made on the spot, the installed reference, and the real samples where they are."""

import os
import subprocess
import sys
from pathlib import Path

import pysam
import pytest

from jobs.annotation import annotate, reference
from jobs.annotation.reference.build import build
from jobs.annotation.tests import made_genome
from jobs.annotation.tests.download_site import serving

HEADER = "##fileformat=VCFv4.2\n"
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"


@pytest.fixture(scope="session")
def default_references():
    """The root of the default references, as `make setup` installs them."""
    command = [sys.executable, "-m", "jobs.annotation.reference", "install-default"]
    subprocess.run(command, cwd=reference.CHECKOUT, check=True)
    return reference.root()


@pytest.fixture(scope="session")
def _rcrs(default_references, tmp_path_factory):
    root = tmp_path_factory.mktemp("reference")
    (root / "rCRS").symlink_to(default_references / "rCRS")
    return root


@pytest.fixture(autouse=True)
def _only_rcrs(_rcrs, monkeypatch):
    """Only rCRS is there, unless a test asks for `all_references`."""
    monkeypatch.setenv("GAS_REFERENCE_DIR", str(_rcrs))


@pytest.fixture
def all_references(_only_rcrs, default_references, monkeypatch):
    """All default references are there."""
    monkeypatch.setenv("GAS_REFERENCE_DIR", str(default_references))


@pytest.fixture(scope="session")
def _made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    genome = made_genome.make(folder / "source")
    build(genome.folder, folder / "root")
    return genome, folder / "root"


@pytest.fixture
def made(_made, _only_rcrs, monkeypatch):
    """The made genome; it is the only reference that is there."""
    genome, root = _made
    monkeypatch.setenv("GAS_REFERENCE_DIR", str(root))
    return genome


@pytest.fixture
def site(monkeypatch):
    """A web server to fetch from."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving() as site:
        yield site


@pytest.fixture(scope="session")
def samples():
    """The folder of real VCF files; it is not part of the project."""
    folder = Path(os.environ.get("GAS_SAMPLES") or reference.CHECKOUT.parent / "shared" / "samples")
    if not (folder / "test.vcf").is_file():
        pytest.skip(f"no real samples in {folder}; set GAS_SAMPLES to a folder that has test.vcf")
    return folder


@pytest.fixture
def vcf(tmp_path):
    """Makes a VCF file of (contig, pos, ref, alt[, info]) records or of whole lines, and returns its path."""

    def make(*records, header=HEADER, columns=COLUMNS, name="in.vcf"):
        lines = [record if isinstance(record, str) else line(*record) for record in records]
        path = tmp_path / name
        path.write_text(header + columns + "\n" + "".join(f"{text}\n" for text in lines))
        return path

    return make


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def annotated(out):
    """Annotates a file and returns its summary and the data lines of the result, split into columns."""

    def run(path, **options):
        summary = annotate(path, out, **options)
        stem = options.get("stem") or path.name.partition(".vcf")[0]
        return summary, data_lines(out / f"{stem}.annot.vcf.gz")

    return run


def line(contig, pos, ref, alt, info="."):
    return f"{contig}\t{pos}\t.\t{ref}\t{alt}\t.\t.\t{info}"


def data_lines(path):
    return [text.split("\t") for text in _text_of(path).splitlines() if not text.startswith("#")]


@pytest.fixture
def text_of():
    """Reads a BGZF file as text."""
    return _text_of


def _text_of(path):
    with pysam.BGZFile(str(path), "r") as file:
        return file.read().decode()
