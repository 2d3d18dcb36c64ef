"""A browser without JavaScript, the running site, and a Globus that can be told to go wrong."""

import json
import logging
import re
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
import requests
from django.core.cache import cache

from accounts.fakeglobus import FREE, FakeGlobus
from accounts.fakestripe import FakeStripe

FAULTS = [  # each makes Globus's answer one that nobody may be signed in by
    {"nonce"}, {"aud"}, {"iss"}, {"at_hash"}, {"expired"}, {"stale"}, {"alg_none"}, {"hs256"}, {"bad_signature"},
    {"no_id_token"}, {"userinfo_sub"}, {"token_down"}, {"discovery_iss", "iss"},
]  # fmt: skip
HOSTILE = [
    "https://evil.example/",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "http:evil.example",
    "javascript:alert(1)",
    "https://localhost@evil.example/",
    "\thttps://evil.example",
]


@pytest.fixture(autouse=True)
def no_rate_limits_left_over():
    cache.clear()


@pytest.fixture
def security_log(caplog):
    """The security events so far."""
    caplog.set_level(logging.INFO, "gas.security")
    return lambda: [json.loads(line.message) for line in caplog.records if line.name == "gas.security"]


@pytest.fixture
def globus(live_server, settings):
    """The stand-in, which the running site takes for Globus."""
    provider = FakeGlobus(redirect_uris=[f"{live_server.url}/auth/complete/globus/"], debug=True).start()
    settings.GLOBUS_AUTH_URL = provider.issuer
    settings.SOCIAL_AUTH_GLOBUS_OIDC_ENDPOINT = settings.SOCIAL_AUTH_GLOBUS_ID_TOKEN_ISSUER = provider.issuer
    yield provider
    provider.stop()


@pytest.fixture
def new_browser(live_server, globus):
    browsers = []

    def make() -> Browser:
        browsers.append(Browser(live_server.url))
        return browsers[-1]

    yield make
    for browser in browsers:
        browser.session.close()


@pytest.fixture
def browser(new_browser):
    return new_browser()


class Browser:
    """Follows no redirect by itself: a test says where each should lead."""

    def __init__(self, site: str) -> None:
        self.site, self.session = site, requests.Session()

    def get(self, path: str) -> requests.Response:
        return self.session.get(urljoin(self.site, path), allow_redirects=False, timeout=20)

    def post(self, path: str, data=None, page: str | None = None) -> requests.Response:
        """Send the form of `page` (by default the page at `path`) with its CSRF token."""
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.get(page or path).text)
        assert token, f"no form on {page or path}"
        return self.post_bare(path, {**(data or {}), "csrfmiddlewaretoken": token.group(1)})

    def post_bare(self, path: str, data=None) -> requests.Response:
        where = urljoin(self.site, path)
        return self.session.post(where, data, headers={"Referer": self.site}, allow_redirects=False, timeout=20)

    def begin(self, next_page: str | None = None) -> str:
        """Ask to sign in; the address at Globus."""
        data = {} if next_page is None else {"next": next_page}
        answer = self.post("/auth/login/globus/", data, page="/profile/" if self.is_signed_in else "/login/")
        assert answer.status_code == 302, answer.status_code
        return answer.headers["Location"]

    def begin_step_up(self, next_page: str = "/profile/") -> str:
        """Ask to show who one is; the address at Globus."""
        answer = self.post("/step-up/", {"next": next_page})
        assert answer.status_code == 302, answer.status_code
        return answer.headers["Location"]

    def choose(self, address: str, sub: str = FREE.sub) -> str:
        """Sign in at Globus; the address that leads back."""
        answer = self.session.post(address, {"identity": sub}, allow_redirects=False, timeout=20)
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]

    def sign_in(self, sub: str = FREE.sub, next_page: str | None = None) -> str:
        """All of it; where it ends."""
        answer = self.get(self.choose(self.begin(next_page), sub))
        assert answer.status_code == 302, answer.status_code
        return answer.headers["Location"]

    def complete_profile(self, **fields: str) -> requests.Response:
        person = {"full_name": FREE.name, "email": FREE.email, "institution": FREE.organization}
        return self.post("/profile/", person | fields)

    @property
    def session_key(self) -> str | None:
        return self.session.cookies.get("sessionid")

    @property
    def is_signed_in(self) -> bool:
        return self.get("/profile/").status_code == 200


def query_of(address: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


@pytest.fixture
def stripe(settings):
    """The stand-in for Stripe, which GAS takes for Stripe; its events stay with it."""
    provider = FakeStripe(debug=True).start()
    settings.STRIPE_API_BASE = provider.url
    settings.STRIPE_SECRET_KEY, settings.STRIPE_WEBHOOK_SECRET = "sk_test_stand_in", "whsec_stand_in"
    settings.STRIPE_PRICE = "price_stand_in"
    settings.SITE_URL = "https://gas.example.org"
    yield provider
    provider.stop()
