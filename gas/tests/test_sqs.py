"""The SQS consumer against a local SQS: what runs once, what comes again, what is never lost."""

import json
import sys
import threading
import time
import uuid
from base64 import b64encode
from collections import Counter

import dramatiq
import dramatiq.worker
import pytest
from django.core.exceptions import ImproperlyConfigured
from dramatiq.errors import BrokerConnectionError
from dramatiq.middleware import Retries
from dramatiq_sqs import SQSBroker

from gas.aws.sqs import HeartbeatSQSBroker
from gas.aws.sqs_leases import LONGEST, Leases
from gas.testing.aws import Proxy
from gas.testing.processes import Process, wait_until

VISIBILITY = 2  # seconds, instead of 120


@pytest.fixture(autouse=True)
def quick_restarts(monkeypatch):
    monkeypatch.setattr(dramatiq.worker, "CONSUMER_RESTART_DELAY_SECS", 0.2)
    monkeypatch.setattr(dramatiq.worker, "POST_PROCESS_MESSAGE_RETRY_DELAY_SECS", 0.2)


@pytest.fixture
def namespace(local_aws):
    return uuid.uuid4().hex


@pytest.fixture
def make_broker(namespace):
    def make(**options):
        options = {"visibility_timeout": VISIBILITY, "heartbeat_interval": 0.3, "middleware": [], **options}
        return HeartbeatSQSBroker(namespace=namespace, region_name="us-east-1", **options)

    return make


@pytest.fixture
def work():
    """Start a worker for a broker; all are stopped in the end."""
    workers = []

    def work(broker, threads=2):
        worker = dramatiq.Worker(broker, worker_threads=threads, worker_timeout=1000)
        worker.start()
        workers.append(worker)
        return worker

    yield work
    for worker in workers:
        if any(thread.is_alive() for thread in worker.workers):
            worker.stop()


class Task:
    """An actor that counts its runs by argument and then waits until `go` is set."""

    def __init__(self, broker, **options):
        self.runs = Counter()
        self.go = threading.Event()
        self.go.set()
        self.actor = dramatiq.actor(self._run, actor_name="task", queue_name="q", broker=broker, **options)

    def _run(self, number):
        self.runs[number] += 1
        assert self.go.wait(30)

    def send(self, number):
        self.actor.send(number)

    def wait_for(self, runs):
        wait_until(lambda: self.runs == Counter(runs), f"runs {runs} instead of {self.runs}")


def counts(broker, queue="q"):
    """(visible, held, delayed) messages, as SQS counts them."""
    queue = broker.queues.get(queue) or broker.sqs.get_queue_by_name(QueueName=queue)
    queue.load()
    names = ("", "NotVisible", "Delayed")
    return tuple(int(queue.attributes[f"ApproximateNumberOfMessages{name}"]) for name in names)


def wait_for_counts(broker, expected, queue="q"):
    wait_until(lambda: counts(broker, queue) == expected, f"{expected} messages in {queue}")


def fail_once(broker, operation, code, status):
    """The next answer to `operation` is an error; returns the list of the calls that were answered so."""
    failed = []

    def answer(params, **_):
        if not failed:
            failed.append(params)
            parsed = {
                "Error": {"Code": code, "Message": "made up"},
                "ResponseMetadata": {"HTTPStatusCode": status},
            }
            return type("Answer", (), {"status_code": status})(), parsed
        return None

    # before-call: what a handler returns is taken for the answer, and nothing is sent
    broker.sqs.meta.client.meta.events.register(f"before-call.sqs.{operation}", answer)
    return failed


def test_a_task_longer_than_the_visibility_timeout_runs_once(make_broker, work):
    brokers = [make_broker(), make_broker()]
    tasks = [Task(broker) for broker in brokers]
    for broker in brokers:
        work(broker, threads=1)
    for task in tasks:
        task.go.clear()
    for number in range(3):  # one runs and is held, or two; the third waits in a worker and is held too
        tasks[0].send(number)
    wait_until(lambda: sum(len(broker.leases.get("q", ())) for broker in brokers) == 3, "three held messages")
    started = time.monotonic()
    wait_until(lambda: time.monotonic() > started + 2 * VISIBILITY, "end of the visibility timeout", 30)
    for task in tasks:
        task.go.set()
    wait_for_counts(brokers[0], (0, 0, 0))
    assert tasks[0].runs + tasks[1].runs == {0: 1, 1: 1, 2: 1}


WORKER = """
import sys, time, dramatiq
from gas.aws.sqs import HeartbeatSQSBroker

broker = HeartbeatSQSBroker(
    namespace=sys.argv[1],
    region_name="us-east-1",
    visibility_timeout=2,
    heartbeat_interval=0.3,
    middleware=[],
)

@dramatiq.actor(actor_name="task", queue_name="q", broker=broker)
def task(number):
    print("begun", number, flush=True)
    time.sleep(60)

worker = dramatiq.Worker(broker, worker_threads=1)
worker.start()
time.sleep(60)
"""


def test_a_killed_workers_message_comes_again_when_its_lease_is_over(make_broker, namespace, work):
    broker = make_broker()
    task = Task(broker)
    task.send(1)
    with Process([sys.executable, "-c", WORKER, namespace]) as process:
        process.wait_for("begun 1")
        process.kill()
    killed = time.monotonic()
    work(broker)
    task.wait_for({1: 1})
    assert time.monotonic() - killed < VISIBILITY + 3
    wait_for_counts(broker, (0, 0, 0))


@pytest.mark.parametrize(("code", "status"), [("InternalError", 500), ("RequestThrottled", 400)])
def test_a_delete_that_fails_for_now_is_done_again(make_broker, work, monkeypatch, code, status):
    monkeypatch.setattr(dramatiq.worker, "QUEUE_PREFETCH", 1)
    broker = make_broker()
    task = Task(broker)
    failed = fail_once(broker, "DeleteMessage", code, status)
    work(broker, threads=1)
    for number in range(3):
        task.send(number)
    wait_for_counts(broker, (0, 0, 0))
    assert len(failed) == 1
    assert task.runs == {0: 1, 1: 1, 2: 1}
    wait_until(lambda: len(broker.leases["q"]) == 0, "all places free")


def test_a_delete_that_is_refused_frees_the_place(make_broker, work, monkeypatch):
    monkeypatch.setattr(dramatiq.worker, "QUEUE_PREFETCH", 1)
    broker = make_broker()
    task = Task(broker)
    assert fail_once(broker, "DeleteMessage", "ReceiptHandleIsInvalid", 404) == []
    work(broker, threads=1)
    for number in range(3):
        task.send(number)
    wait_for_counts(broker, (0, 0, 0))
    assert sorted(task.runs.values()) == [1, 1, 2]
    wait_until(lambda: len(broker.leases["q"]) == 0, "all places free")


def test_a_restarted_consumer_counts_what_is_still_held(make_broker, work):
    broker = make_broker(visibility_timeout=60)
    task = Task(broker)
    task.go.clear()
    work(broker, threads=1)  # which makes 2 the limit
    task.send(1)
    task.wait_for({1: 1})
    failed = fail_once(broker, "ReceiveMessage", "InternalError", 500)
    wait_until(lambda: failed, "failed receive")
    for number in (2, 3, 4):
        task.send(number)
    wait_until(lambda: len(broker.leases["q"]) == 2, "two held messages")
    wait_for_counts(broker, (2, 2, 0))
    task.go.set()
    wait_for_counts(broker, (0, 0, 0))
    wait_until(lambda: len(broker.leases["q"]) == 0, "all places free")
    assert task.runs == {1: 1, 2: 1, 3: 1, 4: 1}


def test_sqs_gone_for_a_while(make_broker, work, local_aws, monkeypatch):
    """What ends meanwhile, what waits in the worker and what waits in SQS all run once."""
    with Proxy(local_aws.port) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        broker = make_broker(visibility_timeout=10)
        task = Task(broker)
        task.go.clear()
        work(broker, threads=1)
        for number in range(3):
            task.send(number)
        wait_until(lambda: len(broker.leases.get("q", ())) == 2, "two held messages")
        proxy.stop()
        task.go.set()
        with pytest.raises(BrokerConnectionError):
            task.send(9)
        proxy.resume()
        task.send(3)
        wait_for_counts(broker, (0, 0, 0))
        assert task.runs == {0: 1, 1: 1, 2: 1, 3: 1}


def test_a_worker_that_is_told_to_end_ends_also_when_sqs_is_gone(make_broker, work, local_aws, monkeypatch):
    with Proxy(local_aws.port) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        broker = make_broker()
        task = Task(broker)
        task.go.clear()
        worker = work(broker, threads=1)
        task.send(1)
        task.wait_for({1: 1})
        proxy.stop()
        task.go.set()
        worker.stop(timeout=20_000)
        assert not any(thread.is_alive() for thread in worker.workers)
        proxy.resume()
        wait_for_counts(broker, (1, 0, 0))  # it comes again, and the row will say that it is done


def test_a_worker_that_ends_hands_back_what_it_did_not_begin(make_broker, work):
    broker = make_broker(visibility_timeout=60)
    task = Task(broker)
    task.go.clear()
    worker = work(broker, threads=1)
    for number in range(2):
        task.send(number)
    wait_until(lambda: len(broker.leases.get("q", ())) == 2, "two held messages")
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    wait_until(lambda: broker.heartbeat.stopping, "worker to be stopping")
    task.go.set()
    stopping.join()
    wait_for_counts(broker, (1, 0, 0))
    assert sum(task.runs.values()) == 1
    assert not any(thread.name == "sqs-heartbeat" for thread in threading.enumerate())


def test_a_closed_consumer_hands_back_what_nobody_took(make_broker):
    broker = make_broker(visibility_timeout=60)
    task = Task(broker)
    for number in range(3):
        task.send(number)
    consumer = broker.consume("q", prefetch=10)
    message = next(consumer)
    assert counts(broker) == (0, 3, 0)
    consumer.close()
    assert counts(broker) == (2, 1, 0)
    assert len(broker.leases["q"]) == 1
    broker.consume("q").ack(message)  # as Dramatiq does after a restart
    assert counts(broker) == (2, 0, 0)
    assert len(broker.leases["q"]) == 0


def test_a_delay_beyond_what_sqs_takes_is_cut_and_the_message_kept(make_broker):
    broker = make_broker()
    task = Task(broker)
    task.actor.send_with_options(args=[1], delay=7 * 24 * 3600 * 1000)
    assert counts(broker) == (0, 0, 1)


def test_a_retry_far_away_is_not_lost(make_broker, work):
    broker = make_broker(middleware=[Retries(min_backoff=3_600_000, max_backoff=7_200_000)])

    @dramatiq.actor(queue_name="q", broker=broker)
    def task():
        raise RuntimeError("not now")

    work(broker)
    task.send()
    wait_for_counts(broker, (0, 0, 1))


def test_a_retry_that_could_not_be_sent_leaves_the_message_where_it_is(make_broker, work):
    broker = make_broker(middleware=[Retries(min_backoff=1, max_backoff=1)])
    runs = []

    @dramatiq.actor(queue_name="q", broker=broker)
    def task():
        runs.append(1)
        if len(runs) == 1:
            failed.extend(fail_once(broker, "SendMessage", "InternalError", 500))
            raise RuntimeError("not now")

    failed = []
    task.send()
    work(broker)
    wait_until(lambda: len(runs) == 2, "second run")
    wait_for_counts(broker, (0, 0, 0))


def test_what_is_no_message_goes_to_the_dead_letters(make_broker, work, namespace, caplog):
    broker = make_broker(visibility_timeout=1, max_receives=2)
    task = Task(broker)
    broker.consume("q").close()  # makes the queues
    wrong_queue = task.actor.message(1).copy(queue_name="other")
    bodies = [
        "no base64!",
        "bm8gSlNPTg==",
        "W10=",
        "e30=",
        *map(_body, (wrong_queue, _with_options(task, None))),
    ]
    for body in bodies:
        broker.queues["q"].send_message(MessageBody=body)
    work(broker)
    task.send(7)
    task.wait_for({7: 1})
    wait_for_counts(broker, (len(bodies), 0, 0), queue=f"{namespace}_q_dlq")
    assert counts(broker) == (0, 0, 0)
    assert len(broker.leases["q"]) == 0
    assert task.runs == {7: 1}


def _with_options(task, options):
    message = task.actor.message(1)
    return message.copy(options=options) if options else message.__class__(**{**message.asdict(), "options": options})


def _body(message):
    return b64encode(message.encode()).decode()


def test_a_message_that_always_fails_ends_in_the_dead_letters(make_broker, work, namespace):
    broker = make_broker(visibility_timeout=1, max_receives=2, middleware=[Retries(max_retries=0)])
    runs = []

    @dramatiq.actor(queue_name="q", broker=broker)
    def task():
        runs.append(1)
        raise RuntimeError("never")

    task.send()
    work(broker)
    wait_for_counts(broker, (1, 0, 0), queue=f"{namespace}_q_dlq")
    assert len(runs) == 2
    assert counts(broker) == (0, 0, 0)


def test_the_queue_is_made_with_its_redrive_policy(make_broker, namespace):
    broker = make_broker(max_receives=7)
    Task(broker).send(1)
    attributes = broker.queues["q"].attributes
    dead = broker.sqs.get_queue_by_name(QueueName=f"{namespace}_q_dlq").attributes
    assert json.loads(attributes["RedrivePolicy"]) == {
        "deadLetterTargetArn": dead["QueueArn"],
        "maxReceiveCount": 7,
    }
    assert attributes["MessageRetentionPeriod"] == dead["MessageRetentionPeriod"] == str(14 * 24 * 3600)
    assert attributes["VisibilityTimeout"] == str(VISIBILITY)


def test_a_queue_that_is_there_stays_as_it_is(make_broker, namespace):
    broker = make_broker()
    broker.sqs.create_queue(QueueName=f"{namespace}_q", Attributes={"VisibilityTimeout": "77"})
    Task(broker).send(1)
    assert counts(broker) == (1, 0, 0)
    assert broker.queues["q"].attributes["VisibilityTimeout"] == "77"
    assert "RedrivePolicy" not in broker.queues["q"].attributes


def test_nothing_of_sqsbroker_is_missing(make_broker, local_aws):
    """Ours does not call its constructor; a release that sets more there must be looked at."""
    theirs = SQSBroker(namespace="n", region_name="us-east-1", middleware=[])
    replaced = {"retention", "dead_letter", "dead_letter_queues", "dead_letter_retention", "tags", "sqs"}
    assert set(vars(theirs)) - set(vars(make_broker())) == replaced


def test_no_client_before_the_first_use(make_broker):
    broker = make_broker()
    Task(broker)
    assert "sqs" not in vars(broker)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"region_name": ""}, "AWS_REGION"),
        ({"visibility_timeout": 50, "heartbeat_interval": 30}, "half of visibility_timeout"),
    ],
)
def test_options_that_cannot_work(options, says):
    with pytest.raises(ImproperlyConfigured, match=says):
        HeartbeatSQSBroker(**{"namespace": "n", "region_name": "us-east-1", **options})


class Renewals:
    """SQS as far as leases go: refuses the handles in `gone`."""

    def __init__(self):
        self.gone = set()
        self.calls = []

    def change_message_visibility_batch(self, *, QueueUrl, Entries):
        self.calls.append([(entry["ReceiptHandle"], entry["VisibilityTimeout"]) for entry in Entries])
        failed = [
            {"Id": entry["Id"], "SenderFault": True, "Code": "ReceiptHandleIsInvalid"}
            for entry in Entries
            if entry["ReceiptHandle"] in self.gone
        ]
        return {"Successful": [], "Failed": failed}


def test_a_lost_lease_is_logged_once_and_still_takes_a_place(caplog):
    sqs = Renewals()
    leases = Leases(sqs, "url", 120)
    leases.add("a", "message-a")
    leases.add("b", "message-b")
    sqs.gone = {"b"}
    leases.renew()
    leases.renew()
    assert [record.getMessage() for record in caplog.records] == [
        "lost the lease of message message-b: SQS delivers it again"
    ]
    assert len(leases) == 2
    assert sqs.calls == [[("a", 120), ("b", 120)], [("a", 120)]]
    leases.release("b")
    leases.release("b")
    assert len(leases) == 1


def test_no_lease_is_renewed_beyond_what_sqs_allows(caplog, monkeypatch):
    sqs = Renewals()
    leases = Leases(sqs, "url", 120)
    leases.add("a", "message-a")
    now = time.monotonic()
    monkeypatch.setattr("gas.aws.sqs_leases.time.monotonic", lambda: now + LONGEST + 1)
    leases.renew()
    assert sqs.calls == []
    assert "lost the lease of message message-a" in caplog.text


def test_leases_change_in_batches_of_ten():
    sqs = Renewals()
    leases = Leases(sqs, "url", 120)
    for number in range(23):
        leases.add(f"h{number}", f"m{number}")
    leases.renew()
    leases.hand_back([f"h{number}" for number in range(23)])
    assert [len(call) for call in sqs.calls] == [10, 10, 3, 10, 10, 3]
    assert {timeout for call in sqs.calls[3:] for _, timeout in call} == {0}
    assert len(leases) == 0
