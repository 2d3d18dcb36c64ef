"""The life of a result as its owner sees it in Chromium: open, locked, archived, back by an upgrade, and locked again."""

import gzip
import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

from conftest import VCF
from gas.testing.browser import Visit, chromium
from gas.testing.require import needs
from gas.testing.site import Site

pytestmark = pytest.mark.browser
SETTINGS = {
    "FREE_RETENTION": "6",
    "LOCAL_VAULT_DELAYS": "Expedited=6,Standard=6,Bulk=6",
    "DISPATCH_INTERVAL": "0.5",
    "ANNOTATORS": "1",
}
BACK = "Your results are back"


@pytest.fixture
def rows_of_migrations():
    """No database of the test's own: Django refuses its ORM beside Playwright's event loop."""


@pytest.fixture
def var(tmp_path):
    return tmp_path / "var"


@pytest.fixture
def visit(var):
    needs("chromium")
    expect.set_options(timeout=30_000)
    with chromium() as browser, Site(var, SETTINGS) as site:
        visit = Visit(browser, site.url)
        yield visit
        visit.context.close()
        assert visit.faults == []


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def wait_until(condition, what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def choose_other_plan(page, button: str) -> None:
    page.goto("/subscribe/")
    page.get_by_role("checkbox").check()
    page.locator(button).click()


def download(page) -> bytes:
    with page.expect_download() as downloading:
        page.locator("#result").click()
    return Path(downloading.value.path()).read_bytes()


def test_the_whole_life_of_a_result(visit, var, tmp_path):
    page, vcf = visit.page, tmp_path / "life & <death>.vcf"
    vcf.write_bytes(VCF)
    vault, results = var / "vault" / "archives", var / "objects" / "results"
    page.goto("/login/")
    visit.sign_in("Lynn Margulis", "lynn@example.org")
    visit.upload(vcf)
    visit.wait_for_job()
    job = page.url
    page.evaluate("window.stillTheSamePage = true")
    result = page.locator("#result")
    expect(result).to_be_visible()
    digest = page.locator(".panel-accent code").inner_text()

    # its time ends while the page is open
    expect(page.get_by_role("heading", name="The result is locked")).to_be_visible()
    expect(result).to_have_count(0)
    expect(page.locator("#announcer")).to_have_text(f"{vcf.name}: Completed, locked")
    assert page.evaluate("window.stillTheSamePage"), "the page was loaded anew"
    wait_until(lambda: files(vault), "nothing was archived")
    (archive,) = files(vault)
    wait_until(lambda: not [path for path in files(results) if path.name == "annotated.vcf.gz"], "a hot copy is left")
    content = archive.read_bytes()

    # the upgrade brings it back
    choose_other_plan(page, "#upgrade")
    expect(page.locator("#restoration")).to_contain_text("0 of 1 restored.")
    page.goto(job)
    expect(page.locator("#way-back")).to_contain_text("The result comes back from the archive")
    page.evaluate("window.stillTheSamePage = true")
    expect(page.locator("#way-back")).to_contain_text("Expedited retrieval, expected by")
    expect(result).to_be_visible()
    assert page.evaluate("window.stillTheSamePage"), "the page was loaded anew"
    assert download(page) == content
    assert b"BCSQ=" in gzip.decompress(content)
    expect(page.locator(".panel-accent code")).to_have_text(digest)
    wait_until(lambda: not files(vault), "the archive was not deleted")

    # and a mail says so
    wait_until(lambda: any(BACK in mail.read_text() for mail in files(var / "mail")), "no mail came")
    page.goto("/mails/")
    expect(page.locator("main")).to_contain_text(BACK)
    page.goto("/profile/")
    expect(page.locator("#restoration")).to_have_count(0)

    # back on Free a window begins anew, then the list says that it is over
    choose_other_plan(page, "#downgrade")
    page.goto("/annotations/")
    page.evaluate("window.stillTheSamePage = true")
    expect(page.locator("#annotation-rows")).to_contain_text(re.compile("Locked"))
    assert page.evaluate("window.stillTheSamePage"), "the page was loaded anew"
    wait_until(lambda: files(vault), "nothing was archived again")
    page.goto(job)
    expect(page.get_by_role("heading", name="The result is locked")).to_be_visible()
