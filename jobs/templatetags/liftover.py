"""Why records did not lift over, in words."""

from django import template

from jobs.annotation.liftover.alleles import REASONS

register = template.Library()


@register.filter
def why_not_lifted(reason: str) -> str:
    """The sentence of a key of REASONS."""
    return REASONS.get(reason, reason)
