"""How many messages the queues have, whatever the broker."""

from dataclasses import dataclass

import dramatiq
from django.utils.module_loading import import_string
from dramatiq.brokers.stub import StubBroker
from dramatiq.common import dq_name


class QueuesUnavailable(Exception):
    """The queues are out of reach."""


@dataclass(frozen=True)
class Depth:
    """Messages of a queue: not yet taken, in the hands of workers, and put away because nobody could do anything with them."""

    waiting: int
    held: int
    dead: int


def depths() -> dict[str, Depth]:
    """The depth of each queue by its name, as far as the broker knows. Raises QueuesUnavailable."""
    broker = dramatiq.get_broker()
    if isinstance(broker, StubBroker):
        declared = sorted(broker.get_declared_queues())  # with a queue of delayed messages for each
        return {name: _in_memory(broker, name) for name in declared if dq_name(name) != name}
    found: dict[str, Depth] = import_string("gas.aws.sqs_depths.depths")(broker)  # boto3 costs memory
    return found


def _in_memory(broker: StubBroker, name: str) -> Depth:
    queues = [broker.queues[name], broker.queues[dq_name(name)]]
    waiting = sum(queue.qsize() for queue in queues)
    unfinished = sum(queue.unfinished_tasks for queue in queues)
    return Depth(waiting, max(unfinished - waiting, 0), len(broker.dead_letters_by_queue[name]))
