"""Settings: complete in .env.example, loud when something is missing, strict in production."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings as django_settings

ROOT = Path(django_settings.BASE_DIR)
PRODUCTION = {
    "DEBUG": "0",
    "SECRET_KEY": "k" * 60,
    "FIELD_KEYS": "h0Wz1cV0l3n1mJ2g1tqv7p0XwWn9eZ0b3zq1r5s2u4A=",
    "DATABASE_URL": "postgres://gas@localhost/gas",
    "ALLOWED_HOSTS": "gas.example.org",
    "SITE_URL": "https://gas.example.org",
    "GLOBUS_CLIENT_ID": "id",
    "GLOBUS_CLIENT_SECRET": "secret",
    "AWS_REGION": "us-east-1",
    "S3_UPLOADS_BUCKET": "uploads",
    "S3_RESULTS_BUCKET": "results",
    "S3_ARCHIVE_BUCKET": "archive",
    "DEFAULT_FROM_EMAIL": "gas@example.org",
    "SUPPORT_EMAIL": "help@example.org",
}


def load(environment: dict[str, str], expression: str = "None") -> subprocess.CompletedProcess[str]:
    """Import the settings in a process that reads no .env of this machine."""
    code = f"import environ; environ.Env.read_env = lambda *a, **k: None\nimport gas.settings as s; print({expression})"
    clean = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")} | environment
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=clean, capture_output=True, text=True, check=False
    )


def test_every_setting_is_in_the_example():
    source = (ROOT / "gas/settings.py").read_text()
    read = set(re.findall(r'env\.\w+\(\s*"(\w+)"', source)) - {"AWS_DEFAULT_REGION"}
    named = set(re.findall(r"^(\w+)=", (ROOT / ".env.example").read_text(), re.M))
    assert named - read == {"GAS_REFERENCE_DIR"}  # the engine reads it, which knows no settings
    assert read <= named


def test_production_loads_with_what_the_example_calls_required():
    assert load(PRODUCTION).returncode == 0, load(PRODUCTION).stderr


@pytest.mark.parametrize("name", sorted(PRODUCTION.keys() - {"DEBUG", "ALLOWED_HOSTS"}))
def test_a_missing_secret_or_service_stops_production(name):
    answer = load({key: value for key, value in PRODUCTION.items() if key != name})
    assert answer.returncode != 0
    assert name in answer.stderr


@pytest.mark.parametrize("url", ["http://127.0.0.1:8001", "http://localhost:8001", "http://auth.globus.org"])
def test_production_never_points_at_the_stand_in(url):
    answer = load(PRODUCTION | {"GLOBUS_AUTH_URL": url})
    assert answer.returncode != 0
    assert "never to the stand-in" in answer.stderr


@pytest.mark.parametrize("endpoint", [{}, {"AWS_REGION": "eu-west-1"}, {"AWS_ENDPOINT_URL": "http://127.0.0.1:9000"}])
def test_the_browser_may_send_slices_to_the_uploads_bucket(endpoint):
    storage = "__import__('gas.aws.s3').aws.s3.S3ObjectStorage(bucket_name='uploads', region_name=s.AWS_REGION)"
    setup = "__import__('os').environ.setdefault('DJANGO_SETTINGS_MODULE', 'gas.settings')"
    expression = f"{setup} and s.CONTENT_SECURITY_POLICY['DIRECTIVES']['connect-src'][1] == {storage}.browser_origin()"
    assert load(PRODUCTION | endpoint, expression).stdout == "True\n"


@pytest.mark.parametrize("share", ["-0.1", "1.1", "ten"])
def test_the_share_of_differing_refs_is_a_share(share):
    answer = load(PRODUCTION | {"GAS_MAX_REF_MISMATCH": share})
    assert answer.returncode != 0
    assert "GAS_MAX_REF_MISMATCH" in answer.stderr


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({"VAULT": "tape"}, "it is local, s3 or glacier"),
        ({"VAULT": "glacier"}, "Set GLACIER_VAULT"),
        ({"S3_ARCHIVE_BUCKET": "results"}, "all that is in it counts as an archive"),
        ({"S3_ARCHIVE_CLASS": "GLACIER_IR"}, "it is GLACIER or DEEP_ARCHIVE"),
        ({"RETRIEVAL_TIERS": "Expedited,Fast"}, "it lists some of Expedited,Standard,Bulk"),
        ({"S3_ARCHIVE_CLASS": "DEEP_ARCHIVE", "RETRIEVAL_TIERS": "Expedited"}, "add Standard to RETRIEVAL_TIERS"),
        ({"S3_RESTORE_DAYS": "0"}, "at least 1 day"),
        (
            {"STORAGE": "local", "VAULT": "local", "S3_ARCHIVE_BUCKET": "", "RESTORE_EVENTS_QUEUE_URL": "https://q"},
            "whose events these are",
        ),
        ({"LOCAL_VAULT_DELAYS": "Expedited=5"}, "Expedited=5,Standard=30,Bulk=60"),
        ({"STORAGE": "local", "BROKER": "memory", "VAULT": "s3", "AWS_REGION": ""}, "Set AWS_REGION"),
    ],
)
def test_a_vault_that_cannot_be(setting, told):
    answer = load(PRODUCTION | setting)
    assert answer.returncode != 0
    assert told in answer.stderr


def test_vaults():
    delays = {"LOCAL_VAULT_DELAYS": "Expedited=1,Standard=2.5,Bulk=0"}
    expression = "s.VAULT, sorted(s.VAULTS), s.VAULTS['s3']['OPTIONS']['bucket_name'], s.LOCAL_VAULT_DELAYS"
    answer = load(PRODUCTION | delays | {"GLACIER_VAULT": "old"}, expression)
    told = "s3 ['glacier', 'local', 's3'] archive {'Expedited': 1.0, 'Standard': 2.5, 'Bulk': 0.0}\n"
    assert answer.stdout == told
    assert load(PRODUCTION | {"STORAGE": "local", "S3_ARCHIVE_BUCKET": ""}, "s.VAULT").stdout == "local\n"


def test_debug_is_off_unless_said():
    assert load({key: value for key, value in PRODUCTION.items() if key != "DEBUG"}, "s.DEBUG").stdout == "False\n"


def test_production_hardens_the_browsers_side():
    expression = (
        "s.SESSION_COOKIE_NAME, s.CSRF_COOKIE_NAME, s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE, s.SECURE_SSL_REDIRECT, "
        "s.SECURE_HSTS_SECONDS, s.SESSION_COOKIE_SAMESITE"
    )
    assert load(PRODUCTION, expression).stdout == ("__Host-sessionid __Host-csrftoken True True True 31536000 Lax\n")


PAYMENT = {"STRIPE_SECRET_KEY": "sk_live_1", "STRIPE_WEBHOOK_SECRET": "whsec_1", "STRIPE_PRICE": "price_1"}


@pytest.mark.parametrize("name", PAYMENT)
def test_payment_is_configured_whole_or_not_at_all(name):
    rest = {key: value for key, value in PAYMENT.items() if key != name}
    one, two = load(PRODUCTION | rest), load(PRODUCTION | {name: PAYMENT[name]})
    assert one.returncode != 0
    assert f"Set {name} too" in one.stderr
    assert two.returncode != 0
    assert f"Set {' and '.join(rest)} too" in two.stderr
    assert "sk_live_1" not in (one.stderr + two.stderr)


def test_forms_lead_to_stripe_only_where_it_is_configured():
    pages = "s.CONTENT_SECURITY_POLICY['DIRECTIVES']['form-action'][2:]"
    assert load(PRODUCTION, pages).stdout == "[]\n"
    expected = "['https://checkout.stripe.com', 'https://billing.stripe.com']\n"
    assert load(PRODUCTION | PAYMENT, pages).stdout == expected


def test_the_stand_in_takes_the_place_of_stripe():
    expression = "s.CONTENT_SECURITY_POLICY['DIRECTIVES']['form-action'][2:], s.STRIPE_API_BASE, s.STRIPE_SECRET_KEY"
    answer = load(PRODUCTION | PAYMENT | {"DEBUG": "1", "FAKESTRIPE_PORT": "8102"}, expression)
    assert answer.stdout == "['http://127.0.0.1:8102'] http://127.0.0.1:8102 sk_test_stand_in\n"


def test_production_never_takes_the_stand_in_for_stripe():
    answer = load(PRODUCTION | PAYMENT | {"FAKESTRIPE_PORT": "8102"})
    assert answer.returncode != 0
    assert "payment must go to Stripe" in answer.stderr
