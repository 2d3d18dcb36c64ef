"""What holds for objects wherever they lie, and what is special about folders and their links."""

import errno
import io
import json
import shutil
import stat
import sys
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from django.core import signing
from django.http import UnreadablePostError

from gas.aws.s3 import S3ObjectStorage
from gas.objects import (
    LINK_SALT,
    InvalidKey,
    LocalObjectStorage,
    ObjectNotFound,
    PartMismatch,
    StorageUnavailable,
    UploadGone,
    attachment,
    objects,
)
from gas.testing.processes import Process

KEY = "uploads/7/6f1c/input"
FIRST = bytes(range(256)) * 4 * 5 * 1024  # 5 MiB: S3 takes no smaller part but the last
SECOND = b"the end"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def local():
    return LocalObjectStorage(bucket="uploads")


@pytest.fixture(scope="module")
def s3_storage(aws_server):
    """One client for all tests: to make one takes longer than most of them."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in aws_server.environment.items():
            patch.setenv(name, value)
        storage = S3ObjectStorage(bucket_name="later", region_name=aws_server.region)
        assert storage.client
    return storage


@pytest.fixture
def s3(s3_storage, local_aws):
    s3_storage.bucket_name = f"b-{uuid.uuid4().hex}"
    s3_storage.client.create_bucket(Bucket=s3_storage.bucket_name)
    return s3_storage


@pytest.fixture(params=["local", "s3"])
def storage(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def put(tmp_path):
    def put(storage, key, content):
        path = tmp_path / "source"
        path.write_bytes(content)
        storage.put_file(key, path)

    return put


def send(storage, token, number, content):
    """As the browser does: part 1 is FIRST, part 2 follows it."""
    url = storage.part_url(KEY, token, number, len(content), MINUTE)
    if url is None:
        offset = 0 if number == 1 else len(FIRST)
        storage.write_part(KEY, token, number, len(content), offset, io.BytesIO(content))
    else:
        headers = {"Content-Type": "application/octet-stream"}
        requests.put(url, data=content, headers=headers, timeout=10).raise_for_status()


def test_settings_name_the_storages():
    assert {objects(alias).bucket for alias in ("uploads", "results")} == {"uploads", "results"}


def test_what_is_put_can_be_read_and_fetched(storage, put, tmp_path):
    put(storage, KEY, b"##fileformat=VCFv4.2\n")
    assert storage.size(KEY) == 21
    assert storage.read_head(KEY, 6) == b"##file"
    assert storage.read(KEY, 1000) == b"##fileformat=VCFv4.2\n"
    storage.fetch_file(KEY, tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == b"##fileformat=VCFv4.2\n"


@pytest.mark.parametrize("content", [b"", b"abc", FIRST + SECOND, FIRST + FIRST], ids=["empty", "3", "5 MiB", "10 MiB"])
def test_streams(storage, content):
    storage.put_stream(KEY, io.BytesIO(content), len(content))
    assert storage.size(KEY) == len(content)
    with storage.open_stream(KEY) as stream:
        first = stream.read(2)
        assert first + b"".join(iter(lambda: stream.read(2**20), b"")) == content
        assert stream.read(1) == b""


class Trickle(io.BytesIO):
    """As a socket does: fewer bytes than asked for."""

    def read(self, size=-1):
        return super().read(min(size, 65521) if size > 0 else 65521)


def test_a_stream_that_comes_in_small_pieces(storage):
    storage.put_stream(KEY, Trickle(FIRST + SECOND), len(FIRST + SECOND))
    assert storage.size(KEY) == len(FIRST + SECOND)


@pytest.mark.parametrize("size", [0, 4, 6, 9 * 2**20])
def test_a_stream_of_another_length_stores_nothing(storage, size):
    with pytest.raises(PartMismatch):
        storage.put_stream(KEY, io.BytesIO(b"bytes"), size)
    with pytest.raises(PartMismatch):
        storage.put_stream(KEY, io.BytesIO(FIRST + FIRST), size)
    assert not storage.exists(KEY)
    assert storage.delete_prefix("uploads") == 0


class Torn:
    """A source that breaks off after 9 MB: S3 has one part by then."""

    left = 9

    def read(self, size):
        self.left -= 1
        if not self.left:
            raise ObjectNotFound("the source")
        return bytes(2**20)


def test_a_source_that_breaks_off_replaces_nothing(storage, put):
    put(storage, KEY, b"old")
    with pytest.raises(ObjectNotFound, match="the source"):
        storage.put_stream(KEY, Torn(), 20 * 2**20)
    assert storage.read(KEY, 10) == b"old"
    if hasattr(storage, "bucket_name"):
        assert "Uploads" not in storage.client.list_multipart_uploads(Bucket=storage.bucket_name)
    else:
        assert list(storage.unfinished.iterdir()) == []


def test_put_replaces(storage, put):
    put(storage, KEY, b"a longer one")
    put(storage, KEY, b"other")
    assert storage.read(KEY, 1000) == b"other"


def test_an_empty_object_reads_as_nothing(storage, put):
    put(storage, KEY, b"")
    assert storage.read(KEY, 10) == b""
    assert storage.size(KEY) == 0


def test_unicode_keys(storage, put):
    put(storage, "results/Müller 😀.vcf", b"x")
    assert storage.size("results/Müller 😀.vcf") == 1


def test_what_is_not_there(storage, tmp_path):
    for read in (
        storage.size,
        lambda key: storage.read(key, 1),
        lambda key: storage.fetch_file(key, tmp_path / "f"),
        lambda key: storage.open_stream(key).__enter__(),
    ):
        with pytest.raises(ObjectNotFound):
            read(KEY)
    assert not (tmp_path / "f").exists()


def test_a_source_that_is_not_there_is_the_callers_mistake(storage, tmp_path):
    with pytest.raises(FileNotFoundError):
        storage.put_file(KEY, tmp_path / "missing")


def test_addresses_are_what_an_operator_can_use(local, s3, put):
    put(local, KEY, b"x")
    assert Path(local.address(KEY)).read_bytes() == b"x"
    assert s3.address(KEY) == f"s3://{s3.bucket_name}/{KEY}"


def test_a_listing_has_every_object_once(storage, put):
    assert list(storage.listing()) == []
    for key in ("jobs/1/a", "jobs/1/b/c", "other"):
        put(storage, key, key.encode())
    storage.begin_upload("jobs/1/unfinished")
    lines = {line.key: line for line in storage.listing()}
    assert {key: line.size for key, line in lines.items()} == {"jobs/1/a": 8, "jobs/1/b/c": 10, "other": 5}
    assert all(abs((datetime.now(UTC) - line.modified).total_seconds()) < 60 for line in lines.values())


def test_delete_twice(storage, put):
    put(storage, KEY, b"x")
    assert storage.exists(KEY)
    storage.delete(KEY)
    assert not storage.exists(KEY)
    storage.delete(KEY)
    with pytest.raises(ObjectNotFound):
        storage.size(KEY)


def test_delete_prefix_deletes_the_folder_and_nothing_else(storage, put):
    for key in ("jobs/1/a", "jobs/1/b/c", "jobs/10/a", "jobs/1a"):
        put(storage, key, b"x")
    within, beside = storage.begin_upload("jobs/1/d"), storage.begin_upload("jobs/10/d")
    assert storage.delete_prefix("jobs/1") == 2
    assert storage.delete_prefix("jobs/1/") == 0
    for key in ("jobs/1/a", "jobs/1/b/c"):
        with pytest.raises(ObjectNotFound):
            storage.size(key)
    assert storage.size("jobs/10/a") == storage.size("jobs/1a") == 1
    with pytest.raises(UploadGone):
        storage.received_parts("jobs/1/d", within)
    assert storage.received_parts("jobs/10/d", beside) == {}


HOSTILE_KEYS = [
    *("", "/", ".", "..", "/etc/passwd", "../secret", "a/../../b", "a/./b", "a//b", "a/", "a\\b", "..\\a"),
    *("a\nb", "a\r", "a\0b", "a\x7fb", "a\u202eb", "\ud800", "x" * 256, "/".join(["x" * 100] * 11)),
]


def test_hostile_keys(storage, tmp_path):
    (tmp_path / "source").write_bytes(b"x")
    for use in (
        lambda key: storage.put_file(key, tmp_path / "source"),
        lambda key: storage.fetch_file(key, tmp_path / "fetched"),
        lambda key: storage.put_stream(key, io.BytesIO(b"x"), 1),
        lambda key: storage.open_stream(key).__enter__(),
        lambda key: storage.read(key, 1),
        storage.size,
        storage.exists,
        storage.address,
        storage.delete,
        lambda key: storage.download_url(key, filename="a", content_type="text/plain", lifetime=MINUTE),
        storage.begin_upload,
    ):
        for key in HOSTILE_KEYS:
            with pytest.raises(InvalidKey):
                use(key)
    for prefix in ("", "/", "..", "a/../b", "/etc/"):
        with pytest.raises(InvalidKey):
            storage.delete_prefix(prefix)


def test_an_upload_in_parts(storage, tmp_path):
    token = storage.begin_upload(KEY)
    assert storage.received_parts(KEY, token) == {}
    send(storage, token, 2, SECOND)
    assert storage.received_parts(KEY, token) == {2: len(SECOND)}
    send(storage, token, 1, FIRST)
    assert storage.received_parts(KEY, token) == {1: len(FIRST), 2: len(SECOND)}
    with pytest.raises(ObjectNotFound):
        storage.size(KEY)
    storage.finish_upload(KEY, token, len(FIRST + SECOND))
    storage.finish_upload(KEY, token, len(FIRST + SECOND))
    storage.fetch_file(KEY, tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == FIRST + SECOND


def test_a_part_may_be_sent_again(storage):
    token = storage.begin_upload(KEY)
    send(storage, token, 1, b"wrong")
    send(storage, token, 1, b"right!")
    assert storage.received_parts(KEY, token) == {1: 6}
    storage.finish_upload(KEY, token, 6)
    assert storage.read(KEY, 100) == b"right!"


def test_parts_that_do_not_add_up(storage):
    token = storage.begin_upload(KEY)
    with pytest.raises(PartMismatch):
        storage.finish_upload(KEY, token, 0)
    send(storage, token, 2, SECOND)
    for total in (len(SECOND), len(FIRST + SECOND)) if storage.part_url(KEY, token, 1, 1, MINUTE) is None else (3,):
        with pytest.raises(PartMismatch):
            storage.finish_upload(KEY, token, total)
    send(storage, token, 1, FIRST)  # nothing was lost
    storage.finish_upload(KEY, token, len(FIRST + SECOND))
    assert storage.size(KEY) == len(FIRST + SECOND)


def test_an_aborted_upload_is_gone(storage):
    token = storage.begin_upload(KEY)
    send(storage, token, 1, FIRST)
    storage.abort_upload(KEY, token)
    storage.abort_upload(KEY, token)
    with pytest.raises(UploadGone):
        storage.received_parts(KEY, token)
    with pytest.raises(UploadGone):
        storage.finish_upload(KEY, token, len(FIRST))


def test_finish_does_not_take_an_object_of_another_size_for_its_own(storage, put):
    put(storage, KEY, b"from before")
    token = storage.begin_upload(KEY)
    storage.abort_upload(KEY, token)
    with pytest.raises(UploadGone):
        storage.finish_upload(KEY, token, 5)


FLAT = """
import json, os, sys
from pathlib import Path
from django.conf import settings
settings.configure(VAR_DIR=sys.argv[2], SECRET_KEY="x", USE_TZ=True)
from gas.aws.s3 import S3ObjectStorage
from gas.objects import LocalObjectStorage
from gas.testing.processes import peak_memory

class Digits:
    left = 100 * 1024**2
    def read(self, size):
        size = min(size, self.left)
        self.left -= size
        return b"0" * size  # bytes(size) takes no memory until it is written to

storage = LocalObjectStorage("uploads") if sys.argv[1] == "local" else S3ObjectStorage(
    bucket_name=sys.argv[1], region_name="us-east-1")
folder = Path(sys.argv[2])
(folder / "small").write_bytes(b"x")
(folder / "large").touch()
os.truncate(folder / "large", 100 * 1024**2)
storage.put_file("warm/up", folder / "small")
storage.fetch_file("warm/up", folder / "fetched")
before = peak_memory()
storage.put_file("a/large", folder / "large")
storage.fetch_file("a/large", folder / "fetched")
storage.put_stream("a/stream", Digits(), Digits.left)
with storage.open_stream("a/stream") as stream:
    while stream.read(1024**2):
        pass
if sys.argv[1] == "local":
    token = storage.begin_upload("a/parts")
    storage.write_part("a/parts", token, 1, Digits.left, 0, Digits())
    storage.finish_upload("a/parts", token, Digits.left)
    assert storage.size("a/parts") == Digits.left
assert (folder / "fetched").stat().st_size == 100 * 1024**2
print(json.dumps({"grown": peak_memory() - before}))
"""


def test_memory_does_not_grow_with_the_object(storage, tmp_path):
    """100 MB there and back; S3 holds a few parts of 8 MiB each way."""
    bucket = getattr(storage, "bucket_name", "local")
    with Process([sys.executable, "-c", FLAT, bucket, tmp_path]) as process:
        answer = json.loads(process.wait_for("grown", timeout=60).splitlines()[-1])
    assert answer["grown"] < (8 if bucket == "local" else 64)


# --- folders ------------------------------------------------------------------------------------------------


class Broken(io.RawIOBase):
    def __init__(self, error):
        self.error = error
        self.calls = 0

    def read(self, size=-1):
        self.calls += 1
        if self.calls == 1:
            return b"abc"
        raise self.error


@pytest.mark.parametrize("stream", [io.BytesIO(b"abcd"), io.BytesIO(b"abcdef"), Broken(UnreadablePostError())])
def test_a_part_of_the_wrong_length_is_not_received(local, stream):
    token = local.begin_upload(KEY)
    local.write_part(KEY, token, 1, 5, 0, io.BytesIO(b"right"))
    with pytest.raises(PartMismatch):
        local.write_part(KEY, token, 1, 5, 0, stream)
    assert local.received_parts(KEY, token) == {}  # not the earlier one either: it has been written over


def test_a_part_never_writes_beyond_its_place(local):
    token = local.begin_upload(KEY)
    local.write_part(KEY, token, 2, 3, 3, io.BytesIO(b"def"))
    with pytest.raises(PartMismatch):
        local.write_part(KEY, token, 1, 3, 0, io.BytesIO(b"abcXXX"))
    local.write_part(KEY, token, 1, 3, 0, io.BytesIO(b"abc"))
    local.finish_upload(KEY, token, 6)
    assert local.read(KEY, 10) == b"abcdef"


KILLED = """
import sys, time
from django.conf import settings
settings.configure(VAR_DIR=sys.argv[1], SECRET_KEY="x")
from gas.objects import LocalObjectStorage

class Stream:
    def read(self, size):
        if size < 10:
            print("half", flush=True)
            time.sleep(60)
        return b"12345"

LocalObjectStorage("uploads").write_part("{key}", "{token}", 2, 10, 5, Stream())
"""


def test_a_killed_writer_leaves_no_part_and_no_lock(local, tmp_path):
    token = local.begin_upload(KEY)
    local.write_part(KEY, token, 1, 5, 0, io.BytesIO(b"abcde"))
    script = KILLED.replace("{key}", KEY).replace("{token}", token)
    with Process([sys.executable, "-c", script, tmp_path]) as process:
        process.wait_for("half")
        with pytest.raises(StorageUnavailable):  # somebody writes: no late writer may reach the finished object
            local.finish_upload(KEY, token, 5)
        process.kill()
    assert local.received_parts(KEY, token) == {1: 5}
    with pytest.raises(PartMismatch):
        local.finish_upload(KEY, token, 15)
    local.write_part(KEY, token, 2, 10, 5, io.BytesIO(b"0123456789"))
    local.finish_upload(KEY, token, 15)
    assert local.read(KEY, 100) == b"abcde0123456789"


def test_a_crash_after_the_object_is_in_place(local, monkeypatch):
    token = local.begin_upload(KEY)
    local.write_part(KEY, token, 1, 5, 0, io.BytesIO(b"abcde"))
    with monkeypatch.context() as patch:
        patch.setattr(local, "abort_upload", lambda *_: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            local.finish_upload(KEY, token, 5)
    with pytest.raises(UploadGone):
        local.write_part(KEY, token, 1, 5, 0, io.BytesIO(b"XXXXX"))
    local.finish_upload(KEY, token, 5)
    assert local.read(KEY, 100) == b"abcde"
    assert list(local.unfinished.iterdir()) == []


def test_a_token_is_good_for_its_key_only(local):
    token = local.begin_upload(KEY)
    for key, wrong in (("uploads/8/x/input", token), (KEY, "0" * 32), (KEY, "../" + token), (KEY, "")):
        with pytest.raises(UploadGone):
            local.write_part(key, wrong, 1, 1, 0, io.BytesIO(b"x"))
        with pytest.raises(UploadGone):
            local.finish_upload(key, wrong, 1)
        local.abort_upload(key, wrong)
    assert len(list(local.unfinished.iterdir())) == 1


def test_a_full_disk_leaves_the_old_object_and_no_litter(local, put, monkeypatch):
    put(local, KEY, b"old")

    def full(source, target, length):
        target.write(source.read(2))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(StorageUnavailable, match="No space left"):
        put(local, KEY, b"new")
    assert local.read(KEY, 10) == b"old"
    assert list(local.unfinished.iterdir()) == []


def test_an_object_that_cannot_be_read_to_its_end(local, put, monkeypatch):
    put(local, KEY, b"bytes")
    with local.open_stream(KEY) as stream, monkeypatch.context() as patch:
        patch.setattr(stream, "_stream", Broken(OSError(errno.EIO, "Input/output error")))
        assert stream.read(3) == b"abc"
        with pytest.raises(StorageUnavailable, match="Input/output"):
            stream.read(3)


def test_an_object_is_no_folder_for_others(local, put):
    put(local, "a/b", b"x")
    with pytest.raises(StorageUnavailable):
        put(local, "a/b/c", b"y")
    with pytest.raises(ObjectNotFound):
        local.read("a/b/c", 1)
    with pytest.raises(ObjectNotFound):
        local.read("a", 1)


def test_folders_are_private(local, put):
    put(local, KEY, b"x")
    folder = (local.folder / KEY).parent
    while folder != local.folder.parent.parent:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        folder = folder.parent


def test_symbolic_links_do_not_lead_out(local, put, tmp_path):
    put(local, "a/b", b"x")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"secret")
    (local.folder / "out").symlink_to(tmp_path / "outside")
    with pytest.raises(InvalidKey):
        local.read("out/secret", 10)
    with pytest.raises(InvalidKey):
        local.delete_prefix("out")
    assert (tmp_path / "outside" / "secret").exists()


# --- links --------------------------------------------------------------------------------------------------


def link(local, lifetime=MINUTE, filename="test.annot.vcf.gz"):
    return local.download_url(KEY, filename=filename, content_type="application/gzip", lifetime=lifetime)


@pytest.mark.django_db
def test_a_link_gives_the_file_its_name_and_type(local, put, client):
    put(local, KEY, b"result")
    answer = client.get(link(local))
    assert b"".join(answer.streaming_content) == b"result"
    assert answer.headers["Content-Type"] == "application/gzip"
    assert answer.headers["Content-Length"] == "6"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"] == attachment("test.annot.vcf.gz")


@pytest.mark.django_db
def test_an_expired_link_says_so(local, put, client):
    put(local, KEY, b"result")
    answer = client.get(link(local, lifetime=timedelta(seconds=-1)))
    assert answer.status_code == 410
    assert b"result" not in answer.content
    assert b"link has expired" in answer.content


@pytest.mark.django_db
def test_a_link_that_was_tampered_with_is_not_found(local, put, client):
    put(local, KEY, b"result")
    url = link(local)
    body = url.removeprefix("/objects/").removesuffix("/").split(":")
    forged = signing.dumps({"bucket": "uploads", "key": KEY}, salt="another salt")
    for token in (":".join([body[0][:-2] + "AA", *body[1:]]), ":".join([*body[:-1], "AAAA"]), "x", forged):
        assert client.get(f"/objects/{token}/").status_code == 404
    assert client.post(url).status_code == 405


@pytest.mark.django_db
def test_a_link_to_what_was_deleted_is_not_found(local, client):
    assert client.get(link(local)).status_code == 404


@pytest.mark.django_db
def test_not_even_a_signed_link_leads_out_of_the_bucket(local, put, client, tmp_path):
    put(local, KEY, b"result")
    (tmp_path / "objects" / "secret").write_bytes(b"secret")
    content = {
        "bucket": "uploads",
        "key": "../secret",
        "filename": "a",
        "content_type": "a/b",
        "expires": 9e9,
    }
    with pytest.raises(InvalidKey):
        client.get(f"/objects/{signing.dumps(content, salt=LINK_SALT)}/")


@pytest.mark.parametrize(
    ("filename", "plain", "encoded"),
    [
        ("test.annot.vcf.gz", "test.annot.vcf.gz", "test.annot.vcf.gz"),
        ("my file.vcf", "my file.vcf", "my%20file.vcf"),
        ('a"b.vcf', "a_b.vcf", "a%22b.vcf"),
        ("Zoë 😀.vcf", "Zo_ _.vcf", "Zo%C3%AB%20%F0%9F%98%80.vcf"),
        ("a\r\nSet-Cookie: x=1.vcf", "aSet-Cookie: x=1.vcf", "aSet-Cookie%3A%20x%3D1.vcf"),
        ("../../etc/passwd", "passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini", "boot.ini"),
        ("%2e%2e%2f.vcf", "_2e_2e_2f.vcf", "%252e%252e%252f.vcf"),
        ("\ud800.vcf", "vcf", "vcf"),
        ("cod\u202efcv.exe", "codfcv.exe", "codfcv.exe"),
        ("", "download", "download"),
        ("..", "download", "download"),
        ("x" * 500 + ".annot.vcf.gz", "x" * 187 + ".annot.vcf.gz", "x" * 187 + ".annot.vcf.gz"),
    ],
)
def test_file_names_in_headers(filename, plain, encoded):
    assert attachment(filename) == f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"
