"""What a browser is told in production: every cookie and header of the security checklist, as they leave the site.

The site runs with its production settings in a process of its own; each line here fails when its setting is taken away.
"""

import json
import subprocess
import sys

import pytest
from allauth.account.adapter import get_adapter
from django.conf import settings as django_settings

from gas.tests.test_settings import PRODUCTION

VISIT = """
import environ
environ.Env.read_env = lambda *a, **k: None
import django
from django.conf import settings
settings.DATABASES["default"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
cache = settings.CACHES["default"]["BACKEND"]
settings.CACHES["default"] = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
settings.LOGGING["root"]["level"] = "ERROR"
django.setup()
import json
from django.core.management import call_command
from django.test import Client
from accounts.models import User
call_command("migrate", verbosity=0)
client = Client(headers={"host": "gas.example.org"})
plain = client.get("/login/")
proxied = client.get("/login/", headers={"x-forwarded-proto": "https"})
page = client.get("/login/", secure=True)
user = User.objects.create_researcher("rosalind@example.org")
client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
client.post("/profile/", {"full_name": "R", "email": "rosalind@example.org", "institution": "X"}, secure=True)
signed_in = client.get("/profile/", secure=True)
print(json.dumps({
    "plain": [plain.status_code, plain.headers.get("Location")],
    "headers": {name.lower(): value for name, value in page.headers.items()},
    "signed_in": {name.lower(): value for name, value in signed_in.headers.items()},
    "cookies": {name: {k: morsel[k] for k in ("secure", "httponly", "samesite", "path", "domain")}
                for name, morsel in [*page.cookies.items(), *client.cookies.items()]},
    "via_proxy": proxied.status_code,
    "cache": cache,
    "messages": settings.MESSAGE_STORAGE.rpartition(".")[2],
    "csp": settings.CONTENT_SECURITY_POLICY["DIRECTIVES"],
    "session_engine": settings.SESSION_ENGINE,
    "globus": settings.GLOBUS_AUTH_URL,
}))
"""


@pytest.fixture(scope="module")
def visit():
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", VISIT],
        cwd=django_settings.BASE_DIR,
        env={"PATH": "/usr/bin:/bin", "DJANGO_SETTINGS_MODULE": "gas.settings", **PRODUCTION},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout.splitlines()[-1])


def test_http_is_led_to_https(visit):
    assert visit["plain"] == [301, "https://gas.example.org/login/"]


def test_the_load_balancer_says_what_was_https(visit):
    assert visit["via_proxy"] == 200


@pytest.mark.parametrize("name", ["__Host-sessionid", "__Host-csrftoken"])
def test_cookies(visit, name):
    wanted = {"secure": True, "httponly": True, "samesite": "Lax", "path": "/", "domain": ""}
    assert visit["cookies"][name] == wanted


def test_no_other_cookie(visit):
    assert visit["cookies"].keys() == {"__Host-sessionid", "__Host-csrftoken"}
    assert visit["messages"] == "SessionStorage"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("strict-transport-security", "max-age=31536000; includeSubDomains; preload"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), microphone=(), geolocation=()"),
    ],
)
def test_headers(visit, name, value):
    assert visit["headers"][name] == value
    assert visit["signed_in"][name] == value


def test_a_page_of_a_person_is_in_no_cache(visit):
    assert "no-store" in visit["signed_in"]["cache-control"]


def test_content_security_policy(visit):
    told = dict(part.strip().split(" ", 1) for part in visit["headers"]["content-security-policy"].split(";"))
    assert told["default-src"] == "'none'"
    for name in ("script-src", "style-src", "font-src"):
        assert told[name] == "'self'"
    for name in ("base-uri", "object-src", "frame-ancestors"):
        assert told[name] == "'none'"
    assert told["img-src"] == "'self' data:"
    assert told["form-action"] == f"'self' {visit['globus']}"
    assert not any(loose in str(told) for loose in ("unsafe", "*", "http:"))


def test_rate_limits_and_one_time_codes_are_shared_by_all_processes(visit):
    assert visit["cache"] == "django.core.cache.backends.db.DatabaseCache"
    assert visit["session_engine"] == "django.contrib.sessions.backends.db"


@pytest.mark.parametrize(("proxies", "address"), [(0, "10.0.0.9"), (1, "198.51.100.7"), (2, "203.0.113.5")])
def test_the_address_behind_proxies(rf, settings, proxies, address):
    """With a wrong count all visitors share one rate limit, or each chooses his own."""
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = proxies
    request = rf.get("/", headers={"x-forwarded-for": "203.0.113.5, 198.51.100.7"}, REMOTE_ADDR="10.0.0.9")
    assert get_adapter().get_client_ip(request) == address
