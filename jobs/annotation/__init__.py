"""The annotation engine: knows VCF files and references, and nothing of Django or the rest of the project."""

from .engine import annotate
from .errors import AnnotationError
from .summary import Summary

__all__ = ["AnnotationError", "Summary", "annotate"]
