"""Accounts at the desk, and the log of what was done there."""

from accounts.admin import audit_events, erasures, plans, users  # noqa: F401 (they register)
