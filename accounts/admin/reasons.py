"""Acts of staff, each with a reason that is kept: buttons on the page of a row, and actions of its list.

    @admin.register(Job)
    class JobAdmin(ActsAdmin):
        acts = [
            Act("retry", "Retry", lambda job, **_: job.retry(), permission="jobs.change_job", event="job.retried",
                done="set back to pending", when=lambda job: job.status in RETRYABLE, shown=("status", "attempt")),
        ]

Both lead to a page that names the rows and asks for the reason; only its POST acts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar
from uuid import uuid4

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import unquote
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from accounts.audit import note
from accounts.models import User
from gas.admin_paging import as_uuid

MOST_ROWS = 200  # that one act may take
AN_ACT = "act"  # the field that tells the POST of the page from the one of the list that leads to it
ONCE = "once"  # the field by which a form that is sent twice is known: some acts would add up
ONCE_SECONDS = 3600


class NotDone(Exception):
    """Why an act could not be done, in a sentence for staff: the stores are out of reach, say."""


class ReasonForm(forms.Form):
    """What an act asks for. Subclasses add fields; each is an argument of the act."""

    reason = forms.CharField(
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60}),
        help_text="It is kept in the audit log for good: a ticket or a cause, no names and no addresses.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.order_fields([*(name for name in self.fields if name != "reason"), "reason"])


def anything(_row: Any) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class _Terms:
    permission: str  # "app.codename"
    done: str  # "set back to pending"
    left: str = "left as they were: their state does not allow it"
    event: str = ""  # of the audit log; empty: `do` sees to its own transaction and note
    when: Callable[[Any], bool] = anything  # whether the state of the row allows it
    shown: Sequence[str] = ()  # fields that the note has before and after
    form: type[ReasonForm] = ReasonForm
    listed: bool = True  # an action of the list, too


@dataclass(frozen=True)
class Act(_Terms):
    """`do(row, by=, reason=, ...)` does it to one row; False: it could not, or somebody else was first, and nothing changed.

    With an `event` the act and its note are one transaction, so that neither is without the other.
    """

    name: str  # in addresses: "retry"
    label: str  # on the button: "Retry"
    do: Callable[..., Any]

    def upon(self, row: models.Model, given: Mapping[str, Any]) -> bool:
        if not self.when(row):
            return False
        if not self.event:
            return bool(self.do(row, **given))
        with transaction.atomic():
            before = facts(row, self.shown)
            done = bool(self.do(row, **given))
            if done:
                after = facts(row, self.shown)
                note(self.event, row, by=given["by"], reason=given["reason"], before=before, after=after)
        return done


def facts(row: models.Model, fields: Sequence[str]) -> dict[str, Any]:
    """Fields as JSON has them."""
    values = {name: getattr(row, row._meta.get_field(name).attname) for name in fields}  # type: ignore[union-attr]
    return {name: v if v is None or type(v) in (bool, int, float, str) else str(v) for name, v in values.items()}


def staff(request: HttpRequest) -> User:
    """Who asks, in a view of the desk."""
    assert isinstance(request.user, User)
    return request.user


class ActsAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A ModelAdmin with `acts`. Whoever lacks the permission of one finds neither button, action nor page."""

    acts: ClassVar[Sequence[Act]] = ()

    def acts_of(self, request: HttpRequest) -> list[Act]:
        """The acts that this staff may do at all."""
        return [act for act in self.acts if request.user.has_perm(act.permission)]

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_act"
        view = self.admin_site.admin_view(self.act_view)
        return [path("<path:object_id>/act/<slug:name>/", view, name=name), *super().get_urls()]

    def act_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        """The page of one act upon one row."""
        row = self.get_object(request, unquote(object_id))
        act = next((act for act in self.acts if act.name == name), None)
        if row is None or act is None:
            raise Http404
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        page = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        back = reverse(page, args=[object_id], current_app=self.admin_site.name)
        return self.ask(request, act, [row], back) or HttpResponseRedirect(back)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions: dict[str, Any] = super().get_actions(request)
        for act in self.acts_of(request):
            if act.listed:
                actions[act.name] = (partial(_act_of_list, act), act.name, act.label)
        return actions

    def ask(self, request: HttpRequest, act: Act, rows: list[Any], back: str) -> HttpResponse | None:
        """The page that asks; None once the act is done, or cannot be."""
        if not request.user.has_perm(act.permission):
            raise PermissionDenied
        form = act.form(request.POST if request.method == "POST" and AN_ACT in request.POST else None)
        if form.is_valid():
            once = as_uuid(request.POST.get(ONCE, ""))
            if once and not cache.add(f"act-{once}", True, ONCE_SECONDS):
                self.message_user(request, "The form was sent twice: it is done once.", messages.INFO)
                return None
            self._do(request, act, rows, {**form.cleaned_data, "by": staff(request)})
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": act.label, "opts": self.opts, "act": act, "form": form, "rows": rows, "back": back,
            "field_of_rows": ACTION_CHECKBOX_NAME, "field_of_act": AN_ACT, "field_of_once": ONCE, "once": uuid4().hex,
        }  # fmt: skip
        return TemplateResponse(request, "admin/act.html", context)

    def _do(self, request: HttpRequest, act: Act, rows: list[Any], given: dict[str, Any]) -> None:
        results: list[bool] = []
        try:
            for row in rows:
                results.append(act.upon(row, given))
        except NotDone as why:
            ahead = len(rows) - len(results) - 1
            rest = f" {ahead} that were chosen after it are left as they were, too." if ahead else ""
            self.message_user(request, f"At {rows[len(results)]}: {why}{rest}", messages.ERROR)
        if any(results):
            self.message_user(request, f"{sum(results)} {act.done}.", messages.SUCCESS)
        if not all(results):
            self.message_user(request, f"{results.count(False)} {act.left}.", messages.WARNING)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        row = context.get("original")
        context["acts"] = [act for act in self.acts_of(request) if row is not None and act.when(row)]
        return super().render_change_form(request, context, *args, **kwargs)


def _act_of_list(act: Act, at: ActsAdmin, request: HttpRequest, rows: "models.QuerySet[Any]") -> HttpResponse | None:
    chosen = list(rows[: MOST_ROWS + 1])
    if not chosen:
        at.message_user(request, "Nothing is done: what was chosen is not in this list any more.", messages.WARNING)
        return None
    if len(chosen) > MOST_ROWS:
        at.message_user(request, f"Nothing is done: choose at most {MOST_ROWS} at a time.", messages.ERROR)
        return None
    return at.ask(request, act, chosen, request.get_full_path())


class EditForm(forms.ModelForm):  # type: ignore[type-arg]
    """A row with its fields and the reason why they change. The `form` of an EditsAdmin."""

    reason = ReasonForm.base_fields["reason"]


class EditsAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A ModelAdmin of rows that staff edits, each time with a reason and a note `edit_event` of what has changed."""

    form = EditForm
    edit_event: ClassVar[str]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        fields = [name for name in form.changed_data if name != "reason"]
        stored = self.model._base_manager.filter(pk=obj.pk).first() if change else None
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            if stored and not fields:
                return
            before = facts(stored, fields) if stored else {}
            given = {"by": staff(request), "reason": form.cleaned_data["reason"]}
            note(self.edit_event, obj, **given, before=before, after=facts(obj, fields))
