"""`bcftools csq`, each call in a child of its own: csq may crash, and it remembers the last position for the next call.

    engine                 CsqServer                child
    call_csq() --pickle--> fork ------------------> run_csq()
          <---wait status-- waitpid <-----------------'

After a fork each page that is written is copied first, and an engine that is filled with blocks writes all of its pages
again and again. So it does not fork itself, but a small process does that was forked before the first block. It dies
with the engine, as its child dies with it; limits and process group are those of the engine.
"""

import os
import pickle
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pysam.bcftools

from .processes import call_in_child, crashed, die_with

CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE}

ALONE = ("-l",)  # each variant alone
PHASED = ("-p", "s")  # the variants of a haplotype together; genotypes that are not phased are skipped


def run_csq(options: tuple[str, ...], genetic_code: int, fasta: Path, gff: Path, side: Path, out: Path) -> None:  # noqa: PLR0913, PLR0917
    """Runs `bcftools csq` in this process, with an NCBI translation table. Raises SamtoolsError."""
    files = ["-f", str(fasta), "-g", str(gff), "-o", str(out), str(side)]
    pysam.bcftools.csq(*options, "-C", table_of(genetic_code), "-v", "0", "-Ov", *files, catch_stdout=False)


def table_of(genetic_code: int) -> str:
    """csq's number of an NCBI translation table.

    Its default, 0, is table 1 with no start codon but ATG: with TTG and CTG csq would call the start lost of transcripts
    whose start is not known.
    """
    return "0" if genetic_code == 1 else str(genetic_code)


class CsqServer:
    """The client: forks the server. For processes of one thread."""

    def __init__(self) -> None:
        parent = os.getpid()
        asked, ask = os.pipe()
        answer, answered = os.pipe()
        self._pid = os.fork()
        if not self._pid:
            os.close(ask)
            os.close(answer)
            _serve(parent, asked, answered)
        os.close(asked)
        os.close(answered)
        self._ask, self._answer = open(ask, "wb"), open(answer, "rb")  # noqa: PTH123, SIM115 - descriptors, closed below

    def call(self, arguments: tuple[object, ...]) -> int:
        try:
            pickle.dump(arguments, self._ask)
            self._ask.flush()
            status: int = pickle.load(self._answer)  # noqa: S301 - of our own child
        except (BrokenPipeError, EOFError) as error:
            raise crashed("bcftools csq", None) from error
        return status

    def close(self) -> None:
        """Ends the server, and its child if there is one."""
        self._ask.close()
        self._answer.close()
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


def _serve(parent: int, asked: int, answered: int) -> NoReturn:
    try:
        die_with(parent)
        with open(asked, "rb") as requests, open(answered, "wb", 0) as answers:
            while True:
                arguments = pickle.load(requests)  # noqa: S301 - of our parent
                answers.write(pickle.dumps(_call(arguments)))
    except BaseException:  # noqa: BLE001 - a child of a fork must not return into its parent's code
        os._exit(1)


def _call(arguments: tuple[Any, ...]) -> int:
    return call_in_child(lambda: run_csq(*arguments))


_servers: list[CsqServer] = []  # of this process: one, or none


def call_csq(*arguments: object) -> int:
    """The wait status of a child that calls run_csq(). Raises AnnotationError `engine_crashed` when its server died."""
    return _servers[0].call(arguments) if _servers else _call(arguments)


@contextmanager
def csq_server() -> Iterator[None]:
    """Has call_csq() use a server of this process."""
    inherited = _servers[:]
    _servers[:] = [CsqServer()]
    try:
        yield
    finally:
        _servers.pop().close()
        _servers[:] = inherited
