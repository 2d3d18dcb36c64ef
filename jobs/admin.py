"""Jobs, mails and uploads at the desk: to look at, and to act upon with a reason; never to edit."""

from datetime import timedelta
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, path
from django.utils import timezone

from accounts.admin.read_only import ReadOnlyAdmin, ReadOnlyInline
from accounts.admin.reasons import Act, ReasonForm
from accounts.models import User
from gas.admin_paging import BigListAdmin
from gas.objects import ObjectError, objects
from jobs import announcement_admin  # noqa: F401 (registers)
from jobs.mails import without_quotes
from jobs.models import Job, Notification, Upload
from jobs.support_views import READ, files_of, open_file
from jobs.timeline import timeline

LONGEST_LOG = 64 * 1024  # bytes that the page of a job shows
MOST_PEOPLE = 100  # whose rows a search for an address finds
RECENT = timedelta(days=30)  # failures whose reasons the list offers


def owned(owner: str, address: str) -> Q:
    """Rows whose `owner` (a path) has an address that begins like this.

    People are looked for first: with their ids at hand PostgreSQL finds the rows by index, with a subquery it reads them all.
    """
    fields = ("email", "profile__globus_email", "emailaddress__email")
    matches = Q(*((f"{field}__istartswith", address) for field in fields), _connector=Q.OR)
    people = User.objects.filter(matches).values_list("pk", flat=True).distinct()[:MOST_PEOPLE]
    return Q((f"{owner}__in", list(people)))


class ExtendForm(ReasonForm):
    """By how much a result stays open for longer."""

    days = forms.TypedChoiceField(
        label="For",
        choices=[(1, "1 day more"), (7, "7 days more"), (30, "30 days more")],
        coerce=int,
        help_text="From the end of its time to download; from now, when that is over: then it comes back if it is archived.",
    )


class StuckFilter(admin.SimpleListFilter):
    title = "waiting"
    parameter_name = "stuck"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        return [("yes", "Overdue by a minute")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        return queryset.stuck() if self.value() else queryset  # type: ignore[attr-defined]


class FailureFilter(admin.SimpleListFilter):
    title = "reason of the failure"
    parameter_name = "error_code"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        recent = Job.objects.filter(status=Job.Status.FAILED, finished_at__gte=timezone.now() - RECENT).order_by()
        codes = set(recent.values_list("error_code", flat=True).distinct()) | {self.value() or ""}
        return [(code, code) for code in sorted(codes - {""})]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:  # noqa: ARG002
        return queryset.filter(status=Job.Status.FAILED, error_code=self.value()) if self.value() else queryset


class NotificationInline(ReadOnlyInline):
    model = Notification
    fields = ("kind", "status", "attempt", "next_action_at", "sent_at", "error")
    show_change_link = True


@admin.register(Job)
class JobAdmin(BigListAdmin, ReadOnlyAdmin):
    list_display = (
        "id", "file_name", "owner", "status", "error_code", "reference",
        "submitted_at", "started_at", "finished_at", "attempt",
    )  # fmt: skip
    list_filter = ("status", StuckFilter, FailureFilter, "submitted_at", "lift_over")
    list_select_related = ("owner",)
    search_fields = ("file_name",)
    search_help_text = "Job, upload or user id, the beginning of an e-mail address, or a part of a file name"
    found_by_id = ("pk", "owner_id", "upload_id")
    ordering = ("-submitted_at",)
    inlines = (NotificationInline,)
    # the error and the summary may quote the file; the page shows what it may of them
    fieldsets = (
        (None, {"fields": ("id", "owner", "upload", "file_name", "reference", "lift_over", "status", "error_code")}),
        ("Stored as", {"fields": ("input_key", "result_key", "index_key", "log_key", "skipped_key")}),
        (
            "Work",
            {
                "fields": (
                    "attempt", "tries", "worker", "lease_until", "next_action_at", "not_before", "hints",
                    "progress_done", "progress_total",
                )
            },
        ),
    )  # fmt: skip
    acts: ClassVar = (
        Act(
            "retry", "Retry", lambda job, **_: job.retry(),
            permission="jobs.change_job", event="job.retried", done="set back to pending",
            when=lambda job: job.can_retry, shown=("status", "attempt", "error_code"),
        ),
        Act(
            "cancel", "Cancel", lambda job, **_: job.cancel(),
            permission="jobs.change_job", event="job.cancelled", done="cancelled or being cancelled",
            when=lambda job: job.can_cancel, shown=("status", "attempt", "cancel_requested_at"),
        ),
        Act(
            "extend", "Extend retention", lambda job, days, **_: job.extend_retention(timedelta(days=days)),
            permission="jobs.change_job", event="retention.extended", done="open for longer",
            when=lambda job: job.can_extend, shown=("download_until",), form=ExtendForm,
        ),
        Act(
            "requeue", "Requeue", lambda job, **_: job.requeue(),
            permission="jobs.requeue_job", event="job.requeued", done="sent to the queue again",
            when=lambda job: job.next_action_at is not None,
            shown=("status", "attempt", "worker", "lease_until", "next_action_at"),
        ),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        return super().get_queryset(request).defer("summary", "error_message")

    def found_by_address(self, address: str) -> Q:
        return owned("owner", address)

    def get_urls(self) -> list[URLPattern]:
        opening = self.admin_site.admin_view(open_file)
        return [path("<uuid:pk>/files/<slug:kind>/", opening, name="jobs_job_file"), *super().get_urls()]

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        job: Job = context["original"]
        faults = job.error_message.splitlines()
        context |= {
            "timeline": timeline(job),
            "faults": faults if job.support_may_look else [without_quotes(fault) for fault in faults],
            "files": files_of(job),
            "may_open": job.support_may_look and request.user.has_perm(READ),
            "log": log_of(job),
        }
        return super().render_change_form(request, context, *args, **kwargs)


def log_of(job: Job) -> str:
    """The count log, its beginning when it is long, or a sentence that says why it is not shown.

    Our engine's has counts and no record. What another program wrote may have any line of the file: it is opened as a file.
    """
    if not job.log_key:
        return "There is none."
    if "gas_annotation" not in job.summary.get("engine", {}):
        return "It is not our engine's, and may quote the file: open it above, once its owner has let support look."
    try:
        return objects("results").read(job.log_key, LONGEST_LOG).decode("utf-8", "replace")
    except ObjectError as error:
        return (
            f"It cannot be read now: {type(error).__name__}. The job is as the rest of this page says; try again later."
        )


@admin.register(Notification)
class NotificationAdmin(BigListAdmin, ReadOnlyAdmin):
    list_display = ("id", "job", "kind", "status", "attempt", "created_at", "sent_at", "error")
    list_filter = ("status", "kind", "created_at")
    search_fields = ("job__file_name",)
    search_help_text = "Job or user id, the beginning of an e-mail address, or a part of a file name"
    found_by_id = ("job_id", "job__owner_id")
    ordering = ("-pk",)  # as they were made
    acts: ClassVar = (
        Act(
            "resend", "Send again", lambda mail, **_: mail.resend(),
            permission="jobs.change_notification", event="mail.resent", done="to be sent again",
            when=lambda mail: mail.can_resend, shown=("kind", "status", "attempt", "sent_at"),
        ),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Notification]:
        return super().get_queryset(request).select_related("job").defer("job__summary", "job__error_message")

    def found_by_address(self, address: str) -> Q:
        return owned("job__owner", address)


@admin.register(Upload)
class UploadAdmin(BigListAdmin, ReadOnlyAdmin):
    list_display = ("id", "file_name", "owner", "size", "status", "created_at")
    list_filter = ("status", "created_at")
    list_select_related = ("owner",)
    search_fields = ("file_name",)
    search_help_text = "Upload, job or user id, the beginning of an e-mail address, or a part of a file name"
    found_by_id = ("pk", "owner_id", "job")
    exclude = ("token",)
    ordering = ("-created_at",)

    def found_by_address(self, address: str) -> Q:
        return owned("owner", address)
