"""Where a result may be on its way between bucket and vault; the moves between them are in ResultArchive."""

from django.db import models


class ArchiveStatus(models.TextChoices):
    HOT = "HOT", "Hot"
    ARCHIVING = "ARCHIVING", "Archiving"
    PURGING = "PURGING", "Purging"
    ARCHIVED = "ARCHIVED", "Archived"
    RESTORING = "RESTORING", "Restoring"
    THAWING = "THAWING", "Thawing"
    QUARANTINED = "QUARANTINED", "Quarantined"
    DELETED = "DELETED", "Deleted"
