"""What an account uses of its plan, for pages of any app."""

from typing import Any

from django import template
from django.db.models import Count, Q, Sum

from accounts.models import User
from jobs.models import Job, MonthlyUse

register = template.Library()

# the archive's rows are out of this app's sight but for their status: is it that of a copy in the results bucket?
HOT = Q(archive=None) | Q(archive__status__in=["HOT", "ARCHIVING"])


@register.inclusion_tag("jobs/_usage.html")
def usage(user: User) -> dict[str, Any]:
    """Jobs of this month and at this moment beside their limits, jobs by state, and bytes stored; two queries."""
    rows = Job.objects.visible_to(user).order_by().values("status").annotate(
        jobs=Count("pk"),
        inputs=Sum("input_size"),
        logs=Sum("log_size"),
        hot=Sum("result_size", filter=HOT),
        archived=Sum("result_size", filter=~HOT),
    )  # fmt: skip
    by_status = {row["status"]: row for row in rows}

    def total(name: str) -> int:
        return sum(row[name] or 0 for row in by_status.values())

    states = [(status.label, by_status[status]["jobs"]) for status in Job.Status if status in by_status]
    active = sum(
        by_status[status]["jobs"] for status in (Job.Status.PENDING, Job.Status.RUNNING) if status in by_status
    )
    return {
        "plan": user.plan,
        "this_month": MonthlyUse.objects.submitted(user),
        "active": active,
        "states": states,
        "inputs": total("inputs"),
        "results": total("hot") + total("logs"),
        "archived": total("archived"),
    }
