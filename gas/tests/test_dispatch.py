"""The dispatcher: a hint for each due row, none for others, ever fewer for rows that do not move."""

import os
import signal
import subprocess
import sys
from datetime import timedelta
from io import StringIO

import dramatiq
import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.db import DatabaseError
from django.db.models.functions import Now
from django.utils import timezone

from gas import embedded
from gas.embedded import Dispatcher
from gas.hints import dispatch_due, send_hint
from jobs.models import Job, Upload
from jobs.models.job import Result


def due(row) -> None:
    type(row).objects.filter(pk=row.pk).update(next_action_at=Now() - timedelta(seconds=1))


def test_only_due_rows_get_a_hint(researcher, make_job, hints):
    job, other = make_job(researcher), make_job(researcher)
    due(job)
    assert dispatch_due() == 1
    assert hints("annotate") == 1
    queue = dramatiq.get_broker().queues["annotate"]
    message = dramatiq.Message.decode(queue.get_nowait())
    queue.task_done()
    assert (message.actor_name, message.args) == ("annotate_job", (str(job.pk),))
    assert other.status == "PENDING"


def test_each_kind_of_row_gets_its_own_actor(researcher, make_job, make_upload, hints):
    upload, job, deleted = make_upload(researcher), make_job(researcher), make_job(researcher)
    job.claim("w")
    job.complete(Result("r", 1, "a" * 64, "i", "l", 1, "b" * 64, {}))
    deleted.delete_soon()
    for row in (upload, job.notifications.get(), deleted):
        due(row)
    assert dispatch_due() == 3
    assert (hints("clean"), hints("notify"), hints("annotate")) == (2, 1, 0)


def test_a_row_that_does_not_move_gets_ever_fewer_hints(researcher, make_job):
    job, pauses = make_job(researcher), []
    for _ in range(6):
        due(job)
        assert dispatch_due() == 1
        job.refresh_from_db()
        pauses.append(round((job.next_action_at - timezone.now()).total_seconds()))
    assert pauses == [5, 10, 20, 40, 60, 60]
    job.claim("w")
    assert job.hints == 0


def test_two_dispatchers_send_one_hint(researcher, make_job):
    job = make_job(researcher)
    due(job)
    first, second = Job.objects.get(), Job.objects.get()
    assert first.postpone()
    assert not second.postpone()


def test_a_queue_out_of_reach_changes_nothing_but_the_delay(researcher, make_job, monkeypatch):
    def down(*_, **__):
        raise dramatiq.errors.ConnectionClosed("down")

    monkeypatch.setattr(dramatiq.get_broker(), "enqueue", down)
    job = make_job(researcher)
    send_hint(job)
    due(job)
    assert dispatch_due() == 1
    assert Job.objects.get().status == "PENDING"


def test_a_database_out_of_reach_does_not_end_the_dispatcher(monkeypatch):
    def down():
        raise DatabaseError("gone")

    monkeypatch.setattr(embedded, "dispatch_due", down)
    monkeypatch.setattr(embedded.connection, "close", lambda: None)
    assert Dispatcher().round() == 0


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_once_does_the_work_itself_when_the_broker_is_in_memory(researcher, make_upload):
    make_upload(researcher)
    Upload.objects.update(expires_at=Now(), next_action_at=Now())
    out = StringIO()
    call_command("dispatch", "--once", stdout=out)
    assert out.getvalue() == "1 hints sent\n"
    assert not Upload.objects.exists()


def test_the_loop_ends_cleanly_on_sigterm(tmp_path):
    environment = os.environ | {"VAR_DIR": str(tmp_path)}
    command = [sys.executable, "manage.py", "dispatch"]
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "-v0"],
        cwd=django_settings.BASE_DIR,
        env=environment,
        check=True,
    )
    process = subprocess.Popen(
        command, cwd=django_settings.BASE_DIR, env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "Dispatching every 5 s\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 0
    process.stdout.close()
