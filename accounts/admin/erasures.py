"""Erasures at the desk: to look at. Only the person himself asks for one, and only he undoes it."""

from django.contrib import admin

from accounts.admin.read_only import ReadOnlyAdmin
from accounts.models import Erasure
from gas.admin_paging import BigListAdmin


@admin.register(Erasure)
class ErasureAdmin(ReadOnlyAdmin, BigListAdmin):
    list_display = ("id", "user_id", "status", "asked_at", "due_at", "ended_at", "waits_for", "pauses")
    list_filter = ("status", "due_at")
    found_by_id = ("user_id",)
    search_fields = ("=user__username",)
    search_help_text = "The user's id"
    ordering = ("-asked_at",)
    fields = (
        "user_id", "status", "asked_at", "due_at", "told_at", "farewell_at", "ended_at",
        "waits_for", "pauses", "attempt", "lease_until", "next_action_at", "hints",
    )  # fmt: skip
    readonly_fields = ("user_id",)
