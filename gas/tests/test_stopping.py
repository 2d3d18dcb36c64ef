import threading

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import Shutdown, ShutdownNotifications

from gas.stopping import NoNewWork


@pytest.fixture
def broker():
    broker = StubBroker(middleware=[NoNewWork(), ShutdownNotifications()])
    yield broker
    broker.flush_all()
    broker.close()


def test_a_worker_does_not_take_back_what_it_gives_back(broker):
    running, runs = threading.Event(), []

    @dramatiq.actor(broker=broker, notify_shutdown=True)
    def work() -> None:
        runs.append(threading.get_ident())
        running.set()
        try:
            for _ in range(600):
                threading.Event().wait(0.01)
        except Shutdown:
            work.send()  # as Job.give_back does
            threading.Event().wait(0.3)  # time enough for the idle thread

    work.send()
    worker = dramatiq.Worker(broker, worker_threads=2, worker_timeout=50)
    worker.start()
    assert running.wait(5)
    worker.stop()
    assert len(runs) == 1


def test_after_a_new_start_it_works_again(broker):
    done = threading.Event()

    @dramatiq.actor(broker=broker)
    def work() -> None:
        done.set()

    for _ in range(2):
        done.clear()
        worker = dramatiq.Worker(broker, worker_threads=1, worker_timeout=50)
        worker.start()
        work.send()
        assert done.wait(5)
        worker.stop()
