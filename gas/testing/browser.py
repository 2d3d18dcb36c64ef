"""A real Chromium at the site: Debian's own, driven by Playwright; it stays on this machine's loopback."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from gas.testing.site import confirmation_link

QUIET = [
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
]
REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) => {
  const { violatedDirective, blockedURI, sourceFile, lineNumber } = event;
  window.reportViolation(`${violatedDirective}: ${blockedURI} at ${sourceFile}:${lineNumber}`);
});
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser. While it runs, so does Playwright's event loop: this thread cannot use Django's ORM."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        yield browser
        browser.close()


class Visit:
    """A person with a browser window at `url`.

    `faults` are the CSP violations, console errors and exceptions so far, of our own pages only: the stand-in
    for Globus is at another address.
    """

    def __init__(self, browser: Browser, url: str) -> None:
        self.url = url
        self.faults: list[str] = []
        self.context: BrowserContext = browser.new_context(base_url=url)
        self.context.set_default_timeout(20_000)
        self.context.expose_binding("reportViolation", lambda _, text: self.faults.append(f"CSP: {text}"))
        self.context.add_init_script(REPORT_VIOLATIONS)
        self.context.on("console", self._note_console)
        self.context.on("weberror", lambda error: self.faults.append(f"exception: {error.error}"))
        self.page: Page = self.context.new_page()

    def _note_console(self, message: ConsoleMessage) -> None:
        where = message.location["url"]
        if message.type in ("error", "warning") and where.startswith(self.url):
            self.faults.append(f"{message.type}: {message.text} ({where.removeprefix(self.url)})")

    def take_faults(self) -> list[str]:
        """What has been noted, once: for those that a test brings about itself."""
        faults, self.faults = self.faults, []
        return faults

    def sign_in(self, name: str, email: str) -> None:
        """From the sign-in page, by the stand-in Globus and a first profile, to where he was heading."""
        self.page.locator("#globus").click()
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("E-mail").fill(email)
        self.page.get_by_label("Organization").fill("Institute of Tests")
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        self.page.wait_for_url(f"{self.url}/**")
        if self.page.locator("#save-profile").count():
            self.page.locator("#save-profile").click()
            self.page.wait_for_url(lambda url: "/profile/" not in url)
        if self.page.locator("#unconfirmed").count():
            self._confirm_address(email)
            self.page.reload()

    def _confirm_address(self, email: str) -> None:
        """By the link in the mail, in another tab."""
        tab = self.context.new_page()
        tab.goto("/mails/")
        tab.goto(confirmation_link(tab.content(), email))
        tab.locator("#confirm-address").click()
        tab.wait_for_url("**/profile/")
        tab.close()

    def upload(self, path: Path) -> None:
        """Choose the file on the upload page and send it; returns at once."""
        self.page.goto("/annotate/")
        self.page.locator("#file").set_input_files(path)
        self.page.locator("#start").click()

    def wait_for_job(self) -> None:
        """Until the upload page has gone to the job's page."""
        self.page.wait_for_url("**/annotations/*-*/")
