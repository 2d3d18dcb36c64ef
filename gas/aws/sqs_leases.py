"""The SQS messages that this process holds, and how long it still holds them."""

import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dramatiq_sqs.utils import batched  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import ChangeMessageVisibilityBatchRequestEntryTypeDef

log = logging.getLogger(__name__)

LONGEST = 11.5 * 3600  # seconds; SQS ends a lease 12 h after the receipt, whatever one asks for
BATCH = 10  # entries that SQS takes in one call


@dataclass
class Lease:
    """Times are of the monotonic clock."""

    message_id: str
    received: float
    ends: float
    lost: bool = False


class Leases:
    """The held messages of one queue by receipt handle: received, and not yet processed or handed back.

    A lease lasts `visibility_timeout` seconds from its receipt or its last renewal. Lost ones stay here until
    the worker is done with them: they still take a place in it.
    """

    def __init__(self, client: "SQSClient", url: str, visibility_timeout: int) -> None:
        self._client = client
        self._url = url
        self._visibility_timeout = visibility_timeout
        self._held: dict[str, Lease] = {}
        self._changed = threading.Condition()
        self._renewing = threading.Lock()

    def __len__(self) -> int:
        return len(self._held)

    def room(self, limit: int, timeout: float) -> int:
        """How many fewer than `limit` are held; waits at most `timeout` seconds for one."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._held) < limit, timeout)
            return max(limit - len(self._held), 0)

    def add(self, handle: str, message_id: str) -> None:
        now = time.monotonic()
        with self._changed:
            self._held[handle] = Lease(message_id, received=now, ends=now + self._visibility_timeout)

    def release(self, handle: str) -> None:
        with self._changed:
            self._held.pop(handle, None)
            self._changed.notify_all()

    def hand_back(self, handles: Iterable[str]) -> None:
        """Let others have these messages at once. Raises boto3's errors, when all are released."""
        with self._renewing:  # a renewal that is under way would take them back
            handles = list(handles)
            for handle in handles:
                self.release(handle)
            for batch in batched(handles, BATCH):
                self._change(batch, 0)

    def renew(self) -> None:
        """Renew all leases and log those that are lost. Raises boto3's errors."""
        try:
            with self._renewing:
                due = [handle for handle, lease in list(self._held.items()) if self._renewable(lease)]
                for batch in batched(due, BATCH):
                    self._renew(batch)
        finally:
            self._log_lost()

    def _renewable(self, lease: Lease) -> bool:
        return not lease.lost and time.monotonic() < lease.received + LONGEST

    def _renew(self, handles: tuple[str, ...]) -> None:
        ends = time.monotonic() + self._visibility_timeout
        refused = self._change(handles, self._visibility_timeout)
        for handle in handles:
            lease = self._held.get(handle)  # None: processed meanwhile
            if lease is not None:
                lease.ends = 0 if handle in refused else ends

    def _change(self, handles: tuple[str, ...], visibility_timeout: int) -> set[str]:
        """Returns the handles that are no longer ours."""
        entries: list[ChangeMessageVisibilityBatchRequestEntryTypeDef] = [
            {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": visibility_timeout}
            for number, handle in enumerate(handles)
        ]
        answer = self._client.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)
        return {handles[int(entry["Id"])] for entry in answer.get("Failed", ()) if entry["SenderFault"]}

    def _log_lost(self) -> None:
        for lease in list(self._held.values()):
            if not lease.lost and lease.ends < time.monotonic():
                lease.lost = True
                log.warning("lost the lease of message %s: SQS delivers it again", lease.message_id)
