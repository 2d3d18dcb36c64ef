"""The stand-in itself: as strict as Globus where tests rely on it, and there for development only."""

import hashlib
import os
import subprocess
import sys
from urllib.parse import urlencode

import pytest
import requests
from allauth.account.models import EmailAddress
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from social_django.models import UserSocialAuth

from accounts.fakeglobus import FREE, PREMIUM, FakeGlobus, Identity
from accounts.fakeglobus.seeding import seed_premium_identity
from accounts.fakeglobus.tokens import base64url
from accounts.models import Plan, User
from accounts.tests.conftest import query_of

BACK = "http://localhost:8000/auth/complete/globus/"
VERIFIER = "v" * 64
CHALLENGE = base64url(hashlib.sha256(VERIFIER.encode()).digest())

PRODUCTION = {
    "DEBUG": "0",
    "SITE_URL": "https://gas.example.org",
    "DATABASE_URL": "sqlite://:memory:",
    "AWS_REGION": "us-east-1",
    "S3_UPLOADS_BUCKET": "u",
    "S3_RESULTS_BUCKET": "r",
    "S3_ARCHIVE_BUCKET": "a",
    "DEFAULT_FROM_EMAIL": "gas@example.org",
    "SUPPORT_EMAIL": "support@example.org",
    "GLOBUS_CLIENT_ID": "id",
    "GLOBUS_CLIENT_SECRET": "secret",
    "SECRET_KEY": "k" * 60,
    "FIELD_KEYS": "h0Wz1cV0l3n1mJ2g1tqv7p0XwWn9eZ0b3zq1r5s2u4A=",
}


@pytest.fixture
def provider():
    provider = FakeGlobus(redirect_uris=[BACK], debug=True).start()
    yield provider
    provider.stop()


def authorize(provider, **changes):
    query = {
        "client_id": "dev-client",
        "redirect_uri": BACK,
        "response_type": "code",
        "scope": "openid profile email",
        "state": "s",
        "code_challenge_method": "S256",
        "code_challenge": CHALLENGE,
    }
    return f"{provider.issuer}/v2/oauth2/authorize?{urlencode(query | changes)}"


def redeem(provider, code, secret="dev-secret", **changes):
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": VERIFIER}
    url = f"{provider.issuer}/v2/oauth2/token"
    return requests.post(url, form | changes, auth=("dev-client", secret), timeout=10)


def sign_in(provider, form, **changes):
    answer = requests.post(authorize(provider, **changes), form, allow_redirects=False, timeout=10)
    return query_of(answer.headers["Location"])


def test_does_not_start_with_debug_off(settings):
    settings.DEBUG = False
    with pytest.raises(ImproperlyConfigured, match="DEBUG"):
        FakeGlobus(redirect_uris=[BACK])
    with pytest.raises(ImproperlyConfigured, match="DEBUG"):
        seed_premium_identity()
    settings.DEBUG = True
    provider = FakeGlobus(redirect_uris=[BACK]).start()
    provider.stop()


@pytest.mark.parametrize("debug", ["0", "1"])
def test_program_starts_with_debug_on_only(debug):
    command = [sys.executable, "-m", "accounts.fakeglobus", "--port", "0", "--redirect", BACK]
    process = subprocess.Popen(
        command,
        env=os.environ | PRODUCTION | {"DEBUG": debug, "GLOBUS_AUTH_URL": "https://auth.globus.org"},
        cwd=django_settings.BASE_DIR,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        if debug == "1":
            assert process.stdout.readline().startswith("The stand-in for Globus is at http://127.0.0.1:")
            process.terminate()
        else:
            assert "only with DEBUG on" in process.communicate(timeout=60)[1]
            assert process.returncode == 1


def test_listens_on_loopback_only(provider):
    assert provider.issuer.startswith("http://127.0.0.1:")


def test_page_says_what_it_is_and_offers_the_two_researchers(provider):
    page = requests.get(authorize(provider), timeout=10)
    assert "This is not Globus" in page.text
    for identity in (FREE, PREMIUM):
        assert f'value="{identity.sub}"' in page.text
    style = requests.get(f"{provider.issuer}/style.css", timeout=10)
    assert style.headers["Content-Type"].startswith("text/css")


def test_any_other_person_is_the_same_after_a_restart(provider):
    person = {"name": "Grace <Hopper>", "email": "Grace@example.org", "organization": "Navy"}
    code = sign_in(provider, person)["code"]
    token = redeem(provider, code).json()["access_token"]
    where, bearer = f"{provider.issuer}/v2/oauth2/userinfo", {"Authorization": f"Bearer {token}"}
    claims = requests.get(where, headers=bearer, timeout=10).json()
    assert claims["sub"] == Identity.of("Another Name", "grace@EXAMPLE.org", "").sub
    assert (claims["name"], claims["email"]) == ("Grace <Hopper>", "Grace@example.org")
    assert "email_verified" not in claims
    assert "identity_set" not in claims  # its scope was not asked for


@pytest.mark.parametrize("person", [{"name": "X", "email": "no-address"}, {"name": " ", "email": "x@example.org"}, {}])
def test_person_without_name_or_address_is_asked_again(provider, person):
    answer = requests.post(authorize(provider), person, timeout=10)
    assert answer.status_code == 400
    assert "valid e-mail address" in answer.text


@pytest.mark.parametrize(
    "changes",
    [{"client_id": "another"}, {"redirect_uri": "https://evil.example/"}, {"redirect_uri": BACK + "x"}],
)
def test_unknown_client_or_address_gets_no_code(provider, changes):
    answer = requests.post(authorize(provider, **changes), {"identity": FREE.sub}, allow_redirects=False, timeout=10)
    assert answer.status_code == 400


@pytest.mark.parametrize("changes", [{"code_challenge": ""}, {"code_challenge_method": "plain"}])
def test_pkce_is_demanded(provider, changes):
    assert sign_in(provider, {"identity": FREE.sub}, **changes)["error"] == "invalid_request"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 200),
        ({"code_verifier": "w" * 64}, 400),
        ({"code_verifier": ""}, 400),
        ({"redirect_uri": BACK + "x"}, 400),
        ({"secret": "wrong"}, 401),
    ],
)
def test_code_is_redeemed_by_whoever_began(provider, changes, status):
    code = sign_in(provider, {"identity": FREE.sub})["code"]
    assert redeem(provider, code, **changes).status_code == status
    assert redeem(provider, code).status_code == (200 if changes == {"secret": "wrong"} else 400)  # once


def test_remembers_the_person_unless_asked_to_sign_in_anew(provider):
    session = requests.Session()
    session.post(authorize(provider), {"identity": FREE.sub}, allow_redirects=False, timeout=10)
    assert session.get(authorize(provider), allow_redirects=False, timeout=10).status_code == 302
    assert session.get(authorize(provider, prompt="login"), allow_redirects=False, timeout=10).status_code == 200
    session.close()


def test_methods_and_paths_it_does_not_know(provider):
    assert requests.get(f"{provider.issuer}/v2/oauth2/token/revoke", timeout=10).status_code == 405
    assert requests.get(f"{provider.issuer}/nowhere", timeout=10).status_code == 404
    assert requests.post(f"{provider.issuer}/v2/oauth2/token/revoke", {"token": "x"}, timeout=10).status_code == 401


def test_signed_out_page_links_back_to_its_client_only(provider):
    where = f"{provider.issuer}/v2/web/logout"
    ours = requests.get(where, {"redirect_uri": "http://localhost:8000/", "redirect_name": "GAS"}, timeout=10).text
    assert 'href="http://localhost:8000/"' in ours
    for other in ("javascript:alert(1)", "https://evil.example/"):
        assert other not in requests.get(where, {"redirect_uri": other}, timeout=10).text


def test_premium_researcher_is_premium_from_the_first_sign_in(db):
    user = seed_premium_identity(debug=True)
    assert seed_premium_identity(debug=True) == user
    assert User.objects.count() == 1
    assert user.plan.code == Plan.PREMIUM
    assert user.profile.completed_at is None
    assert user.mail_address == PREMIUM.email
    assert list(EmailAddress.objects.values_list("user", "email", "verified")) == [(user.pk, PREMIUM.email, True)]
    assert UserSocialAuth.objects.get().uid == PREMIUM.sub


def test_premium_researcher_whose_address_somebody_else_has(db):
    User.objects.create_researcher(PREMIUM.email)
    assert seed_premium_identity(debug=True).mail_address == ""


def test_seeded_account_is_the_one_that_signs_in(browser):
    user = seed_premium_identity(debug=True)
    browser.sign_in(PREMIUM.sub)
    browser.complete_profile(full_name=PREMIUM.name, email=PREMIUM.email)
    assert User.objects.get() == user
    assert User.objects.get().plan.code == Plan.PREMIUM


@pytest.mark.parametrize(
    ("address", "accepted"),
    [
        ("http://127.0.0.1:8001", False),
        ("http://auth.globus.org", False),
        ("https://auth.globus.org", True),
        ("", False),
    ],
)
def test_production_settings_do_not_point_at_the_stand_in(address, accepted):
    finished = subprocess.run(
        [
            sys.executable,
            "-c",
            "from django.conf import settings; print(settings.SOCIAL_AUTH_GLOBUS_ID_TOKEN_ISSUER)",
        ],
        env=os.environ | PRODUCTION | {"GLOBUS_AUTH_URL": address, "DJANGO_SETTINGS_MODULE": "gas.settings"},
        cwd=django_settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (finished.returncode == 0) is accepted
    if accepted:
        assert finished.stdout.strip() == address  # and the issuer is pinned to it
    else:
        assert "never to the stand-in" in finished.stderr.replace("\n", " ")
