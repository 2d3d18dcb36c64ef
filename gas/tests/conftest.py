"""A local S3 and SQS for the tests of the edge to AWS."""

import pytest

from gas.testing.aws import LocalAWS


@pytest.fixture(scope="session")
def aws_server():
    with LocalAWS() as server:
        yield server


@pytest.fixture
def local_aws(aws_server, monkeypatch):
    """The server, with this process's environment pointing to it."""
    for name, value in aws_server.environment.items():
        monkeypatch.setenv(name, value)
    return aws_server
