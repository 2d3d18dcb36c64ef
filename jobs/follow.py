"""What becomes of jobs when an account changes; the setting FOLLOWERS names these functions."""

from django.db.models.functions import Now

from accounts.models import Plan, User
from gas.hints import hint_on_commit
from jobs.models import Job, Notification
from jobs.models.mail import wants_mail


def plan_changed(user: User, plan: Plan) -> None:
    """Download windows end, or begin anew; and so do the warnings before their end. Jobs that wait move in the queue."""
    jobs = Job.objects.filter(owner=user)
    jobs.restart_download_windows(plan.download_window)
    jobs.set_turns(plan)
    Notification.objects.filter(job__owner=user, kind=Notification.Kind.EXPIRING).delete()


def address_confirmed(user: User) -> None:
    """The mails that could not be sent for want of an address go out now; not a warning that comes too late.

    Nor one that he does not want any more.
    """
    mails = Notification.objects.without_address().filter(job__owner=user, job__deleted_at=None)
    for mail in mails.exclude(kind=Notification.Kind.EXPIRING, job__download_until__lte=Now()):
        if wants_mail(user, mail.kind) and mail.resend():
            hint_on_commit(mail)
