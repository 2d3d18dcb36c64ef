"""What becomes of jobs when a plan changes; the setting FOLLOWERS names this function."""

from accounts.models import Plan, User
from jobs.models import Job, Notification


def plan_changed(user: User, plan: Plan) -> None:
    """Download windows end, or begin anew; and so do the warnings before their end."""
    Job.objects.filter(owner=user).restart_download_windows(plan.download_window)
    Notification.objects.filter(job__owner=user, kind=Notification.Kind.EXPIRING).delete()
