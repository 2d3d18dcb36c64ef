"""notify_restored: one mail when all results of an upgrade are back."""

from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.utils import timezone

from accounts.models import Plan, User
from accounts.plans import change_plan
from archive import steps
from archive.tasks import notify_restored
from archive.tests.conftest import settle
from gas.followers import follow
from jobs.models import Job
from jobs.models.mail import NO_ADDRESS
from jobs.tasks import notify_job

pytestmark = pytest.mark.django_db


@pytest.fixture
def restoration(make_archive, researcher, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    rows = [make_archive(researcher) for _ in range(2)]
    for row in rows:
        settle(row)
    change_plan(researcher, Plan.PREMIUM)
    return researcher.restorations.get()


def test_one_mail_when_all_are_back(restoration, hints, django_capture_on_commit_callbacks):
    first, second = restoration.archives.all()
    settle(first)
    before = hints("notify")
    notify_restored.fn(str(restoration.pk))
    assert not mail.outbox
    restoration.refresh_from_db()
    assert restoration.next_action_at - timezone.now() > timedelta(seconds=50)
    with django_capture_on_commit_callbacks(execute=True):
        settle(second)
    assert hints("notify") == before + 1
    for _ in range(2):
        notify_restored.fn(str(restoration.pk))
    (sent,) = mail.outbox
    assert sent.subject == "[GAS] Your results are back"
    assert sent.to == ["rosalind@example.org"]
    assert "all 2 results" in sent.body
    assert "/annotations/" in sent.body
    restoration.refresh_from_db()
    assert (restoration.status, restoration.next_action_at) == ("SENT", None)


def test_one_that_was_in_quarantine_at_the_upgrade_is_waited_for(make_archive, researcher, settings, client):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    whole, held = (settle(make_archive(researcher)) for _ in range(2))
    assert held.quarantine("a test")
    change_plan(researcher, Plan.PREMIUM)
    restoration = researcher.restorations.get()
    whole.refresh_from_db()
    settle(whole)
    assert (restoration.back, restoration.total) == (1, 2)
    notify_restored.fn(str(restoration.pk))
    assert not mail.outbox
    held.refresh_from_db()
    assert steps.release(held)
    settle(held)
    notify_restored.fn(str(restoration.pk))
    assert "all 2 results" in mail.outbox[0].body


def test_deleted_results_are_not_waited_for(restoration):
    first, second = restoration.archives.all()
    settle(first)
    second.job.delete_soon()
    notify_restored.fn(str(restoration.pk))
    (sent,) = mail.outbox
    assert "the result that was archived is back" in sent.body


def test_the_warning_names_the_time(make_archive, researcher, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    settings.FREE_RETENTION = timedelta(days=30)
    row = make_archive(researcher, due=False)
    Job.objects.update(file_name="a & <b>.vcf")
    assert row.wait_for_window()
    notification = row.job.notifications.get(kind="expiring")
    notify_job.fn(str(notification.pk))
    (sent,) = mail.outbox
    assert f"{row.job.download_until:%H:%M} UTC" in sent.body
    assert "a & <b>.vcf" in sent.subject
    assert "a & <b>.vcf" in sent.body
    ((html, _),) = sent.alternatives
    assert "<strong>a &amp; &lt;b&gt;.vcf</strong>" in html
    assert row.hot_key not in sent.body + html


def test_a_change_of_plan_takes_the_warning_back(make_archive, researcher, settings):
    settings.FREE_RETENTION = timedelta(days=30)
    row = make_archive(researcher, due=False)
    row.wait_for_window()
    change_plan(researcher, Plan.PREMIUM)
    assert not row.job.notifications.filter(kind="expiring").exists()


def test_a_downgrade_takes_the_mail_back(restoration, researcher):
    change_plan(researcher, Plan.FREE)
    assert not researcher.restorations.exists()
    notify_restored.fn(str(restoration.pk))
    change_plan(researcher, Plan.PREMIUM)
    again = researcher.restorations.get()
    assert again.results == 2
    for row in again.archives.all():
        settle(row)
    notify_restored.fn(str(again.pk))
    (sent,) = mail.outbox
    assert "all 2 results" in sent.body


def test_no_mail_when_its_owner_has_deleted_all(restoration, researcher):
    for row in restoration.archives.all():
        row.job.delete_soon()
    notify_restored.fn(str(restoration.pk))
    assert not mail.outbox
    assert not researcher.restorations.exists()


def test_a_confirmed_address_gets_what_could_not_be_sent(restoration, researcher, outsider, make_archive, hints):
    EmailAddress.objects.filter(user=researcher).delete()
    User.objects.filter(pk=researcher.pk).update(email="")
    for row in restoration.archives.all():
        settle(row)
    notify_restored.fn(str(restoration.pk))
    restoration.refresh_from_db()
    assert (restoration.status, restoration.error) == ("FAILED", NO_ADDRESS)
    follow("address_confirmed", outsider)
    restoration.refresh_from_db()
    assert restoration.status == "FAILED"
    User.objects.filter(pk=researcher.pk).update(email="new@example.org")
    follow("address_confirmed", researcher)
    notify_restored.fn(str(restoration.pk))
    (sent,) = mail.outbox
    assert sent.to == ["new@example.org"]


@pytest.mark.parametrize("address", ["", "new@example.org"])
def test_the_page_promises_a_mail_only_where_there_is_an_address(restoration, researcher, client, address):
    EmailAddress.objects.filter(user=researcher).delete()
    User.objects.filter(pk=researcher.pk).update(email=address)
    client.force_login(User.objects.get(pk=researcher.pk))
    page = client.get("/annotations/").content.decode()
    assert "restored." in page
    assert ("A mail tells you when all are back." in page) is bool(address)
