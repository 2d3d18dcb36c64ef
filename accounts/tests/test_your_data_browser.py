"""A researcher takes his data away and erases his account in a real Chromium, with no CSP violation and no error."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import expect

from conftest import VCF
from gas.testing.browser import Visit, chromium
from gas.testing.processes import wait_until
from gas.testing.require import needs
from gas.testing.site import Site
from gas.tests.test_accessibility import serious_violations

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
NAME, ADDRESS = "Lise Meitner", "lise@example.org"
STEP_UP_AGE = 3  # seconds
RELAXED = {"STEP_UP_AGE": "600", "ERASURE_GRACE": "3600"}


@pytest.fixture
def rows_of_migrations():
    """No database of the test's own: Django refuses its ORM beside Playwright's event loop."""


@pytest.fixture
def site(tmp_path):
    needs("chromium")
    env = {"STEP_UP_AGE": str(STEP_UP_AGE), "DISPATCH_INTERVAL": "0.5", "ANNOTATORS": "1"}
    with Site(tmp_path / "var", env) as site:
        yield site


@pytest.fixture
def visit(site):
    expect.set_options(timeout=30_000)
    with chromium() as browser:
        visit = Visit(browser, site.url)
        yield visit
        visit.context.close()
        assert visit.faults == []


def restart(site, **env):
    site.__exit__(None, None, None)
    site.env |= env
    site.start()


def step_up(page):
    page.locator("#step-up").click()
    page.get_by_label("Name").fill(NAME)
    page.get_by_label("E-mail").fill(ADDRESS)
    page.get_by_role("button", name="Sign in", exact=True).click()


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_exports_undoes_and_erases(visit, site, tmp_path):
    page, objects = visit.page, tmp_path / "var/objects"
    vcf = tmp_path / "fission.vcf"
    vcf.write_bytes(VCF)
    page.goto("/login/")
    visit.sign_in(NAME, ADDRESS)
    visit.upload(vcf)
    visit.wait_for_job()
    expect(page.locator("#result")).to_be_visible()
    takes_his_data_away(page)
    asks_and_undoes(page, site)
    assert files(objects)
    asks_again(page, site)
    wait_until(lambda: not files(objects), "end of all files", timeout=60)
    is_told(page)
    begins_anew(page, site)


def takes_his_data_away(page):
    page.wait_for_timeout(STEP_UP_AGE * 1000)  # since the sign-in, at least
    page.goto("/profile/data/")
    page.locator("#export").click()
    with page.expect_download() as downloading:
        step_up(page)
    told = json.loads(Path(downloading.value.path()).read_text())
    assert told["account"][0]["full_name"] == NAME
    assert {file["name"] for file in told["jobs"][0]["files"]} >= {"fission.vcf", "fission.annot.vcf.gz"}


def asks_and_undoes(page, site):
    page.wait_for_timeout(STEP_UP_AGE * 1000)
    page.goto("/profile/data/")
    page.locator("#erase-account").click()
    step_up(page)
    page.wait_for_url("**/profile/erase/")
    restart(site, **RELAXED)
    page.get_by_label("To confirm").fill("lise@example.com")
    page.locator("#erase").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing is erased.")
    page.get_by_label("To confirm").fill(ADDRESS)
    page.locator("#erase").click()
    expect(page.locator("#erasure")).to_contain_text("will be erased on")
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        page.reload()
        assert serious_violations(page) == []
    page.goto("/annotations/")
    page.locator("#keep-account").click()
    expect(page.get_by_role("status")).to_contain_text("Nothing was erased.")
    expect(page.locator("#erasure")).to_have_count(0)


def asks_again(page, site):
    restart(site, ERASURE_GRACE="1")
    page.goto("/profile/erase/")
    page.get_by_label("To confirm").fill(ADDRESS)
    page.locator("#erase").click()


def is_told(page):
    page.goto("/mails/")
    for _ in range(60):
        if page.get_by_text("Your account is erased").count():
            break
        page.wait_for_timeout(500)
        page.reload()
    expect(page.get_by_text("Your account is erased").first).to_be_visible()
    page.goto("/annotations/")
    page.wait_for_url("**/login/?next=/annotations/")


def begins_anew(page, site):
    for _ in range(20):  # the last step comes after the mail
        page.goto("/login/")
        page.locator("#globus").click()
        page.get_by_label("Name").fill(NAME)
        page.get_by_label("E-mail").fill(ADDRESS)
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.wait_for_url(f"{site.url}/**")
        if page.locator("#save-profile").count():
            break
    expect(page.get_by_role("heading", level=1)).to_have_text("Welcome to GAS")
    page.locator("#save-profile").click()
    page.goto("/annotations/")
    expect(page.locator("main")).not_to_contain_text("fission")
