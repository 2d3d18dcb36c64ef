"""Something that happens at a chosen moment of a step."""

import itertools

from archive import steps
from archive.models import ResultArchive, Retrieval

BUCKET = {"open_stream", "put_stream", "delete", "delete_prefix", "size"}
VAULT = {"archive", "verify", "initiate_retrieval", "describe_retrieval", "open_retrieved", "delete_archive"}


class Killed(BaseException):
    """What no code of ours catches."""


def moments():
    """(effect, whether after it): every moment, for `arm`."""
    yield 0, False
    for at in itertools.count():
        yield at, True


class Interposed:
    """Stands before database, bucket and vault, and numbers what the steps ask of them.

    `act` happens before the effect number `at`, or `after` it; -1: never. `done` names the effects so far. Nothing that
    lasts happens between two effects: after one is before the next.
    """

    def __init__(self, monkeypatch):
        self.done, self.at, self.after, self.act = [], -1, False, None
        objects, vault, change = steps.objects, steps.vault, ResultArchive._change
        monkeypatch.setattr(steps, "objects", lambda alias: _Proxy(objects(alias), BUCKET, self))
        monkeypatch.setattr(steps, "vault", lambda kind: _Proxy(vault(kind), VAULT, self))
        update = Retrieval._update
        monkeypatch.setattr(
            ResultArchive, "_change", lambda row, **changes: self.effect("commit", lambda: change(row, **changes))
        )
        thawed = ResultArchive.thawed  # one transaction that holds the job: nothing happens within
        monkeypatch.setattr(
            ResultArchive, "thawed", lambda row, *args: self.effect("commit", lambda: self.aside(thawed, row, *args))
        )
        save = Retrieval.save
        monkeypatch.setattr(Retrieval, "save", lambda row, **how: self.effect("note", lambda: save(row, **how)))
        monkeypatch.setattr(
            Retrieval, "_update", lambda row, **changes: self.effect("note", lambda: update(row, **changes))
        )

    def arm(self, at, *, after, act):
        self.done, self.at, self.after, self.act = [], at, after, act

    def disarm(self):
        self.at = -1

    def aside(self, do, *args):
        """What is done here does not count."""
        at, self.at = self.at, -1
        done, self.done = self.done, []
        try:
            return do(*args)
        finally:
            self.at, self.done = at, done

    def effect(self, name, do):
        now = len(self.done) == self.at
        self.done.append(name)
        if now:
            self.at = -1  # what `act` does has no such effects
        if now and not self.after:
            self.act()
        answer = do()
        if now and self.after:
            self.act()
        return answer


class _Proxy:
    def __init__(self, target, names, interposed):
        self._target, self._names, self._interposed = target, names, interposed

    def __getattr__(self, name):
        value = getattr(self._target, name)
        if name not in self._names:
            return value
        return lambda *args, **kwargs: self._interposed.effect(name, lambda: value(*args, **kwargs))
