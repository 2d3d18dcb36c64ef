"""What the tests of the commands share."""

from io import StringIO

from django.core.management import call_command

from archive.models import ResultArchive


def run(command, *args):
    """The lines that the command prints."""
    out = StringIO()
    call_command(command, *args, stdout=out)
    return out.getvalue().splitlines()


def put_off(row, **changes):
    """Set a row to what no method makes of it: it stands for time that has passed, or a database edited by hand."""
    ResultArchive.objects.filter(pk=row.pk).update(**changes)
    row.refresh_from_db()
