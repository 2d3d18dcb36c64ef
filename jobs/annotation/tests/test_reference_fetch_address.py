"""Which addresses a file is fetched from: schemes, redirections, certificates."""

import contextlib
import datetime
import socket
import ssl
import threading
import urllib.request

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from jobs.annotation import AnnotationError
from jobs.annotation.reference import fetch
from jobs.annotation.reference.fetch import download
from jobs.annotation.tests.download_site import BODY, NO_WAIT, Handler, get, ranges, sha256


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "genome.fa.gz"


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
