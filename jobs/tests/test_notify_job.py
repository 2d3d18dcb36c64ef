"""The actor that sends mails: once, to the right address, with the right words; a dead mail server only delays."""

import smtplib
from datetime import timedelta

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db.models.functions import Now
from django.utils import timezone

from conftest import HEADER
from jobs.models import Job, Notification
from jobs.models.job import Result
from jobs.tasks import annotate_job, notify_job

RESULT = Result("r/1", 10, "a" * 64, "r/1.tbi", "l/1", 5, "b" * 64, {"records": 3})


def end(job: Job, *, failed: bool = False) -> Notification:
    assert job.claim("w")
    assert job.fail("bad_records", ["Line 3 has 7 columns, not 8."]) if failed else job.complete(RESULT)
    return job.notifications.get()


@pytest.fixture
def notification(researcher, make_job) -> Notification:
    return end(make_job(researcher))


class DeadMailServer(EmailBackend):
    def send_messages(self, messages):
        raise ConnectionRefusedError(111, "Connection refused")


class GreylistingMailServer(EmailBackend):
    def send_messages(self, messages):
        raise smtplib.SMTPRecipientsRefused({"rosalind@example.org": (450, b"later")})


class RefusingMailServer(EmailBackend):
    def send_messages(self, messages):
        raise smtplib.SMTPRecipientsRefused({"rosalind@example.org": (550, b"no such user")})


def test_one_mail_for_a_completed_job(notification, settings):
    notify_job.fn(str(notification.pk))
    notify_job.fn(str(notification.pk))
    (message,) = mail.outbox
    job = notification.job
    assert message.to == ["rosalind@example.org"]
    assert message.subject == "[GAS] test.vcf: annotation complete"
    until = job.finished_at + timedelta(minutes=5)
    html = message.alternatives[0][0]
    for text in (message.body, html):
        assert f"{settings.SITE_URL}/annotations/{job.pk}/" in text
        assert "Rosalind Free" in text
        assert f"{until:%H:%M} UTC" in text
        assert "11778" not in text
    notification.refresh_from_db()
    assert (notification.status, notification.attempt) == ("SENT", 1)


def test_a_failed_job_is_mailed_with_its_reason(researcher, make_job):
    notify_job.fn(str(end(make_job(researcher), failed=True).pk))
    (message,) = mail.outbox
    assert message.subject == "[GAS] test.vcf: annotation failed"
    assert "Line 3 has 7 columns, not 8." in message.body
    assert "Line 3 has 7 columns, not 8." in message.alternatives[0][0]


def test_a_premium_result_has_no_end(premium, make_job):
    notify_job.fn(str(end(make_job(premium)).pk))
    assert "UTC" not in mail.outbox[0].body


def test_a_file_name_cannot_break_the_subject_or_the_html(researcher, make_job):
    job = make_job(researcher, name="<b>x</b>.vcf")
    Job.objects.filter(pk=job.pk).update(file_name="<b>x\r\nBcc: evil@example.org</b>.vcf")
    notify_job.fn(str(end(Job.objects.get(pk=job.pk)).pk))
    (message,) = mail.outbox
    assert "\n" not in message.subject
    assert message.recipients() == ["rosalind@example.org"]
    assert "<b>x" not in message.alternatives[0][0]


def test_a_dead_mail_server_delays_the_mail_and_nothing_else(notification, settings):
    settings.EMAIL_BACKEND = f"{__name__}.DeadMailServer"
    pauses = []
    for _ in range(3):
        notify_job.fn(str(notification.pk))
        notify_job.fn(str(notification.pk))  # a doubled hint does not shorten the pause
        notification.refresh_from_db()
        pauses.append(round((notification.next_action_at - timezone.now()).total_seconds()))
        Notification.objects.update(not_before=None)
    assert pauses == [15, 30, 60]
    assert (notification.status, notification.error) == (
        "PENDING",
        "ConnectionRefusedError: [Errno 111] Connection refused",
    )
    assert notification.job.status == "COMPLETED"
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    notify_job.fn(str(notification.pk))
    assert len(mail.outbox) == 1


def test_a_mail_three_days_late_is_given_up(notification, settings):
    settings.EMAIL_BACKEND = f"{__name__}.DeadMailServer"
    Notification.objects.filter(pk=notification.pk).update(waiting_since=Now() - timedelta(days=3, minutes=1))
    notify_job.fn(str(notification.pk))
    notification.refresh_from_db()
    assert notification.status == "FAILED"
    assert notification.resend()
    notify_job.fn(str(notification.pk))
    notification.refresh_from_db()
    assert notification.status == "PENDING"  # the three days begin anew


def test_later_is_not_never(notification, settings):
    settings.EMAIL_BACKEND = f"{__name__}.GreylistingMailServer"
    notify_job.fn(str(notification.pk))
    notification.refresh_from_db()
    assert notification.status == "PENDING"


def test_no_field_of_the_file_is_mailed(researcher, make_job):
    """Names, genotypes, alleles: the page quotes them, behind sign-in; a mail does not."""
    marker = "MARKER"
    for n, cells in enumerate(
        [
            ["MT", marker, ".", "A", "G", ".", ".", "."],
            ["MT", "73", ".", marker, "G", ".", ".", "."],
            ["MT", "73", ".", "A", f"'{marker}", ".", ".", "."],
            ["MT", "73", ".", "A", "G", ".", ".", ".", marker],
        ]
    ):
        job = make_job(researcher, (HEADER + "\t".join(cells) + "\n").encode(), name=f"{n}.vcf")
        annotate_job.fn(str(job.pk))
        job.refresh_from_db()
        assert job.status == "FAILED"
        notify_job.fn(str(job.notifications.get().pk))
        assert marker not in mail.outbox[-1].message().as_string()
        assert "ine 3" in mail.outbox[-1].body
    assert marker in job.error_message or marker in Job.objects.get(file_name="0.vcf").error_message


def test_a_refused_address_is_given_up_at_once_and_may_be_resent(notification, settings):
    settings.EMAIL_BACKEND = f"{__name__}.RefusingMailServer"
    notify_job.fn(str(notification.pk))
    notification.refresh_from_db()
    assert notification.status == "FAILED"
    assert "550" in notification.error
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert notification.resend()
    notify_job.fn(str(notification.pk))
    assert len(mail.outbox) == 1


def test_somebody_without_an_address_gets_no_mail(notification):
    owner = notification.job.owner
    owner.emailaddress_set.all().delete()
    type(owner).objects.filter(pk=owner.pk).update(email="")
    notify_job.fn(str(notification.pk))
    notification.refresh_from_db()
    assert (notification.status, mail.outbox) == ("FAILED", [])


def test_a_worker_that_died_while_sending_is_followed_by_another(notification):
    assert notification.claim()
    notify_job.fn(str(notification.pk))
    assert mail.outbox == []
    Notification.objects.filter(pk=notification.pk).update(lease_until=Now() - timedelta(seconds=1))
    notify_job.fn(str(notification.pk))
    assert len(mail.outbox) == 1
    assert not notification.sent()  # the zombie's own note comes too late
