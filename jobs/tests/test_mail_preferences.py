"""Which mails a researcher gets: as he has it in his profile when something happens, and where there is an address."""

from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.urls import reverse
from django.utils import timezone

from accounts.models import Profile
from gas.followers import follow
from jobs.models import Job, Notification
from jobs.models.job import Result
from jobs.models.mail import NO_ADDRESS
from jobs.tasks import notify_job

RESULT = Result("r/1", 10, "a" * 64, "r/1.tbi", "l/1", 5, "b" * 64, {"records": 3})
TELLS = "a mail tells you when it is done"


def end(job: Job, kind: str) -> None:
    assert job.claim("w")
    assert job.complete(RESULT) if kind == "completed" else job.fail("bad_records", ["Line 3."])


def without_address(user) -> None:
    EmailAddress.objects.filter(user=user).delete()
    user.email = ""
    user.save()


@pytest.mark.parametrize("kind", ["completed", "failed"])
def test_a_mail_that_is_not_wanted_is_not_made(researcher, make_job, hints, kind):
    job = make_job(researcher)
    Profile.objects.filter(user=researcher).update(**{f"mail_{kind}": False})  # while it waits: `job` does not know
    end(job, kind)
    assert not Notification.objects.exists()
    assert hints("notify") == 0


@pytest.mark.parametrize("kind", ["completed", "failed"])
def test_the_other_mails_are_made(researcher, outsider, make_job, kind):
    others = {f"mail_{other}": False for other in ("completed", "failed", "expiring") if other != kind}
    Profile.objects.filter(user=researcher).update(**others)
    Profile.objects.filter(user=outsider).update(**{f"mail_{kind}": False})
    end(make_job(researcher), kind)
    assert Notification.objects.get().kind == kind


def test_staff_without_a_profile_gets_them(make_staff, make_job):
    end(make_job(make_staff("support")), "completed")
    assert Notification.objects.get().kind == "completed"


# --- what the page promises ------------------------------------------------------------------------------------------------


def page_of_running(client, user, make_job) -> str:
    job = make_job(user)
    assert job.claim("w")
    client.force_login(user)
    return client.get(reverse("annotation", args=[job.pk])).content.decode()


def test_a_page_promises_a_mail_that_will_come(client, researcher, make_job):
    Profile.objects.update(mail_failed=False, mail_expiring=False)
    assert TELLS in page_of_running(client, researcher, make_job)


def test_and_none_that_is_not_wanted(client, researcher, make_job):
    Profile.objects.update(mail_completed=False)
    page = page_of_running(client, researcher, make_job)
    assert TELLS not in page
    assert "you may close this page and look again later." in page


def test_nor_one_that_has_no_address(client, researcher, make_job):
    without_address(researcher)
    assert TELLS not in page_of_running(client, researcher, make_job)


# --- until there is an address ----------------------------------------------------------------------------------------------


@pytest.fixture
def stranded(researcher, make_job) -> Notification:
    """A mail to somebody who had no address."""
    without_address(researcher)
    end(make_job(researcher), "completed")
    notification = Notification.objects.get()
    notify_job.fn(str(notification.pk))
    notification.refresh_from_db()
    assert (notification.status, notification.error) == ("FAILED", NO_ADDRESS)
    return notification


def confirm(user) -> None:
    user.email = "new@example.org"
    user.save()
    follow("address_confirmed", user)


def test_a_confirmed_address_gets_what_could_not_be_sent(
    researcher, stranded, hints, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        confirm(researcher)
    assert hints("notify") == 1
    notify_job.fn(str(stranded.pk))
    (message,) = mail.outbox
    assert message.to == ["new@example.org"]
    stranded.refresh_from_db()
    assert stranded.status == "SENT"
    confirm(researcher)
    stranded.refresh_from_db()
    assert stranded.status == "SENT"


def test_but_not_what_is_no_longer_wanted(researcher, stranded):
    Profile.objects.filter(user=researcher).update(mail_completed=False, mail_failed=False)
    confirm(researcher)
    stranded.refresh_from_db()
    assert stranded.status == "FAILED"


def test_but_nothing_of_others_or_refused_or_deleted(researcher, outsider, stranded, make_job):
    end(make_job(outsider), "completed")
    end(make_job(researcher), "failed")
    other, refused = Notification.objects.exclude(pk=stranded.pk).order_by("pk")
    for row, error in ((other, NO_ADDRESS), (refused, "Refused by the mail server: 550")):
        Notification.objects.filter(pk=row.pk).update(status="FAILED", error=error, next_action_at=None)
    stranded.job.delete_soon()
    confirm(researcher)
    assert set(Notification.objects.values_list("status", flat=True)) == {"FAILED"}


@pytest.mark.parametrize(("left", "status"), [(timedelta(hours=1), "PENDING"), (timedelta(hours=-1), "FAILED")])
def test_a_warning_that_comes_too_late_is_not_sent(researcher, stranded, left, status):
    Job.objects.update(download_until=timezone.now() + left)
    Notification.objects.update(kind="expiring")
    confirm(researcher)
    assert Notification.objects.get().status == status


def test_every_mail_says_where_to_choose(researcher, make_job, settings):
    end(make_job(researcher), "completed")
    notify_job.fn(str(Notification.objects.get().pk))
    (message,) = mail.outbox
    for text in (message.body, message.alternatives[0][0]):
        assert f"{settings.SITE_URL}{reverse('profile')}" in text
