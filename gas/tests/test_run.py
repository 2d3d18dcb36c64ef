"""`manage.py run`: the whole way of a researcher through the real processes, over a restart, until Ctrl-C."""

import gzip
import os
import signal
import time
from pathlib import Path

import pytest

from accounts.fakeglobus import FREE, PREMIUM
from conftest import VCF
from gas.benchmarks.jobs import Sampler
from gas.benchmarks.samples import made_vcf
from gas.testing.processes import wait_until
from gas.testing.site import Site, Visitor, processes_of


@pytest.fixture
def vcf(tmp_path) -> Path:
    path = tmp_path / "my.vcf"
    path.write_bytes(VCF)
    return path


def job_mails(var: Path) -> list[str]:
    """Those about jobs: there is one with a link that confirms the address, too."""
    mails = [path.read_text() for path in (var / "mail").glob("*.eml")]
    return [mail for mail in mails if "X-GAS-Notification" in mail]


def test_the_whole_way_and_a_restart(tmp_path, vcf):
    var = tmp_path / "var"
    site = Site(var)
    with site:
        for line in (site.url, "Free or a Premium researcher", str(var / "mail")):
            assert line in site.output()
        visitor = Visitor(site.url)
        visitor.sign_in(identity=FREE.sub)
        job = visitor.upload(vcf)
        page = visitor.wait_for_end(job)
        assert "It is annotated" in page

        result = visitor.page(f"{job}result/")
        assert 'filename="my.annot.vcf.gz"' in result.headers["Content-Disposition"]
        records = [line for line in gzip.decompress(result.content).decode().splitlines() if line[0] != "#"]
        assert len(records) == 3
        assert "MT-ND4" in records[2]
        assert "missense" in records[2]
        assert "Total" in visitor.page(f"{job}log/").text

        wait_until(lambda: job_mails(var), "mail")
        (mail,) = job_mails(var)
        assert f"To: {FREE.email}" in mail
        assert f"{site.url}{job}" in mail.replace("=\n", "")
        assert "annotation complete" in visitor.page("/mails/").text

        os.kill(site.pid, signal.SIGINT)
        assert site.wait(timeout=15) == 0
        wait_until(lambda: not processes_of(var), "end of all processes", timeout=5)

    begin = time.monotonic()
    with site:
        assert time.monotonic() - begin < 5
        assert "It is annotated" in visitor.page(job).text  # still signed in, and the job is there


def test_premium_is_premium(tmp_path, vcf):
    with Site(tmp_path / "var") as site:
        visitor = Visitor(site.url)
        visitor.sign_in(identity=PREMIUM.sub)
        assert "Premium" in visitor.page("/profile/").text
        assert "150.0" not in visitor.page("/annotate/").text


def test_killed_in_the_middle_it_goes_on_after_the_restart(tmp_path, vcf):
    var = tmp_path / "var"
    site = Site(var, {"JOB_LEASE": "2", "DISPATCH_INTERVAL": "0.5", "ANNOTATORS": "0"})
    with site:
        visitor = Visitor(site.url)
        visitor.sign_in(name="Ada", email="ada@example.org", organization="Analytical Engines")
        job = visitor.upload(vcf)
        site.kill()
    site.env["ANNOTATORS"] = "1"
    with site:
        assert "It is annotated" in visitor.wait_for_end(job, timeout=30)
        wait_until(lambda: job_mails(var), "mail")
        assert len(job_mails(var)) == 1


def test_a_burst_runs_as_many_annotators_as_configured(tmp_path):
    """Seed defect 34: a hundred jobs were a hundred processes."""
    var, long = tmp_path / "var", tmp_path / "long.vcf"
    long.write_text(made_vcf(7000))
    with Site(var, {"ANNOTATORS": "2"}) as site, Sampler(var, pause=0.01) as sampler:
        visitor = Visitor(site.url)
        visitor.sign_in(identity=FREE.sub)
        for job in [visitor.upload(long) for _ in range(10)]:
            assert "It is annotated" in visitor.wait_for_end(job)
    assert sampler.annotators == 2


def test_a_port_in_use_is_told(tmp_path):
    with Site(tmp_path / "a") as site:
        told = rf"Port {site.port} is in use.*PORT={site.port + 100} make run"
        with pytest.raises(RuntimeError, match=told) as error, Site(tmp_path / "b", {"PORT": str(site.port)}):
            pass
        assert "Traceback" not in str(error.value)
