"""Fixtures for all tests: a database file, folders and hints of the test's own."""

import time
import uuid
from pathlib import Path

import dramatiq
import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.test import Client

from accounts.models import Plan, User
from gas.objects import objects
from gas.testing.archive_server import ArchiveServer
from gas.testing.aws import LocalAWS
from gas.vaults import vault
from jobs.models import Job, Upload

HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
VCF = (HEADER + "MT\t3243\t.\tA\tG\t.\t.\t.\nMT\t8993\t.\tT\tG\t.\t.\t.\nMT\t11778\t.\tG\tA\t.\t.\t.\n").encode()


def pytest_addoption(parser):
    parser.addoption("--renew-golden", action="store_true", help="store what results are now as what they should be")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix, tmp_path_factory):
    """SQLite in a file of its own: threads then meet the locks that they meet in the embedded default."""
    database = django_settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        database.setdefault("TEST", {})["NAME"] = str(tmp_path_factory.mktemp("database") / "test.sqlite3")


@pytest.fixture(autouse=True)
def rows_of_migrations(django_db_serialized_rollback):
    """The plans, which migrations wrote, are there after a test that emptied all tables too."""


@pytest.fixture(autouse=True)
def own_folders(settings, tmp_path):
    cache.clear()
    settings.VAR_DIR = tmp_path
    settings.SCRATCH_DIR = tmp_path / "scratch"
    settings.EMAIL_FILE_PATH = tmp_path / "mail"
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": plain,
    }  # a new dictionary: storages are made anew


@pytest.fixture(autouse=True)
def hints():
    """The in-memory broker, empty: `hints("annotate")` counts the messages of a queue."""
    broker = dramatiq.get_broker()
    broker.flush_all()
    yield lambda queue: broker.queues[queue].qsize()
    broker.flush_all()


@pytest.fixture
def researcher(db) -> User:
    return User.objects.create_researcher("rosalind@example.org", "Rosalind Free")


@pytest.fixture
def outsider(db) -> User:
    return User.objects.create_researcher("outsider@example.org", "Oscar Outsider")


@pytest.fixture
def premium(db) -> User:
    user = User.objects.create_researcher("premium@example.org", "Petra Premium")
    user.profile.plan = Plan.objects.get(pk=Plan.PREMIUM)
    user.profile.save()
    return user


STAFF_PASSWORD = "a long password of the desk"


@pytest.fixture
def make_staff(db):
    """A staff account with a role ("support", "operator"; None for a superuser), a local password and no second factor."""

    def make(role: str | None = None, email: str | None = None) -> User:
        email = email or f"{role or 'super'}@desk.example.org"
        user = User.objects.create_user(email=email, password=STAFF_PASSWORD, is_staff=True, is_superuser=role is None)
        if role:
            user.groups.add(Group.objects.get(name=role))
        return user

    return make


@pytest.fixture
def desk(make_staff):
    """A client signed in as staff that has just passed a second factor: `desk("support")`; `.user` is who."""

    def sign_in(role: str | None = None, *, second_factor: bool = True, user: User | None = None) -> Client:
        client = Client()
        client.user = user or make_staff(role)
        client.force_login(client.user, backend="allauth.account.auth_backends.AuthenticationBackend")
        session = client.session
        methods = [{"method": "password", "at": time.time()}]
        if second_factor:
            methods.append({"method": "mfa", "type": "totp", "at": time.time()})
        session["account_authentication_methods"] = methods
        session["account_authentication_methods_user"] = str(client.user.pk)
        session.save()
        return client

    return sign_in


@pytest.fixture
def admin_client(desk):
    """A superuser, second factor and all."""
    return desk()


@pytest.fixture
def fresh():
    """`fresh(client)` opens what is behind step-up in a client's session; `fresh(client, False)` closes it."""

    def set_age(client: Client, is_fresh: bool = True) -> Client:
        session = client.session
        at = time.time() if is_fresh else 0
        session["account_authentication_methods"] = [{"method": "socialaccount", "at": at, "provider": "globus"}]
        session["account_authentication_methods_user"] = session["_auth_user_id"]
        session.save()
        return client

    return set_age


@pytest.fixture
def make_upload(tmp_path):
    """An open upload session whose file is whole in the store."""

    def make(owner: User, content: bytes = VCF, name: str = "test.vcf") -> Upload:
        path: Path = tmp_path / "to-upload"
        path.write_bytes(content)
        upload = Upload.start(owner, name, len(content))
        objects("uploads").put_file(upload.key, path)
        return upload

    return make


@pytest.fixture
def make_job(make_upload):
    """A PENDING job."""

    def make(owner: User, content: bytes = VCF, name: str = "test.vcf") -> Job:
        return make_upload(owner, content, name).complete()

    return make


@pytest.fixture(scope="session")
def aws_server():
    with LocalAWS() as server:
        yield server


@pytest.fixture
def local_aws(aws_server, monkeypatch):
    """A local S3 and SQS, with this process's environment pointing to it."""
    for name, value in aws_server.environment.items():
        monkeypatch.setenv(name, value)
    return aws_server


@pytest.fixture(scope="session")
def archive_server(aws_server, tmp_path_factory):
    with ArchiveServer(aws_server, tmp_path_factory.mktemp("archive-server")) as server:
        yield server


@pytest.fixture
def vaults(archive_server, settings, monkeypatch):
    """All three vaults, empty; returns the stand-in that s3 and glacier are on, free of faults."""
    for name, value in archive_server.environment.items():
        monkeypatch.setenv(name, value)
    archive_server.reset()
    region = archive_server.aws.region
    s3 = {"bucket_name": "archive", "region_name": region}  # the same options: their clients are made only once
    glacier = {"vault_name": "archive", "region_name": region}
    settings.VAULTS = {
        "local": {"BACKEND": "gas.vaults.LocalVault"},
        "s3": {"BACKEND": "gas.aws.s3_vault.S3Vault", "OPTIONS": s3},
        "glacier": {"BACKEND": "gas.aws.glacier.GlacierVault", "OPTIONS": glacier},
    }
    monkeypatch.setattr(vault("s3"), "bucket_name", f"archive-{uuid.uuid4().hex}")
    monkeypatch.setattr(vault("glacier"), "vault_name", f"archive-{uuid.uuid4().hex}")
    vault("s3").client.create_bucket(Bucket=vault("s3").bucket_name)
    vault("glacier").client.create_vault(vaultName=vault("glacier").vault_name)
    return archive_server
