"""What an erasure deletes of jobs and uploads; the setting FOLLOWERS names these functions. Each gives what is left."""

from accounts.erasing import forget_admin_log
from accounts.models import User
from gas.objects import objects
from jobs.models import Job, MonthlyUse, Upload


def account_closing(user: User) -> dict[str, int]:
    """Nothing of the account goes on: uploads are given up, jobs cancelled."""
    for upload in Upload.objects.filter(owner=user).open():
        upload.abort()
    active = Job.objects.filter(owner=user, status__in=[Job.Status.PENDING, Job.Status.RUNNING])
    for job in list(active.iterator()):
        job.cancel()
    unfinished = Upload.objects.filter(owner=user).exclude(status=Upload.Status.COMPLETED)
    return {"jobs under way": active.count(), "unfinished uploads": unfinished.count()}


def account_erased(user: User) -> dict[str, int]:
    """All jobs, with their files; and then what no row tells of."""
    jobs = Job.objects.filter(owner=user)
    forget_admin_log(Job, jobs.values_list("pk", flat=True))
    forget_admin_log(Upload, Upload.objects.filter(owner=user).values_list("pk", flat=True))
    for pk in list(jobs.filter(deleted_at=None).values_list("pk", flat=True)):
        Job.objects.get(pk=pk).delete_soon()
    MonthlyUse.objects.filter(user=user).delete()
    left = {"jobs": jobs.count(), "uploads": Upload.objects.filter(owner=user).count()}
    if not any(left.values()):
        objects("uploads").delete_prefix(f"uploads/{user.pk}")  # of an upload that was killed before it had a row
    return left
