"""`python -m archive.tests.slow_worker`: does all that is due, MiB by MiB and never in a hurry, until it is killed."""

import time

import django

django.setup()

import gas.aws.glacier  # noqa: E402 (after setup)
import gas.aws.s3_vault  # noqa: E402
from archive import steps, tasks  # noqa: E402
from archive.models import ResultArchive  # noqa: E402
from gas.heartbeat import CheckedReads  # noqa: E402

MIB = 1024**2
gas.aws.s3_vault.PART = 5 * MIB  # S3 takes no smaller ones
gas.aws.glacier.SINGLE = gas.aws.glacier.PART = MIB


class SlowReads(CheckedReads):
    def read(self, size, /):
        time.sleep(0.3)
        return super().read(min(size, MIB))


steps.CheckedReads = SlowReads
while True:
    for row in ResultArchive.objects.due():
        getattr(tasks, row.actor_name).fn(str(row.pk))
    time.sleep(0.05)
