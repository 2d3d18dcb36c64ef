"""What the archive does when a job or a plan changes; the setting FOLLOWERS names these functions."""

from accounts.models import Plan, User
from archive.models import Restoration, ResultArchive
from jobs.models import Job


def job_completed(job: Job) -> None:
    ResultArchive.of(job)


def job_deleted(job: Job) -> None:
    ResultArchive.objects.filter(job=job).delete_soon()


def archive_restored(archive_id: str) -> None:
    """The s3 vault tells it, at least once, and only as a hint: whether it is so, the thaw finds out."""
    ResultArchive.objects.look_now(archive_id)


def plan_changed(user: User, plan: Plan) -> None:
    results = ResultArchive.objects.of_owner(user)
    if plan.download_window is None:
        results.bring_back(user)
    else:
        results.let_go(plan.download_window)
        # its mail would speak of a plan that he has left, and a later upgrade has one of its own
        Restoration.objects.filter(user=user, status=Restoration.Status.PENDING).delete()
