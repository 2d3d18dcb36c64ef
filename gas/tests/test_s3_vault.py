"""The vault in an archive class of S3: checksums, parts, tiers, versions, lost answers."""

import hashlib
import io
from base64 import b64encode

import pytest

from gas.aws import s3_vault
from gas.aws.s3_vault import S3Vault
from gas.testing.archive_server import CUT, DAMAGED, LOST_REPLY, WRONG_CHECKSUM
from gas.testing.processes import wait_until
from gas.vaults import CapacityExceeded, IntegrityError, VaultUnavailable, vault

NAME = "7/6f1c/1"
PART = 5 * 1024**2  # S3 takes no smaller one but the last
SMALL = bytes(range(256)) * 40
LARGE = bytes(range(256)) * 4096 * 12  # three parts


@pytest.fixture
def store(vaults, monkeypatch):
    monkeypatch.setattr(s3_vault, "PART", PART)
    return vault("s3")


def archive(store, content=SMALL, name=NAME):
    return store.archive(io.BytesIO(content), name, len(content), hashlib.sha256(content).hexdigest())


def head(store, name=NAME):
    return store.client.head_object(Bucket=store.bucket_name, Key=name, ChecksumMode="ENABLED")


def names(store):
    return [stored.name for stored in store.inventory()]


def unfinished(store):
    uploads = store.client.list_multipart_uploads(Bucket=store.bucket_name).get("Uploads", ())
    return [upload["Key"] for upload in uploads]


def composite(content):
    parts = [content[at : at + PART] for at in range(0, len(content), PART)]
    digest = hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).digest()
    return f"{b64encode(digest).decode()}-{len(parts)}"


def restored(store, name, retrieval):
    wait_until(lambda: store.describe_retrieval(name, retrieval).status == "available", "restored object")
    with store.open_retrieved(name, retrieval) as stream:
        return b"".join(iter(lambda: stream.read(2**20), b""))


@pytest.mark.parametrize("content", [SMALL, LARGE[:PART]], ids=["small", "5 MiB"])
def test_one_piece_has_the_digest_of_the_whole(store, vaults, content):
    archived = archive(store, content)
    assert archived.tree_hash == ""
    assert head(store)["ChecksumSHA256"] == b64encode(hashlib.sha256(content).digest()).decode()
    assert (head(store)["StorageClass"], head(store)["ServerSideEncryption"]) == ("GLACIER", "AES256")
    assert (vaults.calls("PutObject"), vaults.calls("UploadPart")) == (1, 0)
    store.verify(NAME, archived)


@pytest.mark.parametrize("size", [PART + 1, len(LARGE) - 5, len(LARGE)])
def test_parts_have_a_composite_digest(store, size):
    content = LARGE[:size]
    archived = archive(store, content)
    assert archived.tree_hash == composite(content) == head(store)["ChecksumSHA256"]
    assert len(archived.tree_hash) <= 64
    assert (head(store)["StorageClass"], head(store)["ServerSideEncryption"]) == ("GLACIER", "AES256")
    store.verify(NAME, archived)
    assert restored(store, NAME, store.initiate_retrieval(NAME, "Expedited", "token")) == content
    assert unfinished(store) == []


def test_more_than_ten_thousand_parts_are_never_needed(store, vaults, monkeypatch):
    monkeypatch.setattr(s3_vault, "MOST_PARTS", 2)
    archive(store, LARGE)
    assert vaults.calls("UploadPart") == 2


@pytest.mark.parametrize(("operation", "content"), [("PutObject", SMALL), ("UploadPart", LARGE)])
def test_damaged_on_its_way(store, vaults, operation, content):
    vaults.fail(operation, DAMAGED)
    with pytest.raises(VaultUnavailable, match="BadDigest"):
        archive(store, content)
    assert (names(store), unfinished(store)) == ([], [])


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["whole", "parts"])
def test_verify_believes_what_s3_stored(store, vaults, content):
    archived = archive(store, content)
    vaults.fail("HeadObject", WRONG_CHECKSUM)
    with pytest.raises(IntegrityError, match=NAME):
        store.verify(NAME, archived)
    store.verify(NAME, archived)


def test_verify_wants_an_archive_class(store):
    archived = archive(store)
    store.client.put_object(
        Bucket=store.bucket_name,
        Key=NAME,
        Body=SMALL,
        ChecksumSHA256=b64encode(hashlib.sha256(SMALL).digest()).decode(),
    )
    with pytest.raises(IntegrityError, match="STANDARD"):
        store.verify(NAME, archived)


def test_verify_wants_a_checksum(store):
    archived = archive(store)
    store.client.put_object(Bucket=store.bucket_name, Key=NAME, Body=SMALL, StorageClass="GLACIER")
    with pytest.raises(IntegrityError):
        store.verify(NAME, archived)


@pytest.mark.parametrize(
    ("operation", "content"),
    [("PutObject", SMALL), ("CreateMultipartUpload", LARGE), ("UploadPart", LARGE), ("CompleteMultipartUpload", LARGE)],
)
def test_a_lost_answer_does_no_harm(store, vaults, operation, content):
    vaults.fail(operation, LOST_REPLY)
    archived = archive(store, content)
    store.verify(NAME, archived)
    assert names(store) == [NAME]
    store.delete_archive(NAME)
    assert (names(store), unfinished(store)) == ([], [])


def test_parts_that_were_put_together_and_forgotten(store, vaults):
    vaults.fail("CompleteMultipartUpload", LOST_REPLY)
    vaults.fail("CompleteMultipartUpload", "NoSuchUpload")  # what boto3 hears when it asks again
    archived = archive(store, LARGE)
    store.verify(NAME, archived)
    assert vaults.calls("CompleteMultipartUpload") == 2


def test_parts_that_were_not_put_together(store, vaults):
    vaults.fail("CompleteMultipartUpload", "NoSuchUpload")
    with pytest.raises(VaultUnavailable, match="NoSuchUpload"):  # and it was not completed before
        archive(store, LARGE)
    assert names(store) == []


def test_bursts_of_503_are_waited_out(store, vaults):
    archived = archive(store)
    vaults.fail("HeadObject", "ServiceUnavailable", times=2)
    store.verify(NAME, archived)
    assert vaults.calls("HeadObject") == 3


def test_no_capacity_is_an_answer(store, vaults):
    archive(store)
    vaults.fail("RestoreObject", "GlacierExpeditedRetrievalNotAvailable", tier="Expedited", times=9)
    with pytest.raises(CapacityExceeded, match="Expedited"):
        store.initiate_retrieval(NAME, "Expedited", "token")
    assert vaults.calls("RestoreObject") == 1
    retrieval = store.initiate_retrieval(NAME, "Standard", "token")
    assert store.describe_retrieval(NAME, retrieval).tier == "Standard"


def test_a_restore_that_goes_on_is_not_asked_for_again(store, vaults):
    archive(store)
    vaults.delay({"Expedited": 60, "Standard": 60})
    store.initiate_retrieval(NAME, "Standard", "token")
    store.initiate_retrieval(NAME, "Expedited", "token-2")  # S3 answers 409
    assert vaults.calls("RestoreObject") == 2


def test_a_lost_answer_to_a_restore(store, vaults):
    archive(store)
    vaults.fail("RestoreObject", LOST_REPLY)
    with pytest.raises(VaultUnavailable):
        store.initiate_retrieval(NAME, "Expedited", "token")
    assert restored(store, NAME, store.initiate_retrieval(NAME, "Expedited", "token")) == SMALL


def test_what_comes_out_is_checked(store, vaults):
    archive(store)
    retrieval = store.initiate_retrieval(NAME, "Expedited", "token")
    assert restored(store, NAME, retrieval) == SMALL
    vaults.fail("GetObject", DAMAGED)
    with store.open_retrieved(NAME, retrieval) as stream, pytest.raises(IntegrityError):
        list(iter(lambda: stream.read(2**16), b""))


def test_what_comes_out_breaks_off(store, vaults):
    archive(store)
    retrieval = store.initiate_retrieval(NAME, "Expedited", "token")
    assert restored(store, NAME, retrieval) == SMALL
    vaults.fail("GetObject", CUT)
    with store.open_retrieved(NAME, retrieval) as stream, pytest.raises(VaultUnavailable):
        list(iter(lambda: stream.read(2**16), b""))
    assert restored(store, NAME, retrieval) == SMALL


def test_deep_archive_has_no_expedited_tier(store, vaults):
    deep = S3Vault(store.bucket_name, store.region_name, storage_class="DEEP_ARCHIVE")
    assert deep.tiers == ("Standard", "Bulk")
    archive(deep)
    assert head(store)["StorageClass"] == "DEEP_ARCHIVE"
    with pytest.raises(CapacityExceeded):  # by a setting of today, of an archive of yesterday
        store.initiate_retrieval(NAME, "Expedited", "token")
    store.initiate_retrieval(NAME, "Standard", "token")


def test_an_object_that_somebody_took_out_of_the_archive_class(store):
    archive(store)
    store.client.put_object(Bucket=store.bucket_name, Key=NAME, Body=SMALL)
    assert store.describe_retrieval(NAME, "Standard:token").status == "available"
    with store.open_retrieved(NAME, "Standard:token") as stream:
        assert stream.read(len(SMALL) + 1) == SMALL


def test_deleting_leaves_no_version_and_no_unfinished_upload_of_it(store):
    store.client.put_bucket_versioning(Bucket=store.bucket_name, VersioningConfiguration={"Status": "Enabled"})
    for name in (NAME, NAME, f"{NAME}0"):
        archive(store, name=name)
        store.client.create_multipart_upload(Bucket=store.bucket_name, Key=name)
    store.client.delete_object(Bucket=store.bucket_name, Key=NAME)
    store.delete_archive(NAME)
    store.delete_archive(NAME)
    left = store.client.list_object_versions(Bucket=store.bucket_name)
    assert [version["Key"] for version in left["Versions"]] == [f"{NAME}0"]
    assert not left.get("DeleteMarkers")
    assert unfinished(store) == [f"{NAME}0"]


def test_a_missing_bucket_is_no_missing_archive(store, monkeypatch):
    archived = archive(store)
    monkeypatch.setattr(store, "bucket_name", "archive-misspelt")
    for use in (
        lambda: store.verify(NAME, archived),
        lambda: store.describe_retrieval(NAME, "Standard:token"),
        lambda: store.initiate_retrieval(NAME, "Standard", "token"),
        lambda: store.open_retrieved(NAME, "Standard:token").__enter__(),
        lambda: store.delete_archive(NAME),
        lambda: list(store.inventory()),
    ):
        with pytest.raises(VaultUnavailable):
            use()


def test_what_an_operator_must_mend(store, vaults):
    for operation, use in {
        "PutObject": lambda: archive(store),
        "RestoreObject": lambda: store.initiate_retrieval(NAME, "Standard", "token"),
        "ListObjectVersions": lambda: store.delete_archive(NAME),
    }.items():
        vaults.fail(operation, "AccessDenied")
        with pytest.raises(VaultUnavailable, match="AccessDenied"):
            use()
