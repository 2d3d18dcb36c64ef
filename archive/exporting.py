"""What is stored about a researcher's archives; the setting FOLLOWERS names this function."""

from accounts.exporting import Parts, fields_of
from accounts.models import User
from archive.models import Restoration, ResultArchive, Retrieval


def own_data(user: User) -> Parts:
    return {
        "archives": fields_of(
            ResultArchive.objects.of_owner(user),
            *("id", "job", "status", "archive_at", "size", "sha256", "vault", "archived_at", "thawed_at", "created_at"),
        ),
        "retrievals": fields_of(
            Retrieval.objects.filter(archive__job__owner=user),
            *("archive", "tier", "requested_at", "initiated_at", "expected_by", "available_at", "ended_at", "outcome"),
        ),
        "restorations": fields_of(
            Restoration.objects.filter(user=user), "results", "size", "status", "created_at", "sent_at"
        ),
    }
