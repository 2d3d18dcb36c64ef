"""What holds for all three vaults; s3 and glacier by HTTP, on the stand-in. Then what is special about the folder."""

import hashlib
import io
import stat
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from django.core.exceptions import ImproperlyConfigured

import gas.vaults
from gas.benchmarks.vaults import measured
from gas.objects import InvalidKey, ObjectNotFound
from gas.testing.processes import wait_until
from gas.vaults import (
    Archived,
    ArchiveNotFound,
    IntegrityError,
    InventoryPending,
    RetrievalExpired,
    VaultUnavailable,
    vault,
)

NAME = "7/6f1c/1"
CONTENT = bytes(range(256)) * 4096 * 2 + b"the end"  # 2 MiB and a bit
SHA256 = hashlib.sha256(CONTENT).hexdigest()
DAY = 24 * 3600
HOUR = 3600


@pytest.fixture(params=["local", "s3", "glacier"])
def store(request, vaults, settings):
    settings.LOCAL_VAULT_DELAYS = {"Expedited": HOUR, "Standard": 2 * HOUR, "Bulk": 3 * HOUR}
    vaults.delay(settings.LOCAL_VAULT_DELAYS)
    return vault(request.param)


@pytest.fixture
def pass_time(vaults, monkeypatch):
    """Let seconds pass, by the clocks of the vaults."""
    clock = SimpleNamespace(time=time.time, monotonic_ns=time.monotonic_ns)

    def pass_time(seconds):
        vaults.advance(seconds)
        before = clock.time
        clock.time = lambda: before() + seconds
        monkeypatch.setattr(gas.vaults, "time", clock)

    return pass_time


def archive(store, content=CONTENT, name=NAME):
    return store.archive(io.BytesIO(content), name, len(content), hashlib.sha256(content).hexdigest())


def retrieve(store, archive_id, pass_time, tier="Expedited", token="token"):
    retrieval = store.initiate_retrieval(archive_id, tier, token)
    pass_time(3 * HOUR)
    wait_until(lambda: store.describe_retrieval(archive_id, retrieval).status != "in_progress", "retrieval")
    return retrieval


def content_of(store, archive_id, retrieval):
    with store.open_retrieved(archive_id, retrieval) as stream:
        return b"".join(iter(lambda: stream.read(100_001), b""))


def inventory(store, pass_time):
    try:
        return list(store.inventory())
    except InventoryPending as pending:
        pass_time(3 * HOUR)
        return list(store.inventory(pending.job_id))


@contextmanager
def nothing_is_stored(store, pass_time):
    yield
    assert inventory(store, pass_time) == []


def test_what_is_archived_comes_back(store, pass_time):
    archived = archive(store)
    assert (archived.size, archived.sha256) == (len(CONTENT), SHA256)
    assert store.archive_id(NAME) in {archived.archive_id, ""}
    store.verify(archived.archive_id, archived)
    for tier in store.tiers:
        retrieval = retrieve(store, archived.archive_id, pass_time, tier, f"token-of-{tier}")
        state = store.describe_retrieval(archived.archive_id, retrieval)
        assert (state.status, state.tier) == ("available", tier)
        for _ in range(2):
            assert content_of(store, archived.archive_id, retrieval) == CONTENT
    store.verify(archived.archive_id, archived)


def test_without_a_digest_to_compare(store):
    archived = store.archive(io.BytesIO(CONTENT), NAME, len(CONTENT))
    assert archived.sha256 == SHA256
    store.verify(archived.archive_id, archived)


def test_nothing_is_there_before_its_time(store, pass_time):
    archived = archive(store)
    retrieval = store.initiate_retrieval(archived.archive_id, "Standard", "token")
    pass_time(2 * HOUR - 60)
    time.sleep(0.1)  # the stand-in looks every 20 ms
    assert store.describe_retrieval(archived.archive_id, retrieval).status == "in_progress"
    with pytest.raises(VaultUnavailable), store.open_retrieved(archived.archive_id, retrieval):
        pass
    pass_time(61)
    wait_until(lambda: store.describe_retrieval(archived.archive_id, retrieval).status == "available", "retrieval")


def test_nothing_can_be_read_that_was_not_asked_for(store):
    archived = archive(store)
    unknown = "Standard:unknown" if store.kind == "s3" else "unknown"
    assert store.describe_retrieval(archived.archive_id, unknown).status == "expired"
    with pytest.raises(RetrievalExpired), store.open_retrieved(archived.archive_id, unknown):
        pass


def test_a_retrieval_expires_and_another_can_be_begun(store, pass_time):
    archived = archive(store)
    retrieval = retrieve(store, archived.archive_id, pass_time)
    pass_time(DAY + HOUR)
    assert store.describe_retrieval(archived.archive_id, retrieval).status == "expired"
    with pytest.raises(RetrievalExpired), store.open_retrieved(archived.archive_id, retrieval):
        pass
    again = retrieve(store, archived.archive_id, pass_time, token="another")
    assert content_of(store, archived.archive_id, again) == CONTENT


def test_asked_again_it_goes_on_with_the_retrieval_that_it_had_begun(store, pass_time):
    archived = archive(store)
    first = store.initiate_retrieval(archived.archive_id, "Standard", "token")
    pass_time(HOUR)
    assert store.initiate_retrieval(archived.archive_id, "Standard", "token") == first
    pass_time(HOUR + 1)  # had it begun anew, another hour would be missing
    wait_until(lambda: store.describe_retrieval(archived.archive_id, first).status == "available", "retrieval")
    assert store.initiate_retrieval(archived.archive_id, "Standard", "token") == first
    assert content_of(store, archived.archive_id, first) == CONTENT


@pytest.mark.parametrize("size", [0, len(CONTENT) - 1, len(CONTENT) + 1])
def test_a_stream_of_another_length_is_not_archived(store, pass_time, size):
    with nothing_is_stored(store, pass_time), pytest.raises(IntegrityError, match="bytes instead of"):
        store.archive(io.BytesIO(CONTENT), NAME, size)


def test_a_stream_of_another_digest_is_not_archived(store, pass_time):
    with nothing_is_stored(store, pass_time), pytest.raises(IntegrityError, match=SHA256):
        store.archive(io.BytesIO(CONTENT), NAME, len(CONTENT), "0" * 64)


class Torn(io.BytesIO):
    def read(self, size=-1):
        block = super().read(size)
        if not block:
            raise ObjectNotFound("the source")
        return block


def test_a_source_that_breaks_off(store, pass_time):
    with nothing_is_stored(store, pass_time), pytest.raises(ObjectNotFound, match="the source"):
        store.archive(Torn(CONTENT), NAME, len(CONTENT))


def test_archiving_again(store, pass_time):
    first, second = archive(store), archive(store)
    found = inventory(store, pass_time)
    assert {stored.archive_id for stored in found} == {first.archive_id, second.archive_id}
    assert {stored.name for stored in found} == {NAME}
    assert len(found) == (1 if store.archive_id(NAME) else 2)


def test_the_inventory(store, pass_time):
    archived = {archive(store, bytes(size), f"7/{size}/1") for size in (1, 5, 1000)}
    found = inventory(store, pass_time)
    assert {(stored.archive_id, stored.size) for stored in found} == {(one.archive_id, one.size) for one in archived}
    assert {stored.name for stored in found} == {"7/1/1", "7/5/1", "7/1000/1"}
    assert {stored.checksum for stored in found} <= {one.tree_hash for one in archived}
    assert all(abs(stored.created - datetime.now(UTC)) < timedelta(days=30) for stored in found)


def test_what_is_not_there(store):
    gone = store.archive_id(NAME) or "x" * 138
    with pytest.raises(ArchiveNotFound):
        store.initiate_retrieval(gone, "Standard", "token")
    if store.archive_id(NAME):  # glacier looks up jobs, not archives
        with pytest.raises(ArchiveNotFound):
            store.verify(gone, Archived(gone, len(CONTENT), SHA256))
        with pytest.raises(ArchiveNotFound):
            store.describe_retrieval(gone, "Standard:token")
        with pytest.raises(ArchiveNotFound), store.open_retrieved(gone, "Standard:token"):
            pass


def test_deleting(store, pass_time):
    one, ten = archive(store, name="7/1"), archive(store, name="7/10")
    store.initiate_retrieval(one.archive_id, "Standard", "token")
    store.delete_archive(one.archive_id)
    store.delete_archive(one.archive_id)
    assert {stored.archive_id for stored in inventory(store, pass_time)} == {ten.archive_id}
    with pytest.raises(ArchiveNotFound):
        store.initiate_retrieval(one.archive_id, "Standard", "token-2")
    assert content_of(store, ten.archive_id, retrieve(store, ten.archive_id, pass_time)) == CONTENT


@pytest.mark.parametrize("name", ["", "/", "..", "../a", "/etc/passwd", "a//b", "a\nb", "a\0"])
def test_hostile_names(store, name):
    with pytest.raises(InvalidKey):
        archive(store, name=name)


def test_verifying_something_else(store):
    archived = archive(store)
    other = Archived(archived.archive_id, archived.size, "0" * 64, archived.tree_hash and "0" * 63)
    with pytest.raises(IntegrityError):
        store.verify(archived.archive_id, other)
    if store.archive_id(NAME):
        shorter = Archived(archived.archive_id, archived.size - 1, archived.sha256, archived.tree_hash)
        with pytest.raises(IntegrityError):
            store.verify(archived.archive_id, shorter)


def test_usual_durations(store):
    for tier in store.tiers:
        shortest, longest = store.typical_duration(tier, 1000)
        assert timedelta(0) < shortest <= longest
        assert store.typical_duration(tier, 10 * 1000**3)[1] >= longest
    longest = [store.typical_duration(tier, 1000)[1] for tier in store.tiers]
    assert longest == sorted(longest)


def test_memory_does_not_grow_with_the_archive(store, vaults, tmp_path):
    """120 MB, which is more than S3 and Glacier get in one piece."""
    vaults.reset()  # short delays
    name = getattr(store, "bucket_name", getattr(store, "vault_name", ""))
    figures = measured(store.kind, name, tmp_path, 120 * 1000**2, vaults.environment)
    assert figures["grown"] < 24


# --- the choice of a vault ------------------------------------------------------------------------------------------


def test_a_vault_is_made_once(vaults):
    assert vault("s3") is vault("s3")
    assert vault("s3").kind == "s3"


def test_a_vault_without_its_setting(settings):
    settings.VAULTS = {"local": {"BACKEND": "gas.vaults.LocalVault"}}
    with pytest.raises(ImproperlyConfigured, match=r"'glacier'.*GLACIER_VAULT"):
        vault("glacier")


# --- the folder -----------------------------------------------------------------------------------------------------


@pytest.fixture
def local(settings):
    settings.LOCAL_VAULT_DELAYS = {"Expedited": 0, "Standard": 0, "Bulk": 0}
    return vault("local")


def test_archives_are_read_only_and_private(local):
    archive(local)
    path = local.folder / "archives" / NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in path.parents[:3]} == {0o700}


def test_rotten_bytes(local):
    archived = archive(local)
    path = local.folder / "archives" / NAME
    path.chmod(0o600)
    path.write_bytes(b"X" + CONTENT[1:])
    with pytest.raises(IntegrityError, match=SHA256):
        local.verify(NAME, archived)


def test_nothing_stays_of_a_deleted_archive(local):
    archive(local)
    local.initiate_retrieval(NAME, "Standard", "token")
    (local.folder / "unfinished" / NAME).mkdir(parents=True)
    (local.folder / "unfinished" / NAME / "of-a-killed-process").write_bytes(b"half")
    local.delete_archive(NAME)
    assert list(local.folder.rglob("*")) == []


def test_archiving_clears_away_what_a_killed_process_left(local):
    (local.folder / "unfinished" / NAME).mkdir(parents=True)
    (local.folder / "unfinished" / NAME / "of-a-killed-process").write_bytes(b"half")
    archive(local)
    assert [path for path in local.folder.rglob("*") if path.is_file()] == [local.folder / "archives" / NAME]


def test_a_full_disk(local, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(gas.vaults.os, "fsync", full)
    with pytest.raises(VaultUnavailable, match="No space left"):
        archive(local)
    assert list(local.inventory()) == []
    assert list(local.folder.rglob("*")) == []


def test_tokens_do_not_lead_out(local):
    archive(local)
    for token in ("../../x", "", "a/b", ".."):
        with pytest.raises(ValueError, match="Not a name"):
            local.initiate_retrieval(NAME, "Standard", token)
