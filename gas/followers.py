"""What follows in one app when a row of another changes, in the same transaction. Apps import downward only, so that the
lower one names the event, and the setting FOLLOWERS who follows.
"""

from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string


def follow(event: str, *args: object) -> list[Any]:
    """Call the followers of `event` ("job_completed", ...) in their order, and return what each returns.

    What one raises, rolls the change back.
    """
    return [import_string(path)(*args) for path in settings.FOLLOWERS[event]]
