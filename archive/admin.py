"""Archives at the desk: where each result lies, why, and since when; staff acts with a reason, and edits nothing."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest

from accounts.admin.read_only import ReadOnlyAdmin, ReadOnlyInline
from accounts.admin.reasons import Act, NotDone
from accounts.audit import note
from accounts.models import User
from archive import steps
from archive.models import Restoration, ResultArchive, Retrieval
from gas.admin_paging import BigListAdmin
from gas.objects import StorageUnavailable
from gas.vaults import VaultUnavailable
from jobs.admin import owned

CHANGE = "archive.change_resultarchive"
Status = ResultArchive.Status


def looked(event: str, look: Callable[[ResultArchive], bool]) -> Callable[..., bool]:
    """An act that asks the stores, outside of any transaction; the note says what was found, good or bad."""

    def act(row: ResultArchive, *, by: User, reason: str) -> bool:
        before = {"status": row.status}
        try:
            good = look(row)
        except (StorageUnavailable, VaultUnavailable, ImproperlyConfigured) as error:
            raise NotDone(f"Out of reach: {error}. Try again later.") from error
        note(event, row, by=by, reason=reason, before=before, after={"status": row.status, "whole": good})
        return good

    return act


class RetrievalInline(ReadOnlyInline):
    model = Retrieval
    fields = ("tier", "requested_at", "initiated_at", "expected_by", "available_at", "ended_at", "outcome")
    ordering = ("requested_at",)


class HeldUpFilter(admin.SimpleListFilter):
    title = "progress"
    parameter_name = "held_up"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        return [("yes", "Held up: overdue, or after a failure")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        return queryset.held_up() if self.value() else queryset  # type: ignore[attr-defined]


class VaultFilter(admin.SimpleListFilter):
    title = "vault"
    parameter_name = "vault"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        return [(name, name) for name in settings.VAULTS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        return queryset.filter(vault=self.value()) if self.value() else queryset


@admin.register(ResultArchive)
class ResultArchiveAdmin(BigListAdmin, ReadOnlyAdmin):
    list_display = ("file_name", "status", "vault", "size", "archive_at", "archived_at", "next_action_at", "failures")
    list_filter = ("status", HeldUpFilter, VaultFilter, "archived_at")
    search_fields = ("job__file_name",)
    search_help_text = "Archive, job or user id, the beginning of an e-mail address, or a part of a file name"
    found_by_id = ("pk", "job_id", "job__owner_id")
    ordering = ("-created_at",)
    inlines = (RetrievalInline,)
    fieldsets = (
        (None, {"fields": ("id", "job", "status", "error", "failures")}),
        ("Result", {"fields": ("size", "sha256", "hot_key")}),
        ("Vault", {"fields": ("vault", "archive_id", "tree_hash", "generation")}),
        (
            "Timeline",
            {"fields": ("created_at", "archive_at", "archived_at", "restoration", "tier", "thawed_at", "deleted_at")},
        ),
        ("Work", {"fields": ("next_action_at", "not_before", "lease_until", "attempt", "hints")}),
    )
    acts: ClassVar = (
        Act(
            "archive_now", "Archive now", lambda row, **_: row.archive_now(),
            permission=CHANGE, event="archive.hastened", done="to be archived now",
            when=lambda row: row.status == Status.HOT, shown=("status", "archive_at", "next_action_at"),
        ),
        Act(
            "restore_now", "Restore now", lambda row, **_: row.restore_now(),
            permission=CHANGE, event="restore.asked", done="to be restored now",
            when=lambda row: row.status == Status.ARCHIVED, shown=("status", "archive_at"),
        ),
        Act(
            "verify", "Verify now", looked("archive.verified", steps.verify),
            permission=CHANGE, done="whole", left="without a whole archive; it is in quarantine if it was archived",
            when=lambda row: bool(row.archive_id) and row.status != Status.DELETED,
        ),
        Act(
            "release", "Release from quarantine", looked("archive.released", steps.release),
            permission=CHANGE, done="released to where a whole copy is",
            left="stay as they were: no whole copy, or not in quarantine",
            when=lambda row: row.is_quarantined,
        ),
        Act(
            "requeue", "Requeue", lambda row, **_: row.go_on(),
            permission=CHANGE, event="archive.requeued", done="sent to the queue again",
            when=lambda row: row.next_action_at is not None, shown=("status", "attempt", "next_action_at"),
        ),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[ResultArchive]:
        return super().get_queryset(request).select_related("job").defer("job__summary", "job__error_message")

    def found_by_address(self, address: str) -> Q:
        return owned("job__owner", address)

    @admin.display(description="result of", ordering="job__file_name")
    def file_name(self, row: ResultArchive) -> str:
        return row.job.file_name if row.job else f"deleted job: {row.pk}"


@admin.register(Restoration)
class RestorationAdmin(BigListAdmin, ReadOnlyAdmin):
    list_display = ("id", "user", "created_at", "results", "size", "back", "status", "sent_at", "error")
    list_filter = ("status", "created_at")
    list_select_related = ("user",)
    search_fields = ("user__full_name",)
    search_help_text = "User id, the beginning of an e-mail address, or a part of a name"
    found_by_id = ("user_id",)
    ordering = ("-pk",)  # as they were made
    acts: ClassVar = (
        Act(
            "resend", "Send the mail again", lambda mail, **_: mail.resend(),
            permission="archive.change_restoration", event="mail.resent", done="to be sent again",
            when=lambda mail: mail.can_resend, shown=("status", "attempt", "sent_at"),
        ),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Restoration]:
        here = Count("archives", filter=Q(archives__status__in=[Status.HOT, Status.ARCHIVING]))
        rows: QuerySet[Restoration] = super().get_queryset(request)
        return rows.annotate(here=here)

    def found_by_address(self, address: str) -> Q:
        return owned("user", address)

    @admin.display(description="back")
    def back(self, row: Any) -> int:
        return int(row.here)
