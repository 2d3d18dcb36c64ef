"""The blocks of a file, one after the other in this process, or several at a time in others; in their order."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from .csq import csq_server
from .errors import AnnotationError
from .processes import die_with
from .scan import Piece

AHEAD = 2  # blocks that wait for each process


class Text(NamedTuple):
    """A block of the input: its number, the number of its first line, and its text."""

    number: int
    line: int
    text: bytes


def in_order(
    function: Callable[[Text], tuple[Path, Piece]], texts: Iterable[Text], processes: int
) -> Iterator[tuple[Path, Piece]]:
    """The results for all blocks, in their order; with several processes when there are several blocks."""
    texts = iter(texts)
    head = list(islice(texts, 2))
    if processes < 2 or len(head) < 2:
        yield from map(function, chain(head, texts))
        return
    from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415 - small files do without
    from concurrent.futures.process import BrokenProcessPool  # noqa: PLC0415
    from multiprocessing import get_context  # noqa: PLC0415

    pool = ProcessPoolExecutor(processes, get_context("fork"), _become_worker, (os.getpid(), function))
    try:
        waiting = deque(pool.submit(_work, text) for text in head)
        for text in texts:
            if len(waiting) >= AHEAD * processes:
                yield waiting.popleft().result()
            waiting.append(pool.submit(_work, text))
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise AnnotationError(
            "engine_crashed", "An annotation process ended without a result; it is worth another try."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


_worker: list[Callable[[Text], tuple[Path, Piece]]] = []  # of a forked process: what it does, inherited, not sent


def _become_worker(parent: int, function: Callable[[Text], tuple[Path, Piece]]) -> None:
    from multiprocessing import util  # noqa: PLC0415

    die_with(parent)
    _worker.append(function)
    serving = ExitStack()
    serving.enter_context(csq_server())
    util.Finalize(None, serving.close, exitpriority=0)


def _work(text: Text) -> tuple[Path, Piece]:
    return _worker[0](text)
