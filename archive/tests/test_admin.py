"""Admin: support staff see where a result lies, and archive, restore, verify and release; they edit nothing."""

import pytest
from django.core.management import call_command
from django.urls import reverse

from accounts.models import Plan
from accounts.plans import change_plan
from archive.models import ResultArchive
from archive.tests.conftest import archives, hot_copies, settle
from gas.objects import objects
from gas.vaults import vault

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client, db, monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "correct horse battery")
    call_command("createsuperuser", "--no-input", "--username=root", "--email=root@example.org", verbosity=0)
    client.post("/admin/login/", {"username": "root", "password": "correct horse battery"})
    return client


def act(staff, action: str, *rows) -> str:
    data = {"action": action, "_selected_action": [row.pk for row in rows]}
    page = staff.post(reverse("admin:archive_resultarchive_changelist"), data, follow=True).content.decode()
    for row in rows:
        row.refresh_from_db()
    return page


def test_found_by_job_and_address(staff, make_archive, researcher, outsider):
    mine, other = make_archive(researcher), make_archive(outsider)
    for query in (mine.job_id, "rosalind@example.org", mine.pk):
        page = staff.get(reverse("admin:archive_resultarchive_changelist"), {"q": query}).content.decode()
        assert (str(mine.pk) in page, str(other.pk) in page) == (True, False)


def test_the_timeline(staff, archive):
    settle(archive)
    change_plan(archive.job.owner, Plan.PREMIUM)
    settle(archive)
    page = staff.get(reverse("admin:archive_resultarchive_change", args=[archive.pk])).content.decode()
    assert "Expedited" in page
    assert "Thawed" in page
    assert 'name="status"' not in page
    assert 'name="_save"' not in page


def test_restore_now_gives_a_free_user_one_more_window(staff, archive):
    settle(archive)
    assert "1 to be restored now" in act(staff, "restore_now", archive)
    assert archive.status == "RESTORING"
    settle(archive)
    archive.job.refresh_from_db()
    assert archive.status == "HOT"
    assert archive.job.can_download
    assert archive.archive_at == archive.job.download_until
    assert "left as they were" in act(staff, "restore_now", archive)


def test_archive_now(staff, make_archive, researcher):
    locked, open_one = make_archive(researcher), make_archive(researcher, due=False)
    ResultArchive.objects.filter(pk=locked.pk).update(next_action_at=None)
    page = act(staff, "archive_now", locked, open_one)
    assert "1 to be archived now" in page
    assert "1 left as they were" in page
    assert settle(locked).status == "ARCHIVED"


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
    page = act(staff, "verify_now", good, bad)
    assert "1 whole" in page
    assert "1 do not hold" in page
    assert (good.status, bad.status) == ("ARCHIVED", "QUARANTINED")


def test_release(staff, archive):
    settle(archive)
    path = corrupt(archive)
    act(staff, "verify_now", archive)
    assert "1 stay" in act(staff, "release", archive)
    path.write_bytes(b"#" + path.read_bytes()[1:])
    assert "1 released" in act(staff, "release", archive)
    assert (archive.status, archive.error) == ("ARCHIVED", "")


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
