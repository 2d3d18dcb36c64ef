"""manage.py restore_drill: archives come out whole, or it says which does not."""

import time
from io import StringIO

import pytest
from django.core.management import call_command

from archive.management.commands import restore_drill
from archive.models import ResultArchive, Retrieval
from archive.tests.conftest import CONTENT, settle
from gas.vaults import vault


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(restore_drill, "FIRST_PAUSE", 0.05)


def drill(*args):
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("restore_drill", *args, stdout=out)
    return out.getvalue().splitlines(), ended.value.code


@pytest.fixture
def rows(make_archive, researcher):
    make_archive(researcher)  # is not archived, and not chosen
    return [settle(make_archive(researcher)) for _ in range(3)]


@pytest.mark.parametrize("kind", ["local", "s3", "glacier"])
def test_all_are_whole_and_nothing_changes(kind, vaults, make_archive, researcher, settings):
    settings.VAULT = kind
    settings.LOCAL_VAULT_DELAYS = {"Expedited": 0, "Standard": 0, "Bulk": 0.2}
    rows = [settle(make_archive(researcher)) for _ in range(3)]
    before = list(ResultArchive.objects.order_by("pk").values())
    lines, status = drill("--n=2")
    assert (lines[-1], status) == ("2 whole, 0 broken, 0 not retrieved, 0 restored meanwhile", 0)
    assert len({line.split()[0] for line in lines[:2]} & {str(row.job_id) for row in rows}) == 2
    assert list(ResultArchive.objects.order_by("pk").values()) == before
    assert not Retrieval.objects.exists()


def test_damaged_and_missing_ones(rows):
    for row, content in zip(rows, (b"X" + CONTENT[1:], CONTENT[:-1], None), strict=True):
        path = vault("local").folder / "archives" / row.archive_id
        path.unlink()
        if content:
            path.write_bytes(content)
    lines, status = drill("--tier=Standard")
    assert (lines[-1], status) == ("0 whole, 3 broken, 0 not retrieved, 0 restored meanwhile", 1)
    assert any(f"{rows[2].job_id} vault local: broken: the vault does not have it" in line for line in lines)


def test_one_that_does_not_come(rows, settings, monkeypatch):
    settings.LOCAL_VAULT_DELAYS = {"Expedited": 0, "Standard": 0, "Bulk": 3600}
    began = time.monotonic()
    monkeypatch.setattr(restore_drill.time, "monotonic", lambda: began + next(clock))
    clock = iter(range(0, 10**9, 2000))
    lines, status = drill("--n=1")
    assert (lines[-1], status) == ("0 whole, 0 broken, 1 not retrieved, 0 restored meanwhile", 2)
    assert "the retrieval still goes on, after 3:" in lines[0]


def test_a_tier_that_is_refused(vaults, make_archive, researcher, settings):
    settings.VAULT = "glacier"
    settle(make_archive(researcher))
    vaults.fail("InitiateJob", "PolicyEnforcedException", times=9)
    lines, status = drill("--tier=Expedited")
    assert (lines[-1], status) == ("0 whole, 0 broken, 1 not retrieved, 0 restored meanwhile", 2)


def test_one_that_its_owner_brings_back_meanwhile(rows, monkeypatch):
    look = restore_drill.Trial._look

    def look_late(trial):
        trial.row.restore_now()
        settle(ResultArchive.objects.get(pk=trial.row.pk))
        return look(trial)

    monkeypatch.setattr(restore_drill.Trial, "_look", look_late)
    lines, status = drill("--n=1")
    assert (lines[-1], status) == ("0 whole, 0 broken, 0 not retrieved, 1 restored meanwhile", 0)


def test_nothing_is_archived(archive):
    assert drill() == (["0 whole, 0 broken, 0 not retrieved, 0 restored meanwhile"], 0)
