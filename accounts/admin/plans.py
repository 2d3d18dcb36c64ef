"""Plans, whose limits operators edit with a reason, and who was on which."""

from datetime import timedelta
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from accounts.admin.read_only import ReadOnlyAdmin
from accounts.admin.reasons import EditForm, EditsAdmin
from accounts.models import Plan, Subscription
from gas.admin_paging import BigListAdmin

LARGEST_UPLOAD = 5 * 1024**4  # bytes: an object of S3 is no larger
LONGEST_RETENTION = timedelta(days=3650)
MOST_CONCURRENT, MOST_MONTHLY = 1000, 1_000_000
MOST_PRIORITY = 7 * 24 * 60  # minutes: a week ahead of all others


class PlanForm(EditForm):
    """Limits with sane ceilings: a slip of the keyboard is refused, and empty means no limit."""

    max_upload_bytes = forms.IntegerField(min_value=1, max_value=LARGEST_UPLOAD, required=False)
    concurrent_jobs = forms.IntegerField(min_value=1, max_value=MOST_CONCURRENT, required=False)
    monthly_jobs = forms.IntegerField(min_value=0, max_value=MOST_MONTHLY, required=False)
    priority = forms.IntegerField(min_value=0, max_value=MOST_PRIORITY)

    class Meta:
        model = Plan
        fields = ["name", "max_upload_bytes", "retention", "concurrent_jobs", "monthly_jobs", "priority"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            if name != "reason":
                field.help_text = Plan._meta.get_field(name).help_text  # type: ignore[union-attr]

    def clean_retention(self) -> timedelta | None:
        retention: timedelta | None = self.cleaned_data["retention"]
        if retention is not None and not timedelta() <= retention <= LONGEST_RETENTION:
            raise forms.ValidationError(
                f"From 0 to {LONGEST_RETENTION.days} days, written as DAYS HH:MM:SS; empty: for ever."
            )
        return retention


@admin.register(Plan)
class PlanAdmin(EditsAdmin):
    """The rows come with the migrations: none is added or deleted here."""

    form = PlanForm
    edit_event = "plan.edited"
    list_display = ("code", "name", "max_upload_bytes", "retention", "concurrent_jobs", "monthly_jobs", "priority")
    readonly_fields = ("code",)

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnlyAdmin, BigListAdmin):
    list_display = ("started_at", "user", "previous", "plan", "changed_by", "reason")
    list_filter = ("plan", "started_at")
    list_select_related = ("user", "plan", "previous", "changed_by")
    search_fields = ("reason",)
    found_by_id: ClassVar = ("user_id",)
    ordering = ("-started_at",)
