"""manage.py archive_due: it hints at what is to be archived, and says what that costs."""

from datetime import timedelta

import pytest
from django.core.management import CommandError
from django.db.models.functions import Now

from archive.costs import cost_of
from archive.tests.conftest import CONTENT, settle
from archive.tests.operators import put_off, run


def test_what_is_due_is_enqueued_and_nothing_else(make_archive, researcher, hints, django_capture_on_commit_callbacks):
    due, _window, archived = make_archive(researcher), make_archive(researcher, due=False), make_archive(researcher)
    settle(archived)
    put_off(due, next_action_at=Now() + timedelta(hours=1), not_before=Now() + timedelta(hours=1))
    before = hints("archive")
    with django_capture_on_commit_callbacks(execute=True):
        assert run("archive_due") == [f"{due.job_id} HOT {len(CONTENT)} bytes", "1 chosen, 1 enqueued"]
    assert hints("archive") == before + 1
    assert settle(due).status == "ARCHIVED"
    assert run("archive_due") == ["0 chosen, 0 enqueued"]


def test_what_is_half_archived_goes_on(make_archive, researcher, hints):
    row = make_archive(researcher)
    past = Now() - timedelta(minutes=2)
    put_off(
        row, status="ARCHIVING", vault="local", archive_id="x/y", lease_until=past, next_action_at=past, generation=1
    )
    assert run("archive_due")[-1] == "1 chosen, 1 enqueued"
    put_off(row, lease_until=Now() + timedelta(minutes=1))
    assert run("archive_due")[-1] == "1 chosen, 0 enqueued"  # somebody has it


def test_a_dry_run_tells_the_cost_and_changes_nothing(make_archive, researcher, settings, hints):
    settings.VAULT, settings.S3_ARCHIVE_CLASS = "s3", "DEEP_ARCHIVE"
    row = make_archive(researcher)
    timer, before = row.next_action_at, hints("archive")
    lines = run("archive_due", "--dry-run")
    assert lines[0] == "1 results with 82.0\xa0KB are to go to the vault s3"
    assert lines[1] == f"DEEP_ARCHIVE: {cost_of([len(CONTENT)], 'DEEP_ARCHIVE')}"
    assert lines[-1] == "1 chosen, 0 enqueued (dry run)"
    row.refresh_from_db()
    assert (row.next_action_at, hints("archive")) == (timer, before)


def test_user_and_limit(make_archive, researcher, outsider):
    first, _second, theirs = make_archive(researcher), make_archive(researcher), make_archive(outsider)
    assert run("archive_due", "--dry-run", "--limit=1")[-2].startswith(str(first.job_id))
    assert run("archive_due", "--dry-run", "--user=OUTSIDER@example.org")[1:] == [
        f"{theirs.job_id} HOT {len(CONTENT)} bytes",
        "1 chosen, 0 enqueued (dry run)",
    ]
    with pytest.raises(CommandError, match="Nobody has the address nobody@"):
        run("archive_due", "--user=nobody@example.org")


def test_costs_agree_with_the_price_list_by_hand():
    million_of_1_mib = cost_of([1024**2] * 1024, "GLACIER")
    assert million_of_1_mib.hot == pytest.approx(0.023)
    # 1 GB and 32 MB of overhead at 0.0036, 8 MB at 0.023
    assert million_of_1_mib.archived == pytest.approx((1 + 32 / 1024) * 0.0036 + 8 / 1024 * 0.023)
    assert million_of_1_mib.archiving == pytest.approx(1024 * 0.00003)
    assert "pays after 1.6 months" in str(million_of_1_mib)
    assert "never pays" in str(cost_of([10_000], "GLACIER"))
