"""Which installed reference a file is annotated against."""

from . import builds, reference
from .errors import AnnotationError
from .header import Header
from .reference import Reference

MITOCHONDRIAL = "rCRS"
DEFAULT = "GRCh38"


def choose(name: str | None, header: Header, text: bytes) -> tuple[Reference, list[str]]:
    """The reference, and sentences on how it was found.

    The one that is asked for; else rCRS when the first records are all mitochondrial; else that of the build that the
    header tells; else GRCh38. Raises AnnotationError `wrong_build` or `reference_missing`.
    """
    installed = reference.installed()
    evidence = builds.detect(header.meta)
    contigs = {line.partition(b"\t")[0] for line in text.split(b"\n") if line}
    if name:
        chosen = reference.load(name)
    elif MITOCHONDRIAL in installed and _only_in(contigs, reference.load(MITOCHONDRIAL), installed):
        return reference.load(MITOCHONDRIAL), []
    else:
        chosen = _of_build(evidence.build, installed) or reference.load(_default(installed))
    if any(map(chosen.contig, contigs)):
        if faults := builds.mismatch(evidence, chosen.build, installed):
            raise AnnotationError("wrong_build", *faults)
        if evidence.build is None and builds.named_build(chosen.build) and not name:
            return chosen, [f"The header does not tell the genome build; {chosen.build} was assumed."]
    return chosen, []


def _default(installed: list[str]) -> str:
    return DEFAULT if DEFAULT in installed or not installed else installed[0]


def _only_in(contigs: set[bytes], mitochondrial: Reference, installed: list[str]) -> bool:
    """Whether of these contigs only the mitochondrial one is known."""
    known = {contig for contig in contigs if any(reference.load(name).contig(contig) for name in installed)}
    return bool(known) and all(map(mitochondrial.contig, known))


def _of_build(build: str | None, installed: list[str]) -> Reference | None:
    for name in installed if build else []:
        found = reference.load(name)
        if builds.named_build(found.build) == build:
            return found
    return None
