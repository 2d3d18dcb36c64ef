"""The stand-in behaves as AWS's documentation says, asked by boto3 alone. What errors look like, our vaults' tests show."""

import hashlib
import io
import json
import time
from base64 import b64encode

import boto3  # noqa: TID251 (asks as AWS's own tools would)
import pytest
from botocore.exceptions import ClientError  # noqa: TID251

from gas.testing.processes import wait_until
from gas.vaults import vault

KEY = "7/6f1c/1"
MIB = 1024**2


@pytest.fixture
def s3(vaults):
    client, bucket = vault("s3").client, vault("s3").bucket_name
    client.put_object(Bucket=bucket, Key=KEY, Body=b"bytes", StorageClass="GLACIER")
    return lambda operation, **wanted: getattr(client, operation)(**{"Bucket": bucket, "Key": KEY, **wanted})


@pytest.fixture
def glacier(vaults):
    client, name = vault("glacier").client, vault("glacier").vault_name
    return lambda operation, **wanted: getattr(client, operation)(vaultName=name, **wanted)


def restore(s3, tier, days=1):
    answer = s3("restore_object", RestoreRequest={"Days": days, "GlacierJobParameters": {"Tier": tier}})
    return answer["ResponseMetadata"]["HTTPStatusCode"]


def code(use):
    with pytest.raises(ClientError) as error:
        use()
    return error.value.response["Error"]["Code"], error.value.response["ResponseMetadata"]["HTTPStatusCode"]


def test_a_restore_from_its_beginning_to_its_end(s3, vaults):
    vaults.delay({"Expedited": 60, "Standard": 3600})
    assert code(lambda: s3("get_object")) == ("InvalidObjectState", 403)
    assert "Restore" not in s3("head_object")
    assert restore(s3, "Standard") == 202
    assert s3("head_object")["Restore"] == 'ongoing-request="true"'
    assert code(lambda: s3("get_object")) == ("InvalidObjectState", 403)
    assert code(lambda: restore(s3, "Standard")) == ("RestoreAlreadyInProgress", 409)
    assert restore(s3, "Expedited") == 202  # a faster one may take over
    vaults.advance(61)
    wait_until(
        lambda: s3("head_object")["Restore"].startswith('ongoing-request="false", expiry-date="'), "restored copy"
    )
    assert s3("get_object")["Body"].read() == b"bytes"
    assert restore(s3, "Standard", days=3) == 200  # which only keeps it for longer
    vaults.advance(2 * 24 * 3600)
    assert s3("get_object")["Body"].read() == b"bytes"
    vaults.advance(24 * 3600)
    assert code(lambda: s3("get_object")) == ("InvalidObjectState", 403)
    assert "Restore" not in s3("head_object")


def test_a_new_object_is_not_restored(s3, vaults):
    restore(s3, "Expedited")
    wait_until(lambda: "false" in s3("head_object")["Restore"], "restored copy")
    s3("put_object", Body=b"other", StorageClass="GLACIER")
    assert code(lambda: s3("get_object")) == ("InvalidObjectState", 403)


def test_tiers_that_s3_does_not_have(s3):
    assert code(lambda: restore(s3, "Instant")) == ("InvalidArgument", 400)
    s3("put_object", Body=b"bytes", StorageClass="DEEP_ARCHIVE")
    assert code(lambda: restore(s3, "Expedited")) == ("InvalidArgument", 400)


def test_a_part_of_another_checksum_is_not_put_together(s3):
    upload = s3("create_multipart_upload", ChecksumAlgorithm="SHA256")["UploadId"]
    checksum = b64encode(hashlib.sha256(b"bytes").digest()).decode()
    part = {"UploadId": upload, "PartNumber": 1, "Body": b"bytes", "ChecksumSHA256": checksum}
    etag = s3("upload_part", **part)["ETag"]
    other = b64encode(bytes(32)).decode()
    assert code(lambda: s3("upload_part", **{**part, "ChecksumSHA256": other})) == ("BadDigest", 400)
    listed = {"Parts": [{"PartNumber": 1, "ETag": etag, "ChecksumSHA256": other}]}
    use = lambda: s3("complete_multipart_upload", UploadId=upload, MultipartUpload=listed)  # noqa: E731
    assert code(use) == ("InvalidPart", 400)


def test_s3_tells_when_a_restore_is_completed(s3, vaults, local_aws):
    sqs = boto3.session.Session().client("sqs", region_name=local_aws.region)
    queue = sqs.create_queue(QueueName=vault("s3").bucket_name[:60])["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    configuration = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectRestore:Completed"]}]}
    bucket = vault("s3").bucket_name
    vault("s3").client.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configuration)
    restore(s3, "Expedited")
    events = []

    def told():
        for message in sqs.receive_message(QueueUrl=queue).get("Messages", ()):
            events.extend(record["eventName"] for record in json.loads(message["Body"]).get("Records", ()))
        return events

    wait_until(told, "event")
    assert events == ["ObjectRestore:Completed"]


def test_glacier_takes_no_other_bytes_than_announced(glacier):
    wrong = code(lambda: glacier("upload_archive", body=io.BytesIO(b"bytes"), checksum="0" * 64))
    assert wrong == ("InvalidParameterValueException", 400)
    assert code(lambda: glacier("upload_archive", body=b""))[0] == "InvalidParameterValueException"


def test_parts_of_glacier(glacier):
    begin = "initiate_multipart_upload"
    assert code(lambda: glacier(begin, partSize=str(3 * MIB)))[0] == "InvalidParameterValueException"
    upload = glacier(begin, partSize=str(MIB))["uploadId"]

    def part(at, content):
        where = f"bytes {at}-{at + len(content) - 1}/*"
        return glacier("upload_multipart_part", uploadId=upload, range=where, body=content)

    assert code(lambda: part(5, b"bytes"))[0] == "InvalidParameterValueException"
    part(MIB, b"end")
    finish = {"uploadId": upload, "checksum": "0" * 64, "archiveSize": str(MIB + 3)}
    assert code(lambda: glacier("complete_multipart_upload", **finish))[0] == "InvalidParameterValueException"
    part(0, bytes(MIB))
    ranges = [found["RangeInBytes"] for found in glacier("list_parts", uploadId=upload)["Parts"]]
    assert ranges == [f"0-{MIB - 1}", f"{MIB}-{MIB + 2}"]
    assert (
        code(lambda: glacier("complete_multipart_upload", **finish))[0] == "InvalidParameterValueException"
    )  # tree hash
    glacier("abort_multipart_upload", uploadId=upload)
    assert code(lambda: glacier("list_parts", uploadId=upload)) == ("ResourceNotFoundException", 404)


def test_jobs_of_glacier(glacier, vaults):
    vaults.delay({"Bulk": 60})
    first, second = (glacier("upload_archive", body=b"equal bytes")["archiveId"] for _ in range(2))
    assert first != second
    wanted = {"Type": "archive-retrieval", "ArchiveId": first, "Tier": "Bulk", "Description": "token"}
    bad = code(lambda: glacier("initiate_job", jobParameters={**wanted, "Tier": "Instant"}))
    assert bad == ("InvalidParameterValueException", 400)
    job = glacier("initiate_job", jobParameters=wanted)["jobId"]
    glacier("delete_archive", archiveId=second)
    glacier("delete_archive", archiveId=second)
    assert code(lambda: glacier("get_job_output", jobId=job))[0] == "InvalidParameterValueException"
    vaults.advance(61)
    told = glacier("describe_job", jobId=job)
    assert (told["StatusCode"], told["Tier"], told["JobDescription"]) == ("Succeeded", "Bulk", "token")
    output = glacier("get_job_output", jobId=job)
    assert (output["body"].read(), output["checksum"]) == (b"equal bytes", told["SHA256TreeHash"])
    vaults.advance(24 * 3600)
    assert code(lambda: glacier("describe_job", jobId=job)) == ("ResourceNotFoundException", 404)
    assert glacier("list_jobs")["JobList"] == []


def test_faults_are_used_up(glacier, vaults):
    vaults.fail("DescribeVault", "ThrottlingException")
    begin = time.monotonic()
    assert glacier("describe_vault")["NumberOfArchives"] == 0  # boto3 asked again
    assert vaults.calls("DescribeVault") == 2
    assert time.monotonic() - begin < 5
