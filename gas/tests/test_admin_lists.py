"""Lists of the admin over many rows: as many queries as for few, and none that counts a whole table."""

import re
from datetime import timedelta

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEvent, User
from archive.models import Restoration, ResultArchive
from gas import admin_paging
from gas.admin_paging import BigListAdmin
from jobs.models import Job, Notification, Upload
from jobs.tests.many_jobs import make_many

BIG = [Job, Upload, Notification, ResultArchive, Restoration, AuditEvent, User]


def make_rows(count):
    """`count` users with a job and all that hangs on it."""
    start = User.objects.count()
    users = [User(username=f"u{start + n}", email=f"u{start + n}@example.org") for n in range(count)]
    User.objects.bulk_create(users)
    make_many(users[0], count)
    jobs = list(Job.objects.filter(owner=users[0]))
    now = timezone.now()
    mail = {"status": "SENT", "sent_at": now}
    Notification.objects.bulk_create(Notification(job=job, kind="completed", **mail) for job in jobs)
    ResultArchive.objects.bulk_create(ResultArchive(job=job, hot_key="results/x/r", size=1) for job in jobs)
    Restoration.objects.bulk_create(Restoration(user=user, **mail) for user in users)
    for user in users:
        AuditEvent(action="plan.changed", subject=user, actor=user, object_id=str(user.pk), object_type="user").save()


def queries_of(client, model, query="") -> list[str]:
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    client.get(url)  # sessions, content types and permissions are warm
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(f"{url}?{query}")
    assert answer.status_code == 200, answer
    assert answer.context["cl"].result_count > 0
    return [entry["sql"] for entry in captured.captured_queries]


@pytest.mark.parametrize("model", BIG, ids=lambda model: model._meta.model_name)
def test_as_many_queries_for_many_rows_as_for_few(admin_client, monkeypatch, model):
    monkeypatch.setattr(admin_paging, "MOST_COUNTED", 150)
    make_rows(3)
    few = queries_of(admin_client, model)
    make_rows(300)
    many = queries_of(admin_client, model)
    assert len(many) == len(few) <= 14
    check_counts(many)


def check_counts(queries):
    for sql in queries:
        assert "COUNT(*)" not in sql or re.search(r"LIMIT 150\)", sql), sql


@pytest.mark.parametrize("query", ["q=u1@example", "q=.vcf", "p=2", "o=-1"])
@pytest.mark.parametrize("model", [Job, Upload, Notification, ResultArchive], ids=lambda model: model._meta.model_name)
def test_nor_does_a_search_or_a_later_page_count(admin_client, monkeypatch, model, query):
    monkeypatch.setattr(admin_paging, "MOST_COUNTED", 150)
    make_rows(160)
    check_counts(queries_of(admin_client, model, query))


def test_a_cut_list_says_so(admin_client, monkeypatch):
    make_rows(101)
    url = reverse("admin:jobs_job_changelist")
    cut = "These are the first"
    assert cut not in admin_client.get(url).content.decode()
    monkeypatch.setattr(admin_paging, "MOST_COUNTED", 100)
    answer = admin_client.get(url)
    assert cut in answer.content.decode()
    assert answer.context["cl"].result_count == 100


def test_every_model_that_grows_with_use_has_such_a_list():
    few = {"plan", "announcement", "erasure", "stripeevent", "subscription", "apitoken"}
    for model, model_admin in admin.site._registry.items():
        if model._meta.model_name not in few:
            assert isinstance(model_admin, BigListAdmin), f"{model._meta.label}: not a BigListAdmin"
            assert model_admin.date_hierarchy is None
            assert not model_admin.show_full_result_count


def test_recent_failures_are_read_from_an_index(db):
    recent = Job.objects.filter(status="FAILED", finished_at__gte=timezone.now() - timedelta(days=30)).order_by()
    plan = recent.values_list("error_code").distinct().explain()
    assert "job_failures" in plan, plan
