"""How many messages the queues in SQS have. SQS counts approximately; somebody waits for the page, so that we ask quickly."""

# ruff: noqa: TID251 (a home of boto3)

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from gas.aws.sqs import HeartbeatSQSBroker
from gas.queues import Depth, QueuesUnavailable

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

QUICK = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1})


def depths(broker: HeartbeatSQSBroker) -> dict[str, Depth]:
    """Raises QueuesUnavailable at the first question that SQS does not answer."""
    try:
        client = boto3.Session().client("sqs", region_name=broker.region_name, config=QUICK)
        return {name: _depth(client, f"{broker.namespace}_{name}") for name in sorted(broker.queue_names)}
    except (BotoCoreError, ClientError) as error:
        raise QueuesUnavailable(str(error)) from error


def _depth(client: "SQSClient", name: str) -> Depth:
    waiting, held = _count(client, name)
    return Depth(waiting, held, sum(_count(client, f"{name}_dlq")))


def _count(client: "SQSClient", name: str) -> tuple[int, int]:
    """Waiting and held. A queue that nobody has sent to yet is not there."""
    try:
        url = client.get_queue_url(QueueName=name)["QueueUrl"]
    except client.exceptions.QueueDoesNotExist:
        return 0, 0
    said = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    waiting = int(said["ApproximateNumberOfMessages"]) + int(said.get("ApproximateNumberOfMessagesDelayed", 0))
    return waiting, int(said["ApproximateNumberOfMessagesNotVisible"])
