"""Jobs, notifications and uploads for support staff: to look at, to retry, cancel and resend; never to edit."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from jobs.models import Job, Notification, Upload


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows whose states only the code may set: nothing is added, edited or deleted by hand."""

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:  # noqa: ARG002
        return [field.name for field in self.model._meta.fields if field.name not in (self.exclude or ())]

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        context |= {"show_save": False, "show_save_and_continue": False}
        return super().render_change_form(request, context, *args, **kwargs)

    def _report(self, request: HttpRequest, queryset: QuerySet[Any], act: Callable[[Any], bool], done: str) -> None:
        results = [act(row) for row in queryset]
        self.message_user(request, f"{sum(results)} {done}.", messages.SUCCESS)
        if not all(results):
            self.message_user(
                request,
                f"{len(results) - sum(results)} left as they were: their state does not allow it.",
                messages.WARNING,
            )


class NotificationInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Notification
    fields: ClassVar[list[Any]] = ["kind", "status", "attempt", "next_action_at", "sent_at", "error"]
    readonly_fields = fields
    can_delete = False
    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    list_display = [
        "id",
        "file_name",
        "owner",
        "status",
        "error_code",
        "reference",
        "submitted_at",
        "started_at",
        "finished_at",
        "attempt",
    ]
    list_filter = ["status", "submitted_at", "error_code", "lift_over"]
    list_select_related = ["owner"]
    search_fields = [
        "=id",
        "file_name",
        "owner__email",
        "owner__profile__globus_email",
        "owner__emailaddress__email",
    ]
    search_help_text = "Job id, e-mail address or file name"
    date_hierarchy = "submitted_at"
    ordering = ["-submitted_at"]
    inlines = [NotificationInline]
    actions = ["retry", "cancel"]

    @admin.action(description="Retry failed or cancelled jobs", permissions=["change"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        retryable = (Job.Status.FAILED, Job.Status.CANCELLED)
        self._report(request, queryset, lambda job: job.status in retryable and job.retry(), "set back to pending")

    @admin.action(description="Cancel pending or running jobs", permissions=["change"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        self._report(request, queryset, Job.cancel, "cancelled or being cancelled")


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    list_display = ["id", "job", "kind", "status", "attempt", "created_at", "sent_at", "error"]
    list_filter = ["status", "kind", "created_at"]
    list_select_related = ["job"]
    search_fields = ["=job__id", "job__file_name", "job__owner__email", "job__owner__profile__globus_email"]
    search_help_text = "Job id, file name or e-mail address"
    ordering = ["-created_at"]
    actions = ["resend"]

    @admin.action(description="Send again", permissions=["change"])
    def resend(self, request: HttpRequest, queryset: QuerySet[Notification]) -> None:
        self._report(request, queryset, Notification.resend, "to be sent again")


@admin.register(Upload)
class UploadAdmin(ReadOnlyAdmin):
    list_display = ["id", "file_name", "owner", "size", "status", "created_at"]
    list_filter = ["status", "created_at"]
    list_select_related = ["owner"]
    search_fields = ["=id", "file_name", "owner__email", "owner__profile__globus_email"]
    exclude = ["token"]
    ordering = ["-created_at"]
