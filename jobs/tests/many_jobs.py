"""Many jobs at once, for the tests of pages that must not grow slow."""

from datetime import timedelta

from django.utils import timezone

from jobs.models import Job, Upload


def make_many(owner, rows: int) -> None:
    """`rows` completed jobs of `owner`, written in bulk."""
    now = timezone.now()
    uploads = [
        Upload(owner=owner, file_name=f"{n}.vcf", size=1, part_size=1, status="COMPLETED", expires_at=now)
        for n in range(rows)
    ]
    Upload.objects.bulk_create(uploads, batch_size=500)
    done = {"status": "COMPLETED", "result_key": "r", "log_key": "l", "result_size": 1, "log_size": 1}
    done |= {"result_sha256": "a" * 64, "log_sha256": "b" * 64, "finished_at": now}
    jobs = [
        Job(
            owner=owner,
            upload=u,
            file_name=u.file_name,
            input_key=u.key,
            input_size=1,
            **done,
            submitted_at=now + timedelta(seconds=n),
        )
        for n, u in enumerate(uploads)
    ]
    Job.objects.bulk_create(jobs, batch_size=500)
