"""Announcements for operators: written, changed and ended with a reason, never deleted."""

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest

from accounts.admin.reasons import Act, ActsAdmin, EditsAdmin
from jobs.models import Announcement

FIELDS = ("text", "severity", "starts_at", "ends_at", "pauses_submissions")
EVENT = "announcement.changed"


@admin.register(Announcement)
class AnnouncementAdmin(EditsAdmin, ActsAdmin):
    edit_event = EVENT
    acts: ClassVar = [
        Act(
            "end",
            "End now",
            lambda announcement, **_: announcement.end(),
            permission="jobs.change_announcement",
            event=EVENT,
            done="ended",
            when=lambda announcement: not announcement.has_ended,
            shown=FIELDS,
        )
    ]
    fields = (*FIELDS, "reason")
    list_display = ["text", "severity", "starts_at", "ends_at", "pauses_submissions"]
    list_filter = ["severity", "pauses_submissions"]
    date_hierarchy = "starts_at"
    ordering = ["-starts_at", "-pk"]
    search_fields = ["text"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False
