"""What an erasure deletes of archives; the setting FOLLOWERS names these functions. Each gives what is left."""

from accounts.erasing import forget_admin_log
from accounts.models import User
from archive.models import Restoration, ResultArchive


def account_closing(user: User) -> dict[str, int]:
    """All copies of results, in bucket and vault. A row without a timer has no trace left."""
    rows = ResultArchive.objects.of_owner(user)
    rows.delete_soon()
    return {"archives": rows.filter(next_action_at__isnull=False).count()}


def account_erased(user: User) -> dict[str, int]:
    restorations = Restoration.objects.filter(user=user)
    forget_admin_log(Restoration, restorations.values_list("pk", flat=True))
    restorations.delete()
    return {}
