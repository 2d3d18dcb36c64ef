"""What is said when an account may not submit: paused by the operators, too many at a time, too many in a month."""

from datetime import UTC, datetime

from django.utils import timezone
from django.utils.formats import date_format

from accounts.models import Plan
from jobs.refusals import Refused


def check_active(active: int, plan: Plan) -> None:
    """Raises Refused when an account with `active` jobs that wait or run may have no further one."""
    if plan.allows_another(active):
        return
    premium = _better(plan)
    upgrade = premium is not None and premium.allows_another(active)
    raise Refused(
        "too_many_jobs",
        "You have too many jobs at a time",
        f"{active:,} of your jobs wait or run; the {plan.name} plan takes {plan.concurrent_jobs:,} at a time.",
        f"Wait until one has ended, or cancel one{_or_upgrade(upgrade)}.",
        upgrade=upgrade,
        status=429,
    )


def check_month(submitted: int, plan: Plan) -> None:
    """Raises Refused when an account that has `submitted` jobs in this month may submit no further one."""
    if plan.allows_this_month(submitted):
        return
    premium = _better(plan)
    upgrade = premium is not None and premium.allows_this_month(submitted)
    raise Refused(
        "monthly_limit",
        "You have used up the jobs of this month",
        f"You have submitted {submitted:,} since the first of the month; the {plan.name} plan takes "
        f"{plan.monthly_jobs:,} in a month. Deleted ones count.",
        f"Wait until {moment(_next_month())}, when the next month begins{_or_upgrade(upgrade)}.",
        upgrade=upgrade,
        status=429,
    )


def paused(text: str, until: datetime | None) -> Refused:
    """Why no files are taken, in the operators' words."""
    mend = f"Try again after {moment(until)}." if until else "Try again later."
    return Refused("paused", "No new files are taken at the moment", text, mend, status=503)


def moment(at: datetime) -> str:
    return date_format(at.astimezone(UTC), "j M Y, H:i") + " UTC"


def _next_month() -> datetime:
    now = timezone.now()
    return datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC)


def _better(plan: Plan) -> Plan | None:
    return None if plan.code == Plan.PREMIUM else Plan.objects.filter(pk=Plan.PREMIUM).first()


def _or_upgrade(upgrade: bool) -> str:
    return ", or upgrade to Premium" if upgrade else ""
