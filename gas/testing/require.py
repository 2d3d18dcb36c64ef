"""Programs that some tests need and not every machine has."""

import os
import shutil

import pytest

from gas.testing import postgres

# name -> what makes it there, and what is left out without it
PROGRAMS = {
    "postgresql": (postgres.available, "the tests on PostgreSQL"),
    "nginx": (lambda: shutil.which("nginx") is not None, "the tests behind a proxy"),
    "chromium": (lambda: shutil.which("chromium") is not None, "the tests in a browser"),
    "jq": (lambda: None not in (shutil.which("jq"), shutil.which("curl")), "the commands of docs/api.md"),
}


def needs(program: str) -> None:
    """Skip the test that calls this where `program` is missing; with GAS_TEST_ALL=1, fail it."""
    available, tests = PROGRAMS[program]
    if available():
        return
    message = f"left out: {tests} need {program}; install it with: sudo apt-get install -y {program}"
    if os.environ.get("GAS_TEST_ALL") == "1":
        pytest.fail(f"GAS_TEST_ALL=1 leaves nothing out, but {message}")
    pytest.skip(message)
