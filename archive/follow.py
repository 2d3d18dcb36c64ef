"""What the archive does when a job or a plan changes; the setting FOLLOWERS names these functions."""

from accounts.models import Plan, User
from archive.models import Restoration, ResultArchive
from gas.hints import hint_on_commit
from jobs.models import Job
from jobs.timeline import Moment, audited, moments_of


def job_completed(job: Job) -> None:
    ResultArchive.of(job)


def retention_extended(job: Job) -> None:
    for result in ResultArchive.objects.filter(job=job):
        result.keep_until(job.download_until)


def job_moments(job: Job) -> list[Moment]:
    """Where its result was, for the timeline at the desk."""
    moments: list[Moment] = []
    for result in ResultArchive.objects.filter(job=job):
        moments += audited(result)
        moments += moments_of(
            (result.archived_at, f"Archived in vault {result.vault}", f"{result.size:,} bytes"),
            (result.thawed_at, "Back from the archive", ""),
            (result.archive_at if result.is_hot else None, "To be archived", result.error),
        )
        for retrieval in result.retrievals.all():
            order = f"{retrieval.tier} retrieval"
            moments += moments_of(
                (retrieval.requested_at, f"{order} was asked for", ""),
                (retrieval.initiated_at, f"{order} began", "the vault has granted it"),
                (retrieval.available_at, f"{order} is within reach", ""),
                (retrieval.ended_at, f"{order} ended", retrieval.get_outcome_display()),
            )
    return moments


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


def address_confirmed(user: User) -> None:
    """The mail that results are back could not be sent for want of an address; it goes out now."""
    for restoration in Restoration.objects.without_address().filter(user=user):
        if restoration.resend():
            hint_on_commit(restoration)


def plan_told(user: User) -> str:
    """What a change of plan has set going, for whoever made it by a command."""
    restoration = Restoration.objects.filter(user=user, status=Restoration.Status.PENDING).order_by("-pk").first()
    coming = restoration.on_the_way.count() if restoration else 0
    return f"Archived results that are being restored: {coming}." if coming else ""
