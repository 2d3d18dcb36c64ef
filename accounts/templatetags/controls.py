"""`{{ field|control }}`: a field of a form that is not ours, as Bootstrap draws it."""

from django import template
from django.forms import BoundField, CheckboxInput
from django.utils.safestring import SafeString

register = template.Library()


@register.filter
def control(field: BoundField) -> SafeString:
    return field.as_widget(attrs={"class": "form-check-input" if is_checkbox(field) else "form-control"})


@register.filter
def is_checkbox(field: BoundField) -> bool:
    return isinstance(field.field.widget, CheckboxInput)
