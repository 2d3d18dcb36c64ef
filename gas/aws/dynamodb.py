"""Tables of DynamoDB, to read and to write whole; GAS keeps nothing there, other services like it do."""

# ruff: noqa: TID251 (the home of boto3)

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from gas.aws.s3 import error_code


class TableUnavailable(Exception):
    """There is no such table, or it does not answer; the sentence says which."""


class Table:
    def __init__(self, name: str, region: str) -> None:
        self.name, self.region = name, region
        connect: Any = boto3.session.Session(region_name=region).resource  # its stubs are not worth a dependency
        self._table = connect("dynamodb").Table(name)

    def items(self) -> Iterator[dict[str, Any]]:
        """All items, page by page (a page has at most 1 MB); whole numbers are int. TableUnavailable."""
        more: dict[str, Any] = {}
        while True:
            with self._translated():
                page = self._table.scan(ConsistentRead=True, **more)
            for item in page["Items"]:
                yield {name: _plain(value) for name, value in item.items()}
            if "LastEvaluatedKey" not in page:
                return
            more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def put(self, items: Iterable[Mapping[str, Any]]) -> int:
        """Write items, replacing those with the same key; returns how many. TableUnavailable."""
        count = 0
        with self._translated(), self._table.batch_writer() as batch:
            for item in items:
                batch.put_item(Item=dict(item))
                count += 1
        return count

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            if error_code(error) == "ResourceNotFoundException":
                raise TableUnavailable(f"There is no table {self.name} in {self.region} ({error})") from error
            raise TableUnavailable(f"{self.name}: {error}") from error
        except BotoCoreError as error:
            raise TableUnavailable(f"{self.name}: {error}") from error


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, Decimal) and value == value.to_integral_value() else value
