"""The heartbeat of a long step."""

import pytest

from gas.heartbeat import CheckedReads, Heartbeat, LeaseLost


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("renew", [lambda: False, lambda: 1 // 0 > 0], ids=["the lease is lost", "an unexpected error"])
def test_who_has_no_lease_any_more_stops(renew, monkeypatch):
    monkeypatch.setattr("gas.heartbeat.BEAT_SECONDS", 0.01)
    with Heartbeat(renew, "test") as heartbeat:
        assert heartbeat.stopped.wait(5)
        with pytest.raises(LeaseLost):
            CheckedReads(None, heartbeat).read(1)


def test_an_end_without_trouble_stops_nothing(monkeypatch):
    monkeypatch.setattr("gas.heartbeat.BEAT_SECONDS", 0.01)
    with Heartbeat(lambda: True, "test") as heartbeat:
        pass
    assert not heartbeat.stopped.is_set()
