"""Jobs, mails and uploads at the desk: staff finds them, sees what happened, and acts with a reason; it edits nothing."""

from datetime import timedelta

import pytest
from django.contrib.messages import get_messages
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEvent, Plan
from gas.objects import LocalObjectStorage, StorageUnavailable, objects
from jobs.models import Job, Notification
from jobs.models.job import Result
from jobs.tasks import purge_job

LOG = b"Total: 3\n"
ENGINE = {"engine": {"gas_annotation": "2.0"}}


@pytest.fixture
def support(desk):
    return desk("support")


@pytest.fixture
def operator(desk):
    return desk("operator")


def act(client, row, name: str, **fields) -> list[str]:
    """The answers to an act from the page of a row."""
    model = row._meta.model_name
    answer = client.post(
        reverse(f"admin:jobs_{model}_act", args=[row.pk, name]), {"act": name, "reason": "ticket 7", **fields}
    )
    assert answer.status_code == 302, answer.content.decode()
    row.refresh_from_db()
    return [str(message) for message in get_messages(answer.wsgi_request)]


def page_of(client, row) -> str:
    answer = client.get(reverse(f"admin:jobs_{row._meta.model_name}_change", args=[row.pk]))
    assert answer.status_code == 200
    return answer.content.decode()


def buttons(client, row) -> set[str]:
    answer = client.get(reverse(f"admin:jobs_{row._meta.model_name}_change", args=[row.pk]))
    return {act.name for act in answer.context["acts"]}


def found(client, model: str, **query) -> set[str]:
    answer = client.get(reverse(f"admin:jobs_{model}_changelist"), query)
    assert answer.status_code == 200
    return {row.file_name.partition(".")[0] for row in answer.context["cl"].result_list}


@pytest.fixture
def jobs(researcher, outsider, make_job) -> dict[str, Job]:
    made = {name: make_job(researcher, name=f"{name}.vcf") for name in ("pending", "running", "failed", "completed")}
    made["other"] = make_job(outsider, name="other.vcf")
    for name in ("running", "failed", "completed"):
        assert made[name].claim("w")
    assert made["failed"].fail("bad_records", ["Line 3 has 7 columns: POS is 'GENE<1>'."])
    key = made["completed"].attempt_key("count.log")
    with objects("results")._writing(key) as log:
        log.write(LOG)
    result = Result("results/r", 1, "a" * 64, "results/i", key, len(LOG), "b" * 64, ENGINE, "results/1/skipped.tsv")
    assert made["completed"].complete(result)
    return made


# --- finding ------------------------------------------------------------------------------------------------------------

ROSALINDS = {"pending", "running", "failed", "completed"}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("rosalind@example.org", ROSALINDS),
        ("Rosalind@exam", ROSALINDS),
        ("salind@example.org", set()),
        ("other.vcf", {"other"}),
        ("THE", {"other"}),
        ("the job", {"failed"}),
        ("the owner", ROSALINDS),
        ("nothing", set()),
        ("nobody@example.org", set()),
    ],
)
def test_search_for_jobs(support, jobs, query, names):
    ids = {"the job": jobs["failed"].pk, "the owner": jobs["failed"].owner_id}
    assert found(support, "job", q=ids.get(query, query)) == names


@pytest.mark.parametrize(
    ("query", "names"),
    [("the upload", {"failed"}), ("the job", {"failed"}), ("the owner", ROSALINDS), ("othe", {"other"})],
)
def test_search_for_uploads(support, jobs, query, names):
    failed = jobs["failed"]
    ids = {"the upload": failed.upload_id, "the job": failed.pk, "the owner": failed.owner_id}
    assert found(support, "upload", q=ids.get(query, query)) == names


@pytest.mark.parametrize("query", ["the job", "the owner", "rosalind@", "complet"])
def test_search_for_mails(support, jobs, query):
    ids = {"the job": jobs["completed"].pk, "the owner": jobs["completed"].owner_id}
    answer = support.get(reverse("admin:jobs_notification_changelist"), {"q": ids.get(query, query)})
    assert jobs["completed"] in {mail.job for mail in answer.context["cl"].result_list}
    assert found_none(support, "notification")


def found_none(client, model: str) -> bool:
    return not client.get(reverse(f"admin:jobs_{model}_changelist"), {"q": "nobody@"}).context["cl"].result_list


def test_addresses_that_globus_asserts_are_found(support, jobs, researcher):
    researcher.profile.globus_email = "rfree@uni.example"
    researcher.profile.save()
    assert found(support, "job", q="rfree@uni") == ROSALINDS


def test_filters(support, jobs):
    assert found(support, "job", status__exact="FAILED") == {"failed"}
    assert found(support, "job", error_code="bad_records") == {"failed"}
    assert found(support, "job", error_code="worker_died") == set()
    Job.objects.filter(pk=jobs["pending"].pk).update(next_action_at=timezone.now() - timedelta(minutes=2))
    assert found(support, "job", stuck="yes") == {"pending"}


def test_reasons_of_recent_failures_are_offered(support, jobs):
    def offered():
        page = support.get(reverse("admin:jobs_job_changelist")).content.decode()
        return "?error_code=bad_records" in page

    assert offered()
    Job.objects.filter(pk=jobs["failed"].pk).update(finished_at=timezone.now() - timedelta(days=31))
    assert not offered()


# --- the page of a job ----------------------------------------------------------------------------------------------------


def test_nothing_can_be_edited_added_or_deleted(admin_client, jobs):
    job = jobs["failed"]
    page = page_of(admin_client, job)
    assert 'name="status"' not in page
    assert 'name="_save"' not in page
    change = reverse("admin:jobs_job_change", args=[job.pk])
    assert admin_client.post(change, {"status": "COMPLETED"}).status_code == 403
    assert admin_client.get(reverse("admin:jobs_job_add")).status_code == 403
    assert admin_client.post(reverse("admin:jobs_job_delete", args=[job.pk]), {"post": "yes"}).status_code == 403
    job.refresh_from_db()
    assert job.status == "FAILED"


def test_the_error_without_what_it_quotes_until_its_owner_lets_support_look(support, jobs):
    job = jobs["failed"]
    page = page_of(support, job)
    assert "Line 3 has 7 columns: POS is &#x27;…&#x27;." in page
    assert "GENE" not in page
    assert job.grant_support_access()
    page = page_of(support, job)
    assert "POS is &#x27;GENE&lt;1&gt;&#x27;" in page
    assert "GENE<1>" not in page


def moments(client, job) -> list[tuple[str, str]]:
    answer = client.get(reverse("admin:jobs_job_change", args=[job.pk]))
    return [(moment.what, moment.detail) for moment in answer.context["timeline"]]


def test_the_timeline_of_a_job_that_was_retried_and_completed(support, jobs, make_job, researcher):
    job = jobs["failed"]
    Job.objects.filter(pk=job.pk).update(submitted_at=timezone.now() - timedelta(minutes=1))
    act(support, job, "retry")
    assert job.claim("host:1:2")
    assert job.complete(Result("results/r", 1, "a" * 64, "i", "l", 1, "b" * 64, {}))
    mail = job.notifications.get()
    assert mail.claim()
    assert mail.try_later("SMTPServerDisconnected: gone")
    lines = moments(support, job)
    assert [what for what, _ in lines] == [
        "Submitted",
        "Set back to pending",
        "job.retried",
        "Attempt 2 began",
        "Completed",
        "Mail “completed” was made",
        "End of the time to download",
        "To be archived",
    ]
    details = dict(lines)
    assert "by support@desk.example.org; ticket 7; status: FAILED → PENDING" in details["job.retried"]
    assert details["Attempt 2 began"] == "host:1:2"
    assert details["Mail “completed” was made"] == "Pending, attempt 1: SMTPServerDisconnected: gone"


def test_the_timeline_tells_of_cancelling_deleting_and_mails(support, jobs):
    assert jobs["running"].cancel()
    assert ("Cancellation was asked for", "") in moments(support, jobs["running"])
    attempt = dict(moments(support, jobs["running"]))["Attempt 1 began"]
    assert attempt == "by worker w; tries without an end so far: 1"
    mail = jobs["failed"].notifications.get()
    assert mail.claim()
    assert mail.sent()
    act(support, mail, "resend")
    told = dict(moments(support, jobs["failed"]))
    assert "ticket 7" in told["mail.resent"]
    assert jobs["failed"].delete_soon()
    assert "Deleted by its owner" in dict(moments(support, jobs["failed"]))


def test_the_page_costs_the_same_queries_whatever_the_history(support, jobs, django_assert_max_num_queries):
    job = jobs["completed"]
    for _ in range(3):
        assert job.grant_support_access()
        assert job.withdraw_support_access()
    page_of(support, job)
    with django_assert_max_num_queries(20):
        page_of(support, job)


def test_files_with_size_and_digest_and_no_way_to_open_them(support, jobs):
    page = page_of(support, jobs["completed"])
    assert "a" * 64 in page
    assert "results/1/skipped.tsv" in page
    assert "/files/" not in page
    assert "None" not in page


def test_the_log_of_our_engine(support, jobs):
    assert "Total: 3" in page_of(support, jobs["completed"])
    assert "There is none." in page_of(support, jobs["pending"])


@pytest.mark.parametrize("summary", [{}, {"engine": {"command": "vep"}}])
def test_the_log_of_another_program_is_a_file_of_the_user(support, jobs, summary):
    Job.objects.filter(pk=jobs["completed"].pk).update(summary=summary)
    jobs["completed"].grant_support_access()
    page = page_of(support, jobs["completed"])
    assert "Total: 3" not in page
    assert "It is not our engine&#x27;s" in page


def test_a_long_log_is_cut(support, jobs, monkeypatch):
    monkeypatch.setattr("jobs.admin.LONGEST_LOG", 5)
    page = page_of(support, jobs["completed"])
    assert "Total" in page
    assert "Total: 3" not in page


def test_the_page_opens_with_the_store_out_of_reach(support, jobs, monkeypatch):
    def fail(*_):
        raise StorageUnavailable("the disk is gone")

    monkeypatch.setattr(LocalObjectStorage, "read", fail)
    assert "It cannot be read now: StorageUnavailable." in page_of(support, jobs["completed"])


def test_the_token_of_an_upload_is_not_shown(support, researcher, make_upload):
    upload = make_upload(researcher)
    assert upload.token
    assert upload.token not in page_of(support, upload)


# --- acts ---------------------------------------------------------------------------------------------------------------


def events() -> list[tuple[str, str, str]]:
    return [(event.action, event.reason, event.object_id) for event in AuditEvent.objects.order_by("pk")]


def test_buttons_are_there_when_the_state_allows(operator, support, jobs):
    assert {name: buttons(operator, job) for name, job in jobs.items()} == {
        "pending": {"cancel", "requeue"},
        "running": {"cancel", "requeue"},
        "failed": {"retry"},
        "completed": {"extend"},
        "other": {"cancel", "requeue"},
    }
    assert buttons(support, jobs["pending"]) == {"cancel"}
    assert buttons(support, jobs["completed"].notifications.get()) == set()
    assert buttons(support, jobs["failed"].notifications.get()) == set()


def test_retry(support, jobs):
    job = jobs["failed"]
    assert act(support, job, "retry") == ["1 set back to pending."]
    assert job.status == "PENDING"
    event = AuditEvent.objects.get()
    assert (event.action, event.reason, event.actor) == ("job.retried", "ticket 7", support.user)
    assert event.before == {"status": "FAILED", "attempt": 1, "error_code": "bad_records"}
    assert event.after == {"status": "PENDING", "attempt": 1, "error_code": ""}


@pytest.mark.parametrize("name", ["pending", "running", "completed"])
def test_retry_leaves_other_states(support, jobs, name):
    status = jobs[name].status
    assert act(support, jobs[name], "retry") == ["1 left as they were: their state does not allow it."]
    assert (jobs[name].status, events()) == (status, [])


def test_no_act_without_a_reason(support, jobs):
    url = reverse("admin:jobs_job_act", args=[jobs["failed"].pk, "retry"])
    assert "This field is required" in support.post(url, {"act": "retry", "reason": " "}).content.decode()
    jobs["failed"].refresh_from_db()
    assert (jobs["failed"].status, events()) == ("FAILED", [])


def test_acts_upon_a_list_take_those_whose_state_allows(support, jobs):
    data = {"action": "cancel", "_selected_action": [job.pk for job in jobs.values()], "act": "cancel", "reason": "r"}
    answer = support.post(reverse("admin:jobs_job_changelist"), data)
    assert [str(m) for m in get_messages(answer.wsgi_request)] == [
        "3 cancelled or being cancelled.",
        "2 left as they were: their state does not allow it.",
    ]
    assert Job.objects.get(pk=jobs["pending"].pk).status == "CANCELLED"
    assert Job.objects.get(pk=jobs["running"].pk).cancel_requested_at
    cancelled = {str(jobs[name].pk) for name in ("pending", "running", "other")}
    assert {event[2] for event in events()} == cancelled


def test_resend_takes_sent_and_failed_mails_only(support, jobs):
    mail = jobs["completed"].notifications.get()
    act(support, mail, "resend")
    assert events() == []
    assert mail.claim()
    assert mail.sent()
    assert act(support, mail, "resend")[-1] == "1 to be sent again."
    assert mail.status == "PENDING"
    event = AuditEvent.objects.get()
    assert (event.action, event.subject) == ("mail.resent", jobs["completed"].owner)
    assert (event.before["status"], event.after["status"]) == ("SENT", "PENDING")


# --- extend retention -----------------------------------------------------------------------------------------------------


def close(moment) -> bool:
    return abs(timezone.now() - moment) < timedelta(seconds=20)


def test_retention_is_extended_from_its_end(support, jobs):
    job = jobs["completed"]
    end = timezone.now() + timedelta(days=2)
    Job.objects.filter(pk=job.pk).update(download_until=end)
    job.notifications.create(kind="expiring", next_action_at=end)
    assert act(support, job, "extend", days="7") == ["1 open for longer."]
    assert abs(job.download_until - end - timedelta(days=7)) < timedelta(milliseconds=2)
    event = AuditEvent.objects.get()
    assert event.action == "retention.extended"
    assert event.before == {"download_until": str(end)}
    assert event.after == {"download_until": str(job.download_until)}
    assert not job.notifications.filter(kind="expiring").exists()


def test_a_form_that_is_sent_twice_extends_once(support, jobs):
    job = jobs["completed"]
    end = job.download_until
    page = support.get(reverse("admin:jobs_job_act", args=[job.pk, "extend"]))
    once = page.context["once"]
    assert f'name="once" value="{once}"' in page.content.decode()
    act(support, job, "extend", days="7", once=once)
    assert "sent twice" in " ".join(act(support, job, "extend", days="7", once=once))
    assert abs(job.download_until - end - timedelta(days=7)) < timedelta(milliseconds=2)
    assert AuditEvent.objects.count() == 1


def test_retention_that_is_over_is_extended_from_now(support, jobs):
    job = jobs["completed"]
    Job.objects.filter(pk=job.pk).update(download_until=timezone.now() - timedelta(days=9))
    act(support, job, "extend", days="1")
    assert close(job.download_until - timedelta(days=1))
    assert job.can_download


@pytest.mark.parametrize("days", ["", "2", "-1", "3000"])
def test_retention_is_extended_by_what_is_offered(support, jobs, days):
    url = reverse("admin:jobs_job_act", args=[jobs["completed"].pk, "extend"])
    until = jobs["completed"].download_until
    assert support.post(url, {"act": "extend", "reason": "r", "days": days}).status_code == 200
    jobs["completed"].refresh_from_db()
    assert jobs["completed"].download_until == until


def test_what_a_plan_keeps_open_needs_no_extension(support, jobs):
    job = jobs["completed"]
    Job.objects.filter(pk=job.pk).update(download_until=None)
    assert "left as they were" in act(support, job, "extend", days="1")[0]
    assert not job.extend_retention(timedelta(days=1))
    assert job.download_until is None


def test_a_deleted_result_is_not_extended(jobs):
    job = jobs["completed"]
    stale = Job.objects.get(pk=job.pk)
    assert job.delete_soon()
    assert not stale.extend_retention(timedelta(days=1))


# --- requeue --------------------------------------------------------------------------------------------------------------


def test_requeue_of_a_waiting_job(operator, jobs, hints, django_capture_on_commit_callbacks):
    job = jobs["pending"]
    later = timezone.now() + timedelta(hours=1)
    Job.objects.filter(pk=job.pk).update(next_action_at=later, not_before=later, hints=5)
    before = hints("annotate")
    with django_capture_on_commit_callbacks(execute=True):
        assert act(operator, job, "requeue") == ["1 sent to the queue again."]
    assert close(job.next_action_at)
    assert (job.not_before, job.hints, hints("annotate") - before) == (None, 0, 1)
    assert events() == [("job.requeued", "ticket 7", str(job.pk))]


def test_requeue_ends_a_lease_and_its_worker_is_fenced_off(operator, jobs):
    job, stuck = jobs["running"], Job.objects.get(pk=jobs["running"].pk)
    assert not job.claim("w2")
    act(operator, job, "requeue")
    assert job.claim("w2")
    assert not stuck.heartbeat(1, 2)
    assert not stuck.fail("bad_records", ["x"])


def test_requeue_of_a_running_job_is_not_undone_by_its_heartbeat(operator, jobs):
    job, busy = jobs["running"], Job.objects.get(pk=jobs["running"].pk)
    act(operator, job, "requeue")
    assert not busy.heartbeat(1, 2)
    assert job.claim("w2")


@pytest.mark.parametrize("leaves", ["cancel", "delete_soon"])
def test_requeue_of_a_running_job_that_is_not_wanted_any_more(operator, jobs, leaves):
    job = jobs["running"]
    assert getattr(job, leaves)()
    act(operator, job, "requeue")
    assert not job.claim("w2")
    purge_job.fn(str(job.pk))
    assert set(Job.objects.filter(pk=job.pk).values_list("status", flat=True)) <= {"CANCELLED"}


def test_requeue_of_what_has_ended_is_nothing(operator, jobs):
    assert "left as they were" in act(operator, jobs["failed"], "requeue")[0]
    assert not jobs["failed"].requeue()


def test_support_does_not_requeue(support, jobs):
    url = reverse("admin:jobs_job_act", args=[jobs["pending"].pk, "requeue"])
    assert support.get(url).status_code == 403
    assert support.post(url, {"act": "requeue", "reason": "r"}).status_code == 403
    assert events() == []


# --- who ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["job", "notification", "upload"])
def test_researchers_have_no_business_here(client, researcher, model):
    client.force_login(researcher, backend="allauth.account.auth_backends.AuthenticationBackend")
    answer = client.get(reverse(f"admin:jobs_{model}_changelist"))
    assert answer.status_code in (302, 403)
    assert "rosalind" not in answer.content.decode()


def test_premium_results_have_no_end(support, premium, make_job):
    job = make_job(premium)
    assert job.claim("w")
    assert job.complete(Result("results/r", 1, "a" * 64, "i", "l", 1, "b" * 64, {}))
    assert premium.plan.code == Plan.PREMIUM
    assert "extend" not in buttons(support, job)
    assert Notification.objects.get().kind == "completed"
