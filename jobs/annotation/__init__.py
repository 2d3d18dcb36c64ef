"""The annotation engine: knows VCF files and references, and nothing of Django or the rest of the project."""

import os

# For numpy, imported below. GAS multiplies no matrices: threads for it would cost 0.05 s at each start, and are no good
# to a process that forks.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from .engine import annotate
from .errors import AnnotationError
from .summary import Summary

__all__ = ["AnnotationError", "Summary", "annotate"]
