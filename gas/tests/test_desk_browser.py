"""The desk in a real Chromium: axe-core finds nothing serious, and its Content-Security-Policy is broken by nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from gas.testing.browser import Visit, chromium
from gas.testing.require import needs
from gas.testing.site import Site

pytestmark = pytest.mark.browser
AXE = Path(settings.BASE_DIR, "node_modules/axe-core/axe.min.js")
SERIOUS = "async () => (await axe.run()).violations.filter((found) => ['serious', 'critical'].includes(found.impact))"
# an operator whose session has just passed a second factor, a failed job, and events to look at
MAKE = """
import time
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from accounts.closing import close_account
from accounts.models import AuditEvent, User
from accounts.roles import set_role
from jobs.models import Job, Upload

staff = User.objects.create_user(email="sally@desk.example.org", is_staff=True)
set_role(staff, "operator", by="test", reason="r")
staff.refresh_from_db()
user = User.objects.create_researcher("rosalind@example.org", "Rosalind Free")
close_account(user, by=staff, reason="ticket 3")
done = {"size": 1, "part_size": 1, "status": "COMPLETED", "expires_at": user.date_joined}
upload = Upload.objects.create(owner=user, file_name="a.vcf", **done)
job = Job.objects.create(owner=user, upload=upload, file_name="a.vcf", input_key="a", input_size=1, status="FAILED",
    error_code="bad_records", error_message="Line 3.", finished_at=user.date_joined)
session = SessionStore()
session[SESSION_KEY], session[HASH_SESSION_KEY] = str(staff.pk), staff.get_session_auth_hash()
session[BACKEND_SESSION_KEY] = "allauth.account.auth_backends.AuthenticationBackend"
session["account_authentication_methods"] = [{"method": "mfa", "type": "totp", "at": time.time()}]
session["account_authentication_methods_user"] = str(staff.pk)
session.save()
print(session.session_key, user.pk, job.pk, AuditEvent.objects.first().pk)
"""
PAGES = [
    "/admin/",
    "/admin/accounts/user/{user}/change/",
    "/admin/accounts/user/{user}/act/plan/",
    "/admin/accounts/plan/free/change/",
    "/admin/accounts/auditevent/{event}/change/",
    "/admin/jobs/job/{job}/change/",
    "/admin/jobs/job/{job}/act/retry/",
]
LISTS = ["/admin/accounts/user/", "/admin/accounts/auditevent/", "/admin/jobs/job/"]


@pytest.fixture
def rows_of_migrations():
    """No database of the test's own: Django refuses its ORM beside Playwright's event loop."""


@pytest.fixture(scope="module")
def desk_visit(tmp_path_factory):
    """A window of the operator, and the ids that addresses need."""
    needs("chromium")
    with Site(tmp_path_factory.mktemp("var"), {"ANNOTATORS": "1"}) as site, chromium() as browser:
        made = subprocess.run(
            [sys.executable, "manage.py", "shell", "--no-imports", "-c", MAKE],
            env=os.environ | site.env, cwd=settings.BASE_DIR, check=True, capture_output=True, text=True,
        )  # fmt: skip
        key, user, job, event = made.stdout.split()[-4:]
        visit = Visit(browser, site.url)
        visit.context.add_cookies([{"name": "sessionid", "value": key, "url": site.url}])
        yield visit, {"user": user, "job": job, "event": event}
        visit.context.close()


def open_page(visit: Visit, path: str) -> None:
    visit.take_faults()  # axe's own, on the page before
    answer = visit.page.goto(path)
    assert (answer.status, visit.page.url) == (200, visit.url + path)
    assert visit.take_faults() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_nothing_serious(desk_visit, path, scheme):
    visit, ids = desk_visit
    visit.page.emulate_media(color_scheme=scheme)
    open_page(visit, path.format(**ids))
    visit.page.evaluate(AXE.read_text())  # not by a script tag, which the CSP would refuse
    found = visit.page.evaluate(SERIOUS)
    assert [f"{one['id']}: {one['help']}: {node['html'][:300]}" for one in found for node in one["nodes"]] == []


@pytest.mark.parametrize("path", LISTS)
def test_lists_keep_the_policy(desk_visit, path):
    open_page(desk_visit[0], path)
