"""Admin: support staff find a job by id, address or file name, and retry, cancel and resend; they edit nothing."""

import pytest
from django.core.management import call_command
from django.urls import reverse

from accounts.models import User
from jobs.models import Job, Notification
from jobs.models.job import Result


@pytest.fixture
def staff(client, db, monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "correct horse battery")
    call_command("createsuperuser", "--no-input", "--username=root", "--email=root@example.org", verbosity=0)
    client.post("/admin/login/", {"username": "root", "password": "correct horse battery"})
    return client


def act(staff, model: str, action: str, *rows) -> str:
    data = {"action": action, "_selected_action": [row.pk for row in rows]}
    return staff.post(reverse(f"admin:jobs_{model}_changelist"), data, follow=True).content.decode()


@pytest.fixture
def jobs(researcher, outsider, make_job) -> dict[str, Job]:
    found = {name: make_job(researcher, name=f"{name}.vcf") for name in ("pending", "running", "failed", "completed")}
    found["other"] = make_job(outsider, name="other.vcf")
    for name in ("running", "failed", "completed"):
        assert found[name].claim("w")
    assert found["failed"].fail("bad_records", ["Line 3 has 7 columns."])
    assert found["completed"].complete(Result("r", 1, "a" * 64, "i", "l", 1, "b" * 64, {}))
    return found


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("rosalind@example.org", {"pending", "running", "failed", "completed"}),
        ("other.vcf", {"other"}),
        ("ID", {"failed"}),
        ("nothing", set()),
    ],
)
def test_search(staff, jobs, query, names):
    query = str(jobs["failed"].pk) if query == "ID" else query
    page = staff.get(reverse("admin:jobs_job_changelist"), {"q": query}).content.decode()
    assert {name for name in jobs if f"{name}.vcf<" in page} == names


def test_filters(staff, jobs):
    page = staff.get(reverse("admin:jobs_job_changelist"), {"status__exact": "FAILED"}).content.decode()
    assert {name for name in jobs if f"{name}.vcf<" in page} == {"failed"}


def test_nothing_can_be_edited_added_or_deleted(staff, jobs):
    job = jobs["failed"]
    page = staff.get(reverse("admin:jobs_job_change", args=[job.pk])).content.decode()
    assert "Line 3 has 7 columns." in page
    assert 'name="status"' not in page
    assert "Reference:" in page
    assert staff.post(reverse("admin:jobs_job_change", args=[job.pk]), {"status": "COMPLETED"}).status_code in (
        200,
        302,
    )
    assert Job.objects.get(pk=job.pk).status == "FAILED"
    assert staff.get(reverse("admin:jobs_job_add")).status_code == 403
    assert staff.post(reverse("admin:jobs_job_delete", args=[job.pk]), {"post": "yes"}).status_code == 403


def test_retry_takes_failed_jobs_only(staff, jobs):
    page = act(staff, "job", "retry", *jobs.values())
    assert "1 set back to pending." in page
    assert "4 left as they were" in page
    assert Job.objects.get(pk=jobs["failed"].pk).status == "PENDING"
    assert Job.objects.get(pk=jobs["completed"].pk).status == "COMPLETED"


def test_cancel_takes_active_jobs_only(staff, jobs):
    page = act(staff, "job", "cancel", jobs["pending"], jobs["running"], jobs["completed"])
    assert "2 cancelled or being cancelled." in page
    assert "1 left as they were" in page
    assert Job.objects.get(pk=jobs["pending"].pk).status == "CANCELLED"
    assert Job.objects.get(pk=jobs["running"].pk).cancel_requested_at


def test_resend_takes_sent_and_failed_mails_only(staff, jobs):
    sent, pending = jobs["completed"].notifications.get(), jobs["failed"].notifications.get()
    assert sent.claim()
    assert sent.sent()
    assert "1 to be sent again." in act(staff, "notification", "resend", sent, pending)
    assert set(Notification.objects.values_list("status", flat=True)) == {"PENDING"}


@pytest.mark.parametrize("rows", [1, 3])
def test_the_list_costs_the_same_queries_whatever_the_rows(
    staff, researcher, make_job, rows, django_assert_max_num_queries
):
    for _ in range(rows):
        make_job(researcher)
    staff.get(reverse("admin:jobs_job_changelist"))
    with django_assert_max_num_queries(12):
        staff.get(reverse("admin:jobs_job_changelist"))


@pytest.mark.parametrize("model", ["job", "notification", "upload"])
def test_researchers_have_no_business_here(client, researcher, model):
    client.force_login(researcher)
    answer = client.get(reverse(f"admin:jobs_{model}_changelist"))
    assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/admin/login/")
    assert not User.objects.filter(is_staff=True).exists()


def test_the_token_of_an_upload_is_not_shown(staff, researcher, make_upload):
    upload = make_upload(researcher)
    assert upload.token
    assert upload.token not in staff.get(reverse("admin:jobs_upload_change", args=[upload.pk])).content.decode()


def test_a_job_shows_where_its_skipped_records_are(staff, jobs):
    Job.objects.filter(pk=jobs["completed"].pk).update(skipped_key="results/1/skipped.tsv")
    page = staff.get(reverse("admin:jobs_job_change", args=[jobs["completed"].pk])).content.decode()
    assert "results/1/skipped.tsv" in page
