"""S3's events of completed retrievals: a hint to look now, and nothing else, whatever comes."""

import json
import uuid
from datetime import timedelta

import pytest
from django.db.models.functions import Now

from accounts.models import Plan
from accounts.plans import change_plan
from archive.models import ResultArchive
from archive.tests.conftest import CONTENT, pass_time, settle, take_step
from gas.aws import restore_events
from gas.embedded import Dispatcher, take_restore_events
from gas.objects import objects
from gas.testing.aws import free_port
from gas.testing.processes import wait_until
from gas.vaults import vault

pytestmark = pytest.mark.django_db
BUCKET = "archive-events"


class Queue:
    def __init__(self, region):
        self.client = restore_events._client(region)
        self.url = self.client.create_queue(QueueName=uuid.uuid4().hex)["QueueUrl"]

    @property
    def arn(self):
        told = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])
        return told["Attributes"]["QueueArn"]

    def send(self, event):
        body = event if isinstance(event, str) else json.dumps(event)
        self.client.send_message(QueueUrl=self.url, MessageBody=body)

    def left(self):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        told = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return sum(int(told[name]) for name in names)


@pytest.fixture
def queue(aws_server, settings, monkeypatch):
    for name, value in aws_server.environment.items():
        monkeypatch.setenv(name, value)
    restore_events._client.cache_clear()
    made = Queue(aws_server.region)
    settings.RESTORE_EVENTS_QUEUE_URL, settings.AWS_REGION = made.url, aws_server.region
    settings.S3_ARCHIVE_BUCKET = BUCKET
    yield made
    restore_events._client.cache_clear()


@pytest.fixture(autouse=True)
def open_connection(monkeypatch):
    """A round of the dispatcher closes it, and the transaction of the test with it."""
    monkeypatch.setattr("gas.embedded.connection.close", lambda: None)


@pytest.fixture
def waiting(archive):
    """It waits for a retrieval, to be looked at in an hour."""
    settle(archive)
    change_plan(archive.job.owner, Plan.PREMIUM)
    pass_time(archive)
    assert take_step(archive)
    later = Now() + timedelta(hours=1)
    ResultArchive.objects.filter(pk=archive.pk).update(vault="s3", next_action_at=later, not_before=later)
    archive.refresh_from_db()
    assert archive.status == "THAWING"
    return archive


def of_s3(key, bucket=BUCKET, event="ObjectRestore:Completed"):
    return {"Records": [{"eventName": event, "s3": {"bucket": {"name": bucket}, "object": {"key": key}}}]}


def of_event_bridge(key, bucket=BUCKET, event="Object Restore Completed"):
    detail = {"bucket": {"name": bucket}, "object": {"key": key}}
    return {"source": "aws.s3", "detail-type": event, "detail": detail}


def is_due(row):
    return ResultArchive.objects.filter(pk=row.pk, next_action_at__lte=Now(), not_before=None).exists()


@pytest.mark.parametrize("form", [of_s3, of_event_bridge])
def test_the_thaw_looks_now(form, waiting, queue, hints, django_capture_on_commit_callbacks):
    queue.send(form(waiting.archive_id))
    before = hints("archive")
    with django_capture_on_commit_callbacks(execute=True):
        assert Dispatcher().round() == 0
    assert is_due(waiting)
    assert hints("archive") == before + 1
    assert queue.left() == 0


def test_a_key_of_s3_is_encoded():
    message = {"Body": json.dumps(of_s3("results%2Fa+b%2F1"))}
    assert restore_events._restored_keys(message, BUCKET) == ["results/a b/1"]


@pytest.mark.parametrize(
    "event",
    [
        "no JSON",
        "[]",
        "null",
        {"Event": "s3:TestEvent"},
        {"Records": [{"eventName": "ObjectRestore:Completed"}]},
        {"Records": None},
        of_s3("results/not-a-uuid/1"),
        of_s3("results/" + 36 * "-" + "/1"),
        of_s3("results/" + str(uuid.uuid4()) + "/1"),
        of_event_bridge("elsewhere"),
    ],
)
def test_what_is_none_of_ours_leaves_the_queue_and_moves_nothing(event, waiting, queue):
    queue.send(event)
    assert take_restore_events() == 1
    assert not is_due(waiting)
    assert queue.left() == 0


@pytest.mark.parametrize("form", [of_s3, of_event_bridge])
def test_other_events_and_buckets_move_nothing(form, waiting, queue):
    event = {of_s3: "ObjectRestore:Post", of_event_bridge: "Object Restore Initiated"}[form]
    queue.send(form(waiting.archive_id, event=event))
    queue.send(form(waiting.archive_id, bucket="foreign"))
    assert take_restore_events() == 2
    assert not is_due(waiting)


@pytest.mark.parametrize("status", ["HOT", "DELETED"])
def test_events_that_come_too_late(status, waiting, queue):
    if status == "DELETED":
        assert waiting.job.delete_soon()
    ResultArchive.objects.filter(pk=waiting.pk).update(vault="local")
    settle(waiting)
    queue.send(of_s3(f"results/{waiting.pk}/{waiting.generation}"))
    assert take_restore_events() == 1
    waiting.refresh_from_db()
    assert (waiting.status, waiting.next_action_at) == (status, None)


def test_the_pause_before_another_retrieval_goes_on(waiting, queue):
    """The event is that of the retrieval before."""
    ResultArchive.objects.filter(pk=waiting.pk).update(status="RESTORING")
    queue.send(of_s3(waiting.archive_id))
    assert take_restore_events() == 1
    assert not is_due(waiting)


def test_who_thaws_at_this_moment_is_not_disturbed(waiting, queue):
    ResultArchive.objects.filter(pk=waiting.pk).update(not_before=None)
    waiting.refresh_from_db()
    assert waiting.claim_step()
    queue.send(of_s3(waiting.archive_id))
    assert take_restore_events() == 1
    assert not is_due(waiting)


def test_more_than_one_page_of_messages(waiting, queue):
    for _ in range(24):
        queue.send("noise")
    queue.send(of_s3(waiting.archive_id))
    assert take_restore_events() == 25
    assert is_due(waiting)


def test_a_message_comes_again_when_the_database_failed(waiting, queue, monkeypatch):
    queue.client.set_queue_attributes(QueueUrl=queue.url, Attributes={"VisibilityTimeout": "0"})
    queue.send(of_s3(waiting.archive_id))
    with monkeypatch.context() as broken:
        broken.setattr("archive.follow.archive_restored", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            take_restore_events()
    assert take_restore_events() == 1
    assert is_due(waiting)


def test_sqs_out_of_reach_is_only_logged(waiting, queue, monkeypatch, caplog, hints):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    restore_events._client.cache_clear()
    pass_time(waiting)
    before = hints("archive")
    assert Dispatcher().round() == 1
    assert hints("archive") == before + 1
    assert "SQS is out of reach" in caplog.text


def test_no_queue_no_question(monkeypatch):
    monkeypatch.setattr(restore_events, "_client", None)
    assert take_restore_events() == 0


@pytest.mark.parametrize("kind", ["s3"], indirect=True)
def test_from_the_retrieval_to_the_hot_copy(kind, archive, queue, vaults, settings):
    """The event is S3's own: nobody looks at the row before it comes."""
    assert kind == "s3"
    settings.S3_ARCHIVE_BUCKET = vault("s3").bucket_name
    events = [{"QueueArn": queue.arn, "Events": ["s3:ObjectRestore:Completed"]}]
    vault("s3").client.put_bucket_notification_configuration(
        Bucket=vault("s3").bucket_name, NotificationConfiguration={"QueueConfigurations": events}
    )
    vaults.delay({"Expedited": 0.5})
    settle(archive)
    change_plan(archive.job.owner, Plan.PREMIUM)
    assert take_step(archive)
    archive.refresh_from_db()
    assert archive.status == "THAWING"
    assert not is_due(archive)
    wait_until(lambda: take_restore_events() and is_due(archive), "the event")
    assert take_step(archive)
    archive.refresh_from_db()
    assert archive.status == "HOT"
    assert objects("results").read(archive.hot_key, len(CONTENT) + 1) == CONTENT
