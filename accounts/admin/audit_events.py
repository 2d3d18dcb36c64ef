"""The log of acts: to search, to filter, and to take away as a file."""

import csv
import json
from collections.abc import Iterator
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, StreamingHttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.views.decorators.http import require_POST

from accounts.admin.read_only import ReadOnlyAdmin
from accounts.admin.reasons import staff
from accounts.audit import note
from accounts.models import AuditEvent
from gas.admin_paging import BigListAdmin

COLUMNS = (
    "at", "actor_name", "actor_id", "action", "subject_id", "object_type", "object_id", "reason", "before", "after"
)  # fmt: skip
ACTIONS_CACHED_SECONDS = 60


class ActionFilter(admin.SimpleListFilter):
    """By the actions that there are; to find them reads the whole log, so they are kept for a minute."""

    title = "action"
    parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        actions = cache.get_or_set("audit_actions", _actions, ACTIONS_CACHED_SECONDS)
        return [(action, action) for action in actions or ()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEvent]) -> QuerySet[AuditEvent]:  # noqa: ARG002
        return queryset.filter(action=self.value()) if self.value() else queryset


def _actions() -> list[str]:
    return list(AuditEvent.objects.order_by("action").values_list("action", flat=True).distinct())


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin, BigListAdmin):
    list_display = ("at", "actor_name", "action", "object", "reason", "changes")
    list_filter = (ActionFilter, "at")
    search_fields = ("=object_id", "actor_name", "action", "reason")
    search_help_text = "Whole id of a job, user, archive ...; who, action or reason"
    found_by_id: ClassVar = ("object_id", "subject_id", "actor_id")
    ordering = ("-at", "-pk")
    change_list_template = "admin/accounts/auditevent/change_list.html"

    @admin.display(description="object")
    def object(self, event: AuditEvent) -> str:
        return f"{event.object_type} {event.object_id}"

    @admin.display(description="changes")
    def changes(self, event: AuditEvent) -> str:
        return format_html("{} → {}", json.dumps(event.before), json.dumps(event.after)) if event.after else ""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.export)
        return [path("export/<str:kind>/", view, name="accounts_auditevent_export"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        may_export = request.user.has_perm("accounts.export_auditevent")
        return super().changelist_view(request, {"may_export": may_export, **(extra_context or {})})

    @method_decorator(require_POST)
    def export(self, request: HttpRequest, kind: str) -> StreamingHttpResponse:
        """The rows of the list with its filters, as CSV or as lines of JSON; the export is itself an event."""
        if not (self.has_view_permission(request) and request.user.has_perm("accounts.export_auditevent")):
            raise PermissionDenied
        if kind not in _KINDS:
            raise Http404
        try:
            rows = self.get_changelist_instance(request).get_queryset(request)
        except IncorrectLookupParameters as error:
            raise Http404("There is no such filter.") from error
        # not what was searched for, which may be somebody's address
        asked = {"kind": kind, "filters": sorted(request.GET)}
        event = note("audit.exported", staff(request), by=staff(request), after=asked)
        content_type, lines = _KINDS[kind]
        found = rows.filter(pk__lt=event.pk).values_list(*COLUMNS).iterator(chunk_size=1000)
        answer = StreamingHttpResponse(lines(found), content_type=content_type)
        answer["Content-Disposition"] = f'attachment; filename="audit-{timezone.now():%Y%m%d-%H%M%S}.{kind}"'
        return answer


class _Line:
    """A file for csv.writer that hands each line back."""

    def write(self, line: str) -> str:
        return line


def _csv(rows: Iterator[tuple[Any, ...]]) -> Iterator[str]:
    writer = csv.writer(_Line())
    yield writer.writerow(COLUMNS)
    for row in rows:
        yield writer.writerow([_cell(value) for value in row])


def _cell(value: Any) -> str:
    """As text that no spreadsheet takes for a formula."""
    text = json.dumps(value) if isinstance(value, dict) else "" if value is None else str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _jsonl(rows: Iterator[tuple[Any, ...]]) -> Iterator[str]:
    for row in rows:
        yield json.dumps(dict(zip(COLUMNS, row, strict=True)), default=str) + "\n"


_KINDS = {"csv": ("text/csv; charset=utf-8", _csv), "jsonl": ("application/jsonl; charset=utf-8", _jsonl)}
