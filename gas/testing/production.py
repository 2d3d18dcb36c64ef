"""The production column on this machine: PostgreSQL, local S3 and SQS, separate web, worker and dispatcher processes."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3  # noqa: TID251 (looks at the local SQS and S3 as AWS's own tools would)
import psycopg
from django.conf import settings

from gas.testing.aws import LocalAWS, Proxy, environment, free_port
from gas.testing.postgres import PostgresCluster
from gas.testing.processes import Process

BUCKETS = ("gas-uploads", "gas-results", "gas-archive")


def client(service: str, aws: LocalAWS) -> Any:
    session = boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing", region_name=aws.region)
    connect: Callable[..., Any] = session.client
    return connect(service, endpoint_url=aws.url)


class Production:
    """What a test starts, stops and kills of GAS on PostgreSQL, S3 and SQS; `sqs` is a proxy that can take SQS away.

    DEBUG stays on for the stand-ins of Globus and the mail server; everything else is what production runs.
    """

    def __init__(self, cluster: PostgresCluster, aws: LocalAWS, sqs: Proxy, var: Path, database: str) -> None:
        self.var, self.database = var, cluster.url(database)
        self.namespace = database
        self.aws, self.sqs = aws, sqs
        self.port, self.globus_port = free_port(), free_port()
        self.env = environment(aws.url) | {
            "AWS_ENDPOINT_URL_SQS": sqs.url,
            "DATABASE_URL": self.database,
            "STORAGE": "s3",
            "BROKER": "sqs",
            "SQS_NAMESPACE": self.namespace,
            "S3_UPLOADS_BUCKET": BUCKETS[0],
            "S3_RESULTS_BUCKET": BUCKETS[1],
            "S3_ARCHIVE_BUCKET": BUCKETS[2],
            "VAR_DIR": str(var),
            "PORT": str(self.port),
            "FAKEGLOBUS_PORT": str(self.globus_port),
            "JOB_LEASE": "4",
            "DISPATCH_INTERVAL": "0.5",
            "LOG_LEVEL": "INFO",
        }
        self.manage("migrate", "--verbosity=0")

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def manage(self, *arguments: str) -> str:
        """Run a manage.py command to its end; returns its output."""
        with Process([sys.executable, "manage.py", *arguments], env=self.env, cwd=settings.BASE_DIR) as process:
            if process.wait(60):
                raise RuntimeError(process.output())
            return process.output()

    def worker(self) -> Process:
        command = [sys.executable, "manage.py", "rundramatiq", "--processes=1", "--threads=2"]
        return Process(command, env=self.env, cwd=settings.BASE_DIR)

    def dispatcher(self) -> Process:
        return Process([sys.executable, "manage.py", "dispatch"], env=self.env, cwd=settings.BASE_DIR)

    def web(self) -> Process:
        command = [
            str(Path(sys.executable).with_name("gunicorn")),
            "gas.wsgi",
            f"--bind=127.0.0.1:{self.port}",
            "--threads=4",
        ]
        return Process([*command, "--no-control-socket"], env=self.env, cwd=settings.BASE_DIR)

    def globus(self) -> Process:
        command = [sys.executable, "-m", "accounts.fakeglobus", "--port", str(self.globus_port)]
        redirect = ["--redirect", f"{self.url}/auth/complete/globus/"]
        return Process([*command, *redirect], env=self.env, cwd=settings.BASE_DIR)

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database) as connection:
            return connection.execute(query, values).fetchall()

    def value(self, query: str, *values: Any) -> Any:
        rows = self.rows(query, *values)
        return rows[0][0] if rows else None

    def objects(self, bucket: str) -> list[str]:
        answer = self._client("s3").list_objects_v2(Bucket=bucket)
        return [found["Key"] for found in answer.get("Contents", [])]

    def queue_url(self, queue: str) -> str:
        url: str = self._client("sqs").get_queue_url(QueueName=f"{self.namespace}_{queue}")["QueueUrl"]
        return url

    def messages(self, queue: str) -> int:
        """Visible and in flight."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self._client("sqs").get_queue_attributes(QueueUrl=self.queue_url(queue), AttributeNames=names)
        return sum(int(found["Attributes"][name]) for name in names)

    def lose_messages(self, queue: str) -> None:
        self._client("sqs").purge_queue(QueueUrl=self.queue_url(queue))

    def mails(self) -> list[Path]:
        return sorted((self.var / "mail").glob("*.eml"))

    def _client(self, service: str) -> Any:
        return client(service, self.aws)


@contextmanager
def services() -> Iterator[tuple[PostgresCluster, LocalAWS, Proxy]]:
    """PostgreSQL, local AWS with the buckets made, and the proxy before SQS."""
    with PostgresCluster() as cluster, LocalAWS() as aws, Proxy(aws.port) as sqs:
        for bucket in BUCKETS:
            client("s3", aws).create_bucket(Bucket=bucket)
        yield cluster, aws, sqs


def fresh_database(cluster: PostgresCluster, name: str) -> str:
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return name


def child_processes(pid: int) -> list[int]:
    """All living descendants of a process."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    found, rest = [], [pid]
    while rest:
        below = children.get(rest.pop(), [])
        found += below
        rest += below
    return found


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
