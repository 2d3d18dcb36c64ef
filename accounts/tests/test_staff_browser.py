"""Staff in a real Chromium: from the one-time link to the desk, by an app and by a passkey, and what they do there."""

import os
import re
import subprocess
import sys
import time

import pytest
from allauth.mfa.totp.internal import auth as totp
from django.conf import settings
from playwright.sync_api import Page, expect

from gas.testing.browser import Visit, chromium
from gas.testing.require import needs
from gas.testing.site import Site, Visitor

pytestmark = pytest.mark.browser
EMAIL, PASSWORD = "petra@desk.example.org", "a long password of the desk"
KEY = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture
def rows_of_migrations():
    """No database of the test's own: Django refuses its ORM beside Playwright's event loop."""


@pytest.fixture(scope="module")
def browser():
    needs("chromium")
    expect.set_options(timeout=20_000)
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    needs("chromium")
    with Site(tmp_path_factory.mktemp("var"), {"ANNOTATORS": "1"}) as site:
        yield site


@pytest.fixture
def visit(browser, site):
    visit = Visit(browser, site.url)
    yield visit
    visit.context.close()
    assert visit.faults == []


@pytest.fixture
def failed_job(site, tmp_path) -> str:
    """The path of its page; its owner is on the Free plan."""
    path = tmp_path / "broken.vcf"
    path.write_text("##fileformat=VCFv4.2\nno header line\n")
    with Visitor(site.url) as visitor:
        visitor.sign_in(name="Rosalind Free", email="rosalind@example.org", organization="Institute of Tests")
        job_url = visitor.upload(path)
        assert "status-FAILED" in visitor.wait_for_end(job_url)
    return job_url


def one_time_link(site: Site, *options: str) -> str:
    command = [sys.executable, "manage.py", "create_staff", EMAIL, *options]
    done = subprocess.run(
        command, env=os.environ | site.env, cwd=settings.BASE_DIR, check=True, capture_output=True, text=True
    )
    return re.search(r"https?://\S+", done.stdout)[0]


def code_of(secret: str) -> str:
    """The code of now, which holds for five seconds more at least."""
    while time.time() % 30 > 25:
        time.sleep(0.2)
    return totp.format_hotp_value(totp.hotp_value(secret, int(time.time() // 30)))


def enrol_app(page: Page) -> None:
    page.locator("#add-totp").click()
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("#go-on").click()
    secret = page.locator("#totp-secret").inner_text()
    page.get_by_label("Authenticator code").fill(code_of(secret))
    page.locator("#activate-totp").click()
    expect(page.locator("#recovery-codes li")).to_have_count(10)
    page.locator("#go-on").click()
    page.get_by_label("Code").fill(code_of(secret))
    page.locator("#go-on").click()


def add_passkey(page: Page) -> None:
    """Of a virtual authenticator, which the page's browser has from now on."""
    browser = page.context.new_cdp_session(page)
    browser.send("WebAuthn.enable")
    browser.send("WebAuthn.addVirtualAuthenticator", {"options": KEY})
    page.goto("/accounts/2fa/webauthn/add/")
    page.get_by_label("Name").fill("my key")
    expect(page.get_by_label("Sign in with it alone")).to_be_checked()
    page.locator("#mfa_webauthn_add").click()
    page.wait_for_url("**/accounts/2fa/")


def act(page: Page, label: str, reason: str, **choices: str) -> None:
    """A button of the page of a row, and the page that asks why."""
    page.get_by_role("link", name=label, exact=True).click()
    for name, option in choices.items():
        page.locator(f"[name={name}]").select_option(label=option)
    page.locator("[name=reason]").fill(reason)
    page.get_by_role("button", name=label, exact=True).click()


def test_from_the_link_to_the_desk_and_its_acts(visit, site, failed_job):
    page = visit.page
    page.goto(one_time_link(site, "--role", "operator"))
    page.get_by_label("New Password", exact=True).fill(PASSWORD)
    page.get_by_label("New Password (again)").fill(PASSWORD)
    page.locator("#set-password").click()
    page.locator("#go-on").click()
    page.get_by_label("Email").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("#sign-in").click()
    page.wait_for_url("**/accounts/2fa/?next=%2Fadmin%2F")
    enrol_app(page)
    page.wait_for_url("**/admin/")

    add_passkey(page)
    page.goto("/admin/")
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url(f"{site.url}/")
    page.goto("/admin/")
    page.wait_for_url("**/accounts/login/?next=%2Fadmin%2F")
    page.locator("#passkey_login").click()
    page.wait_for_url("**/admin/")

    job = failed_job.strip("/").split("/")[-1]
    page.goto(f"/admin/jobs/job/{job}/change/")
    act(page, "Retry", "ticket 7: the engine was mended")
    expect(page.locator(".messagelist")).to_contain_text("1 set back to pending.")
    expect(page.locator("#content")).to_contain_text("ticket 7: the engine was mended")

    page.goto("/admin/accounts/user/?q=rosalind")
    page.get_by_role("link", name=re.compile("-")).first.click()
    act(page, "Change plan", "ticket 8: a grant", code="Premium")
    expect(page.locator(".messagelist")).to_contain_text("1 put on the plan.")
    expect(page.locator("#content")).to_contain_text("ticket 8: a grant")
