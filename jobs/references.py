"""The references that a researcher may choose from, instead of having the engine find out from the file."""

from django.conf import settings

from jobs.annotation import AnnotationError, reference
from jobs.annotation.errors import quoted
from jobs.annotation.reference import Reference
from jobs.refusals import Refused


def offered() -> list[Reference]:
    """What is installed here, by name; none when another program annotates, which has references of its own."""
    return [] if settings.ANNOTATOR == "command" else [*filter(None, map(_whole, reference.installed()))]


def check_reference(name: str) -> None:
    """Raises Refused unless `name` is that of a reference that is offered, or empty: found out from the file."""
    if name and name not in (names := [offer.name for offer in offered()]):
        raise Refused(
            "no_such_reference",
            "There is no such reference",
            f"The reference {quoted(name.encode())} was asked for; there are: {', '.join(names) or 'none to choose'}.",
            "Choose another, or have it found out from the file. On the page: load it anew and choose the same file; the "
            "upload goes on.",
        )


def _whole(name: str) -> Reference | None:
    """The reference, or None when it is damaged, or removed at this moment."""
    try:
        return reference.load(name)
    except AnnotationError:
        return None
