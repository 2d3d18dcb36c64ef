"""The vault of the classic Amazon Glacier: tree hashes, parts, jobs, inventories, lost answers."""

import hashlib
import io
import json
import random

import pytest

from gas.aws import glacier
from gas.testing.archive_server import CUT, DAMAGED, LOST_REPLY, WRONG_CHECKSUM
from gas.testing.processes import wait_until
from gas.vaults import (
    Archived,
    ArchiveNotFound,
    CapacityExceeded,
    IntegrityError,
    InventoryPending,
    RetrievalExpired,
    RetrievalPolicyExceeded,
    VaultClosed,
    VaultUnavailable,
    vault,
)

NAME = "7/6f1c/1"
MIB = 1024**2
SMALL = bytes(range(256)) * 40
LARGE = random.Random(7).randbytes(5 * MIB + 77)  # six parts of 1 MiB
HOUR = 3600


@pytest.fixture
def store(vaults, monkeypatch):
    monkeypatch.setattr(glacier, "SINGLE", MIB)
    monkeypatch.setattr(glacier, "PART", MIB)
    return vault("glacier")


def archive(store, content=SMALL, name=NAME):
    return store.archive(io.BytesIO(content), name, len(content), hashlib.sha256(content).hexdigest())


def available(store, archive_id, retrieval):
    wait_until(lambda: store.describe_retrieval(archive_id, retrieval).status == "available", "retrieval")
    return retrieval


def inventory(store, vaults):
    with pytest.raises(InventoryPending) as pending:
        store.inventory()
    vaults.advance(HOUR)
    return list(store.inventory(pending.value.job_id))


def unfinished(store):
    return store.client.list_multipart_uploads(vaultName=store.vault_name)["UploadsList"]


def test_parts(store, vaults):
    archived = archive(store, LARGE)
    assert (vaults.calls("UploadArchive"), vaults.calls("UploadMultipartPart")) == (0, 6)
    store.verify(archived.archive_id, archived)
    retrieval = available(store, archived.archive_id, store.initiate_retrieval(archived.archive_id, "Expedited", "t"))
    with store.open_retrieved(archived.archive_id, retrieval) as stream:
        assert b"".join(iter(lambda: stream.read(99_999), b"")) == LARGE
    assert unfinished(store) == []


def test_parts_are_made_larger_until_there_are_few_enough(store, vaults, monkeypatch):
    monkeypatch.setattr(glacier, "MOST_PARTS", 3)
    archive(store, LARGE)
    assert vaults.calls("UploadMultipartPart") == 3  # of 2 MiB


@pytest.mark.parametrize(("operation", "content"), [("UploadArchive", SMALL), ("UploadMultipartPart", LARGE)])
def test_damaged_on_its_way(store, vaults, operation, content):
    vaults.fail(operation, DAMAGED)
    with pytest.raises(VaultUnavailable, match="Checksum mismatch"):
        archive(store, content)
    assert (inventory(store, vaults), unfinished(store)) == ([], [])


@pytest.mark.parametrize(("operation", "content"), [("UploadArchive", SMALL), ("CompleteMultipartUpload", LARGE)])
def test_what_glacier_says_that_it_got_is_compared(store, vaults, operation, content):
    vaults.fail(operation, WRONG_CHECKSUM)
    with pytest.raises(VaultUnavailable, match="tree hash 0000"):
        archive(store, content)
    assert inventory(store, vaults) == []


def test_nothing_is_verified_that_glacier_has_not_confirmed(store):
    archived = archive(store)
    for other in (
        Archived(archived.archive_id, archived.size, archived.sha256),
        Archived("another", archived.size, archived.sha256, archived.tree_hash),
    ):
        with pytest.raises(IntegrityError):
            store.verify(archived.archive_id, other)


@pytest.mark.parametrize(("operation", "content"), [("UploadArchive", SMALL), ("InitiateMultipartUpload", LARGE)])
def test_closed_to_new_customers(store, vaults, operation, content):
    vaults.fail(operation, "NoLongerSupportedException")
    with pytest.raises(VaultClosed, match="VAULT=s3"):
        archive(store, content)


@pytest.mark.parametrize(
    ("code", "error"),
    [("InsufficientCapacityException", CapacityExceeded), ("PolicyEnforcedException", RetrievalPolicyExceeded)],
)
def test_refused_tiers(store, vaults, code, error):
    archived = archive(store)
    vaults.fail("InitiateJob", code, tier="Expedited")
    with pytest.raises(error):
        store.initiate_retrieval(archived.archive_id, "Expedited", "token")
    retrieval = store.initiate_retrieval(archived.archive_id, "Standard", "token")
    assert store.describe_retrieval(archived.archive_id, retrieval).tier == "Standard"


def test_a_job_whose_answer_was_lost_is_found_again(store, vaults):
    archived = archive(store)
    vaults.fail("InitiateJob", LOST_REPLY)
    with pytest.raises(VaultUnavailable):
        store.initiate_retrieval(archived.archive_id, "Expedited", "token")
    retrieval = store.initiate_retrieval(archived.archive_id, "Expedited", "token")
    assert vaults.calls("InitiateJob") == 1  # each one is billed
    assert store.initiate_retrieval(archived.archive_id, "Expedited", "another") != retrieval
    other = archive(store)
    assert store.initiate_retrieval(other.archive_id, "Expedited", "token") != retrieval


def test_a_job_among_many(store, vaults):
    vaults.delay({"Bulk": HOUR})
    archived = archive(store)
    jobs = [store.initiate_retrieval(archived.archive_id, "Bulk", f"token-{n}") for n in range(53)]  # 50 a page
    assert store.initiate_retrieval(archived.archive_id, "Bulk", "token-52") == jobs[52]


def test_a_job_is_not_forgotten_until_it_is_a_day_old(store, vaults):
    archived = archive(store)
    retrieval = available(store, archived.archive_id, store.initiate_retrieval(archived.archive_id, "Expedited", "t"))
    vaults.advance(23 * HOUR)
    assert store.initiate_retrieval(archived.archive_id, "Expedited", "t") == retrieval
    vaults.advance(2 * HOUR)
    assert store.initiate_retrieval(archived.archive_id, "Expedited", "t") != retrieval


def test_a_job_whose_archive_was_deleted_fails(store, vaults):
    vaults.delay({"Standard": HOUR})
    archived = archive(store)
    retrieval = store.initiate_retrieval(archived.archive_id, "Standard", "token")
    store.delete_archive(archived.archive_id)
    assert store.describe_retrieval(archived.archive_id, retrieval).status == "failed"
    with pytest.raises(VaultUnavailable), store.open_retrieved(archived.archive_id, retrieval):
        pass


@pytest.mark.parametrize("fault", [DAMAGED, WRONG_CHECKSUM])
def test_what_comes_out_is_checked(store, vaults, fault):
    archived = archive(store, LARGE)
    retrieval = available(store, archived.archive_id, store.initiate_retrieval(archived.archive_id, "Expedited", "t"))
    vaults.fail("GetJobOutput", fault)
    with store.open_retrieved(archived.archive_id, retrieval) as stream, pytest.raises(IntegrityError):
        list(iter(lambda: stream.read(MIB), b""))


def test_what_comes_out_breaks_off(store, vaults):
    archived = archive(store)
    retrieval = available(store, archived.archive_id, store.initiate_retrieval(archived.archive_id, "Expedited", "t"))
    vaults.fail("GetJobOutput", CUT)
    with store.open_retrieved(archived.archive_id, retrieval) as stream, pytest.raises(VaultUnavailable):
        list(iter(lambda: stream.read(MIB), b""))


def test_an_archive_whose_answer_was_lost_shows_in_the_inventory(store, vaults):
    vaults.fail("UploadArchive", LOST_REPLY)
    with pytest.raises(VaultUnavailable):
        archive(store)
    archived = archive(store)
    found = inventory(store, vaults)
    assert [stored.name for stored in found] == [NAME, NAME]
    (orphan,) = {stored.archive_id for stored in found} - {archived.archive_id}
    store.delete_archive(orphan)
    assert [stored.archive_id for stored in inventory(store, vaults)] == [archived.archive_id]


def test_an_inventory_takes_its_time(store, vaults):
    vaults.delay({"Standard": HOUR})
    archive(store)
    with pytest.raises(InventoryPending) as first:
        store.inventory()
    with pytest.raises(InventoryPending) as second:
        store.inventory(first.value.job_id)
    assert second.value.job_id == first.value.job_id
    vaults.advance(HOUR)
    assert [stored.name for stored in store.inventory(first.value.job_id)] == [NAME]
    vaults.advance(25 * HOUR)
    with pytest.raises(RetrievalExpired):
        store.inventory(first.value.job_id)


ITEMS = [
    {"ArchiveId": f"id-{n}", "ArchiveDescription": '"], \\ {}' * n, "Size": n, "CreationDate": "2026-01-01T00:00:00Z"}
    for n in range(50)
]


class Slices(io.BytesIO):
    def __init__(self, content, size):
        super().__init__(content)
        self.size = size

    def read(self, _=-1):
        return super().read(self.size)


@pytest.mark.parametrize("size", [1, 7, 100, 10**6])
@pytest.mark.parametrize("indent", [None, 1])
def test_an_inventory_is_read_in_slices(size, indent):
    text = json.dumps({"VaultARN": "arn", "ArchiveList": ITEMS, "InventoryDate": "x"}, indent=indent).encode()
    assert list(glacier.archive_list(Slices(text, size))) == ITEMS
    empty = json.dumps({"VaultARN": "arn", "ArchiveList": []}, indent=indent).encode()
    assert list(glacier.archive_list(Slices(empty, size))) == []
    for end in (0, 10, len(text) // 2, text.rindex(b"}", 0, -5)):
        with pytest.raises(VaultUnavailable, match="broke off"):
            list(glacier.archive_list(Slices(text[:end], size)))


def test_a_missing_vault_is_no_missing_archive(store, monkeypatch):
    archived = archive(store)
    monkeypatch.setattr(store, "vault_name", "misspelt")
    for use in (
        lambda: archive(store),
        lambda: store.initiate_retrieval(archived.archive_id, "Standard", "token"),
        lambda: store.describe_retrieval(archived.archive_id, "job"),
        lambda: store.open_retrieved(archived.archive_id, "job").__enter__(),
        lambda: store.delete_archive(archived.archive_id),  # or nobody would ever see that it was not deleted
        store.inventory,
    ):
        with pytest.raises(VaultUnavailable, match="GLACIER_VAULT"):
            use()


def test_an_archive_that_is_not_there(store):
    with pytest.raises(ArchiveNotFound):
        store.initiate_retrieval("x" * 138, "Standard", "token")
