"""What is special about objects on S3: links, addresses, what is stored with the bytes, S3 out of reach."""

import io
import uuid
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from gas.aws.s3 import S3ObjectStorage
from gas.objects import StorageUnavailable, attachment
from gas.testing.archive_server import CUT
from gas.testing.aws import Proxy, environment

KEY = "results/1/test.annot.vcf.gz"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def s3(local_aws):
    storage = S3ObjectStorage(bucket_name=f"b-{uuid.uuid4().hex}", region_name=local_aws.region)
    storage.client.create_bucket(Bucket=storage.bucket_name)
    return storage


@pytest.fixture
def on_aws(monkeypatch):
    """Storages as on AWS itself: links are made without a connection."""
    for name, value in environment("").items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    return lambda bucket="gas-results", region="eu-west-1": S3ObjectStorage(bucket_name=bucket, region_name=region)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(b"result")
    return path


def query(url):
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def test_the_length_of_a_part_is_signed(on_aws):
    url = on_aws().part_url(KEY, "token", 3, 8_388_608, timedelta(minutes=15))
    signed = query(url)
    assert signed["X-Amz-SignedHeaders"] == "content-length;host"
    assert signed["X-Amz-Algorithm"] == "AWS4-HMAC-SHA256"
    assert signed["X-Amz-Expires"] == "900"
    assert (signed["uploadId"], signed["partNumber"]) == ("token", "3")
    other = on_aws().part_url(KEY, "token", 3, 8_388_609, timedelta(minutes=15))
    assert query(other)["X-Amz-Signature"] != signed["X-Amz-Signature"]


@pytest.mark.parametrize(
    ("bucket", "region", "origin", "path"),
    [
        ("gas-results", "eu-west-1", "https://gas-results.s3.eu-west-1.amazonaws.com", f"/{KEY}"),
        ("gas-results", "us-east-1", "https://gas-results.s3.amazonaws.com", f"/{KEY}"),
        ("gas.results", "eu-west-1", "https://s3.eu-west-1.amazonaws.com", f"/gas.results/{KEY}"),
    ],
)
def test_addresses_on_aws(on_aws, bucket, region, origin, path):
    storage = on_aws(bucket, region)
    url = urlsplit(storage.part_url(KEY, "token", 1, 5, MINUTE))
    assert (f"{url.scheme}://{url.netloc}", url.path) == (origin, path)
    assert storage.browser_origin() == origin


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_addresses_of_an_emulator(on_aws, monkeypatch, host):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://{host}:9000")
    storage = on_aws()
    assert storage.browser_origin() == f"http://{host}:9000"
    assert storage.part_url(KEY, "token", 1, 5, MINUTE).startswith(f"http://{host}:9000/gas-results/{KEY}?")


def test_the_origin_needs_no_credentials(on_aws, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert on_aws().browser_origin() == "https://gas-results.s3.eu-west-1.amazonaws.com"
    with pytest.raises(StorageUnavailable, match="credentials"):
        on_aws().part_url(KEY, "token", 1, 5, MINUTE)


def test_a_link_gives_the_file_its_name_and_type(s3, source):
    s3.put_file(KEY, source)
    url = s3.download_url(KEY, filename='Zoë "x".vcf', content_type="text/plain", lifetime=timedelta(minutes=5))
    assert query(url)["X-Amz-Expires"] == "300"
    answer = requests.get(url, timeout=10)
    assert answer.content == b"result"
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.headers["Content-Disposition"] == attachment('Zoë "x".vcf')
    assert answer.headers["Cache-Control"] == "no-store"


def test_what_is_stored_is_encrypted_private_and_of_no_guessed_type(s3, source):
    s3.put_file("results/1/test.vcf", source)
    token = s3.begin_upload("uploads/1/input")
    requests.put(
        s3.part_url("uploads/1/input", token, 1, 5, MINUTE),
        data=b"bytes",
        headers={"Content-Type": "application/octet-stream"},
        timeout=10,
    ).raise_for_status()
    s3.finish_upload("uploads/1/input", token, 5)
    for key in ("results/1/test.vcf", "uploads/1/input"):
        head = s3.client.head_object(Bucket=s3.bucket_name, Key=key)
        assert (head["ServerSideEncryption"], head["ContentType"]) == ("AES256", "application/octet-stream")
    url = urlsplit(s3.part_url("results/1/test.vcf", token, 1, 5, MINUTE))
    assert requests.get(f"{url.scheme}://{url.netloc}{url.path}", timeout=10).status_code == 403


def test_delete_prefix_leaves_no_older_version(s3, source):
    s3.client.put_bucket_versioning(Bucket=s3.bucket_name, VersioningConfiguration={"Status": "Enabled"})
    s3.put_file(KEY, source)
    s3.put_file(KEY, source)
    s3.put_file("results/1/deleted", source)
    s3.delete("results/1/deleted")
    assert s3.delete_prefix("results/1") == 1
    left = s3.client.list_object_versions(Bucket=s3.bucket_name)
    assert not left.get("Versions")
    assert not left.get("DeleteMarkers")


def test_delete_prefix_of_more_than_one_page(s3, source):
    def two_a_page(params, **_):
        return {**params, "MaxKeys": 2}

    s3.client.meta.events.register("provide-client-params.s3.ListObjectVersions", two_a_page)
    for number in range(5):
        s3.put_file(f"results/1/{number}", source)
    assert s3.delete_prefix("results/1") == 5
    assert not s3.client.list_object_versions(Bucket=s3.bucket_name).get("Versions")


def test_an_object_breaks_off(vaults):
    storage = S3ObjectStorage(bucket_name=f"b-{uuid.uuid4().hex}", region_name="us-east-1")
    storage.client.create_bucket(Bucket=storage.bucket_name)
    storage.put_stream(KEY, io.BytesIO(bytes(100_000)), 100_000)
    vaults.fail("GetObject", CUT)
    with storage.open_stream(KEY) as stream, pytest.raises(StorageUnavailable):
        list(iter(lambda: stream.read(2**16), b""))


def test_s3_out_of_reach(local_aws, monkeypatch, source, tmp_path):
    with Proxy(local_aws.port) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        storage = S3ObjectStorage(bucket_name=f"b-{uuid.uuid4().hex}", region_name="us-east-1")
        once = type(storage.client_config)(retries={"total_max_attempts": 1})  # or this takes a minute
        monkeypatch.setattr(storage, "client_config", storage.client_config.merge(once))
        storage.client.create_bucket(Bucket=storage.bucket_name)
        storage.put_file(KEY, source)
        token = storage.begin_upload(KEY)
        proxy.stop()
        for use in (
            lambda: storage.put_file(KEY, source),
            lambda: storage.fetch_file(KEY, tmp_path / "fetched"),
            lambda: storage.read(KEY, 1),
            lambda: storage.size(KEY),
            lambda: storage.delete(KEY),
            lambda: storage.delete_prefix("results"),
            lambda: storage.begin_upload(KEY),
            lambda: storage.received_parts(KEY, token),
            lambda: storage.finish_upload(KEY, token, 5),
            lambda: storage.abort_upload(KEY, token),
        ):
            with pytest.raises(StorageUnavailable):
                use()
        assert not (tmp_path / "fetched").exists()
        proxy.resume()
        assert storage.read(KEY, 100) == b"result"


def test_a_bucket_that_is_not_there(local_aws, source):
    storage = S3ObjectStorage(bucket_name="never-made", region_name=local_aws.region)
    with pytest.raises(StorageUnavailable):
        storage.put_file(KEY, source)
