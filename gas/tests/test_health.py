import pytest
from django.db import DatabaseError, connection
from django.test import Client

from gas.objects import StorageUnavailable, objects


@pytest.fixture
def probe():
    """As a load balancer asks: plain http, by an address that is none of ours."""
    return Client(headers={"host": "10.0.0.7:8000"})


def test_alive_without_a_database(probe):
    """No `db` fixture: a query would fail the test."""
    answer = probe.get("/livez")
    assert (answer.status_code, answer.json()) == (200, {"process": "ok"})


def test_ready(probe, db, settings):
    settings.SECURE_SSL_REDIRECT = True
    answer = probe.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"database": "ok", "migrations": "ok", "storage": "ok"})
    assert not answer.cookies


def test_database_out_of_reach(probe, db, monkeypatch):
    def refused(*_):
        raise DatabaseError("password=secret")

    with monkeypatch.context() as patch:
        patch.setattr(connection, "cursor", refused)
        answer = probe.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"database": "out of reach", "migrations": "out of reach", "storage": "ok"}


def test_storage_out_of_reach(probe, db, monkeypatch):
    def refused(*_):
        raise StorageUnavailable("no route")

    monkeypatch.setattr(objects("uploads"), "exists", refused)
    answer = probe.get("/readyz")
    assert (answer.status_code, answer.json()["storage"]) == (503, "out of reach")


def test_a_migration_is_missing(probe, db):
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'archive'")
    answer = probe.get("/readyz")
    assert (answer.status_code, answer.json()["migrations"]) == (503, "missing: run manage.py migrate")
