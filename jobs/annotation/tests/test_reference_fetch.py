"""Fetching a file from a real server with real faults."""

import contextlib
import errno
import json
import os
import random
import socket
import threading
import time

import pytest

from jobs.annotation import AnnotationError
from jobs.annotation.reference import fetch
from jobs.annotation.reference.fetch import download
from jobs.annotation.tests.download_site import BODY, NO_WAIT, OTHER, Handler, free_space, get, names, ranges, sha256


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "genome.fa.gz"


def test_file_and_record(site, path):
    seen = []
    done = get(site, path, progress=lambda here, total: seen.append((here, total)))
    assert path.read_bytes() == BODY
    assert names(path.parent) == ["genome.fa.gz", "genome.fa.gz.json"]
    assert fetch.recorded(path) == done
    assert (done.url, done.size, done.sha256) == (site.url(), len(BODY), sha256(BODY))
    assert done.modified == "Sun, 15 Dec 2024 06:00:00 GMT"
    assert seen[0] == (0, len(BODY))
    assert seen[-1] == (len(BODY), len(BODY))
    assert seen == sorted(seen)


def test_file_that_is_there_is_not_fetched_again(site, path):
    first = get(site, path)
    assert get(site, path) == first
    assert len(site.asked) == 1


@pytest.mark.parametrize("damage", [b"", b"x", BODY[:-1] + b"x", OTHER])
def test_file_that_changed_since_is_fetched_again(site, path, damage):
    get(site, path)
    path.write_bytes(damage)
    get(site, path)
    assert path.read_bytes() == BODY
    assert len(site.asked) == 2


@pytest.mark.parametrize("record", ["", "{}", "[]", '{"url": 3', None])
def test_file_without_its_record_is_fetched_again(site, path, record):
    get(site, path)
    beside = path.with_name("genome.fa.gz.json")
    beside.unlink() if record is None else beside.write_text(record)
    get(site, path)
    assert len(site.asked) == 2
    assert fetch.recorded(path).sha256 == sha256(BODY)


def test_file_of_another_address_is_fetched_again(site, path):
    get(site, path)
    site.files["/other"] = OTHER
    download(site.url("/other"), path, waits=NO_WAIT)
    assert path.read_bytes() == OTHER


def test_goes_on_after_a_cut_connection(site, path):
    site.faults = [("cut", 1_500_000), ("cut", 2_500_000)]
    get(site, path)
    assert path.read_bytes() == BODY
    assert ranges(site) == [None, "bytes=1500000-", "bytes=2500000-"]
    assert {condition for _, _, condition in site.asked[1:]} == {site.etag("/genome.fa.gz")}


def test_next_run_goes_on_where_the_last_gave_up(site, path):
    site.faults = [("cut", 1_000_000), *[("close", None)] * 4]
    with pytest.raises(AnnotationError) as caught:
        get(site, path)
    assert caught.value.code == fetch.FAILED
    assert "4 times in a row. 1000000 bytes of it are here" in str(caught.value)
    assert not path.exists()
    get(site, path)
    assert path.read_bytes() == BODY
    assert ranges(site)[-1] == "bytes=1000000-"


def test_file_that_changes_between_the_attempts_is_fetched_from_its_start(site, path):
    site.faults = [("cut", 1_500_000), ("call", lambda: site.files.update({"/genome.fa.gz": OTHER}))]
    done = get(site, path)
    assert path.read_bytes() == OTHER
    assert done.sha256 == sha256(OTHER)
    assert ranges(site) == [None, "bytes=1500000-"]


def test_shorter_new_version_leaves_nothing_of_the_old(site, path):
    site.faults = [("cut", 1_500_000), ("call", lambda: site.files.update({"/genome.fa.gz": OTHER[:100]}))]
    get(site, path)
    assert path.read_bytes() == OTHER[:100]


def test_server_without_ranges(site, path):
    site.ranges = False
    site.faults = [("cut", 1_500_000)]
    get(site, path)
    assert path.read_bytes() == BODY
    assert len(site.asked) == 2


def test_server_without_ranges_that_always_breaks_is_given_up(site, path):
    site.ranges = False
    site.faults = [("cut", 1_500_000)] * 100
    with pytest.raises(AnnotationError, match=r"ended after 1500000 of 3072000 bytes"):
        get(site, path)
    assert len(site.asked) == 4


def test_without_validator_it_begins_anew(site, path):
    """Two pieces of perhaps two versions are not put together when nothing could tell."""
    site.validators = False
    site.faults = [("cut", 1_500_000)]
    get(site, path)
    assert path.read_bytes() == BODY
    assert ranges(site) == [None, None]


def test_without_validator_a_known_checksum_allows_to_go_on(site, path):
    site.validators = False
    site.faults = [("cut", 1_500_000)]
    get(site, path, sha256(BODY))
    assert ranges(site) == [None, "bytes=1500000-"]


def test_pieces_of_two_versions_are_noticed_and_fetched_again(site, path):
    site.validators = False
    site.files["/genome.fa.gz"] = OTHER
    site.faults = [("cut", 1_500_000), ("call", lambda: site.files.update({"/genome.fa.gz": BODY}))]
    get(site, path, sha256(BODY))
    assert path.read_bytes() == BODY
    assert ranges(site) == [None, "bytes=1500000-", None]


def test_weak_etag_is_not_sent_as_condition(site, path):
    site.etags["/genome.fa.gz"] = 'W/"1"'
    site.faults = [("cut", 1_500_000)]
    get(site, path)
    assert path.read_bytes() == BODY
    assert site.asked[1][2] == "Sun, 15 Dec 2024 06:00:00 GMT"


@pytest.mark.parametrize("said", ["bytes 0-9/3072000", "bytes 1500000-3071999/99", "nonsense", ""])
def test_another_range_than_the_one_asked_for(site, path, said):
    site.faults = [("cut", 1_500_000), ("range", said)]
    get(site, path)
    assert path.read_bytes() == BODY


def test_longer_part_than_the_server_has(site, path):
    """416: the file shrank, and its ETag did not change."""
    site.etags["/genome.fa.gz"] = '"1"'
    site.faults = [("cut", 1_500_000), ("call", lambda: site.files.update({"/genome.fa.gz": OTHER[:100]}))]
    get(site, path)
    assert path.read_bytes() == OTHER[:100]


def test_run_that_ended_just_before_the_renaming(site, path):
    get(site, path)
    state = {"url": site.url(), "length": len(BODY), "validator": '"1"', "modified": ""}
    path.rename(path.with_name("genome.fa.gz.part"))
    path.with_name("genome.fa.gz.part.json").write_text(json.dumps(state))
    get(site, path)
    assert path.read_bytes() == BODY
    assert len(site.asked) == 1


@pytest.mark.parametrize("state", ["", "{}", "[1]", '{"url": "http://elsewhere/", "length": 9, "validator": "x"}'])
def test_part_of_unknown_origin_is_not_continued(site, path, state):
    path.parent.mkdir()
    path.with_name("genome.fa.gz.part").write_bytes(b"x" * 100)
    path.with_name("genome.fa.gz.part.json").write_text(state)
    get(site, path)
    assert path.read_bytes() == BODY
    assert ranges(site) == [None]


def test_wrong_checksum(site, path):
    wanted = sha256(OTHER)
    with pytest.raises(AnnotationError) as caught:
        get(site, path, wanted)
    assert caught.value.code == fetch.FAILED
    assert f"its SHA-256 is {sha256(BODY)} instead of {wanted}" in str(caught.value)
    assert names(path.parent) == []
    assert len(site.asked) == 1


def test_checksum_in_capitals(site, path):
    get(site, path, sha256(BODY).upper())
    get(site, path, sha256(BODY).upper())
    assert len(site.asked) == 1


def test_present_file_with_another_checksum_than_wanted_is_fetched_again(site, path):
    get(site, path)
    site.files["/genome.fa.gz"] = OTHER
    get(site, path, sha256(OTHER))
    assert path.read_bytes() == OTHER


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_final_refusals_are_not_tried_again(site, path, status):
    site.faults = [("status", (status,))]
    with pytest.raises(AnnotationError, match=f"the server answered {status}"):
        get(site, path)
    assert len(site.asked) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_busy_server_is_asked_again(site, path, status):
    site.faults = [("status", (status,))] * 3
    get(site, path)
    assert path.read_bytes() == BODY
    assert len(site.asked) == 4


def test_waits_grow_and_a_server_may_ask_for_more(site, path, monkeypatch):
    waited = []
    monkeypatch.setattr(time, "sleep", waited.append)
    busy = [{"Retry_After": "7"}, {"Retry_After": "Sun, 15 Dec 2024 06:00:00 GMT"}, {"Retry_After": "86400"}]

    original = Handler.answer
    monkeypatch.setattr(Handler, "answer", lambda self, status: original(self, status, **busy.pop(0)))
    site.faults = [("status", (503,))] * 3
    download(site.url(), path, waits=(1, 2, 3))
    assert waited == [7, 2, fetch.LONGEST_WAIT]


def test_server_that_stalls(site, path, monkeypatch):
    monkeypatch.setattr(fetch, "TIMEOUT", 0.3)
    released = threading.Event()

    original = Handler.send_file

    def half(self, site, body, asked, kind, value):
        if kind != "stall":
            return original(self, site, body, asked, kind, value)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", site.etag(self.path))
        self.end_headers()
        self.wfile.write(body[:1_500_000])
        self.wfile.flush()
        released.wait(10)

    Handler.send_file = half
    try:
        site.faults = [("stall", None)]
        get(site, path)
    finally:
        Handler.send_file = original
        released.set()
    assert path.read_bytes() == BODY
    assert site.asked[1][1] is not None


def test_nobody_listens(path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(AnnotationError, match=r"could not be fetched: connection refused\. It was tried 3 times"):
        download(f"http://127.0.0.1:{port}/x", path, waits=(0, 0))


def test_file_without_a_length_is_refused(site, path):
    site.faults = [("no length", None)]
    with pytest.raises(AnnotationError, match="does not say how long the file is"):
        get(site, path)


@pytest.mark.parametrize("seed", range(25))
def test_whatever_happens_the_file_is_one_that_the_server_had(site, path, seed, monkeypatch):
    monkeypatch.setattr(fetch, "CHUNK", 1000)
    luck = random.Random(seed)
    versions = [luck.randbytes(luck.randrange(1, 20_000)) for _ in range(3)]
    site.files["/genome.fa.gz"] = versions[0]
    site.ranges, site.validators = luck.random() < 0.7, luck.random() < 0.8

    def change():
        site.files["/genome.fa.gz"] = luck.choice(versions)

    kinds = [("cut", 0), ("cut", 500), ("cut", 7_000), ("status", (503,)), ("close", None), ("range", "bytes 0-0/1")]
    site.faults = [luck.choice([*kinds, ("call", change), None]) for _ in range(luck.randrange(12))]
    for _ in range(20):
        with contextlib.suppress(AnnotationError):
            done = get(site, path)
            break
    assert path.read_bytes() in versions
    assert done.sha256 == sha256(path.read_bytes())
    assert names(path.parent) == ["genome.fa.gz", "genome.fa.gz.json"]


def test_run_that_ends_before_the_renaming_is_continued(site, path, monkeypatch):
    def no_renaming(self, target):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        original = type(path).replace
        patched.setattr(type(path), "replace", lambda a, b: original(a, b) if b != path else no_renaming(a, b))
        with pytest.raises(KeyboardInterrupt):
            get(site, path)
    assert get(site, path).sha256 == sha256(BODY)
    assert path.read_bytes() == BODY
    assert len(site.asked) == 1


def test_empty_file(site, path):
    site.files["/genome.fa.gz"] = b""
    assert get(site, path).size == 0
    assert path.read_bytes() == b""


def test_file_larger_than_the_disk(site, path, monkeypatch):
    free_space(monkeypatch, 1000)
    with pytest.raises(AnnotationError, match="1000 bytes free") as caught:
        get(site, path)
    assert caught.value.code == "disk_full"


def test_disk_that_fills_up_keeps_what_came(site, path, monkeypatch):
    def fsync(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fsync)
        with pytest.raises(AnnotationError) as caught:
            get(site, path)
    assert caught.value.code == "disk_full"
    assert not path.exists()
    get(site, path)
    assert path.read_bytes() == BODY
