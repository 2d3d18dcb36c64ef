"""Staff opens a user's file only when he has let support look at that job, and he sees what was opened."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEvent
from conftest import VCF
from gas.objects import objects
from jobs.models import Job
from jobs.models.job import Result

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
KINDS = ("input", "result", "index", "log", "skipped")


@pytest.fixture
def job(researcher, make_job):
    """Completed; each of its files holds its own name."""
    job = make_job(researcher)
    assert job.claim("w")
    keys = {kind: job.attempt_key(kind) for kind in KINDS[1:]}
    for kind, key in keys.items():
        with objects("results")._writing(key) as file:
            file.write(kind.encode())
    result = Result(
        keys["result"], 6, "a" * 64, keys["index"], keys["log"], 3, "b" * 64, {}, skipped_key=keys["skipped"]
    )
    assert job.complete(result)
    return job


@pytest.fixture
def owner(client, researcher):
    client.force_login(researcher, backend=BACKEND)
    return client


def tell(client, job, what="grant"):
    return client.post(reverse(f"support_{what}", args=[job.pk]))


def open_file(client, job, kind):
    return client.get(reverse("admin:jobs_job_file", args=[job.pk, kind]))


def content(client, answer) -> bytes:
    assert answer.status_code == 302
    return b"".join(client.get(answer["Location"]).streaming_content)


def page(client, job) -> str:
    return client.get(reverse("annotation", args=[job.pk])).content.decode()


def desk_page(client, job) -> str:
    return client.get(reverse("admin:jobs_job_change", args=[job.pk])).content.decode()


def events() -> list[str]:
    return list(AuditEvent.objects.order_by("pk").values_list("action", flat=True))


# --- the owner --------------------------------------------------------------------------------------------------------


def test_the_owner_grants_and_withdraws(owner, job):
    assert "Let support look at this job" in page(owner, job)
    answer = tell(owner, job)
    assert answer["Location"] == reverse("annotation", args=[job.pk])
    job.refresh_from_db()
    assert abs(job.support_until - timezone.now() - timedelta(days=14)) < timedelta(seconds=20)
    assert "Withdraw" in page(owner, job)
    tell(owner, job, "withdraw")
    job.refresh_from_db()
    assert job.support_until is None
    assert "Withdraw" not in page(owner, job)
    granted, withdrawn = AuditEvent.objects.order_by("pk")
    assert (granted.action, withdrawn.action) == ("support_access.granted", "support_access.withdrawn")
    assert {granted.actor, granted.subject, withdrawn.actor} == {job.owner}
    assert granted.object_id == str(job.pk)


def test_twice_is_once(owner, job):
    for what in ("grant", "grant", "withdraw", "withdraw"):
        assert tell(owner, job, what).status_code == 302
    assert events() == ["support_access.granted", "support_access.withdrawn"]


@pytest.mark.parametrize("what", ["grant", "withdraw"])
def test_nobody_else_does(client, desk, job, outsider, what):
    job.grant_support_access()
    before = Job.objects.get(pk=job.pk).support_until
    client.force_login(outsider, backend=BACKEND)
    assert tell(client, job, what).status_code == 404
    assert tell(desk(), job, what).status_code == 404
    client.logout()
    assert tell(client, job, what).status_code == 302
    assert Job.objects.get(pk=job.pk).support_until == before


def test_only_by_post(owner, job):
    for what in ("grant", "withdraw"):
        assert owner.get(reverse(f"support_{what}", args=[job.pk])).status_code == 405


def test_not_for_a_deleted_job(owner, job):
    stale = Job.objects.get(pk=job.pk)
    assert job.grant_support_access()
    assert job.delete_soon()
    assert not job.support_may_look
    assert tell(owner, job, "withdraw").status_code == 404
    assert not stale.withdraw_support_access()


# --- the desk ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["support", "operator", None])
@pytest.mark.parametrize("kind", KINDS)
def test_no_file_without_a_grant(desk, job, role, kind):
    client = desk(role)
    assert open_file(client, job, kind).status_code == 403
    assert f"/files/{kind}/" not in desk_page(client, job)
    assert events() == []


@pytest.mark.parametrize("role", ["support", "operator", None])
def test_with_a_grant_each_file_opens_and_is_noted(desk, owner, job, role):
    client = desk(role)
    tell(owner, job)
    for kind in KINDS:
        assert reverse("admin:jobs_job_file", args=[job.pk, kind]) in desk_page(client, job)
        expected = VCF if kind == "input" else kind.encode()
        assert content(client, open_file(client, job, kind)) == expected
    openings = AuditEvent.objects.filter(action="file.read_by_support").order_by("pk")
    assert [event.after for event in openings] == [{"file": kind} for kind in KINDS]
    assert {(event.actor, event.subject, event.object_id) for event in openings} == {
        (client.user, job.owner, str(job.pk))
    }


def test_the_owner_sees_what_was_opened_also_after_he_withdrew(desk, owner, job):
    tell(owner, job)
    assert "Support looked at" not in page(owner, job)
    open_file(desk("support"), job, "skipped")
    assert "the skipped," in page(owner, job)
    tell(owner, job, "withdraw")
    assert "the skipped," in page(owner, job)


def test_a_grant_is_for_one_job(desk, owner, job, make_job):
    tell(owner, job)
    assert open_file(desk("support"), make_job(job.owner), "input").status_code == 403


@pytest.mark.parametrize("end", ["withdrawn", "over", "deleted"])
def test_no_file_after_the_grant(desk, owner, job, end):
    client = desk("support")
    tell(owner, job)
    if end == "withdrawn":
        tell(owner, job, "withdraw")
    elif end == "over":
        Job.objects.filter(pk=job.pk).update(support_until=timezone.now())
    else:
        job.delete_soon()
    assert open_file(client, job, "input").status_code == 403
    assert "/files/input/" not in desk_page(client, job)


def test_no_file_without_second_factor_permission_or_sign_in(client, desk, owner, job, outsider, make_staff):
    tell(owner, job)
    assert open_file(desk("support", second_factor=False), job, "input").status_code in (302, 403)
    nobody = make_staff("support", email="nobody@desk.example.org")
    nobody.groups.clear()
    assert open_file(desk(user=nobody), job, "input").status_code == 403
    for user in (outsider, job.owner):
        client.force_login(user, backend=BACKEND)
        assert open_file(client, job, "input").status_code in (302, 403)
    assert "file.read_by_support" not in events()


def test_what_is_not_there_is_not_noted(desk, owner, job):
    tell(owner, job)
    client = desk("support")
    objects("results").delete(job.log_key)
    assert open_file(client, job, "log").status_code == 404
    assert open_file(client, job, "other").status_code == 404
    Job.objects.filter(pk=job.pk).update(skipped_key="")
    assert open_file(client, job, "skipped").status_code == 404
    assert "file.read_by_support" not in events()


def test_an_archived_result_is_not_there(desk, owner, job):
    tell(owner, job)
    row = job.archive
    type(row).objects.filter(pk=row.pk).update(
        status="ARCHIVED", archive_id="x", vault="local", archive_at=timezone.now(), next_action_at=None
    )
    assert open_file(desk("support"), job, "result").status_code == 404


def test_files_are_opened_by_get_alone(desk, owner, job):
    tell(owner, job)
    url = reverse("admin:jobs_job_file", args=[job.pk, "input"])
    client = desk("support")
    assert client.post(url).status_code == 405
    assert client.head(url).status_code == 405
    assert "file.read_by_support" not in events()
