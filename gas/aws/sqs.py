"""Dramatiq on SQS: dramatiq-sqs with a consumer that keeps its messages for as long as they run.

What differs from dramatiq-sqs 0.4.4, and why, is in docs/decisions/0004-sqs-consumer.md. boto3 itself reads
AWS_ENDPOINT_URL_SQS and AWS_ENDPOINT_URL, for emulators.
"""

# ruff: noqa: TID251 (the home of boto3)

import json
import logging
import threading
from base64 import b64decode
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
import dramatiq
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.core.exceptions import ImproperlyConfigured
from dramatiq.errors import BrokerConnectionError, DecodeError, QueueNotFound
from dramatiq_sqs import SQSBroker  # type: ignore[import-untyped]
from dramatiq_sqs.broker import (  # type: ignore[import-untyped]
    MAX_DELAY_SECONDS,
    MAX_MESSAGE_RETENTION_SECONDS,
    MAX_MESSAGE_SIZE_BYTES,
    MAX_PREFETCH,
    MAX_WAIT_TIME_SECONDS,
)

from gas.aws.sqs_leases import Leases

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient, SQSServiceResource
    from mypy_boto3_sqs.literals import QueueAttributeNameType
    from mypy_boto3_sqs.service_resource import Queue

log = logging.getLogger(__name__)


class HeartbeatSQSBroker(SQSBroker):  # type: ignore[misc]
    """Queues `<namespace>_<queue>`, each with a dead-letter queue `<namespace>_<queue>_dlq` made with it.

    A message that a worker holds stays invisible to others for `visibility_timeout` seconds, renewed every
    `heartbeat_interval`: that is how soon a killed worker's messages come back. The redrive policy moves a
    message that was received `max_receives` times to the dead-letter queue. Queues that exist are used as
    they are. Raises BrokerConnectionError when SQS does not answer, never a boto3 error.
    """

    def __init__(  # noqa: PLR0913
        self,
        *,
        region_name: str,
        namespace: str,
        middleware: list[dramatiq.Middleware] | None = None,
        visibility_timeout: int = 120,
        heartbeat_interval: float = 30,
        max_receives: int = 10,
    ) -> None:
        if not region_name:
            raise ImproperlyConfigured("Set AWS_REGION: SQS queues belong to a region.")
        if heartbeat_interval > visibility_timeout / 2:
            raise ImproperlyConfigured("heartbeat_interval must be at most half of visibility_timeout.")
        self.region_name = region_name
        self.namespace = namespace
        self.visibility_timeout = visibility_timeout
        self.max_receives = max_receives
        self.max_message_size = MAX_MESSAGE_SIZE_BYTES
        self.queue_names: set[str] = set()
        self.leases: dict[str, Leases] = {}
        self.heartbeat = Heartbeat(heartbeat_interval)
        # not SQSBroker's: that makes the client, which looks for credentials over the network, at import
        dramatiq.Broker.__init__(self, middleware)
        self.queues: dict[str, Queue] = {}
        self.add_middleware(self.heartbeat)

    @cached_property
    def sqs(self) -> "SQSServiceResource":
        config = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 3})
        return boto3.Session().resource("sqs", region_name=self.region_name, config=config)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 1000) -> "Consumer":
        self._ensure_queue(queue_name)
        if queue_name not in self.leases:
            url = self.queues[queue_name].url
            self.leases[queue_name] = Leases(self.sqs.meta.client, url, self.visibility_timeout)
        return Consumer(self, queue_name, prefetch, timeout)

    def enqueue(self, message: dramatiq.Message[Any], *, delay: int | None = None) -> dramatiq.Message[Any]:
        """`delay` in ms; SQS holds a message for 15 minutes at most, so a longer one comes early."""
        if delay is not None:
            delay = min(delay, MAX_DELAY_SECONDS * 1000)
        try:
            with connection_errors():
                return super().enqueue(message, delay=delay)  # type: ignore[no-any-return]
        except BrokerConnectionError:
            if isinstance(message, ReceivedMessage):
                message.keep = True  # the Retries middleware's; Dramatiq swallows the error and acknowledges
            raise

    def _ensure_queue(self, queue_name: str) -> None:
        if queue_name not in self.queue_names:
            raise QueueNotFound(queue_name)  # type: ignore[no-untyped-call]
        if queue_name not in self.queues:
            with connection_errors():
                self.queues[queue_name] = self._get_or_create(f"{self.namespace}_{queue_name}")

    def _get_or_create(self, name: str, *, dead_letter: bool = True) -> "Queue":
        try:
            return self.sqs.get_queue_by_name(QueueName=name)
        except self.sqs.meta.client.exceptions.QueueDoesNotExist:
            attributes: dict[QueueAttributeNameType, str] = {
                "MessageRetentionPeriod": str(MAX_MESSAGE_RETENTION_SECONDS),
                "VisibilityTimeout": str(self.visibility_timeout),
            }
            if dead_letter:
                dead = self._get_or_create(f"{name}_dlq", dead_letter=False)
                redrive = {
                    "deadLetterTargetArn": dead.attributes["QueueArn"],
                    "maxReceiveCount": self.max_receives,
                }
                attributes["RedrivePolicy"] = json.dumps(redrive)
            return self.sqs.create_queue(QueueName=name, Attributes=attributes)


class Heartbeat(dramatiq.Middleware):
    """Renews the leases of all queues from a thread that lives as long as the worker does."""

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self.stopping = False  # the worker has been told to end
        self._stopped = threading.Event()

    def before_worker_boot(self, broker: dramatiq.Broker, _: dramatiq.Worker) -> None:
        self.stopping = False
        self._stopped.clear()
        self._thread = threading.Thread(target=self._beat, args=[broker], name="sqs-heartbeat", daemon=True)
        self._thread.start()

    def before_worker_shutdown(self, *_: object) -> None:
        self.stopping = True

    def after_worker_shutdown(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(timeout=5)

    def _beat(self, broker: HeartbeatSQSBroker) -> None:
        while not self._stopped.wait(self.interval):
            for leases in list(broker.leases.values()):
                try:
                    leases.renew()
                except (BotoCoreError, ClientError) as error:
                    log.warning("leases not renewed: %s", error)


class ReceivedMessage(dramatiq.MessageProxy):
    """`keep`: do not delete it from the queue although it was processed."""

    def __init__(self, message: dramatiq.Message[Any], receipt_handle: str) -> None:
        super().__init__(message)
        self.receipt_handle = receipt_handle
        self.keep = False


class Consumer(dramatiq.Consumer):
    """One may follow another on the same queue, after a connection error; the broker keeps the leases.

    `prefetch`: how many messages this process holds at most; `timeout`: how long one poll waits for some, ms.
    """

    def __init__(self, broker: HeartbeatSQSBroker, queue_name: str, prefetch: int, timeout: int) -> None:
        self.client: SQSClient = broker.sqs.meta.client
        self.url = broker.queues[queue_name].url
        self.queue_name = queue_name
        self.leases = broker.leases[queue_name]
        self.visibility_timeout = broker.visibility_timeout
        self.heartbeat = broker.heartbeat
        self.prefetch = prefetch
        self.wait_seconds = min(max(timeout // 1000, 1), MAX_WAIT_TIME_SECONDS)
        self.buffer: deque[ReceivedMessage] = deque()

    def __next__(self) -> ReceivedMessage | None:
        if not self.buffer:
            self._receive()
        return self.buffer.popleft() if self.buffer else None

    def ack(self, message: ReceivedMessage) -> None:  # type: ignore[override]
        if not message.keep:
            self._delete(message)
        self.leases.release(message.receipt_handle)

    def nack(self, message: ReceivedMessage) -> None:  # type: ignore[override]
        """Leave it to the redrive policy: it comes again, perhaps to a newer worker, until it is put away."""
        self.leases.release(message.receipt_handle)

    def requeue(self, messages: Iterable[ReceivedMessage]) -> None:  # type: ignore[override]
        with connection_errors():
            self.leases.hand_back([message.receipt_handle for message in messages])

    def close(self) -> None:
        buffered, self.buffer = self.buffer, deque()
        self.requeue(buffered)

    def _receive(self) -> None:
        room = self.leases.room(self.prefetch, timeout=self.wait_seconds)
        if not room:
            return
        with connection_errors():
            answer = self.client.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=min(room, MAX_PREFETCH),
                WaitTimeSeconds=self.wait_seconds,
                VisibilityTimeout=self.visibility_timeout,
            )
        for raw in answer.get("Messages", ()):
            try:
                message = _decode(raw["Body"], self.queue_name)
            except (DecodeError, TypeError, ValueError) as error:
                # not held, so it comes again until the redrive policy puts it away
                log.error("message %s is not one of Dramatiq's: %s", raw["MessageId"], error)
                continue
            self.leases.add(raw["ReceiptHandle"], raw["MessageId"])
            self.buffer.append(ReceivedMessage(message, raw["ReceiptHandle"]))

    def _delete(self, message: ReceivedMessage) -> None:
        try:
            self.client.delete_message(QueueUrl=self.url, ReceiptHandle=message.receipt_handle)
        except (BotoCoreError, ClientError) as error:
            if _transient(error) and not self.heartbeat.stopping:
                # Dramatiq calls ack again, in 5 s
                raise BrokerConnectionError(str(error)) from error  # type: ignore[no-untyped-call]
            log.warning("could not delete message %s, it comes again: %s", message.message_id, error)


def _decode(body: str, queue_name: str) -> dramatiq.Message[Any]:
    """DecodeError, TypeError or ValueError for whatever a worker could not take through all of its steps."""
    message: dramatiq.Message[Any] = dramatiq.Message.decode(b64decode(body, validate=True))
    if message.queue_name != queue_name:
        raise ValueError(f"of queue {message.queue_name!r}")
    if not isinstance(message.actor_name, str) or not isinstance(message.options, dict):
        raise TypeError("no actor's name, or options that are no object")
    return message


def _transient(error: BotoCoreError | ClientError) -> bool:
    """No answer, an error of the server's own, or too many requests."""
    if not isinstance(error, ClientError):
        return True
    code, status = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    return status >= 500 or "Throttl" in code or code == "OverLimit"


@contextmanager
def connection_errors() -> Iterator[None]:
    """boto3's errors as Dramatiq's, which has the worker start its consumer again."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise BrokerConnectionError(str(error)) from error  # type: ignore[no-untyped-call]
