"""No serious or critical violation of accessibility rules on any page: axe-core looks at each in a real Chromium."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from playwright.sync_api import Page

from conftest import VCF
from gas.testing.browser import Visit, chromium
from gas.testing.require import needs
from gas.testing.site import Site

pytestmark = pytest.mark.browser
AXE = Path(settings.BASE_DIR, "node_modules/axe-core/axe.min.js")
SERIOUS = "async () => (await axe.run()).violations.filter((found) => ['serious', 'critical'].includes(found.impact))"
OTHER_BUILD = (  # it has the contig lengths of NCBI36, for which no reference is installed
    b"##fileformat=VCFv4.2\n##contig=<ID=1,length=247249719>\n##contig=<ID=2,length=242951149>\n"
    b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n1\t1000\t.\tA\tG\t.\t.\t.\n"
)
SIGN_STAFF_IN = """
import time
from django.test import Client
from accounts.models import User
client, user = Client(), User.objects.create_superuser(email="sue@desk.example.org", password="a long password of the desk")
client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
session = client.session
session["account_authentication_methods"] = [{"method": "mfa", "type": "totp", "at": time.time()}]
session["account_authentication_methods_user"] = str(user.pk)
session.save()
print("session", session.session_key)
"""
OF_EVERYBODY = [
    "/",
    "/login/",
    "/mails/",
    "/annotations/00000000-0000-0000-0000-000000000000/",
    "/accounts/login/",
    "/accounts/password/reset/",
]
OF_A_RESEARCHER = [
    "/",
    "/annotate/",
    "/annotations/",
    "/subscribe/",
    "/profile/",
    "/profile/sessions/",
    "/profile/tokens/",
    "/profile/data/",
    "/profile/erase/",
    "/step-up/",
]
OF_STAFF = [
    "/admin/",
    "/accounts/2fa/",
    "/accounts/2fa/totp/activate/",
    "/accounts/2fa/webauthn/add/",
    "/accounts/sessions/",
    "/accounts/password/change/",
]


@pytest.fixture
def rows_of_migrations():
    """No database of the test's own: Django refuses its ORM beside Playwright's event loop."""


@pytest.fixture(scope="module")
def browser():
    needs("chromium")
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    needs("chromium")
    with Site(tmp_path_factory.mktemp("var"), {"ANNOTATORS": "1"}) as site:
        yield site


@pytest.fixture(scope="module")
def anybody(browser, site):
    visit = Visit(browser, site.url)
    yield visit.page
    visit.context.close()


@pytest.fixture(scope="module")
def researcher_page(browser, site, tmp_path_factory):
    """Of somebody with a completed and a failed job."""
    visit = Visit(browser, site.url)
    visit.page.goto("/login/")
    visit.sign_in("Rosalind Free", "rosalind@example.org")
    folder = tmp_path_factory.mktemp("files")
    for name, content in (("good.vcf", VCF), ("other_build.vcf", OTHER_BUILD)):
        path = folder / name
        path.write_bytes(content)
        visit.upload(path)
        visit.wait_for_job()
        visit.page.wait_for_selector(".status-COMPLETED, .status-FAILED", timeout=60_000)
    yield visit.page
    visit.context.close()


@pytest.fixture(scope="module")
def staff_page(browser, site, researcher_page):
    """Of a superuser who has passed a second factor, with a researcher's jobs to look at."""
    command = [sys.executable, "manage.py", "shell", "-c", SIGN_STAFF_IN]
    done = subprocess.run(
        command, env=os.environ | site.env, cwd=settings.BASE_DIR, check=True, capture_output=True, text=True
    )
    key = re.search(r"session (\w+)", done.stdout)[1]
    visit = Visit(browser, site.url)
    visit.context.add_cookies([{"name": "sessionid", "value": key, "url": site.url}])
    yield visit.page
    visit.context.close()


def serious_violations(page: Page) -> list[str]:
    page.evaluate(AXE.read_text())  # not by a script tag, which the CSP would refuse
    found = page.evaluate(SERIOUS)
    return [f"{one['id']}: {one['help']}: {node['html'][:200]}" for one in found for node in one["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", OF_EVERYBODY)
def test_pages_of_everybody(anybody, path, scheme):
    anybody.emulate_media(color_scheme=scheme)
    anybody.goto(path)
    assert serious_violations(anybody) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", OF_A_RESEARCHER)
def test_pages_of_a_researcher(researcher_page, path, scheme):
    researcher_page.emulate_media(color_scheme=scheme)
    researcher_page.goto(path)
    assert serious_violations(researcher_page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("state", ["COMPLETED", "FAILED"])
def test_pages_of_a_job(researcher_page, state, scheme):
    researcher_page.emulate_media(color_scheme=scheme)
    researcher_page.goto("/annotations/")
    researcher_page.locator("tr", has=researcher_page.locator(f".status-{state}")).get_by_role("link").first.click()
    researcher_page.wait_for_url("**/annotations/*-*/")
    assert serious_violations(researcher_page) == []


@pytest.mark.parametrize("path", OF_STAFF)
def test_pages_of_staff(staff_page, path):
    assert staff_page.goto(path).status == 200
    assert serious_violations(staff_page) == []


def test_a_job_at_the_desk(staff_page):
    staff_page.goto("/admin/jobs/job/")
    staff_page.goto(staff_page.locator("#result_list a[href*='/change/']").first.get_attribute("href"))
    assert serious_violations(staff_page) == []
