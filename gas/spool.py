"""Pieces of a stream in files without a name: what is sent to a vault must be read twice, to hash and to send it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

from gas.objects import Readable

_BLOCK = 1024**2  # bytes


@contextmanager
def spooled(stream: Readable, size: int) -> Iterator[BinaryIO]:
    """The next `size` bytes of `stream`, fewer at its end, in a file below SCRATCH_DIR that is gone afterwards."""
    Path(settings.SCRATCH_DIR).mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=settings.SCRATCH_DIR) as file:
        while size and (block := stream.read(min(_BLOCK, size))):
            file.write(block)
            size -= len(block)
        file.seek(0)
        yield file
