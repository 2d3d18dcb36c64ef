"""What S3 tells of its retrievals by way of an SQS queue (s3:ObjectRestore:Completed): whose copy is within reach.

It comes in two forms, that of S3's own notifications and that of EventBridge:
docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html and .../ev-events.html.
"""

# ruff: noqa: TID251 (the home of boto3)

import json
import logging
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

log = logging.getLogger(__name__)
MOST_ROUNDS = 100  # of 10 messages: nothing else of the dispatcher waits for longer than these take


def take_restore_events(queue_url: str, region_name: str, bucket_name: str, restored: Callable[[str], object]) -> int:
    """Call `restored` with the key of each completed retrieval of `bucket_name`; returns how many messages there were.

    A message is deleted once it was handled, or is none of ours; what `restored` raises comes out, and the message
    comes again. SQS out of reach: 0.
    """
    taken = 0
    try:
        for _ in range(MOST_ROUNDS):
            messages = _client(region_name).receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10)
            for message in messages.get("Messages", ()):
                for key in _restored_keys(message, bucket_name):
                    restored(key)
                _client(region_name).delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
                taken += 1
            if not messages.get("Messages"):
                break
    except (BotoCoreError, ClientError) as error:
        log.warning("no events of restored archives: SQS is out of reach or refuses %s: %s", queue_url, error)
    return taken


@cache
def _client(region_name: str) -> "SQSClient":
    config = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 2})
    return boto3.Session().client("sqs", region_name=region_name, config=config)


def _restored_keys(message: "MessageTypeDef", bucket_name: str) -> list[str]:
    try:
        told = _told(json.loads(message["Body"]))
    except (ValueError, TypeError, LookupError, AttributeError):
        log.warning("not an event of S3 in the queue of restore events: %.200s", message["Body"])
        return []
    ours = [key for bucket, key in told if bucket == bucket_name]
    if not ours:
        log.info("no restored archive of ours in an event of S3: %.200s", message["Body"])
    return ours


def _told(event: dict[str, Any]) -> list[tuple[str, str]]:
    """Bucket and key of each completed retrieval."""
    if event.get("detail-type") == "Object Restore Completed":  # EventBridge, whose keys are not encoded
        return [(event["detail"]["bucket"]["name"], event["detail"]["object"]["key"])]
    completed = [
        record for record in event.get("Records", ()) if record["eventName"].endswith("ObjectRestore:Completed")
    ]
    return [(found["s3"]["bucket"]["name"], unquote_plus(found["s3"]["object"]["key"])) for found in completed]
