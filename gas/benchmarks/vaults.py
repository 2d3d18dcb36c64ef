"""`make bench-vaults`: a file goes into each vault and comes back: MB/s beside a plain copy of it, and memory.

Every vault is used from a process of its own, S3 and Glacier on the stand-in: their figures say what our side costs at
most, nothing of AWS. `python -m gas.benchmarks.vaults KIND NAME FOLDER BYTES` is such a process; it prints JSON.
"""

import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import BinaryIO

import boto3  # noqa: TID251 (makes the bucket and the vault)

from gas.testing.archive_server import ArchiveServer
from gas.testing.aws import LocalAWS
from gas.testing.processes import Process, peak_memory
from gas.vaults import LocalVault, Vault

MEGABYTES = 300
ROUNDS = 5  # of the local vault; the median counts
BLOCK = 1024**2
NAMES = {"local": "", "s3": "bench-archive", "glacier": "bench-archive"}
COLUMNS = ("copy", "archive", "verify", "fetch", "grown")


@contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    with path.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


class Timed:
    """MB/s of the steps with one file."""

    def __init__(self, size: int) -> None:
        self.size, self.speeds = size, dict[str, float]()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.speeds[name] = self.size / 1e6 / (time.perf_counter() - begin)


def there_and_back(vault: Vault, source: Path, name: str) -> dict[str, float]:
    """Speeds of copy, archive, verify, fetch; AssertionError unless the same bytes come back."""
    timed, back = Timed(source.stat().st_size), source.with_suffix(".back")
    with timed.step("copy"), source.open("rb") as file, written(back) as copy:
        shutil.copyfileobj(file, copy, BLOCK)
    with timed.step("archive"), source.open("rb") as file:
        archived = vault.archive(file, name, timed.size)
    with timed.step("verify"):
        vault.verify(archived.archive_id, archived)
    retrieval = vault.initiate_retrieval(archived.archive_id, "Expedited", "bench")
    while vault.describe_retrieval(archived.archive_id, retrieval).status != "available":
        time.sleep(0.05)
    with timed.step("fetch"), vault.open_retrieved(archived.archive_id, retrieval) as cold, written(back) as copy:
        while block := cold.read(BLOCK):
            copy.write(block)
    with back.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == archived.sha256
    vault.delete_archive(archived.archive_id)
    back.unlink()
    return timed.speeds


def made(path: Path, size: int) -> Path:
    with written(path) as file:
        while size > 0:
            size -= file.write(os.urandom(min(BLOCK, size)))
    return path


def child(kind: str, name: str, folder: Path, size: int) -> None:
    from django.conf import settings  # noqa: PLC0415

    settings.configure(VAR_DIR=folder, SCRATCH_DIR=folder, SECRET_KEY="bench", LOCAL_VAULT_DELAYS={"Expedited": 0.1})
    from gas.aws.glacier import GlacierVault  # noqa: PLC0415
    from gas.aws.s3_vault import S3Vault  # noqa: PLC0415

    makers: dict[str, Callable[[], Vault]] = {
        "local": LocalVault,
        "s3": lambda: S3Vault(name, "us-east-1"),
        "glacier": lambda: GlacierVault(name, "us-east-1"),
    }
    vault = makers[kind]()
    there_and_back(vault, made(folder / "small", BLOCK), "warm/up")
    before = peak_memory()
    source = made(folder / "large", size)
    rounds = [there_and_back(vault, source, "large") for _ in range(ROUNDS if kind == "local" else 1)]
    speeds = {step: median(speeds[step] for speeds in rounds) for step in rounds[0]}
    print(json.dumps({**speeds, "grown": peak_memory() - before}))


def measured(kind: str, name: str, folder: Path, size: int, environment: dict[str, str]) -> dict[str, float]:
    """What the child process says; also used by the test of memory."""
    command = [sys.executable, "-m", "gas.benchmarks.vaults", kind, name, str(folder), str(size)]
    with Process(command, env=environment) as process:
        if process.wait(600):
            raise RuntimeError(process.output())
        answer: dict[str, float] = json.loads(process.output().splitlines()[-1])
        return answer


def main() -> None:
    print(f"{MEGABYTES} MB; MB/s, and how many MB memory grew\n{'':10}" + "".join(f"{name:>10}" for name in COLUMNS))
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalAWS() as aws,
        ArchiveServer(aws, Path(folder)) as server,
    ):
        os.environ.update(server.environment)
        session = boto3.session.Session(region_name=aws.region)
        session.client("s3").create_bucket(Bucket=NAMES["s3"])
        session.client("glacier").create_vault(vaultName=NAMES["glacier"])
        for kind, name in NAMES.items():
            figures = measured(kind, name, Path(folder), MEGABYTES * 1000**2, server.environment)
            if kind != "local":
                figures["verify"] = float("nan")  # reads nothing
            print(f"{kind:10}" + "".join(f"{figures[name]:10.0f}" for name in COLUMNS))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        child(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
