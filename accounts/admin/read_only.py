"""Rows that the desk looks at."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from accounts.admin.reasons import ActsAdmin


class ReadOnlyAdmin(ActsAdmin):
    """Rows whose fields only the code may set: nothing is added, edited or deleted by hand; `acts` alone change them."""

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002
        fields = [field.name for field in self.opts.fields if field.name not in (self.exclude or ())]
        return [*fields, *(name for name in self.readonly_fields if name not in fields)]

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False


class ReadOnlyInline(admin.TabularInline):  # type: ignore[type-arg]
    """Rows of a row; `fields` names what is shown."""

    can_delete = False
    extra = 0

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002
        return self.fields

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False
