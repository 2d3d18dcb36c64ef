"""Builds a reference from local files: what the declaration in a folder says, compiled for look-up by memory map.

A version is built aside and named by the digest of its manifest; then `current` is switched to it by one rename, so that
nobody reads half a reference, and the version before is removed. Equal sources give equal files.
"""

import fcntl
import functools
import gc
import hashlib
import mmap
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from jobs.annotation import far
from jobs.annotation.builds import of_another_build
from jobs.annotation.errors import AnnotationError, from_os_error

from . import FORMAT, _load, arrays, chains, genome, toml
from .allele_files import AlleleSpool
from .declaration import FILE_NAME, SOURCE_FAULT, Contig, Declaration, Track, read, usual_aliases, usual_code
from .gene_models import GeneModels, parse
from .intervals import Interval, compile_intervals
from .source_files import rows
from .spool import Spool, spool_genes, spool_track
from .transcripts import compile_transcripts

Log = Callable[[str], None]


def build(source: Path, root: Path, log: Log | None = None) -> Path:
    """Builds the reference declared in the folder `source`; the folder of its version in `root`.

    `log` is told what is done, in sentences. Raises AnnotationError: `reference_missing` for faults in the sources,
    `disk_full` and `output_unwritable`.
    """
    declaration = read(source)
    versions = root / declaration.name / "versions"
    with _locked(versions.parent):
        versions.mkdir(exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".building-", dir=versions))
        try:
            _Builder(declaration, work, log or _silent).run()
            built = _switch(work, versions)
            for chain in declaration.chains:
                chains.add(_load(built), chain.file, chain.build, chain.facts)
            return built
        except OSError as error:
            raise from_os_error(error, f"the reference {declaration.name}") from error
        finally:
            _load.cache_clear()  # it may know the folder that is removed now
            shutil.rmtree(work, ignore_errors=True)


@contextmanager
def uncollected() -> Iterator[None]:
    """Without garbage collection, which finds nothing among millions of tuples and takes a third of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _silent(_sentence: str) -> None:
    """Tells nobody."""


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """One build of a reference at a time."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _switch(work: Path, versions: Path) -> Path:
    """Puts the version in place, leads `current` to it, and removes the others."""
    final = versions / sha256(work / FILE_NAME)[:12]
    work.chmod(0o755)
    if not final.exists():
        work.rename(final)
    link = versions.parent / ".current"
    link.unlink(missing_ok=True)
    link.symlink_to(Path("versions") / final.name)
    link.replace(versions.parent / "current")
    for other in versions.iterdir():
        if other not in (final, work):
            shutil.rmtree(other, ignore_errors=True)
    return final


@dataclass
class _Sources:
    """What was parted by contig, or by gene."""

    genes: Spool | None
    tracks: dict[str, Spool]
    alleles: dict[str, AlleleSpool]
    gene_tables: dict[str, dict[bytes, list[tuple[bytes, ...]]]]


class _Builder:
    """Fills the folder of one version."""

    def __init__(self, declaration: Declaration, work: Path, log: Log) -> None:
        self.declaration, self.work, self.log = declaration, work, log
        self.scratch = work / "scratch"
        self.sequences: dict[str, genome.Sequence] = {}
        self.names = {alias: contig.name for contig in declaration.contigs for alias in (contig.name, *contig.aliases)}

    def run(self) -> None:
        self._genome()
        contigs = self._contigs()
        with uncollected():
            sources = self._sources()
            for told in _side_by_side(self, contigs, sources):
                for sentence in told:
                    self.log(sentence)
        self._write_manifest(contigs)  # needed to ask csq; written again with the final digests
        for contig in contigs:
            self._complete(contig.name, sources)
        shutil.rmtree(self.scratch, ignore_errors=True)
        self._write_manifest(contigs, digests=True)

    def _genome(self) -> None:
        if self.declaration.fasta:
            self.log(f"Reading {self.declaration.fasta.name}.")
            found = genome.write(self.declaration.fasta, self.work, lambda name: self.names.get(name, name))
            self.sequences = {sequence.name: sequence for sequence in found}

    def _contigs(self) -> list[Contig]:
        """All contigs, declared or only in the FASTA, with length and MD5. Raises AnnotationError when they differ."""
        sequences = self.sequences
        declared = {contig.name: contig for contig in self.declaration.contigs}
        contigs, faults = [], []
        for name in [*declared, *(name for name in sequences if name not in declared)]:
            contig = declared.get(name) or self._undeclared(name)
            sequence = sequences.get(name)
            if sequence is None and contig.length is None:
                faults.append(f"The FASTA file has no contig {name}, and no length is declared for it.")
            if sequence and contig.length not in (None, sequence.length):
                faults.append(f"Contig {name} has {sequence.length} bases in the FASTA file, declared {contig.length}.")
            if sequence and contig.md5 not in (None, sequence.md5):
                faults.append(f"The bases of contig {name} have the MD5 {sequence.md5}, declared {contig.md5}.")
            contigs.append(replace(contig, length=sequence.length, md5=sequence.md5) if sequence else contig)
        if faults:
            raise AnnotationError(SOURCE_FAULT, *faults)
        return [self._aliased(contig) for contig in contigs]

    def _undeclared(self, name: str) -> Contig:
        if "/" in name or name.startswith(".") or not name:
            raise AnnotationError(SOURCE_FAULT, f"The contig name {name!r} of the FASTA file cannot name a file.")
        self.names[name] = name
        return Contig(name, genetic_code=usual_code(name), promoter=self.declaration.promoter)

    def _aliased(self, contig: Contig) -> Contig:
        free = tuple(alias for alias in usual_aliases(contig.name) if alias not in self.names)
        self.names |= dict.fromkeys(free, contig.name)
        return replace(contig, aliases=(*contig.aliases, *free))

    def _name_of(self, name: bytes) -> str | None:
        return self.names.get(name.decode(errors="replace"))

    def _sources(self) -> _Sources:
        sources = _Sources(None, {}, {}, {})
        if self.declaration.genes:
            self.log(f"Reading genes from {self.declaration.genes.name}.")
            sources.genes = spool_genes(self.declaration.genes, self.scratch / "genes", self._name_of)
            self._check_spool(sources.genes, self.declaration.genes, "no gene of Ensembl's or GENCODE's dialect")
        for number, track in enumerate(self.declaration.tracks):
            self.log(f"Reading track {track.name} from {track.file.name}.")
            if track.kind == "gene":
                table: dict[bytes, list[tuple[bytes, ...]]] = {}
                for row in rows(track):
                    table.setdefault(row.contig, []).append(row.values)
                sources.gene_tables[track.name] = table
            elif track.kind == "allele":
                sources.alleles[track.name] = alleles = AlleleSpool(
                    track, self.scratch / f"track{number}", self._name_of, self._bases
                )
                self._check_alleles(alleles, track.file)
            else:
                spool = spool_track(track, self.scratch / f"track{number}", self._name_of)
                self._check_spool(spool, track.file, "no entry")
                sources.tracks[track.name] = spool
        return sources

    def _check_alleles(self, spool: AlleleSpool, file: Path) -> None:
        """Tells of alleles that were left out; many that differ from the sequence mean another build."""
        checked, differ = spool.checked, spool.differ
        if of_another_build(differ, checked):
            fault = f"{file} is of another build: {differ} of {checked} REF alleles differ from the FASTA file."
            raise AnnotationError(SOURCE_FAULT, fault)
        if differ:
            self.log(f"{file.name}: {differ} alleles whose REF differs from the FASTA file are left out.")
        if spool.unreadable:
            self.log(f"{file.name}: {spool.unreadable} records cannot be read and are left out. {spool.fault}")
        self._check_spool(spool, file, "no allele spelled out in bases")

    def _check_spool(self, spool: Spool | AlleleSpool, file: Path, nothing: str) -> None:
        if spool.strange:
            some = ", ".join(list(spool.strange)[:3])
            self.log(f"{file.name}: {spool.strange.total()} lines on other contigs ({some}...) are left out.")
        if not spool.count:
            raise AnnotationError(SOURCE_FAULT, f"{file} has {nothing} on a contig of this reference.")

    def contig(self, contig: Contig, sources: _Sources) -> list[str]:
        """Compiles genes and intervals of a contig into its two files; what is to be told of it."""
        told: list[str] = []
        made: dict[str, arrays.Arrays] = {}
        models = None
        if sources.genes:
            models = self._models(contig, sources.genes)
            made |= self._gene_arrays(contig, models)
            if contig.name in self.sequences:
                made |= compile_transcripts(models)
            exons = [exon for gene in models.genes for transcript in gene.transcripts for exon in transcript.exons]
            made[""] = far.near(exons)
        for track in self.declaration.tracks:
            if track.kind == "gene":
                assert models is not None
                made[track.name] = _intervals_of(track, _gene_table(models, sources.gene_tables[track.name]))
            elif track.kind != "allele":
                found = sources.tracks[track.name].records(contig.name)
                made[track.name] = _intervals_of(track, self._intervals(track, found, contig, told))
        named = {f"{track}/{name}".lstrip("/"): array for track, own in made.items() for name, array in own.items()}
        arrays.save(self.work / f"{contig.name}.arrays", named)
        return [*told, f"Built contig {contig.name}."]

    def _models(self, contig: Contig, spool: Spool) -> GeneModels:
        try:
            return parse(spool.lines(contig.name))
        except ValueError as error:
            fault = f"{self.declaration.genes} cannot be read on contig {contig.name}: {error}."
            raise AnnotationError(SOURCE_FAULT, fault) from error

    def _gene_arrays(self, contig: Contig, models: GeneModels) -> dict[str, arrays.Arrays]:
        text, at = models.gff()
        (self.work / f"{contig.name}.gff3").write_bytes(text)
        gene = compile_intervals(models.spans(), [b"GAS_GENE"])
        gene["gff_at"] = np.array(at, np.uint64)
        gene["spliced"] = np.array(models.spliced(), np.bool_)
        assert contig.length is not None
        locations = models.locations(contig.promoter, contig.length)
        return {"gene": gene, "location": compile_intervals(locations, [b"GAS_LOCATION", b"GAS_REGION"])}

    @functools.lru_cache(maxsize=1)  # noqa: B019 (a builder lives as long as its build)
    def _bases(self, contig: str) -> memoryview | None:
        if (sequence := self.sequences.get(contig)) is None:
            return None
        skipped = sequence.offset % mmap.ALLOCATIONGRANULARITY
        with (self.work / "genome.fa").open("rb") as file:
            size, offset = skipped + sequence.length, sequence.offset - skipped
            return memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ, offset=offset))[skipped:]

    def _intervals(self, track: Track, found: Iterator[Any], contig: Contig, told: list[str]) -> list[Interval]:
        assert contig.length is not None
        intervals = [(start, end, values) for start, end, _, _, values in found]
        inside = [interval for interval in intervals if interval[1] <= contig.length]
        if beyond := len(intervals) - len(inside):
            told.append(f"{track.file.name}: {beyond} entries beyond the end of contig {contig.name} are left out.")
        return inside

    def _complete(self, contig: str, sources: _Sources) -> None:
        """Adds to a contig's file the alleles, and what csq says far from exons, where there are genes and bases."""
        path = self.work / f"{contig}.arrays"
        more: dict[str, arrays.Array | arrays.Stored] = {}
        for name, spool in sources.alleles.items():
            more |= {f"{name}/{key}": array for key, array in spool.runs.merged(contig).items()}
        if sources.genes and contig in self.sequences:
            reference = _load(self.work)
            more |= far.probe(reference, reference.aliases[contig.encode()])
        if more:
            beside = path.with_suffix(".new")
            arrays.save(beside, arrays.load(path) | more)
            beside.replace(path)
        for stored in more.values():
            if isinstance(stored, arrays.Stored):
                stored.path.unlink()

    def _write_manifest(self, contigs: list[Contig], *, digests: bool = False) -> None:
        facts = {"format": FORMAT} | self.declaration.facts
        facts.pop("chains", None)  # they are kept beside the versions
        if "fasta" in facts:
            facts["fasta"] = "genome.fa"
        facts["contigs"] = [_contig_facts(contig) for contig in contigs]
        if self.declaration.genes:
            facts["genes"] = facts["genes"] | {"sha256": sha256(self.declaration.genes)} if digests else facts["genes"]
        if digests:
            facts["tracks"] = [track.facts | {"sha256": sha256(track.file)} for track in self.declaration.tracks]
            facts.setdefault("sources", _sources_of(facts))
            files = sorted(path for path in self.work.iterdir() if path.name != FILE_NAME)
            facts["sha256"] = {path.name: sha256(path) for path in files}
        (self.work / FILE_NAME).write_text(toml.dumps(facts))


def _side_by_side(builder: _Builder, contigs: list[Contig], sources: _Sources) -> Iterator[list[str]]:
    """Compiles the contigs, one in each core at a time; what is to be told of each. It forks."""
    _sharing["now"] = builder, sources  # the children have it from the fork, too large to be sent
    cores = min(len(os.sched_getaffinity(0)), len(contigs))
    try:
        if cores < 2:
            yield from map(_compile, contigs)
            return
        with ProcessPoolExecutor(cores, multiprocessing.get_context("fork")) as pool:
            yield from pool.map(_compile, contigs)
    except BrokenProcessPool as error:
        fault = "A process that compiled a contig was ended, perhaps for want of memory. Build it again with more."
        raise AnnotationError("engine_crashed", fault) from error
    finally:
        _sharing.clear()


_sharing: dict[str, tuple[_Builder, _Sources]] = {}


def _compile(contig: Contig) -> list[str]:
    builder, sources = _sharing["now"]
    return builder.contig(contig, sources)


def _intervals_of(track: Track, intervals: list[Interval]) -> arrays.Arrays:
    fields = [field.info.encode() for field in track.fields]
    return compile_intervals(intervals, fields, track.overlap.encode() or None)


def _gene_table(models: GeneModels, table: dict[bytes, list[tuple[bytes, ...]]]) -> list[Interval]:
    """The rows of a table of genes at the spans of the genes that they name."""
    return [(gene.start, gene.end, values) for gene in models.genes for values in table.get(gene.symbol, [])]


def _contig_facts(contig: Contig) -> dict[str, Any]:
    facts = {"name": contig.name, "length": contig.length, "aliases": list(contig.aliases)}
    facts |= {"genetic_code": contig.genetic_code, "promoter": contig.promoter}
    return facts | ({"md5": contig.md5} if contig.md5 else {})


def _sources_of(facts: dict[str, Any]) -> list[dict[str, Any]]:
    """The sources that genes and tracks name, where no list of them is declared."""
    entries = [{"name": "genes"} | facts["genes"]] if "genes" in facts else []
    return [
        {"name": entry.get("source", entry["name"])}
        | {key: str(entry[key]) for key in ("version", "url", "licence", "sha256") if entry.get(key)}
        for entry in [*entries, *facts.get("tracks", [])]
    ]


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
