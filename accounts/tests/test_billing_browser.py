"""A researcher pays and cancels in a real Chromium, with no CSP violation and no error."""

import time

import pytest
from playwright.sync_api import expect

from gas.testing.aws import free_port
from gas.testing.browser import Visit, chromium
from gas.testing.require import needs
from gas.testing.site import Site

pytestmark = pytest.mark.browser
STEP_UP_AGE = 8  # seconds


@pytest.fixture
def rows_of_migrations():
    """No database of the test's own: Django refuses its ORM beside Playwright's event loop."""


@pytest.fixture
def visit(tmp_path):
    needs("chromium")
    expect.set_options(timeout=20_000)
    env = {"FAKESTRIPE_PORT": str(free_port()), "STEP_UP_AGE": str(STEP_UP_AGE)}
    with chromium() as browser, Site(tmp_path / "var", env) as site:
        visit = Visit(browser, site.url)
        yield visit
        visit.context.close()
        assert visit.faults == []


def test_pays_and_cancels(visit):
    page = visit.page
    page.goto("/login/?next=/subscribe/")
    visit.sign_in("Petra Pays", "petra@example.org")
    stale = time.monotonic() + STEP_UP_AGE
    expect(page.locator("main")).to_contain_text("You are on the Free plan.")

    page.locator("#upgrade").click()
    expect(page.get_by_role("heading")).to_have_text("GAS Premium")
    page.locator("#back").click()
    expect(page.locator("main")).to_contain_text("You are on the Free plan.")
    page.locator("#upgrade").click()
    page.locator("#pay").click()
    page.wait_for_url("**/billing/done/")
    expect(page.locator("#payment-state")).to_contain_text(
        "You are on the Premium plan"
    )  # by the polling, or before it
    page.get_by_role("link", name="Plans").click()
    expect(page.locator("#history tbody tr")).to_have_count(1)
    expect(page.locator("#history")).to_contain_text("By the service: subscription sub_")

    page.wait_for_timeout(max(0, stale - time.monotonic()) * 1000)
    page.locator("#manage-payment").click()
    page.locator("#step-up").click()
    page.get_by_label("Name").fill("Petra Pays")
    page.get_by_label("E-mail").fill("petra@example.org")
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/subscribe/")
    page.locator("#manage-payment").click()
    page.get_by_role("button", name="Cancel now").click()
    expect(page.locator("#none")).to_have_text("You pay for nothing.")
    page.locator("#back").click()
    for _ in range(20):  # the event is on its way
        if "Free plan" in page.locator("main").inner_text():
            break
        page.wait_for_timeout(250)
        page.reload()
    expect(page.locator("main")).to_contain_text("You are on the Free plan.")
    expect(page.locator("#history tbody tr").first).to_contain_text("is canceled")
