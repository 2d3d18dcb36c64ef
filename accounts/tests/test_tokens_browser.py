"""A token in a real Chromium, through the real processes: step-up, a form, the secret once; it works, until it is revoked."""

import pytest
import requests
from playwright.sync_api import expect

from gas.testing.browser import Visit, chromium
from gas.testing.require import needs
from gas.testing.site import Site

pytestmark = pytest.mark.browser
STEP_UP_AGE = 12  # seconds: longer than the form takes, and not long to wait for


@pytest.fixture
def rows_of_migrations():
    """No database of the test's own: Django refuses its ORM beside Playwright's event loop."""


@pytest.fixture
def visit(tmp_path):
    needs("chromium")
    with Site(tmp_path / "var", {"STEP_UP_AGE": str(STEP_UP_AGE)}) as site, chromium() as browser:
        visit = Visit(browser, site.url)
        yield visit
        visit.context.close()
        assert visit.faults == []


def test_makes_and_revokes_a_token(visit):
    page = visit.page
    page.goto("/login/")
    visit.sign_in("Tamar Token", "tamar@example.org")
    page.goto("/profile/")
    page.get_by_role("link", name="API tokens").click()
    page.wait_for_timeout(STEP_UP_AGE * 1000)  # until the sign-in is no longer fresh

    page.reload()
    page.locator("#to-step-up").click()
    page.locator("#step-up").click()
    page.get_by_label("Name").fill("Tamar Token")
    page.get_by_label("E-mail").fill("tamar@example.org")
    page.get_by_role("button", name="Sign in", exact=True).click()

    expect(page).to_have_url(f"{visit.url}/profile/tokens/")
    page.get_by_label("Name").fill("pipeline")
    page.get_by_label("Submit: upload files, cancel and delete jobs").check()
    page.get_by_label("It expires after").select_option("90 days")
    page.locator("#make-token").click()
    secret = page.get_by_label("Your new token").input_value()

    def status() -> int:
        headers = {"Authorization": f"Bearer {secret}"}
        return requests.get(f"{visit.url}/api/v1/jobs", headers=headers, timeout=20).status_code

    assert status() == 200
    page.goto("/profile/tokens/")
    expect(page.get_by_label("Your new token")).to_have_count(0)
    expect(page.locator("#tokens tbody tr")).to_have_count(1)
    expect(page.locator("#tokens tbody tr td").first).to_have_text("read, submit")
    page.get_by_role("button", name="Revoke pipeline").click()
    expect(page.get_by_role("status").filter(has_text="The token pipeline is revoked")).to_be_visible()
    assert status() == 401
