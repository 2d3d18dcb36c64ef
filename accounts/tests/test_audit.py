"""The audit log at the desk: it is read, searched and taken away as a file; nobody changes it."""

import csv
import io
import json
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.audit import note
from accounts.models import AuditEvent
from accounts.models.audit_event import AppendOnly

LIST = "/admin/accounts/auditevent/"


@pytest.fixture(autouse=True)
def no_cache():
    cache.clear()


@pytest.fixture
def events(researcher, outsider, make_job, make_staff):
    staff = make_staff("support", "sally@desk.example.org")
    job = make_job(researcher)
    change = {"before": {"status": "FAILED"}, "after": {"status": "PENDING"}}
    return {
        "retried": note("job.retried", job, by=staff, reason="ticket 12", **change),
        "issued": note("token.issued", researcher, by=researcher),
        "closed": note("account.closed", outsider, by="set_plan", reason="=HYPERLINK(evil)"),
    }  # fmt: skip


def found(client, **query):
    return [event.action for event in client.get(LIST, query).context["cl"].result_list]


def test_newest_first(desk, events):
    assert found(desk("operator")) == ["account.closed", "token.issued", "job.retried"]


@pytest.mark.parametrize(
    ("query", "actions"),
    [
        ("ticket 12", ["job.retried"]),
        ("sally@desk", ["job.retried"]),
        ("set_plan", ["account.closed"]),
        ("token", ["token.issued"]),
        ("JOB", ["job.retried"]),
        ("RESEARCHER", ["token.issued", "job.retried"]),
        ("STAFF", ["job.retried"]),
        ("nothing", []),
    ],
)
def test_search(desk, events, researcher, query, actions):
    job = events["retried"]
    ids = {"JOB": job.object_id, "RESEARCHER": researcher.pk, "STAFF": job.actor_id}
    assert found(desk("operator"), q=ids.get(query, query)) == actions


def test_filters(desk, events):
    client = desk("operator")
    assert found(client, action="job.retried") == ["job.retried"]
    tomorrow = (timezone.now() + timedelta(days=1)).isoformat()
    assert found(client, at__gte=tomorrow) == []
    assert found(client, at__lt=tomorrow) == ["account.closed", "token.issued", "job.retried"]


def test_the_filter_offers_the_actions_that_there_are(desk, events):
    (by_action, _) = desk("operator").get(LIST).context["cl"].filter_specs
    assert by_action.lookup_choices == [(name, name) for name in ("account.closed", "job.retried", "token.issued")]


@pytest.mark.parametrize("rows", [3, 300])
def test_the_list_costs_the_same_whatever_the_rows(desk, researcher, rows):
    AuditEvent.objects.bulk_create(
        AuditEvent(action="job.retried", subject=researcher, object_type="job", object_id=str(n)) for n in range(rows)
    )
    client = desk("operator")
    client.get(LIST)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        client.get(LIST)
    asked = [query["sql"] for query in queries if "auditevent" in query["sql"]]
    assert len(asked) == 2
    assert rows < 200 or all("LIMIT" in sql for sql in asked)


def test_it_is_read_only(admin_client, events):
    page = f"{LIST}{events['retried'].pk}/change/"
    text = admin_client.get(page).content.decode()
    assert "ticket 12" in text
    assert 'name="reason"' not in text
    assert admin_client.post(page, {"reason": "another"}).status_code == 403
    assert admin_client.get(f"{LIST}add/").status_code == 403
    assert admin_client.post(f"{LIST}{events['retried'].pk}/delete/", {"post": "yes"}).status_code == 403
    actions = admin_client.get(LIST).context["action_form"]
    assert actions is None
    assert AuditEvent.objects.get(pk=events["retried"].pk).reason == "ticket 12"


def test_rows_are_not_changed_in_code_either(events):
    for change in (
        events["retried"].save,
        events["retried"].delete,
        AuditEvent.objects.all().delete,
        lambda: AuditEvent.objects.update(reason=""),
    ):
        with pytest.raises(AppendOnly):
            change()


def export(client, kind, query=""):
    answer = client.post(reverse("admin:accounts_auditevent_export", args=[kind]) + query)
    return answer, answer.getvalue().decode() if answer.status_code == 200 else ""


def test_export_as_lines_of_json(desk, events):
    answer, text = export(desk("operator"), "jsonl")
    assert answer["Content-Type"].startswith("application/jsonl")
    assert answer["Content-Disposition"].startswith('attachment; filename="audit-')
    rows = [json.loads(line) for line in text.splitlines()]
    assert [row["action"] for row in rows] == ["account.closed", "token.issued", "job.retried"]
    retried = rows[-1]
    assert (retried["reason"], retried["before"], retried["after"]) == (
        "ticket 12",
        {"status": "FAILED"},
        {"status": "PENDING"},
    )
    assert retried["subject_id"] == str(events["retried"].subject_id)


def test_export_as_csv(desk, events):
    _, text = export(desk("operator"), "csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["action"] for row in rows] == ["account.closed", "token.issued", "job.retried"]
    assert rows[0]["reason"] == "'=HYPERLINK(evil)"
    assert json.loads(rows[2]["before"]) == {"status": "FAILED"}


def test_export_takes_the_filters_of_the_list(desk, events):
    client = desk("operator")
    assert f'action="{reverse("admin:accounts_auditevent_export", args=["csv"])}?q=ticket"' in (
        client.get(LIST, {"q": "ticket"}).content.decode()
    )
    _, text = export(client, "jsonl", "?action=job.retried")
    assert [json.loads(line)["action"] for line in text.splitlines()] == ["job.retried"]


def test_export_by_a_filter_that_is_none(desk, events):
    address = reverse("admin:accounts_auditevent_export", args=["csv"])
    assert desk("operator").post(f"{address}?at__gte=garbage").status_code == 404


def test_the_name_of_who_acts_is_cut(make_staff, researcher):
    staff = make_staff("support", f"{'a' * 60}@{'b' * 60}.example.org")
    assert note("plan.changed", researcher, by=staff).actor_name == staff.email[:100]


def test_an_export_is_an_event_that_says_nothing_of_the_search(desk, events):
    client = desk("operator")
    export(client, "csv", "?q=rosalind@example.org&action=job.retried")
    event = AuditEvent.objects.get(action="audit.exported")
    assert (event.actor, event.after) == (client.user, {"kind": "csv", "filters": ["action", "q"]})


def test_who_may_not_export(desk, events, client):
    assert export(desk("support"), "csv")[0].status_code == 403
    assert client.post(reverse("admin:accounts_auditevent_export", args=["csv"])).status_code == 302
    operator = desk("operator")
    assert operator.get(reverse("admin:accounts_auditevent_export", args=["csv"])).status_code == 405
    assert export(operator, "xml")[0].status_code == 404
    operator.handler.enforce_csrf_checks = True
    assert export(operator, "csv")[0].status_code == 403
    assert not AuditEvent.objects.filter(action="audit.exported").exists()


def test_who_sees_but_may_not_export_finds_no_button(desk, events):
    client = desk("operator")
    assert "Export as CSV" in client.get(LIST).content.decode()
    client.user.groups.get().permissions.remove(client.user.groups.get().permissions.get(codename="export_auditevent"))
    assert "Export as CSV" not in client.get(LIST).content.decode()
    assert export(client, "csv")[0].status_code == 403
