"""What operators tell everybody, and the pause of submissions: who sees it, from when until when, and who may say it."""

import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.core.cache import cache
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEvent
from conftest import VCF
from gas.objects import objects
from jobs.models import Announcement, Job, Upload
from jobs.refusals import Refused

NOW = timezone.now


@pytest.fixture
def announce(db):
    def make(text: str = "Maintenance on Friday.", **fields) -> Announcement:
        announcement = Announcement.objects.create(text=text, **fields)
        cache.clear()
        return announcement

    return make


def banner(client, path: str = "/") -> str:
    page = client.get(path).content.decode()
    start = page.find('<aside aria-label="Announcements">')
    return page[start : page.index("</aside>", start)] if start >= 0 else ""


# --- the banner -----------------------------------------------------------------------------------------------------------


def test_every_page_has_it_as_text(client, researcher, announce):
    announce("Down <b>today</b>.\nSorry.", severity="danger")
    client.force_login(researcher)
    for path in ["/", reverse("annotate"), reverse("annotations"), "/no-such-page/"]:
        assert "Down &lt;b&gt;today&lt;/b&gt;.<br>Sorry." in banner(client, path)
    assert 'class="announcement alert alert-danger mb-0" role="alert"' in banner(client)


def test_what_is_not_urgent_waits_for_a_pause(client, announce):
    announce(severity="warning")
    assert 'alert-warning mb-0" role="status"' in banner(client)


def test_it_is_shown_from_its_start_until_its_end(client, announce):
    assert banner(client) == ""
    announce("past", starts_at=NOW() - timedelta(hours=2), ends_at=NOW() - timedelta(hours=1))
    announce("future", starts_at=NOW() + timedelta(hours=1))
    assert banner(client) == ""
    announce("until then", ends_at=NOW() + timedelta(hours=1))
    announce("open end", starts_at=NOW() - timedelta(days=9))
    shown = banner(client)
    assert shown.index("until then") < shown.index("open end")
    assert "past" not in shown
    assert "future" not in shown


def test_pages_ask_the_cache_and_a_change_shows_at_once(
    client, db, django_assert_num_queries, django_capture_on_commit_callbacks
):
    assert banner(client) == ""
    Announcement.objects.bulk_create([Announcement(text="not seen yet")])
    with django_assert_num_queries(0):
        assert Announcement.objects.shown() == []
    with django_capture_on_commit_callbacks(execute=True):
        saved = Announcement.objects.create(text="seen at once")
    assert "seen at once" in banner(client)
    with django_capture_on_commit_callbacks(execute=True):
        saved.end()
    assert "seen at once" not in banner(client)


def test_a_live_part_of_a_page_has_none(client, researcher, announce):
    announce()
    client.force_login(researcher)
    part = client.get(reverse("annotations"), headers={"HX-Request": "true"})
    assert b"Maintenance" not in part.content


# --- its end ---------------------------------------------------------------------------------------------------------------


def test_it_ends_once(announce):
    announcement = announce()
    assert announcement.end()
    assert announcement.has_ended
    ended = announcement.ends_at
    assert not announcement.end()
    announcement.refresh_from_db()
    assert announcement.ends_at == ended


def test_one_that_was_ended_before_its_start_never_begins(announce):
    announcement = announce(starts_at=NOW() + timedelta(days=1))
    assert announcement.end()
    assert announcement.ends_at == announcement.starts_at


@pytest.mark.parametrize("fields", [{"severity": "loud"}, {"ends_at": NOW() - timedelta(days=1)}])
def test_the_database_refuses_what_makes_no_sense(db, fields):
    with pytest.raises(IntegrityError), transaction.atomic():
        Announcement.objects.create(text="x", **fields)


# --- the pause of submissions ---------------------------------------------------------------------------------------------


def begin(client):
    body = json.dumps({"file_name": "a.vcf", "size": len(VCF)})
    return client.post(reverse("uploads"), body, content_type="application/json")


def test_a_pause_refuses_in_the_words_of_the_operators_and_keeps_what_was_uploaded(client, researcher, announce):
    client.force_login(researcher)
    url = begin(client).json()["url"]
    client.put(f"{url}parts/1/", VCF, content_type="application/octet-stream")
    assert banner(client) == ""
    pause = Announcement.objects.create(text="The disks are replaced.", pauses_submissions=True)  # no cache is cleared
    refused = begin(client)
    assert (refused.status_code, refused.json()["error"]) == (
        503,
        {
            "code": "paused",
            "title": "No new files are taken at the moment",
            "detail": "The disks are replaced.",
            "mend": "Try again later.",
            "upgrade": False,
        },
    )
    refused = client.post(f"{url}complete/")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "paused")
    upload = Upload.objects.get()
    assert upload.status == "OPEN"
    assert objects("uploads").read(upload.key, 10_000) == VCF
    page = client.get(reverse("annotate")).content.decode()
    assert 'role="status" id="refused"' in page
    assert "The disks are replaced." in page[page.index('id="refused"') :]
    pause.end()
    assert client.post(f"{url}complete/").status_code == 201
    assert Job.objects.get().upload == upload


def test_a_pause_with_an_end_says_when_to_come_back(researcher, announce):
    ends_at = NOW() + timedelta(hours=1)
    announce("Back soon.", pauses_submissions=True, ends_at=ends_at)
    with pytest.raises(Refused, match=f"Try again after .*{ends_at:%H:%M} UTC"):
        Upload.start(researcher, "a.vcf", 10)


@pytest.mark.parametrize(
    "fields",
    [
        {"pauses_submissions": False},
        {"pauses_submissions": True, "starts_at": NOW() + timedelta(days=1)},
        {
            "pauses_submissions": True,
            "starts_at": NOW() - timedelta(days=2),
            "ends_at": NOW() - timedelta(days=1),
        },
    ],
)
def test_otherwise_files_are_taken(researcher, announce, fields):
    announce(**fields)
    assert Upload.start(researcher, "a.vcf", 10)


def test_jobs_that_wait_go_on_and_may_be_retried(researcher, make_job, announce):
    job = make_job(researcher)
    announce(pauses_submissions=True)
    assert job.claim("w")
    assert job.fail("x", ["y"])
    assert job.retry()


# --- the desk ---------------------------------------------------------------------------------------------------------------


def url(name: str, *args) -> str:
    return reverse(f"admin:jobs_announcement_{name}", args=args)


FORM = {
    "text": "Maintenance on Friday.",
    "severity": "warning",
    "starts_at_0": "2026-01-01",
    "starts_at_1": "08:00:00",
    "initial-starts_at_0": "2026-01-01",
    "initial-starts_at_1": "08:00:00",
    "ends_at_0": "",
    "ends_at_1": "",
    "pauses_submissions": "on",
    "reason": "ticket 7",
}


def test_an_operator_announces_changes_and_ends_with_a_reason(desk):
    operator = desk("operator")
    assert operator.post(url("add"), FORM).status_code == 302
    announcement = Announcement.objects.get()
    assert (announcement.severity, announcement.pauses_submissions) == ("warning", True)
    operator.post(url("change", announcement.pk), FORM | {"severity": "danger", "reason": "it is worse"})
    act = {"act": "end", "reason": "it is over"}
    assert operator.post(url("act", announcement.pk, "end"), act).status_code == 302
    announcement.refresh_from_db()
    assert announcement.has_ended
    made, changed, ended = AuditEvent.objects.filter(object_type="announcement").order_by("pk")
    assert {event.action for event in (made, changed, ended)} == {"announcement.changed"}
    assert {event.actor for event in (made, changed, ended)} == {operator.user}
    assert [event.reason for event in (made, changed, ended)] == ["ticket 7", "it is worse", "it is over"]
    assert made.after["text"] == "Maintenance on Friday."
    assert (changed.before, changed.after) == ({"severity": "warning"}, {"severity": "danger"})
    assert (ended.before["ends_at"], bool(ended.after["ends_at"])) == (None, True)


def test_without_a_reason_and_with_an_end_before_the_start_nothing_is_announced(desk):
    operator = desk("operator")
    assert b"This field is required" in operator.post(url("add"), FORM | {"reason": ""}).content
    backwards = FORM | {"ends_at_0": "2025-01-01", "ends_at_1": "08:00"}
    assert b"It ends before it starts" in operator.post(url("add"), backwards).content
    assert not Announcement.objects.exists()


def test_nobody_deletes_and_support_does_not_announce(desk, announce):
    announcement = announce()
    assert desk().post(url("delete", announcement.pk), {"post": "yes"}).status_code == 403
    support = desk("support")
    for address in (url("changelist"), url("add"), url("change", announcement.pk), url("act", announcement.pk, "end")):
        assert support.get(address).status_code == 403
    support.user.user_permissions.add(Permission.objects.get(codename="view_announcement"))
    assert support.get(url("changelist")).status_code == 200
    assert support.post(url("act", announcement.pk, "end"), {"act": "end", "reason": "x"}).status_code == 403
    announcement.refresh_from_db()
    assert not announcement.has_ended
