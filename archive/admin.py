"""Archives for support staff: where each result lies, why, and since when; nothing is edited by hand."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import ImproperlyConfigured
from django.db.models import QuerySet
from django.http import HttpRequest

from archive import steps
from archive.models import Restoration, ResultArchive, Retrieval
from gas.objects import StorageUnavailable
from gas.vaults import VaultUnavailable
from jobs.admin import ReadOnlyAdmin
from jobs.models import Mail


class RetrievalInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Retrieval
    fields: ClassVar[list[Any]] = [
        "tier", "requested_at", "initiated_at", "expected_by", "available_at", "ended_at", "outcome"
    ]  # fmt: skip
    readonly_fields = fields
    ordering = ["requested_at"]
    can_delete = False
    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False


@admin.register(ResultArchive)
class ResultArchiveAdmin(ReadOnlyAdmin):
    list_display = ["file_name", "status", "vault", "size", "archive_at", "archived_at", "next_action_at", "failures"]
    list_filter = ["status", "vault", "archived_at"]
    list_select_related = ["job"]
    search_fields = ["=id", "=job__id", "job__file_name", "job__owner__email", "job__owner__profile__globus_email"]
    search_help_text = "Archive or job id, file name or e-mail address"
    ordering = ["-created_at"]
    inlines = [RetrievalInline]
    actions = ["archive_now", "restore_now", "verify_now", "release"]
    fieldsets = [
        (None, {"fields": ["id", "job", "status", "error", "failures"]}),
        ("Result", {"fields": ["size", "sha256", "hot_key"]}),
        ("Vault", {"fields": ["vault", "archive_id", "tree_hash", "generation"]}),
        (
            "Timeline",
            {"fields": ["created_at", "archive_at", "archived_at", "restoration", "tier", "thawed_at", "deleted_at"]},
        ),
        ("Work", {"fields": ["next_action_at", "not_before", "lease_until", "attempt", "hints"]}),
    ]

    @admin.display(description="result of", ordering="job__file_name")
    def file_name(self, row: ResultArchive) -> str:
        return row.job.file_name if row.job else f"deleted job: {row.pk}"

    @admin.action(description="Archive locked results now", permissions=["change"])
    def archive_now(self, request: HttpRequest, queryset: QuerySet[ResultArchive]) -> None:
        self._report(request, queryset, ResultArchive.archive_now, "to be archived now")

    @admin.action(description="Restore archived results now", permissions=["change"])
    def restore_now(self, request: HttpRequest, queryset: QuerySet[ResultArchive]) -> None:
        self._report(request, queryset, ResultArchive.restore_now, "to be restored now")

    @admin.action(description="Verify archives now", permissions=["change"])
    def verify_now(self, request: HttpRequest, queryset: QuerySet[ResultArchive]) -> None:
        rows = queryset.exclude(archive_id="")
        self._look(request, rows, steps.verify, "whole", "do not hold")

    @admin.action(description="Release from quarantine, to where a whole copy is", permissions=["change"])
    def release(self, request: HttpRequest, queryset: QuerySet[ResultArchive]) -> None:
        self._look(request, queryset, steps.release, "released", "stay: no whole copy, or not in quarantine")

    def _look(
        self,
        request: HttpRequest,
        rows: QuerySet[ResultArchive],
        act: Callable[[ResultArchive], bool],
        good: str,
        bad: str,
    ) -> None:
        """Like `_report`, for what asks the stores."""
        try:
            results = [act(row) for row in rows]
        except (StorageUnavailable, VaultUnavailable, ImproperlyConfigured) as error:
            self.message_user(request, f"Out of reach: {error}", messages.ERROR)
            return
        self.message_user(request, f"{sum(results)} {good}.", messages.SUCCESS)
        if not all(results):
            self.message_user(request, f"{len(results) - sum(results)} {bad}.", messages.WARNING)


@admin.register(Restoration)
class RestorationAdmin(ReadOnlyAdmin):
    list_display = ["id", "user", "created_at", "results", "size", "back", "status", "sent_at", "error"]
    list_filter = ["status", "created_at"]
    list_select_related = ["user"]
    search_fields = ["user__email", "user__profile__globus_email"]
    ordering = ["-created_at"]
    actions = ["resend"]

    @admin.action(description="Send the mail again", permissions=["change"])
    def resend(self, request: HttpRequest, queryset: QuerySet[Restoration]) -> None:
        self._report(request, queryset, Mail.resend, "to be sent again")
