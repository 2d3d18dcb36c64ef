from typing import Any

from allauth.account.models import EmailAddress
from django.contrib import admin
from django.http import HttpRequest

from accounts.models import Plan, Profile, User
from accounts.plans import change_plan


class ProfileInline(admin.StackedInline):  # type: ignore[type-arg]
    model = Profile
    can_delete = False
    readonly_fields = (
        "completed_at", "globus_username", "globus_email", "identity_provider", "suggested_institution"
    )  # fmt: skip
    fields = ("plan", "institution", *readonly_fields)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False


class EmailAddressInline(admin.TabularInline):  # type: ignore[type-arg]
    """To look at: an address is verified by the link sent there, and by nothing else."""

    model = EmailAddress
    fields = readonly_fields = ("email", "verified", "primary")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return request.user.has_perm("accounts.view_user")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False


@admin.register(User)
class UserAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Researchers come by Globus and staff by a command, so nobody is added here."""

    list_display = ("id", "full_name", "email", "globus_username", "plan_name", "is_active", "is_staff")
    list_filter = ("profile__plan", "is_active", "is_staff")
    list_select_related = ("profile__plan",)
    search_fields = ("id", "email", "full_name", "profile__globus_username", "profile__globus_email")
    ordering = ("-date_joined",)
    fields = (
        "id", "username", "full_name", "email",
        "is_active", "is_staff", "is_superuser", "groups", "date_joined", "last_login",
    )  # fmt: skip
    filter_horizontal = ("groups",)
    inlines = (ProfileInline, EmailAddressInline)

    @admin.display(description="Globus username", ordering="profile__globus_username")
    def globus_username(self, user: User) -> str:
        return user.profile.globus_username if hasattr(user, "profile") else ""

    @admin.display(description="plan", ordering="profile__plan")
    def plan_name(self, user: User) -> str:
        return user.profile.plan.name if hasattr(user, "profile") else ""

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:  # noqa: ARG002
        """Only a superuser decides who is staff and who may do what."""
        always = ["id", "username", "email", "date_joined", "last_login"]
        return always if request.user.is_superuser else [*always, "is_staff", "is_superuser", "groups"]

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """A plan changes by its one door, with all that follows."""
        chosen = None
        if formset.model is Profile:
            for edited in formset.forms:
                if "plan" in edited.changed_data:
                    chosen, edited.instance.plan_id = edited.instance.plan, edited.initial["plan"]
        super().save_formset(request, form, formset, change)
        if chosen:
            change_plan(form.instance, chosen.code)


@admin.register(Plan)
class PlanAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("code", "name", "max_upload_bytes", "retention")
    readonly_fields = ("code",)

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return request.user.is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False
