"""Users: facts to look at, and the acts upon an account. Researchers come by Globus and staff by a command."""

from typing import Any, ClassVar

from allauth.account.models import EmailAddress
from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse

from accounts.admin.read_only import ReadOnlyAdmin, ReadOnlyInline
from accounts.admin.reasons import Act, NotDone, ReasonForm
from accounts.closing import close_account, open_account
from accounts.models import AuditEvent, Erasure, Plan, Profile, Subscription, User
from accounts.plans import change_plan
from accounts.roles import NONE, ROLES, SUPERUSER, role_of, set_role
from gas.admin_paging import BigListAdmin
from gas.desk import about

MOST_EVENTS = 20  # on the page of a user


class ProfileInline(ReadOnlyInline):
    model = Profile
    fields = (
        "plan", "institution", "completed_at",
        "globus_username", "globus_email", "identity_provider", "suggested_institution",
    )  # fmt: skip


class SubscriptionInline(ReadOnlyInline):
    model = Subscription
    fk_name = "user"
    fields = ("started_at", "previous", "plan", "changed_by", "reason")
    ordering = ("-started_at",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Subscription]:
        return super().get_queryset(request).select_related("plan", "previous", "changed_by")


class EmailAddressInline(ReadOnlyInline):
    """To look at: an address is verified by the link sent there, and by nothing else."""

    model = EmailAddress
    fields = ("email", "verified", "primary")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return request.user.has_perm("accounts.view_user")


class PlanForm(ReasonForm):
    code = forms.ModelChoiceField(Plan.objects.all(), label="Plan", to_field_name="code")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].help_text += " The user reads it too, on the page of his plans."

    def clean_code(self) -> str:
        plan: Plan = self.cleaned_data["code"]
        return plan.code


NO_STAFF = "none"  # NONE is empty, which a form takes for no answer


class RoleForm(ReasonForm):
    role = forms.ChoiceField(
        choices=[*((role, role) for role in ROLES), (SUPERUSER, SUPERUSER), (NO_STAFF, "no staff")]
    )

    def clean_role(self) -> str:
        role: str = self.cleaned_data["role"]
        return NONE if role == NO_STAFF else role


def _is_closed(user: User) -> bool:
    return not user.is_active and user.erased_at is None


def _close(user: User, *, by: User, reason: str) -> bool:
    if user == by or (user.is_staff and not by.is_superuser):
        raise NotDone("Nobody closes his own account, and superusers alone those of staff; nothing is done to it.")
    return close_account(user, by=by, reason=reason)


def _open(user: User, *, by: User, reason: str) -> bool:
    if user.is_staff and not by.is_superuser:
        raise NotDone("Superusers alone open accounts of staff; nothing is done to it.")
    if Erasure.objects.filter(user=user, status=Erasure.Status.ERASING).exists():
        raise NotDone("The account is being erased: it cannot be opened any more.")
    return open_account(user, by=by, reason=reason)


def _set_role(user: User, *, role: str, by: User, reason: str) -> bool:
    if user == by:
        raise NotDone("Nobody changes his own role: another superuser has to.")
    return set_role(user, role, by=by, reason=reason)


@admin.register(User)
class UserAdmin(ReadOnlyAdmin, BigListAdmin):
    list_display = ("id", "full_name", "email", "globus_username", "plan_name", "is_active", "role")
    list_filter = ("profile__plan", "is_active", "is_staff")
    list_select_related = ("profile__plan",)
    search_fields = ("id", "email", "full_name", "profile__globus_username", "profile__globus_email")
    search_help_text = "User id, name, e-mail address or Globus username"
    ordering = ("-date_joined",)
    fields = ("id", "username", "full_name", "email", "is_active", "role", "date_joined", "last_login")
    readonly_fields = ("role",)
    inlines = (ProfileInline, SubscriptionInline, EmailAddressInline)
    change_form_template = "admin/accounts/user/change_form.html"
    acts: ClassVar = (
        Act("plan", "Change plan", change_plan, permission="accounts.change_user_plan", form=PlanForm,
            when=lambda user: user.erased_at is None and not user.is_staff, done="put on the plan",
            left="left as they were: on that plan already, staff or erased"),
        Act("close", "Close account", _close, permission="accounts.change_user", when=lambda user: user.is_active,
            done="closed"),
        Act("open", "Open account", _open, permission="accounts.change_user", when=_is_closed,
            done="opened"),
        # a permission that no group can be given: superusers have all
        Act("role", "Change role", _set_role, permission="accounts.change_user_role", form=RoleForm, listed=False,
            when=lambda user: user.is_staff, done="given the role"),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    def found_by_address(self, address: str) -> Q:
        found = ("email", "profile__globus_email", "profile__globus_username")
        # of several addresses of one user: a join would find him once for each
        addresses = EmailAddress.objects.filter(email__istartswith=address).values("user")
        return Q.create([(f"{name}__istartswith", address) for name in found], connector=Q.OR) | Q(pk__in=addresses)

    @admin.display(description="Globus username", ordering="profile__globus_username")
    def globus_username(self, user: User) -> str:
        return user.profile.globus_username if hasattr(user, "profile") else ""

    @admin.display(description="plan", ordering="profile__plan")
    def plan_name(self, user: User) -> str:
        return user.profile.plan.name if hasattr(user, "profile") else ""

    @admin.display(description="role", ordering="is_staff")
    def role(self, user: User) -> str:
        return role_of(user)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        user = self.get_object(request, object_id)
        if user is not None:
            events = AuditEvent.objects.about(user)[:MOST_EVENTS]
            sees_them = request.user.has_perm("accounts.view_auditevent")
            theirs = {"sections": about(user, viewer=request.user), "events": events if sees_them else []}
            extra_context = {**theirs, **(extra_context or {})}
        return super().change_view(request, object_id, form_url, extra_context)
