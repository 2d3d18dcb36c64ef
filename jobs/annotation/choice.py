"""Which installed reference a file is annotated against."""

from . import builds, reference
from .errors import AnnotationError
from .header import Header
from .reference import Reference, chains

MITOCHONDRIAL = "rCRS"
DEFAULT = "GRCh38"


def choose(name: str | None, header: Header, text: bytes) -> tuple[Reference, list[str]]:
    """The reference, and sentences on how it was found.

    The one that is asked for by name; else rCRS when the first records are all mitochondrial; else that of the build
    that the header tells; else GRCh38. Raises AnnotationError `wrong_build`, `needs_lift_over` or `reference_missing`.
    """
    installed = reference.installed()
    evidence = builds.detect(header.meta)
    contigs = {line.partition(b"\t")[0] for line in text.split(b"\n") if line}
    if name:
        chosen = _asked_for(name, installed)
    elif MITOCHONDRIAL in installed and _only_in(contigs, reference.load(MITOCHONDRIAL), installed):
        return reference.load(MITOCHONDRIAL), []
    else:
        chosen = _of_build(evidence.build, installed) or reference.load(_default(installed))
    if any(map(chosen.contig, contigs)):
        if name and evidence.conflict:  # the file's REF alleles are compared with the sequence all the same
            return chosen, [f"The header contradicts itself: {evidence.why}. {chosen.name} was asked for, and taken."]
        if faults := builds.mismatch(evidence, chosen.build, installed):
            raise _wrong_build(faults, evidence.build, [chosen.name, *(installed if not name else [])])
        if evidence.build is None and builds.named_build(chosen.build) and not name:
            return chosen, [f"The header does not tell the genome build; {chosen.build} was assumed."]
    return chosen, []


def _wrong_build(faults: list[str], build: str | None, names: list[str]) -> AnnotationError:
    """The refusal, which offers to lift the file over when a chain file leads to one of these references."""
    if build and (found := chains.find(build, names)):
        offer = f"Or lift it over to {found[0].build}: a chain file is installed. What has no place there is left out."
        return AnnotationError("needs_lift_over", *faults, offer)
    return AnnotationError("wrong_build", *faults)


def _asked_for(name: str, installed: list[str]) -> Reference:
    if installed and name not in installed:
        raise AnnotationError(
            "reference_missing",
            f"The reference {name} was asked for and is not installed; these are: {', '.join(installed)}.",
            f"Choose one of them, or none, to have it found out from the file; or have {name} installed with: "
            f"python manage.py reference install {name}",
        )
    return reference.load(name)


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
