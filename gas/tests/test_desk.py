"""The start page of the staff: figures with ages, each a link that opens, of what the role may see; and queues."""

import uuid

import dramatiq
import pytest
from django.core.cache import cache

import gas.desk
from gas.aws.sqs import HeartbeatSQSBroker
from gas.desk import Counter, Section
from gas.queues import Depth, QueuesUnavailable, depths


@pytest.fixture(autouse=True)
def no_cache():
    cache.clear()


def sections(client) -> dict[str, Section]:
    return {section.title: section for section in client.get("/admin/").context["sections"]}


FOR_ALL = {
    "Accounts", "Jobs", "Failures in 24 hours", "Uploads", "Mails about jobs",
    "Archive", "Storage of results by plan", "Mails about restores", "Queues",
}  # fmt: skip


@pytest.mark.parametrize(
    ("role", "titles"),
    [("support", FOR_ALL), ("operator", FOR_ALL | {"Announcements"}), (None, FOR_ALL | {"Announcements"})],
)
def test_what_each_role_sees(desk, role, titles):
    assert set(sections(desk(role))) == titles


def test_staff_without_a_role_sees_queues_only(desk, make_staff):
    user = make_staff("support")
    user.groups.clear()
    assert set(sections(desk(user=user))) == {"Queues"}


def test_each_figure_is_a_link_that_opens(desk, researcher, make_job):
    make_job(researcher)
    failed = make_job(researcher)
    assert failed.claim("w")
    assert failed.fail("bad_records", ["Line 3."])
    client = desk("operator")
    links = {
        each.url for section in sections(client).values() for each in section.counters if section.title != "Queues"
    }
    assert "" not in links
    assert len(links) > 20
    for link in links:
        assert client.get(link).status_code == 200, link


def test_the_page_shows_label_value_age_and_what_to_look_at(desk, settings):
    settings.DESK = [f"{__name__}.some_sections"]
    page = " ".join(desk("support").get("/admin/").content.decode().split())
    assert '<a href="/there/">late ones</a>' in page
    assert "12,345 of them" in page
    assert "for 1 hour 1 minute" in page
    assert "look at this" in page
    assert "&lt;b&gt;" in page
    assert "The note." in page
    assert "Nothing here" not in page


def some_sections(_viewer):
    from datetime import timedelta  # noqa: PLC0415

    late = Counter("late ones", "12,345 of them", "/there/", timedelta(seconds=3660), "danger")
    return [Section("Some", [late, Counter("<b>", 0)], "The note."), Section("Nothing here")]


def test_queues_in_memory(desk, hints):
    dramatiq.get_broker().get_actor("clean_upload").send(str(uuid.uuid4()))
    dramatiq.get_broker().get_actor("clean_upload").send_with_options(args=(str(uuid.uuid4()),), delay=60_000)
    assert depths()["clean"] == Depth(2, 0, 0)
    assert depths().keys() >= {"annotate", "archive", "clean", "notify"}
    assert not [name for name in depths() if name.endswith(".DQ")], "a delayed message counts in its queue"
    figures = {each.label: each.value for each in sections(desk("support"))["Queues"].counters}
    assert figures["clean"] == "2 waiting, 0 held, 0 put away"
    assert figures["annotate"] == "0 waiting, 0 held, 0 put away"


def test_a_message_in_a_workers_hands_and_one_put_away(hints):
    broker = dramatiq.get_broker()
    message = broker.get_actor("clean_upload").send(str(uuid.uuid4()))
    consumer = broker.consume("clean", timeout=1)
    held = next(consumer)
    assert depths()["clean"] == Depth(0, 1, 0)
    consumer.nack(held)
    assert held.message_id == message.message_id
    assert depths()["clean"] == Depth(0, 0, 1)
    (counter,) = (each for each in gas.desk.queues(None)[0].counters if each.label == "clean")
    assert (counter.value, counter.level) == ("0 waiting, 0 held, 1 put away", "danger")


def test_queues_out_of_reach_are_said_and_the_page_opens(desk, monkeypatch):
    asked = []

    def fail():
        asked.append(1)
        raise QueuesUnavailable("no route to host")

    monkeypatch.setattr(gas.desk, "depths", fail)
    client = desk("support")
    assert sections(client)["Queues"].note == "Out of reach: no route to host"
    assert "no route to host" in client.get("/admin/").content.decode()
    assert asked == [1], "it is asked seldom: each time somebody waits"


@pytest.fixture
def sqs(local_aws, monkeypatch):
    broker = HeartbeatSQSBroker(namespace=uuid.uuid4().hex, region_name="us-east-1", middleware=[])
    monkeypatch.setattr(dramatiq, "get_broker", lambda: broker)
    return broker


def test_queues_on_sqs(sqs):
    task = dramatiq.actor(lambda: None, actor_name="task", queue_name="q", broker=sqs)
    assert depths() == {"q": Depth(0, 0, 0)}, "before the first message there is no queue"
    for _ in range(3):
        task.send()
    assert depths() == {"q": Depth(3, 0, 0)}
    consumer = sqs.consume("q", prefetch=1, timeout=1000)
    assert next(consumer)
    assert depths() == {"q": Depth(2, 1, 0)}
    sqs.sqs.get_queue_by_name(QueueName=f"{sqs.namespace}_q_dlq").send_message(MessageBody="x")
    assert depths() == {"q": Depth(2, 1, 1)}


def test_sqs_out_of_reach(sqs, monkeypatch):
    dramatiq.actor(lambda: None, actor_name="task", queue_name="q", broker=sqs)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(QueuesUnavailable):
        depths()


def test_the_desk_costs_the_same_queries_whatever_the_rows(desk, researcher, make_job, django_assert_max_num_queries):
    for _ in range(3):
        make_job(researcher)
    client = desk("operator")
    client.get("/admin/")
    with django_assert_max_num_queries(30):
        client.get("/admin/")
