"""Archives at the desk: staff sees where a result lies, and archives, restores, verifies and releases; it edits nothing."""

from datetime import timedelta

import pytest
from django.contrib.messages import get_messages
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEvent, Plan
from accounts.plans import change_plan
from archive.models import Restoration, ResultArchive
from archive.tests.conftest import (
    CONTENT,
    archives,
    check_no_orphans,
    check_recoverable,
    hot_copies,
    pass_time,
    settle,
    take_step,
)
from archive.tests.interposed import moments
from gas.objects import objects
from gas.vaults import VaultUnavailable, vault
from jobs.models import Job

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(desk):
    return desk("operator")


def act(staff, action: str, *rows) -> str:
    data = {"action": action, "_selected_action": [row.pk for row in rows], "act": action, "reason": "ticket 7"}
    answer = staff.post(reverse("admin:archive_resultarchive_changelist"), data)
    assert answer.status_code == 302
    for row in rows:
        row.refresh_from_db()
    told = [str(message) for message in get_messages(answer.wsgi_request)]
    staff.get(reverse("admin:archive_resultarchive_changelist"))  # shows them
    return " ".join(told)


def buttons(client, row) -> set[str]:
    answer = client.get(reverse("admin:archive_resultarchive_change", args=[row.pk]))
    return {act.name for act in answer.context["acts"]}


def noted() -> list[tuple[str, str, dict, dict]]:
    events = AuditEvent.objects.filter(object_type="resultarchive").order_by("pk")
    return [(event.action, event.reason, event.before, event.after) for event in events]


def test_found_by_id_and_address(staff, make_archive, researcher, outsider):
    mine, other = make_archive(researcher), make_archive(outsider)
    for query in (mine.job_id, "rosalind@example", mine.pk, researcher.pk):
        answer = staff.get(reverse("admin:archive_resultarchive_changelist"), {"q": query})
        assert set(answer.context["cl"].result_list) == {mine}, query
    answer = staff.get(reverse("admin:archive_resultarchive_changelist"), {"q": "test.v"})
    assert set(answer.context["cl"].result_list) == {mine, other}


def test_held_up(staff, make_archive, researcher):
    overdue, _ = make_archive(researcher), make_archive(researcher, due=False)
    ResultArchive.objects.filter(pk=overdue.pk).update(next_action_at=Now() - timedelta(minutes=2))
    answer = staff.get(reverse("admin:archive_resultarchive_changelist"), {"held_up": "yes"})
    assert set(answer.context["cl"].result_list) == {overdue}


def test_the_timeline(staff, archive):
    settle(archive)
    change_plan(archive.job.owner, Plan.PREMIUM)
    settle(archive)
    page = staff.get(reverse("admin:archive_resultarchive_change", args=[archive.pk])).content.decode()
    assert "Expedited" in page
    assert "Thawed" in page
    assert 'name="status"' not in page
    assert 'name="_save"' not in page


def test_the_job_tells_of_the_moves_of_its_result(desk, staff, archive):
    settle(archive)
    act(staff, "restore_now", archive)
    settle(archive)
    page = desk("support").get(reverse("admin:jobs_job_change", args=[archive.job_id]))
    lines = [(moment.what, moment.detail) for moment in page.context["timeline"]]
    whats = [what for what, _ in lines]
    expected = [
        "Completed", "restore.asked", "Expedited retrieval was asked for", "Expedited retrieval began",
        "Expedited retrieval is within reach", "Back from the archive", "Expedited retrieval ended",
    ]  # fmt: skip
    assert [what for what in whats if what in expected] == expected
    assert dict(lines)["Expedited retrieval ended"] == "Thawed"
    assert "ticket 7" in dict(lines)["restore.asked"]
    settle(archive)
    settle(end_now(archive))
    page = desk(user=staff.user).get(reverse("admin:jobs_job_change", args=[archive.job_id]))
    assert "Archived in vault local" in {moment.what for moment in page.context["timeline"]}


def end_now(row):
    past = Now() - timedelta(seconds=1)
    ResultArchive.objects.filter(pk=row.pk).update(archive_at=past, next_action_at=past)
    Job.objects.filter(pk=row.job_id).update(download_until=past)
    row.refresh_from_db()
    return row


def test_buttons_are_there_when_the_state_allows(staff, desk, archive):
    assert buttons(staff, archive) == {"archive_now", "requeue"}
    settle(archive)
    assert buttons(staff, archive) == {"restore_now", "verify"}
    assert archive.quarantine("a stranger")
    assert buttons(staff, archive) == {"verify", "release"}
    assert buttons(desk("support"), archive) == set()


def test_support_only_looks(desk, archive):
    settle(archive)
    support = desk("support")
    for name in ("archive_now", "restore_now", "verify", "release", "requeue"):
        url = reverse("admin:archive_resultarchive_act", args=[archive.pk, name])
        assert support.post(url, {"act": name, "reason": "r"}).status_code == 403
    assert support.get(reverse("admin:archive_resultarchive_change", args=[archive.pk])).status_code == 200
    archive.refresh_from_db()
    assert archive.status == "ARCHIVED"


def test_restore_now_gives_a_free_user_one_more_window(staff, archive):
    settle(archive)
    assert "1 to be restored now" in act(staff, "restore_now", archive)
    assert archive.status == "RESTORING"
    assert [(e[0], e[1], e[2]["status"], e[3]["status"]) for e in noted()] == [
        ("restore.asked", "ticket 7", "ARCHIVED", "RESTORING")
    ]
    settle(archive)
    archive.job.refresh_from_db()
    assert archive.status == "HOT"
    assert archive.job.can_download
    assert archive.archive_at == archive.job.download_until
    assert archive.job.download_until < timezone.now() + timedelta(hours=1)
    assert "left as they were" in act(staff, "restore_now", archive)


def test_archive_now(staff, make_archive, researcher):
    locked, open_one = make_archive(researcher), make_archive(researcher, due=False)
    ResultArchive.objects.filter(pk=locked.pk).update(next_action_at=None)
    page = act(staff, "archive_now", locked, open_one)
    assert "1 to be archived now" in page
    assert "1 left as they were" in page
    assert [event[0] for event in noted()] == ["archive.hastened"]
    assert settle(locked).status == "ARCHIVED"


def test_requeue(staff, archive):
    later = timezone.now() + timedelta(hours=1)
    ResultArchive.objects.filter(pk=archive.pk).update(next_action_at=later, not_before=later)
    assert "1 sent to the queue again" in act(staff, "requeue", archive)
    assert archive.next_action_at < timezone.now() + timedelta(seconds=5)
    assert [event[0] for event in noted()] == ["archive.requeued"]
    assert settle(archive).status == "ARCHIVED"
    assert "left as they were" in act(staff, "requeue", archive)


def corrupt(row):
    path = vault("local")._path(row.archive_id)
    path.chmod(0o600)
    path.write_bytes(b"x" + path.read_bytes()[1:])
    return path


def test_verify_now(staff, make_archive, researcher):
    good, bad = make_archive(researcher), make_archive(researcher)
    settle(good)
    settle(bad)
    corrupt(bad)
    page = act(staff, "verify", good, bad)
    assert "1 whole" in page
    assert "1 without a whole archive" in page
    assert (good.status, bad.status) == ("ARCHIVED", "QUARANTINED")
    found = {after["status"]: (action, before, after["whole"]) for action, _, before, after in noted()}
    assert found == {
        "ARCHIVED": ("archive.verified", {"status": "ARCHIVED"}, True),
        "QUARANTINED": ("archive.verified", {"status": "ARCHIVED"}, False),
    }


def test_a_vault_out_of_reach_is_said(staff, archive, monkeypatch):
    def fail(_):
        raise VaultUnavailable("no route to the vault")

    settle(archive)
    monkeypatch.setattr(vault("local"), "verify", lambda *_: fail(_))
    assert "Out of reach: no route to the vault" in act(staff, "verify", archive)
    assert (archive.status, noted()) == ("ARCHIVED", [])


def test_release(staff, archive):
    settle(archive)
    path = corrupt(archive)
    act(staff, "verify", archive)
    assert "1 stay" in act(staff, "release", archive)
    path.write_bytes(b"#" + path.read_bytes()[1:])
    assert "1 released" in act(staff, "release", archive)
    assert (archive.status, archive.error) == ("ARCHIVED", "")
    assert [(event[0], event[3]["whole"]) for event in noted()][1:] == [
        ("archive.released", False),
        ("archive.released", True),
    ]


def test_a_small_one_is_released_and_stays(staff, archive, settings):
    path = objects("results").folder / archive.hot_key
    whole = path.read_bytes()
    path.write_bytes(b"x" + whole[1:])
    assert settle(archive).status == "QUARANTINED"
    path.write_bytes(whole)
    settings.ARCHIVE_MIN_BYTES = len(whole) + 1
    archive.refresh_from_db()
    ResultArchive.objects.update(archive_id="")
    assert "1 released" in act(staff, "release", archive)
    assert (settle(archive).status, archive.next_action_at) == ("HOT", None)


def test_release_to_the_bucket(staff, archive):
    path = objects("results").folder / archive.hot_key
    whole = path.read_bytes()
    path.write_bytes(b"x" + whole[1:])
    settle(archive)
    assert archive.status == "QUARANTINED"
    path.write_bytes(whole)
    assert "1 released" in act(staff, "release", archive)
    assert archive.status == "HOT"
    assert hot_copies() == {archive.hot_key}
    assert settle(archive).status == "ARCHIVED"
    assert archives("local") == {archive.archive_id}


# --- extend retention ---------------------------------------------------------------------------------------------------

WEEK = timedelta(days=7)


def extend(row):
    """As staff does; nobody's copy of the row is fresh then."""
    job = Job.objects.get(pk=row.job_id)
    assert job.extend_retention(WEEK)
    row.refresh_from_db()
    return job


def check_open_for_a_week(row):
    """It can be downloaded, and is archived at the end of its window, not before and not never."""
    job = Job.objects.get(pk=row.job_id)
    assert row.status == "HOT"
    assert job.can_download
    assert abs(job.download_until - timezone.now() - WEEK) < timedelta(minutes=6)  # a thaw begins a window of 5 minutes
    assert row.archive_at == job.download_until
    assert row.next_action_at == row.archive_at
    check_recoverable(row)
    end_now(row)
    assert settle(row).status == "ARCHIVED"
    check_no_orphans(row)


def to_archive(row):
    end_now(row)


def to_restore(row):
    end_now(row)
    assert settle(row).status == "ARCHIVED"
    assert row.restore_now()


@pytest.mark.parametrize(("scenario", "fewest"), [(to_archive, 7), (to_restore, 7)])
def test_extended_at_every_moment(make_archive, researcher, interposed, scenario, fewest):
    seen = 0
    for at, after in moments():
        row = make_archive(researcher, due=False)
        scenario(row)
        pass_time(row)
        happened = []
        interposed.arm(at, after=after, act=lambda row=row, happened=happened: happened.append(extend(row)))
        while take_step(row):
            check_recoverable(row)
            pass_time(row)
        interposed.disarm()
        if not happened:
            break
        seen += 1
        check_open_for_a_week(settle(row))
        row.job.delete_soon()
        settle(row)
    assert seen >= fewest


@pytest.mark.parametrize("when", ["hot", "archived", "no longer wished back"])
def test_extended_before_the_next_step(archive, when):
    if when != "hot":
        settle(archive)
    if when == "no longer wished back":  # after a downgrade: it would stay archived
        assert archive.restore_now()
        ResultArchive.objects.filter(pk=archive.pk).update(archive_at=Now())
    extend(archive)
    assert archive.status == ("HOT" if when == "hot" else "RESTORING")
    check_open_for_a_week(settle(archive))


def test_what_the_archiver_leaves_is_deleted_after_his_lease(archive):
    assert archive.claim_archiving(vault("local"))
    lease = archive.lease_until
    extend(archive)
    assert (archive.status, archive.archive_id != "", archive.next_action_at) == ("HOT", True, lease)


def test_its_owner_is_warned_before_the_new_end_and_not_before(archive):
    archive.job.notifications.create(kind="expiring", next_action_at=timezone.now())
    extend(archive)
    assert not archive.job.notifications.filter(kind="expiring").exists()
    assert abs(archive.next_action_at - timezone.now() - timedelta(days=5)) < timedelta(minutes=1)
    pass_time(archive)
    take_step(archive)
    assert archive.job.notifications.filter(kind="expiring").exists()


def test_a_small_result_is_extended_without_a_timer(archive, settings):
    settings.ARCHIVE_MIN_BYTES = len(CONTENT) + 1
    ResultArchive.objects.filter(pk=archive.pk).update(next_action_at=None)
    job = extend(archive)
    assert (archive.status, archive.next_action_at) == ("HOT", None)
    assert archive.archive_at == job.download_until


def test_not_while_it_is_in_quarantine(desk, archive):
    assert archive.quarantine("a stranger")
    answer = desk("support").get(reverse("admin:jobs_job_change", args=[archive.job_id]))
    assert "extend" not in {act.name for act in answer.context["acts"]}


def test_an_upgrade_after_it_keeps_the_result_for_good(archive):
    settle(archive)
    extend(archive)
    change_plan(archive.job.owner, Plan.PREMIUM)
    settle(archive)
    archive.job.refresh_from_db()
    assert (archive.status, archive.archive_at, archive.job.download_until) == ("HOT", None, None)


# --- the mail of an upgrade -----------------------------------------------------------------------------------------------


def test_restorations(desk, make_archive, researcher, outsider):
    rows = [make_archive(researcher), make_archive(researcher)]
    for row in rows:
        settle(row)
    change_plan(researcher, Plan.PREMIUM)
    settle(rows[0])
    support = desk("support")
    listed = reverse("admin:archive_restoration_changelist")
    for query in ("rosalind@", researcher.pk, "Rosalind"):
        answer = support.get(listed, {"q": query})
        assert [(row.results, row.here) for row in answer.context["cl"].result_list] == [(2, 1)]
    assert not support.get(listed, {"q": outsider.pk}).context["cl"].result_list
    mail = Restoration.objects.get()
    assert mail.claim()
    assert mail.failed("refused")
    url = reverse("admin:archive_restoration_act", args=[mail.pk, "resend"])
    assert support.post(url, {"act": "resend", "reason": "r"}).status_code == 302
    mail.refresh_from_db()
    assert mail.status == "PENDING"
    assert AuditEvent.objects.filter(action="mail.resent", subject=researcher).exists()
