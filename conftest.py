"""Fixtures for all tests: a database file, folders and hints of the test's own."""

from pathlib import Path

import dramatiq
import pytest
from django.conf import settings as django_settings

from accounts.models import Plan, User
from gas.objects import objects
from jobs.models import Job, Upload

HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
VCF = (HEADER + "MT\t3243\t.\tA\tG\t.\t.\t.\nMT\t8993\t.\tT\tG\t.\t.\t.\nMT\t11778\t.\tG\tA\t.\t.\t.\n").encode()


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
