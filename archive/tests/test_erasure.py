"""An account is erased with all that it has: jobs in any state, uploads, results, archives in any vault."""

import itertools
import threading
from datetime import timedelta

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.db.models.functions import Now

from accounts import erasing
from accounts import tasks as account_tasks
from accounts.models import Erasure, Plan, User
from accounts.plans import change_plan
from archive.models import Restoration, ResultArchive
from archive.tests.conftest import KINDS, archives, end_window, pass_time, settle, take_step
from archive.tests.interposed import Killed
from conftest import VCF
from gas.objects import objects
from gas.testing.processes import wait_until
from jobs import tasks as job_tasks
from jobs.models import Job, MonthlyUse, Notification, Upload
from jobs.models.upload import Upload as UploadModel
from jobs.refusals import Refused

pytestmark = pytest.mark.django_db


def let_time_pass(user):
    """Graces, back-offs, leases and pauses are over."""
    past = Now() - timedelta(seconds=1)
    open_ones = Erasure.objects.filter(user=user, ended_at=None)
    open_ones.update(due_at=past, next_action_at=past, not_before=None)
    open_ones.filter(lease_until__isnull=False).update(lease_until=past)
    Job.objects.filter(lease_until__isnull=False).update(lease_until=past, next_action_at=past)
    for row in ResultArchive.objects.all():
        pass_time(row)


def workers_work(user):
    """One hint for each row that is due; whether there was one."""
    erasure = Erasure.objects.filter(user=user, ended_at=None).first()
    if erasure:
        account_tasks.erase_account(str(erasure.pk))
    for job in Job.objects.filter(next_action_at__lte=Now()):
        if job.deleted_at:
            job_tasks.purge_job(str(job.pk))
        elif job.cancel_requested_at:
            job.claim("test")
    for upload in Upload.objects.filter(next_action_at__lte=Now()):
        job_tasks.clean_upload(str(upload.pk))
    for row in ResultArchive.objects.filter(next_action_at__lte=Now()):
        take_step(row)
    return erasure is not None


def erase(user, most=40):
    for _ in range(most):
        let_time_pass(user)
        if not workers_work(user):
            break
    erasure = Erasure.objects.filter(user=user).latest("pk")
    assert erasure.status == "ERASED", erasure.waits_for
    return erasure


def files_of(user, jobs):
    """What lies in the buckets for him."""
    mine = (f"uploads/{user.pk}/", *(f"results/{pk}/" for pk in jobs))
    listed = itertools.chain(objects("uploads").listing(), objects("results").listing())
    return {found.key for found in listed if found.key.startswith(mine)}


@pytest.fixture
def busy(make_archive, make_job, make_upload, researcher, make_staff):
    """A researcher with something of everything; the pk of his jobs."""
    hot = make_archive(researcher, due=False)
    archived, thawing = make_archive(researcher), make_archive(researcher)
    archived_only = make_archive(researcher)
    for row in (archived, thawing):
        assert settle(row).status == "ARCHIVED"
    assert change_plan(researcher, Plan.PREMIUM)
    for row in (archived, thawing):
        pass_time(row)
    take_step(thawing)
    Restoration.objects.update(status="SENT", sent_at=Now(), next_action_at=None)  # else a downgrade forgets it
    assert change_plan(researcher, Plan.FREE)
    assert Restoration.objects.filter(user=researcher).exists()
    end_window(archived_only)
    assert settle(archived_only).status == "ARCHIVED"
    Plan.objects.update(concurrent_jobs=None, monthly_jobs=None)
    pending, running, cancelled, deleted = (make_job(researcher, name=f"rosalind-{n}.vcf") for n in range(4))
    assert running.claim("a worker")
    assert cancelled.cancel()
    assert deleted.delete_soon()
    make_upload(researcher, name="rosalind-open.vcf")
    make_upload(researcher, name="rosalind-aborted.vcf").abort()
    unknown = Upload(owner=researcher, file_name="x.vcf", size=3, part_size=3)
    objects("uploads").begin_upload(unknown.key)  # killed before the row was there
    staff = make_staff("operator")
    for row, model in ((pending, Job), (pending.upload, Upload)):
        kind = ContentType.objects.get_for_model(model)
        named = {"object_repr": str(row), "change_message": str(row), "action_flag": CHANGE}
        LogEntry.objects.create(user=staff, content_type=kind, object_id=str(row.pk), **named)
    assert {hot.status, archived.status} <= {"HOT", "ARCHIVED", "RESTORING"}
    return list(Job.objects.filter(owner=researcher).values_list("pk", flat=True))


@pytest.mark.parametrize("kind", KINDS, indirect=True)
def test_nothing_is_left_anywhere(kind, busy, researcher, outsider, make_archive):
    theirs = make_archive(outsider)
    assert settle(theirs).status == "ARCHIVED"
    assert len(archives(kind)) > 1
    assert files_of(researcher, busy)
    Erasure.ask(researcher)
    erase(researcher)
    assert files_of(researcher, busy) == set()
    assert archives(kind) == {theirs.archive_id}
    assert not Job.objects.filter(owner=researcher).exists()
    assert not Upload.objects.filter(owner=researcher).exists()
    assert not Notification.objects.exclude(job__owner=outsider).exists()
    assert not Restoration.objects.exists()
    assert not MonthlyUse.objects.filter(user=researcher).exists()
    assert not ResultArchive.objects.exclude(pk=theirs.pk).exclude(status="DELETED", next_action_at=None).exists()
    assert not LogEntry.objects.exclude(object_repr="").exists()
    assert not LogEntry.objects.exclude(change_message="").exists()
    if kind == "local":  # what was begun there, too
        assert list(objects("uploads").unfinished.glob("*")) == []
    theirs.refresh_from_db()
    assert theirs.status == "ARCHIVED"
    assert User.objects.get(pk=outsider.pk).is_active


def test_it_waits_for_what_somebody_holds(busy, researcher):
    Erasure.ask(researcher)
    past = Now() - timedelta(seconds=1)
    Erasure.objects.update(due_at=past, next_action_at=past)
    erasure = Erasure.objects.get()
    account_tasks.erase_account(str(erasure.pk))
    erasure.refresh_from_db()
    assert erasure.status == "ERASING"
    running = Job.objects.get(owner=researcher, status="RUNNING")
    assert running.cancel_requested_at is not None
    assert erasure.waits_for == "1 jobs under way, 2 unfinished uploads, 4 archives"
    assert Job.objects.filter(owner=researcher, deleted_at=None).count() == 7  # archives are found by their jobs
    assert not running.heartbeat(1, 2)
    assert running.cancelled()
    erase(researcher)


# --- killed -----------------------------------------------------------------------------------------------------------


class Effects:
    """Numbers all that an erasure changes, and kills its worker before or after one of these."""

    def __init__(self, monkeypatch):
        self.at, self.after, self.done = -1, False, []
        for owner, name in (
            (Erasure, "_change"),
            (Job, "cancel"),
            (Job, "delete_soon"),
            (UploadModel, "abort"),
            (erasing, "close"),
            (erasing, "end_subscriptions"),
            (erasing, "_send"),
            (erasing, "leave_bare_row"),
            (type(objects("uploads")), "delete_prefix"),
        ):
            self._interpose(monkeypatch, owner, name)

    def _interpose(self, monkeypatch, owner, name):
        do = getattr(owner, name)

        def interposed(*args, **kwargs):
            number = len(self.done)
            self.done.append(name)
            self._kill_if(number, after=False)
            answer = do(*args, **kwargs)
            self._kill_if(number, after=True)
            return answer

        monkeypatch.setattr(owner, name, interposed)

    def _kill_if(self, number, *, after):
        if (self.at, self.after) == (number, after):
            self.at = -1
            raise Killed


def test_killed_anywhere(make_archive, make_job, make_upload, monkeypatch, mailoutbox):
    Plan.objects.update(concurrent_jobs=None, monthly_jobs=None)
    effects = Effects(monkeypatch)
    kills, done, twice = 0, set(), 0
    for at, after in ((at, after) for at in itertools.count() for after in (False, True)):
        user = User.objects.create_researcher(f"u{at}-{after}@example.org", "Somebody")
        settle(make_archive(user))
        make_job(user)
        make_upload(user)
        jobs = list(Job.objects.filter(owner=user).values_list("pk", flat=True))
        Erasure.ask(user)
        mailoutbox.clear()
        effects.at, effects.after, effects.done = at, after, []
        killed = False
        for _ in range(30):
            try:
                let_time_pass(user)
                if not workers_work(user):
                    break
            except Killed:
                killed = True
        effects.at = -1
        assert Erasure.objects.get(user=user).status == "ERASED", (effects.done, at, after)
        assert files_of(user, jobs) == set()
        assert archives("local") == set()
        assert not Job.objects.filter(owner=user).exists()
        assert User.objects.get(pk=user.pk).email == ""
        subjects = [mail.subject for mail in mailoutbox]
        assert subjects.count("[GAS] Your account is erased") in (1, 2)
        twice += len(subjects) > 1
        kills += killed
        done |= set(effects.done)
        if not killed:
            break
    assert kills > 20
    # only who dies between the mail server's yes and the note of it, or within that note, sends twice
    assert twice <= 2, twice
    assert done == {
        "_change", "cancel", "delete_soon", "abort", "close", "end_subscriptions", "_send", "leave_bare_row", "delete_prefix"
    }  # fmt: skip


# --- nothing new ------------------------------------------------------------------------------------------------------


def test_no_new_uploads_and_jobs_in_the_grace(make_upload, researcher):
    upload = Upload.objects.get(pk=make_upload(researcher).pk)
    erasure, _ = Erasure.ask(researcher)
    for begin in (lambda: Upload.start(researcher, "a.vcf", 10), upload.complete):
        with pytest.raises(Refused) as refused:
            begin()
        assert refused.value.code == "account_leaving"
    assert erasure.withdraw()
    assert upload.complete().status == "PENDING"


def test_no_upload_of_a_closed_account(researcher):
    erasing.close(researcher)
    with pytest.raises(Refused) as refused:
        Upload.start(researcher, "a.vcf", 10)
    assert refused.value.code == "account_leaving"
    assert not Upload.objects.exists()


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_an_upload_that_begins_at_this_moment(researcher, monkeypatch):
    """It holds the user's row: closing the account waits for it, and then finds the upload."""
    upload = Upload(owner=researcher, file_name="x.vcf", size=len(VCF), part_size=len(VCF), token="0" * 32)
    upload.expires_at = upload.next_action_at = Now() + timedelta(hours=1)
    closed = threading.Event()

    def close():
        erasing.close(researcher)
        closed.set()
        connection.close()

    thread = threading.Thread(target=close)
    with transaction.atomic():
        upload._open()
        thread.start()
        assert not closed.wait(0.3)
    thread.join()
    wait_until(closed.is_set, "the account is closed")
    assert Upload.objects.filter(owner=researcher).open().exists()
    with pytest.raises(Refused):
        Upload.start(researcher, "b.vcf", 10)
