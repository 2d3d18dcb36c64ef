"""Lists of the admin over tables of any size: nothing that such a list asks grows with the whole table."""

from functools import cached_property
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest

MOST_COUNTED = 10_000  # rows; who looks further searches


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts MOST_COUNTED rows at most, and leads no further: an OFFSET costs what it skips."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[:MOST_COUNTED].count())

    @property
    def is_cut(self) -> bool:
        """Whether there may be more rows than it leads to."""
        return self.count >= MOST_COUNTED


def as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


class BigListAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A ModelAdmin whose list stays quick over 100,000 rows.

    A search for a whole id goes by `found_by_id`, one with an "@" by `found_by_address`: both by index. All else is looked
    for in `search_fields`. No `date_hierarchy`: it reads the dates of all rows.
    """

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # each would count
    found_by_id: ClassVar[tuple[str, ...]] = ("pk",)

    def found_by_address(self, address: str) -> Q | None:  # noqa: ARG002
        """Which rows are of somebody whose address begins like this. None: the rows are nobody's."""
        return None

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        pk = as_uuid(term)
        if pk is not None:
            ids = Q()
            for name in self.found_by_id:
                ids |= Q(**{name: pk})
            return queryset.filter(ids), False
        theirs = self.found_by_address(term) if "@" in term else None
        if theirs is not None:
            return queryset.filter(theirs), False
        return super().get_search_results(request, queryset, search_term)
