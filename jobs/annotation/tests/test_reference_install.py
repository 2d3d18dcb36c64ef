"""Fetching the sources of a reference from a real server with real faults, and what is handed to the build."""

import contextlib
import copy
import datetime
import errno
import fcntl
import gzip
import hashlib
import http.server
import json
import os
import random
import re
import shutil
import socket
import ssl
import threading
import time
import tomllib
import urllib.request
from collections import namedtuple

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from jobs.annotation import AnnotationError, reference
from jobs.annotation.reference import fetch, install, toml
from jobs.annotation.reference.fetch import download
from jobs.annotation.tracks import allele_key

BODY = bytes(range(256)) * 12_000  # 3 MB: several chunks
OTHER = BODY[::-1]
NO_WAIT = (0, 0, 0)


def sha256(body):
    return hashlib.sha256(body).hexdigest()


class Site:
    """What the server has, how it will fail next, and what it was asked."""

    def __init__(self, address):
        self.address = address
        self.files = {"/genome.fa.gz": BODY}
        self.etags = {}
        self.faults = []  # one for each request to come: None or (kind, value)
        self.asked = []  # (path, Range, If-Range)
        self.ranges = True
        self.validators = True

    def url(self, path="/genome.fa.gz"):
        return self.address + path

    def etag(self, path):
        return self.etags.get(path, f'"{sha256(self.files[path])[:12]}"')


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        site = self.server.site
        asked = self.headers.get("Range")
        site.asked.append((self.path, asked, self.headers.get("If-Range")))
        kind, value = (site.faults.pop(0) if site.faults else None) or (None, None)
        if kind == "call":
            value()
            kind, value = (site.faults.pop(0) if site.faults else None) or (None, None)
        if kind == "status":
            return self.answer(*value)
        if kind == "close":
            return self.connection.shutdown(socket.SHUT_RDWR)
        if self.path not in site.files:
            return self.answer(404)
        body = site.files[self.path]
        return self.send_file(site, body, asked, kind, value)

    def answer(self, status, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send_file(self, site, body, asked, kind, value):
        etag = site.etag(self.path)
        condition = self.headers.get("If-Range")
        start = 0
        if asked and site.ranges and condition in (None, etag):
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
            if start >= len(body):
                return self.answer(416, Content_Range=f"bytes */{len(body)}")
            said = value if kind == "range" else f"bytes {start}-{len(body) - 1}/{len(body)}"
            self.send_response(206)
            self.send_header("Content-Range", said)
        else:
            self.send_response(200)
        if kind != "no length":
            self.send_header("Content-Length", str(len(body) - start))
        if site.validators:
            self.send_header("ETag", etag)
            self.send_header("Last-Modified", "Sun, 15 Dec 2024 06:00:00 GMT")
        self.end_headers()
        self.wfile.write(body[start : value if kind == "cut" else len(body)])
        self.wfile.flush()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def site(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # a client that went away
    server.site = Site(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server.site
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "genome.fa.gz"


def get(site, path, sha256=None, **options):
    return download(site.url(), path, sha256, waits=NO_WAIT, **options)


def ranges(site):
    return [asked for _, asked, _ in site.asked]


def names(folder):
    return sorted(item.name for item in folder.iterdir())


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


def test_redirection_is_followed(site, path):
    site.faults = [("status", (302,))]
    original = Handler.answer
    try:
        Handler.answer = lambda self, status: original(self, status, Location=site.url())
        download(site.url("/old"), path, waits=NO_WAIT)
    finally:
        Handler.answer = original
    assert path.read_bytes() == BODY


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/x", "gopher:x"])
def test_redirection_out_of_http_is_not_followed(site, path, target):
    original = Handler.answer
    site.faults = [("status", (302,))] * 9
    try:
        Handler.answer = lambda self, status: original(self, status, Location=target)
        with pytest.raises(AnnotationError):
            get(site, path)
    finally:
        Handler.answer = original
    assert not path.exists()


def test_redirection_from_https_to_http_is_not_followed():
    request = urllib.request.Request("https://host/x")
    with pytest.raises(AnnotationError, match="it leads to http://host/x, which is not secure"):
        fetch._SafeRedirect().redirect_request(request, None, 302, "Found", {}, "http://host/x")
    assert fetch._SafeRedirect().redirect_request(request, None, 302, "Found", {}, "https://other/x") is not None


def test_redirection_keeps_the_range(site, path):
    site.faults = [("cut", 1_500_000), ("status", (302,))]
    original = Handler.answer
    try:
        Handler.answer = lambda self, status: original(self, status, Location=site.url())
        get(site, path)
    finally:
        Handler.answer = original
    assert path.read_bytes() == BODY
    assert ranges(site) == [None, "bytes=1500000-", "bytes=1500000-"]


def test_endless_redirection(site, path):
    site.faults = [("status", (302,))] * 99
    original = Handler.answer
    try:
        Handler.answer = lambda self, status: original(self, status, Location=site.url())
        with pytest.raises(AnnotationError, match="infinite loop") as caught:
            get(site, path)
    finally:
        Handler.answer = original
    assert "\n" not in str(caught.value)


def test_server_whose_certificate_nobody_vouches_for(tmp_path, path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    self_signed(key, certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            with listener.accept()[0] as connection, contextlib.suppress(OSError):
                context.wrap_socket(connection, server_side=True).close()

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(AnnotationError, match="the server's certificate is not trusted"):
            download(f"https://127.0.0.1:{listener.getsockname()[1]}/x", path)
        thread.join()


def self_signed(key_file, certificate_file):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - datetime.timedelta(1))
    certificate = builder.not_valid_after(now + datetime.timedelta(1)).sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    key_file.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    certificate_file.write_bytes(certificate.public_bytes(pem))


@pytest.mark.parametrize("url", ["ftp://host/x", "/etc/hostname", "data:,x", ""])
def test_other_schemes_are_refused(path, url):
    with pytest.raises(AnnotationError, match="must begin with https:, http: or file:"):
        download(url, path)


def test_file_url(tmp_path, path):
    (tmp_path / "a file").write_bytes(BODY)
    done = download((tmp_path / "a file").as_uri(), path)
    assert path.read_bytes() == BODY
    assert done.sha256 == sha256(BODY)


def test_file_url_that_leads_nowhere(tmp_path, path):
    with pytest.raises(AnnotationError, match="No such file"):
        download((tmp_path / "none").as_uri(), path)
    with pytest.raises(AnnotationError, match="one of this computer"):
        download("file://elsewhere/x", path)


def free_space(monkeypatch, free):
    usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(0, 0, free))


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


# install: a table of small files on the server, and what the build is given

TABLE = """
[[references]]
name = "Mini"
build = "GRCh38"
description = "A small \\"reference\\""
promoter = 500
contigs = [{{ name = "21", length = 100, aliases = ["chr21", "NC_000021.9"], genetic_code = 1 }}]
[references.genome]
url = "{site}/genome.fa.gz"
source = "Ensembl"
version = "115"
licence = "free"
sha256 = "{sha256}"
bytes = 3_000_000
built = 5_000_000
[references.genes]
url = "{site}/Homo.gff3.gz"
file = "genes.gff3.gz"
source = "Ensembl"
version = "115"
[[references.tracks]]
name = "ClinVar"
kind = "allele"
url = "{site}/clinvar.vcf.gz"
source = "NCBI ClinVar"
version = "latest"
licence = "public domain"
[[references.tracks.fields]]
info = "GAS_CLINVAR"
column = "CLNSIG"
type = "String"
description = "Significance"
[[references.tracks]]
name = "CpG islands"
kind = "interval"
format = "tsv"
url = "{site}/cpg.txt.gz"
version = "latest"
columns = {{ chrom = 2, start = 3, end = 4 }}
fields = [{{ info = "GAS_CPG_ISLAND", column = 5, type = "String", description = "CpG" }}]
"""


@pytest.fixture
def table(site, tmp_path):
    site.files |= {"/Homo.gff3.gz": b"genes", "/clinvar.vcf.gz": b"clinvar", "/cpg.txt.gz": b"cpg"}
    path = tmp_path / "sources.toml"
    path.write_text(TABLE.format(site=site.address, sha256=sha256(BODY)))
    return path


@pytest.fixture
def built(monkeypatch):
    """The declarations that the build was given, in place of building."""
    declarations = []

    def build(folder, into, log):
        declarations.append(tomllib.loads((folder / "reference.toml").read_text()))
        for name in listed_files(declarations[-1]):
            assert (folder / name).is_file()
        return into / "Mini"

    monkeypatch.setattr(install, "build", build)
    return declarations


def listed_files(facts):
    entries = [facts["genes"]] if "genes" in facts else []
    return [entry["file"] for entry in [*entries, *facts["tracks"]]] + ([facts["fasta"]] if "fasta" in facts else [])


def run(table, tmp_path, **options):
    return install.install("Mini", tmp_path / "root", tmp_path / "cache", table, **options)


def test_install_fetches_declares_and_builds(site, table, tmp_path, built):
    told = []
    assert run(table, tmp_path, told=lambda *what: told.append(what)) == tmp_path / "root" / "Mini"
    (facts,) = built
    assert facts["description"] == 'A small "reference"'
    assert (facts["name"], facts["build"], facts["fasta"], facts["promoter"]) == ("Mini", "GRCh38", "genome.fa.gz", 500)
    assert facts["contigs"] == tomllib.loads(table.read_text())["references"][0]["contigs"]
    assert (facts["genes"]["file"], facts["genes"]["version"]) == ("genes.gff3.gz", "115")
    clinvar, cpg = facts["tracks"]
    assert clinvar == {
        "name": "ClinVar",
        "kind": "allele",
        "file": "clinvar.vcf.gz",
        "url": site.url("/clinvar.vcf.gz"),
        "source": "NCBI ClinVar",
        "version": "2024-12-15",
        "licence": "public domain",
        "fields": [
            {"info": "GAS_CLINVAR", "column": "CLNSIG", "type": "String", "description": "Significance"},
        ],
    }
    assert cpg["columns"] == {"chrom": 2, "start": 3, "end": 4}
    assert {entry["name"]: (entry["version"], entry["sha256"]) for entry in facts["sources"]} == {
        "Ensembl (genome)": ("115", sha256(BODY)),
        "Ensembl (genes)": ("115", sha256(b"genes")),
        "NCBI ClinVar (ClinVar)": ("2024-12-15", sha256(b"clinvar")),
        "CpG islands": ("2024-12-15", sha256(b"cpg")),
    }
    assert {file for file, _, _ in told} == {"genome.fa.gz", "genes.gff3.gz", "clinvar.vcf.gz", "cpg.txt.gz"}


def test_install_again_fetches_nothing(site, table, tmp_path, built):
    run(table, tmp_path)
    run(table, tmp_path)
    assert len(site.asked) == 4
    assert built[0] == built[1]


def test_refresh_fetches_what_may_be_newer(site, table, tmp_path, built):
    run(table, tmp_path)
    site.files["/clinvar.vcf.gz"] = b"newer"
    site.asked.clear()
    run(table, tmp_path, refresh=True)
    assert sorted(path for path, _, _ in site.asked) == ["/clinvar.vcf.gz", "/cpg.txt.gz"]
    assert sha256(b"newer") in {entry["sha256"] for entry in built[1]["sources"]}


def test_skipped_parts_are_neither_fetched_nor_declared(site, table, tmp_path, built):
    run(table, tmp_path, skip=["genome", "GENES", "clinvar"])
    assert [path for path, _, _ in site.asked] == ["/cpg.txt.gz"]
    (facts,) = built
    assert "fasta" not in facts
    assert "genes" not in facts
    assert [track["name"] for track in facts["tracks"]] == ["CpG islands"]
    assert len(facts["sources"]) == 1


def test_skipping_what_there_is_not(table, tmp_path, built):
    with pytest.raises(AnnotationError, match=r"no part dbsnp.*Its parts are: genome, genes, ClinVar, CpG islands"):
        run(table, tmp_path, skip=["dbSNP"])
    assert built == []


def test_failure_of_one_source_builds_nothing_and_keeps_the_others(site, table, tmp_path, built):
    body = site.files.pop("/cpg.txt.gz")
    with pytest.raises(AnnotationError, match=r"cpg\.txt\.gz could not be fetched: the server answered 404"):
        run(table, tmp_path)
    assert built == []
    site.files["/cpg.txt.gz"] = body
    site.asked.clear()
    run(table, tmp_path)
    assert [path for path, _, _ in site.asked] == ["/cpg.txt.gz"]


def test_space_is_compared_before_anything_is_fetched(site, table, tmp_path, built, monkeypatch):
    free_space(monkeypatch, 4_000_000)
    with pytest.raises(AnnotationError) as caught:
        run(table, tmp_path)
    assert caught.value.code == "disk_full"
    assert "has 4.0 MB free, and the reference needs about 8.0 MB" in str(caught.value)
    assert "genome (8.0 MB)" in str(caught.value)
    assert site.asked == []
    run(table, tmp_path, skip=["genome"])
    assert len(built) == 1


def test_space_of_what_is_here_already_is_not_needed_again(table, tmp_path, built, monkeypatch):
    run(table, tmp_path)
    free_space(monkeypatch, 5_000_000)
    run(table, tmp_path)
    assert len(built) == 2


def test_two_installations_at_once(table, tmp_path, built):
    folder = tmp_path / "cache" / "Mini"
    folder.mkdir(parents=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(AnnotationError, match="Another installation is at work"):
            run(table, tmp_path)
    run(table, tmp_path)


@pytest.mark.parametrize("name", ["T2T", "", "..", "../Mini"])
def test_unknown_reference(table, tmp_path, name):
    with pytest.raises(AnnotationError, match="There are for: Mini"):
        install.install(name, tmp_path, tmp_path, table)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "x = [",
        "references = 3",
        "references = [3]",
        '[[references]]\nname = "Mini"',
        '[[references]]\nname = "Mini"\nbuild = ""\ndescription = ""\ncontigs = []\ngenome = {}',
        '[[references]]\nname = "Mini"\nbuild = ""\ndescription = ""\ncontigs = []\ntracks = [{url = "x"}]',
    ],
)
def test_table_that_cannot_be_read(tmp_path, text):
    path = tmp_path / "sources.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(AnnotationError, match=r"table of sources .* cannot be read"):
        install.install("Mini", tmp_path, tmp_path, path)


def test_file_name_that_leaves_the_folder(table, tmp_path, built):
    table.write_text(table.read_text().replace('"genes.gff3.gz"', '"../genes.gff3.gz"'))
    with pytest.raises(AnnotationError, match="a name without a folder"):
        run(table, tmp_path)


# the table that comes with GAS


@pytest.fixture(scope="module")
def references():
    return tomllib.loads(install.SOURCES.read_text())["references"]


def test_table_has_both_builds(references):
    assert [entry["name"] for entry in references] == ["GRCh38", "GRCh37"]
    assert list(install.installable()) == ["GRCh38", "GRCh37"]


def test_contigs_have_the_published_lengths(references):
    """Sums over chromosomes 1-22, X, Y of GCA_000001405.15 and GCA_000001405.1 (UCSC's hg38 and hg19 chrom.sizes)."""
    assert [sum(contig["length"] for contig in entry["contigs"][:24]) for entry in references] == [
        3_088_269_832,
        3_095_677_412,
    ]


def test_contigs_have_the_names_that_dbsnp_uses(references):
    chromosomes = [*map(str, range(1, 23)), "X", "Y"]
    for entry in references:
        assert [contig["name"] for contig in entry["contigs"]] == [*chromosomes, "MT"]
        for number, contig in enumerate(entry["contigs"][:24], 1):
            assert contig["aliases"][0] == f"chr{contig['name']}"
            assert re.fullmatch(rf"NC_{number:06d}\.\d+", contig["aliases"][1])
        assert "NC_012920.1" in entry["contigs"][24]["aliases"]
        assert [contig["genetic_code"] for contig in entry["contigs"]] == [1] * 24 + [2]


def test_every_source_is_complete(references):
    for entry in references:
        parts = install._wanted(entry, [])
        assert len({part.name.lower() for part in parts}) == len({part.file for part in parts}) == len(parts)
        for part in parts:
            assert part.entry["url"].startswith("https://")
            assert {"source", "version", "licence", "bytes", "built"} <= part.entry.keys()


def test_every_track_is_complete(references):
    for entry in references:
        infos = []
        for track in entry["tracks"]:
            assert track["kind"] in {"allele", "interval", "proportional", "gene"}
            assert track["format"] in {"vcf", "tsv"}
            assert ("columns" in track) == (track["format"] == "tsv")
            assert ("overlap" in track) == (track["kind"] == "proportional")
            infos += [track["overlap"]] if "overlap" in track else []
            for field in track["fields"]:
                assert field["description"]
                assert field["example"]
                if not field.get("id"):
                    infos.append(field["info"])
                    assert field["column"]
                    assert field["type"] in {"String", "Integer", "Float"}
        assert all(re.fullmatch("GAS_[A-Z_]+", info) for info in infos)
        assert len(set(infos)) == len(infos)


def test_every_track_of_the_table_can_be_skipped(references):
    for entry in references:
        everything = ["genome", "genes", *(track["name"] for track in entry["tracks"])]
        assert install._wanted(entry, everything) == []


# both references of the table, with small files of the true layout in place of the real ones

BASES = "ATGGCTTGTGGTAAACGTTGA" + "ACGT" * 500  # a gene at 1-21, then no feature
GENES = """##gff-version 3
21\tensembl\tgene\t1\t21\t.\t+\t.\tID=gene:ENSG1;Name=SOD1;biotype=protein_coding
21\tensembl\tmRNA\t1\t21\t.\t+\t.\tID=transcript:ENST1;Parent=gene:ENSG1;biotype=protein_coding;tag=Ensembl_canonical
21\tensembl\texon\t1\t21\t.\t+\t.\tParent=transcript:ENST1
21\tensembl\tCDS\t1\t21\t.\t+\t0\tID=CDS:ENSP1;Parent=transcript:ENST1
"""
VCF = "##fileformat=VCFv4.2\n{info}#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
DBSNP = VCF.format(info='##INFO=<ID=FREQ,Number=.,Type=String,Description="">\n')
DBSNP += "NC_0000{nc}\t4\trs7\tG\tA,T\t.\t.\tRS=7;VC=SNV;FREQ=1000Genomes:0.9,0.1,.|TOPMED:1,0,0\n"
CLINVAR = VCF.format(info="") + (
    "21\t5\t12345\tC\tT\t.\t.\tCLNDN=Leigh_syndrome|not_provided;CLNREVSTAT=single;CLNSIG=Benign;RS=8\n"
)


def ucsc(*cells, bin=True):
    return "\t".join(["585"] * bin + ["chr21", "9", "12", *cells]) + "\n"


SMALL = {
    "genome": ">21 dna\n" + BASES + "\n>KI270706.1 scaffold\nACGT\n",
    "genes": GENES,
    "ClinVar": CLINVAR,
    "cytoBand": ucsc("q22.11", "gneg", bin=False),
    "GWAS catalog": ucsc(
        *("rs9", "17634449", "Samani NJ", "2007-07-18", "N Engl J Med", "A title", "Heart disease", "1,926", "875"),
        *("21q22.11", "SOD1", "rs9-C", "0.47", "6E-10", "", "1.36", "[1.2-1.6]", "Affymetrix", "N"),
    ),
    "segmental duplications": ucsc(
        *("chr15:101", "0", "+", "chr15", "101", "9", "99", "1", "1000", "N/A", "N/A", "N/A", "N/A", "align", "1"),
        *("0", "0", "1", "1", "0", "0", "0", "0.992904", "0.99", "0.007", "0.007"),
    ),
    "CpG islands": ucsc("CpG: 116", "3", "116", "2", "20", "60", "0.8"),
    "DGV": ucsc(
        *("nsv1", "0", "+", "9", "12", "0", "Deletion", "Conrad et al 2009", "19812545", "CNV", "", "", "", "450"),
        *("0", "1", "", "SOD1", ""),
    ),
    "TargetScan": ucsc("SOD1:miR-124/506", "99", "+"),
    "conserved TFBS": ucsc("V$MYOD_01", "850", "+", "2.47"),
    "HGNC": "hgnc_id\tsymbol\tname\tlocus_group\tlocus_type\talias_symbol\tprev_symbol\tentrez_id\n"
    'HGNC:11179\tSOD1\tsuperoxide dismutase 1\tprotein\tgene with protein product\t"IPOA|X"\tALS|ALS1\t6647\n',
}


def small_table(site, entry, path):
    """Puts the small files on the server and writes the table that leads to them."""
    small = SMALL | {"dbSNP": DBSNP.format(nc=entry["contigs"][20]["aliases"][1][7:])}
    for part in install._parts(entry):
        address = f"/{part.file}"
        body = small[part.name].encode()
        site.files[address] = gzip.compress(body, mtime=0) if part.file.endswith(".gz") else body
        part.entry.update({"url": site.url(address), "bytes": len(body), "built": len(body)})
    contig = entry["contigs"][20] | {"length": len(BASES)}
    path.write_text(toml.dumps({"references": [entry | {"contigs": [contig]}]}))
    return path


@pytest.mark.parametrize("number", [0, 1])
def test_table_fits_the_layout_of_its_files(site, tmp_path, references, number, monkeypatch):
    entry = copy.deepcopy(references[number])
    sources = small_table(site, entry, tmp_path / "sources.toml")
    folder = install.install(entry["name"], tmp_path / "root", tmp_path / "cache", sources)
    assert folder.is_relative_to(tmp_path / "root" / entry["name"])
    monkeypatch.setenv("GAS_REFERENCE_DIR", str(tmp_path / "root"))
    found = reference.load(entry["name"])
    assert {track.name for track in found.tracks} == {track["name"] for track in entry["tracks"]}
    assert {source.version for source in found.sources} >= {"b157", "2024-12-15"}
    data = found.contig(b"chr21").data
    assert intervals(found, data) == {name: values for name, values in EXPECTED.items() if name in data.intervals}
    assert alleles(data, "ClinVar", 4, b"C>T") == [
        b"rs8",
        b"Benign",
        b"Leigh_syndrome|not_provided",
        b"single",
        b"12345",
    ]
    frequencies = b"1000Genomes:0.9%2C0.1%2C.|TOPMED:1%2C0%2C0"
    assert alleles(data, "dbSNP", 3, b"G>T") == [b"rs7", frequencies, b"SNV"]


EXPECTED = {
    "cytoBand": {"GAS_CYTOBAND": b"q22.11"},
    "GWAS catalog": {
        "GAS_GWAS_SNP": b"rs9",
        "GAS_GWAS_TRAIT": b"Heart%20disease",
        "GAS_GWAS_ALLELE": b"rs9-C",
        "GAS_GWAS_PVALUE": b"6E-10",
        "GAS_GWAS_PUBMED": b"17634449",
    },
    "segmental duplications": {"GAS_SEGDUP": b"chr15:101", "GAS_SEGDUP_IDENTITY": b"0.992904"},
    "CpG islands": {"GAS_CPG_ISLAND": b"CpG:%20116"},
    "DGV": {
        "GAS_DGV": b"nsv1",
        "GAS_DGV_TYPE": b"Deletion",
        "GAS_DGV_STUDY": b"Conrad%20et%20al%202009",
    },
    "TargetScan": {"GAS_TARGETSCAN": b"SOD1:miR-124/506"},
    "conserved TFBS": {"GAS_TFBS": b"V$MYOD_01", "GAS_TFBS_Z": b"2.47"},
    "HGNC": {
        "GAS_GENE_NAME": b"superoxide%20dismutase%201",
        "GAS_GENE_HGNC": b"HGNC:11179",
        "GAS_GENE_ALIAS": b"IPOA|X",
        "GAS_GENE_PREVIOUS": b"ALS|ALS1",
        "GAS_GENE_LOCUS": b"gene%20with%20protein%20product",
        "GAS_GENE_NCBI": b"6647",
    },
}


def intervals(found, data):
    """The values of each track at the base before last of the one interval (0-based 10), and none behind it."""
    values = {}
    for track in found.tracks:
        if track.kind != "allele":
            reader = data.intervals[track.name]
            (member,) = reader.members(10, 10)
            assert reader.members(500, 500) == []
            names = [field.name for field in track.fields]
            values[track.name] = dict(zip(names, reader.values(member), strict=True))
    return values


def alleles(data, track, position, allele):
    reader = data.alleles[track]
    keys = np.array([allele_key(position, *allele.split(b">"))])
    _, rows = reader.find(keys, lambda _: allele)
    return [reader.value(field, int(rows[0])) for field in range(len(reader._readers))]


def test_progress_in_a_log_is_a_line_for_each_tenth(capsys):
    printer = install.Printer()
    for done in range(0, 2001):
        printer("genome.fa.gz", done * 1000, 2_000_000)
    printer("empty", 0, 0)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "genome.fa.gz: 0 bytes of 2.0 MB, 0 %"
    assert lines[-2:] == ["genome.fa.gz: 2.0 MB of 2.0 MB, 100 %", "empty: 0 bytes of 0 bytes, 0 %"]
    assert len(lines) == 12
