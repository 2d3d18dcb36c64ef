"""A researcher's way in a real Chromium, through the real processes, with no CSP violation and no error."""

import gzip
import os
import re
import sqlite3
from collections import Counter
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, Request, Route, expect

from conftest import HEADER, VCF
from gas.testing.aws import LocalAWS
from gas.testing.browser import Visit, chromium
from gas.testing.production import client
from gas.testing.require import needs
from gas.testing.site import Site

pytestmark = pytest.mark.browser
PART = 16_384  # bytes of a slice; the smallest plan then takes up to ten


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
    with Site(tmp_path_factory.mktemp("var"), {"UPLOAD_PART_BYTES": str(PART), "ANNOTATORS": "1"}) as site:
        yield site


@pytest.fixture
def visit(browser, site):
    visit = Visit(browser, site.url)
    yield visit
    visit.context.close()
    assert visit.faults == []


@pytest.fixture
def signed_in(visit, request):
    """A visit of somebody whom no other test knows."""
    visit.page.goto("/login/")
    name = request.node.name.replace("_", " ")
    visit.sign_in(name, f"{request.node.name}@example.org")
    return visit


@pytest.fixture
def vcf(tmp_path) -> Path:
    path = tmp_path / "test.vcf"
    path.write_bytes(VCF)
    return path


@pytest.fixture
def sliced_vcf(tmp_path) -> Path:
    """A file of six slices, all different."""
    path = tmp_path / "sliced.vcf"
    lines = (f"MT\t{n}\tslice_check_{n:06}\tN\t<DEL>\t.\t.\t.\n" for n in range(1, 16_000))
    path.write_text((HEADER + "".join(lines))[: 6 * PART - 100].rpartition("\n")[0] + "\n")
    return path


def status(page: Page):
    return page.locator("#annotation-status .status")


def slice_number(request: Request) -> int:
    return int(re.search(r"/parts/(\d+)/$", request.url)[1])


def watch_slices(page: Page, event: str = "request") -> Counter:
    """Counts the PUTs of each slice from now on."""
    puts = Counter()

    def count(request: Request) -> None:
        if request.method == "PUT":
            puts[slice_number(request)] += 1

    page.on(event, count)
    return puts


def hold(page: Page, path: str, most: int = 1) -> list[Route]:
    """Leave requests to `path`, at most `most`, without an answer; a test may answer them later."""
    held = []

    def keep(route: Route) -> None:
        if len(held) < most:
            held.append(route)
        else:
            route.continue_()

    page.route(re.compile(path), keep)
    return held


def test_the_whole_way_from_sign_in_to_sign_out(visit, vcf, tmp_path):
    page = visit.page
    page.goto("/")
    page.get_by_role("link", name="Sign in and annotate a file").click()
    visit.sign_in("Barbara McClintock", "barbara@example.org")
    expect(page).to_have_url(f"{visit.url}/annotate/")
    expect(page.locator("main")).to_contain_text("up to 150.0\u00a0KB (153,600 bytes)")

    page.locator("#file").set_input_files(vcf)
    expect(page.locator("#chosen")).to_have_text(f"test.vcf, {vcf.stat().st_size} bytes.")
    page.locator("#start").click()
    visit.wait_for_job()
    page.evaluate("window.stillTheSamePage = true")
    expect(status(page)).to_have_text("Completed")
    assert page.evaluate("window.stillTheSamePage"), "the page was loaded anew"
    expect(page.locator("#annotation-status")).to_have_attribute(
        "hx-trigger", re.compile(r"every \d{3}s")
    )  # once, at the end
    expect(page.locator("#announcer")).to_have_text("test.vcf: Completed")
    expect(page.locator("#annotation-status")).to_contain_text("You can download it until")

    page.locator("#log").click()
    expect(page.locator("pre")).to_contain_text("Total: 3")
    page.get_by_role("link", name="Back to the annotation").click()
    with page.expect_download() as download:
        page.locator("#result").click()
    assert download.value.suggested_filename == "test.annot.vcf.gz"
    content = gzip.decompress(Path(download.value.path()).read_bytes()).decode()
    assert re.search(r"^MT\t11778\t.*missense\|MT-ND4", content, re.MULTILINE)
    answer = page.request.get(page.locator("#result").get_attribute("href"))
    assert answer.headers["content-type"] == "application/gzip"

    page.goto("/mails/")
    expect(page.locator("article").first).to_contain_text("[GAS] test.vcf: annotation complete")
    page.get_by_role("button", name="Barbara McClintock").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
    page.goto("/annotations/")
    expect(page).to_have_url(re.compile("/login/"))


def test_a_violation_of_the_policy_would_be_noticed(visit):
    visit.page.goto("/")
    visit.page.evaluate("""() => {
        const script = document.createElement("script");
        script.text = "window.ran = true";
        document.body.append(script);
    }""")
    assert not visit.page.evaluate("window.ran")
    assert any(fault.startswith("CSP: script-src") for fault in visit.take_faults())


def test_a_file_too_large_for_free_is_refused_before_anything_is_sent_and_by_the_server(signed_in, tmp_path):
    page = signed_in.page
    large = tmp_path / "large.vcf"
    large.write_bytes(VCF + b"#" * (153_601 - len(VCF)))
    page.goto("/annotate/")
    sent = []
    page.on("request", lambda request: sent.append(request.url) if request.method != "GET" else None)
    page.locator("#file").set_input_files(large)
    expect(page.locator("#problem-title")).to_have_text("The file is too large for your plan")
    expect(page.locator("#problem-detail")).to_contain_text("153,601 bytes")
    expect(page.locator("#start")).to_be_disabled()
    assert sent == []
    expect(page.locator("#problem-upgrade")).to_have_attribute("href", "/subscribe/")

    answer = page.evaluate("""async () => {
        const body = JSON.stringify({file_name: "large.vcf", size: 153601});
        const headers = {"X-CSRFToken": document.querySelector("#upload [name=csrfmiddlewaretoken]").value};
        const answer = await fetch("/annotate/uploads/", {method: "POST", headers, body});
        return [answer.status, await answer.json()];
    }""")
    assert answer[0] == 413
    assert (answer[1]["error"]["code"], answer[1]["error"]["upgrade"]) == ("too_large", True)
    (fault,) = signed_in.take_faults()
    assert "413" in fault


def test_an_upload_goes_on_after_a_reload(signed_in, sliced_vcf):
    page = signed_in.page
    page.on("dialog", lambda dialog: dialog.accept())  # "leave this page?"
    hold(page, r"/parts/[3-6]/$", most=2)
    done = watch_slices(page, "requestfinished")
    signed_in.upload(sliced_vcf)
    expect(page.locator("#sending-text")).to_contain_text("33 %")
    page.reload()
    assert done == Counter([1, 2])
    expect(page.locator("#unfinished")).to_contain_text("33 %")

    modified = sliced_vcf.stat().st_mtime_ns
    os.utime(sliced_vcf, ns=(modified, modified + 60 * 10**9))  # what was changed since is another file
    page.locator("#file").set_input_files(sliced_vcf)
    expect(page.locator("#chosen")).not_to_contain_text("goes on")
    os.utime(sliced_vcf, ns=(modified, modified))
    page.locator("#file").set_input_files([])
    page.locator("#file").set_input_files(sliced_vcf)
    expect(page.locator("#chosen")).to_contain_text("goes on where it stopped")

    puts = watch_slices(page)
    page.locator("#start").click()
    signed_in.wait_for_job()
    assert puts == Counter([3, 4, 5, 6])
    with page.expect_download() as download:
        page.locator("#input").click()
    assert Path(download.value.path()).read_bytes() == sliced_vcf.read_bytes()


def test_a_failed_slice_is_sent_again(signed_in, sliced_vcf):
    page = signed_in.page
    puts = watch_slices(page)

    def fail_twice(route: Route) -> None:
        if route.request.method == "PUT" and puts[2] <= 2:
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route(re.compile(r"/parts/2/$"), fail_twice)
    signed_in.upload(sliced_vcf)
    signed_in.wait_for_job()
    assert puts == Counter({1: 1, 2: 3, 3: 1, 4: 1, 5: 1, 6: 1})
    assert Counter("ERR_CONNECTION_RESET" in fault for fault in signed_in.take_faults()) == {True: 2}


def test_a_session_that_ends_during_an_upload_loses_nothing(signed_in, sliced_vcf):
    page = signed_in.page

    def end_session(route: Route) -> None:
        signed_in.context.clear_cookies(name="sessionid")
        route.continue_()

    page.route(re.compile(r"/parts/4/$"), end_session, times=1)
    signed_in.upload(sliced_vcf)
    expect(page.locator("#problem-title")).to_have_text("You are signed out")
    faults = signed_in.take_faults()
    assert faults
    assert all("401" in fault for fault in faults)

    with page.expect_popup() as opened:
        page.locator("#problem-sign-in").click()
    opened.value.locator("#globus").click()  # Globus still knows who it is
    expect(opened.value).to_have_url(f"{signed_in.url}/annotate/")
    puts = watch_slices(page)
    page.locator("#again").click()
    signed_in.wait_for_job()
    assert puts
    assert 1 not in puts
    with page.expect_download() as download:
        page.locator("#input").click()
    assert Path(download.value.path()).read_bytes() == sliced_vcf.read_bytes()


def test_an_upload_is_cancelled(signed_in, sliced_vcf):
    page = signed_in.page
    hold(page, r"/parts/3/$")
    signed_in.upload(sliced_vcf)
    expect(page.locator("#sending")).to_be_visible()
    with page.expect_response("**/abort/") as aborted:
        page.locator("#sending [data-cancel]").click()
    assert aborted.value.status == 204
    expect(page.locator("#choose")).to_be_visible()
    page.reload()
    expect(page.locator("#unfinished")).to_be_hidden()


def test_an_upload_is_cancelled_before_the_server_has_answered(signed_in, vcf):
    """What the server has begun meanwhile is not left behind."""
    page = signed_in.page
    held = hold(page, r"/annotate/uploads/$")
    with page.expect_request("**/annotate/uploads/"):
        signed_in.upload(vcf)
    page.locator("#sending [data-cancel]").click()
    with page.expect_response("**/abort/") as aborted:
        held[0].continue_()
    assert aborted.value.status == 204


@contextmanager
def pause(site):
    """No files are taken: an announcement, written by the side of the site."""
    with closing(
        sqlite3.connect(Path(site.env["VAR_DIR"], "gas.sqlite3"), timeout=20, isolation_level=None)
    ) as database:
        columns = "(text, severity, starts_at, pauses_submissions)"
        values = "('Disks are replaced.', 'warning', '2026-01-01 00:00:00', 1)"
        database.execute(f"INSERT INTO jobs_announcement {columns} VALUES {values}")
        try:
            yield
        finally:
            database.execute("DELETE FROM jobs_announcement")


@pytest.mark.parametrize(("who", "button"), [("paul", "#again"), ("paula", "[data-complete]")])
def test_what_is_refused_for_now_is_kept_and_completed_later(site, visit, sliced_vcf, who, button):
    page = visit.page
    page.goto("/login/")
    visit.sign_in(who, f"{who}@example.org")
    puts = watch_slices(page)
    held = hold(page, r"/complete/$")
    with page.expect_request("**/complete/"):
        visit.upload(sliced_vcf)
    expect(page.locator("#sending-text")).to_contain_text("All is sent")
    with pause(site):
        held[0].continue_()
        expect(page.locator("#problem-detail")).to_have_text("Disks are replaced.")
        expect(page.locator("#problem-mend")).to_contain_text("Your file is kept until")
        expect(page.locator("#again")).to_be_visible()
        (fault,) = visit.take_faults()  # it was not asked again and again
        assert "503" in fault
        if button == "[data-complete]":
            page.reload()
            expect(page.locator("#refused")).to_contain_text("Disks are replaced.")
            expect(page.locator("#unfinished")).to_contain_text("100 %")
    page.locator(button).click()
    visit.wait_for_job()
    assert puts == Counter(range(1, 7))


def test_what_is_no_vcf_is_refused_with_its_reason(signed_in, tmp_path):
    page, picture = signed_in.page, tmp_path / "picture.vcf"
    picture.write_bytes(b"\x89PNG\r\n" + bytes(100))
    signed_in.upload(picture)
    expect(page.locator("#problem-title")).to_have_text("This is not a VCF file")
    expect(page.locator("#problem-detail")).to_contain_text("##fileformat=VCF")
    expect(page.locator("#choose")).to_be_visible()
    (fault,) = signed_in.take_faults()
    assert "422" in fault


def test_a_file_of_broken_records_fails_with_their_lines(signed_in, tmp_path):
    page, broken = signed_in.page, tmp_path / "broken.vcf"
    broken.write_bytes(HEADER.encode() + b"MT\t77\t.\tA\n")
    signed_in.upload(broken)
    signed_in.wait_for_job()
    expect(status(page)).to_have_text("Failed")
    expect(page.get_by_role("listitem").filter(has_text="Line 3 has 4 columns")).to_be_visible()


def test_a_broken_record_is_skipped_and_shown(signed_in, tmp_path):
    page, broken = signed_in.page, tmp_path / "broken.vcf"
    broken.write_bytes(VCF + b"MT\t77\t.\tA\n")
    signed_in.upload(broken)
    signed_in.wait_for_job()
    expect(status(page)).to_have_text("Completed")
    with page.expect_download() as download:
        page.get_by_role("link", name="which, and why").click()
    assert "\tMT:77\tLine 6 has 4 columns" in download.value.path().read_text()


def test_a_reference_is_chosen_and_what_it_could_not_tell_is_told(signed_in, tmp_path):
    page, nuclear = signed_in.page, tmp_path / "nuclear.vcf"
    nuclear.write_text(HEADER + "21\t25891796\t.\tC\tT\t.\t.\t.\n")
    page.goto("/annotate/")
    expect(page.get_by_label("Reference")).to_have_value("")
    page.get_by_label("Reference").select_option("GRCh38")
    page.locator("#file").set_input_files(nuclear)
    page.locator("#start").click()
    signed_in.wait_for_job()
    expect(status(page)).to_have_text("Completed")
    expect(page.locator("#about + dl")).to_contain_text("GRCh38, as you chose")
    expect(page.locator("#notes")).to_contain_text("manage.py reference install GRCh38")
    expect(page.locator("#notes")).not_to_contain_text("was assumed")


def test_the_list_polls_while_something_runs_and_then_stops(signed_in, vcf, tmp_path):
    page, long = signed_in.page, tmp_path / "long.vcf.gz"
    lines = b"MT\t3243\t.\tA\tG\t.\t.\t.\n" * 600_000
    long.write_bytes(gzip.compress(HEADER.encode() + lines))
    page.clock.install()
    signed_in.upload(long)
    signed_in.wait_for_job()
    long_job = page.url
    expect(page.locator("#annotation-status")).to_contain_text(re.compile(r"[\d,]+ (of [\d,]+ )?records"))
    signed_in.upload(vcf)
    signed_in.wait_for_job()
    page.goto("/annotations/")
    rows = page.locator("#annotation-rows tr")
    expect(rows).to_contain_text(["test.vcf", "long.vcf.gz"])  # newest first
    expect(rows.locator(".status")).to_have_text(["Pending", "Running"])

    polls = []
    page.on("request", lambda request: polls.append(request.url) if "/annotations/?" in request.url else None)
    page.evaluate("window.stillTheSamePage = true")
    cancelling = signed_in.context.new_page()
    cancelling.goto(long_job)
    cancelling.locator("#cancel").click()
    expect(rows.locator(".status")).to_have_text(["Completed", "Cancelled"])
    assert page.evaluate("window.stillTheSamePage")
    assert polls
    polls.clear()
    page.clock.run_for(20_000)
    assert polls == []


def test_deleting_wants_a_confirmation(signed_in, vcf):
    page = signed_in.page
    signed_in.upload(vcf)
    signed_in.wait_for_job()
    button = page.get_by_role("button", name="Delete for good")
    expect(button).to_be_hidden()
    page.get_by_text("Delete this annotation").click()
    button.click()
    expect(page).to_have_url(f"{signed_in.url}/annotations/")
    expect(page.get_by_role("heading", name="No annotations yet")).to_be_visible()


def test_no_page_is_wider_than_a_phone(signed_in, tmp_path):
    page, named = signed_in.page, tmp_path / f"{'x' * 150}.vcf"
    named.write_bytes(VCF)
    page.set_viewport_size({"width": 360, "height": 740})
    signed_in.upload(named)
    signed_in.wait_for_job()
    expect(status(page)).to_have_text("Completed")
    pages = ["/annotations/", "/annotate/", "/", "/profile/", "/subscribe/", "/mails/"]
    for path in (page.url, f"{page.url}log/", *pages):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path


def test_with_s3_the_file_never_passes_through_the_site(browser, vcf, tmp_path):
    buckets = {"S3_UPLOADS_BUCKET": "uploads", "S3_RESULTS_BUCKET": "results", "S3_ARCHIVE_BUCKET": "archive"}
    with LocalAWS() as aws:
        for bucket in buckets.values():
            client("s3", aws).create_bucket(Bucket=bucket)
        env = {**aws.environment, **buckets, "STORAGE": "s3", "S3_BROWSER_ORIGIN": aws.url}
        with Site(tmp_path / "var", env) as site:
            visit = Visit(browser, site.url)
            page, puts = visit.page, []
            page.on("request", lambda request: puts.append(request) if request.method == "PUT" else None)
            page.goto("/login/")
            visit.sign_in("Stephen S3", "s3@example.org")
            visit.upload(vcf)
            visit.wait_for_job()
            assert [put.url.startswith(f"{aws.url}/uploads/") for put in puts] == [True]
            assert not {"cookie", "x-csrftoken"} & puts[0].all_headers().keys()
            expect(status(page)).to_have_text("Completed")
            with page.expect_download() as download:
                page.locator("#result").click()
            assert download.value.url.startswith(f"{aws.url}/results/")
            assert download.value.suggested_filename == "test.annot.vcf.gz"
            visit.context.close()
            assert visit.faults == []
