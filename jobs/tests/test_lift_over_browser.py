"""Lift-over in a real Chromium: from the refusal, by its button, to the result with its counts."""

import os
import subprocess
import sys

import pytest
from playwright.sync_api import expect

from gas.testing.browser import Visit, chromium
from gas.testing.require import needs
from gas.testing.site import Site
from jobs.tests.test_lift_over import CHAIN, OLD

pytestmark = pytest.mark.browser


@pytest.fixture
def rows_of_migrations():
    """No database of the test's own: Django refuses its ORM beside Playwright's event loop."""


@pytest.fixture
def small_root(tmp_path):
    """A root with a reference of 25 bp and a chain file to it from NCBI36, made by the command line."""
    (tmp_path / "reference.toml").write_text('name = "small"\nbuild = "GRCh38"\nfasta = "genome.fa"\n')
    (tmp_path / "genome.fa").write_text(">1\nNNACGTACGTACNNNTTTTGGGGNN\n")
    (tmp_path / "hg18.chain").write_text(CHAIN)
    root = tmp_path / "root"
    for words in (["build", str(tmp_path)], ["chain", str(tmp_path / "hg18.chain"), "--to", "small", "--from", "hg18"]):
        command = [sys.executable, "manage.py", "reference", *words]
        subprocess.run(command, env=os.environ | {"GAS_REFERENCE_DIR": str(root)}, check=True)
    return root


def test_lift_over(small_root, tmp_path):
    needs("chromium")
    (tmp_path / "old.vcf").write_bytes(OLD)
    var = tmp_path / "var"
    env = {"GAS_REFERENCE_DIR": str(small_root), "ANNOTATORS": "1"}
    with Site(var, env) as site, chromium() as browser:
        visit = Visit(browser, site.url)
        page = visit.page
        page.goto("/login/")
        visit.sign_in("Lena Lift", "lena@example.org")
        visit.upload(tmp_path / "old.vcf")
        visit.wait_for_job()
        expect(page.locator("#annotation-status")).to_contain_text("Why it could not be annotated")
        page.get_by_role("button", name="Lift over and annotate").click()
        expect(page.locator("#result")).to_be_visible(timeout=20_000)
        expect(page.locator("#annotation-status")).to_contain_text("2 from NCBI36 to GRCh38")
        expect(page.locator("#annotation-status")).to_contain_text("1: the target has nothing in the place of REF")
        with page.expect_download() as download:
            page.locator("#skipped").click()
        assert "Line 5 does not lift over to GRCh38" in download.value.path().read_text()
        visit.context.close()
        assert visit.faults == []
