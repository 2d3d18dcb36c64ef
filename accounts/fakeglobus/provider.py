"""What the stand-in answers, endpoint by endpoint."""

import hashlib
import secrets
import time
from base64 import b64decode
from collections import deque
from collections.abc import Callable
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from accounts.fakeglobus.identities import FREE, PREMIUM, Identity
from accounts.fakeglobus.tokens import Grant, TokenStore, base64url, new_key
from accounts.fakeglobus.web import page
from accounts.stand_ins import Answer, Call, as_json

COOKIE = "fakeglobus"
CODE_LIFETIME = 60  # seconds
STYLE = Path(__file__).with_name("style.css")


class Provider:
    """`calls` are the latest requests, for tests; `faults` make answers wrong (tokens.py, and below)."""

    def __init__(self, issuer: str, client_id: str, client_secret: str, redirect_uris: list[str]) -> None:
        self.issuer, self.client_id, self.client_secret = issuer, client_id, client_secret
        self.redirect_uris = redirect_uris
        self.tokens = TokenStore(issuer, client_id)
        self.identities = {identity.sub: identity for identity in (FREE, PREMIUM)}
        self.sessions: dict[str, tuple[str, int]] = {}  # sub, and when he signed in
        self.codes: dict[str, tuple[Grant, dict[str, str], float]] = {}
        self.calls: deque[Call] = deque(maxlen=1000)

    @property
    def faults(self) -> set[str]:
        return self.tokens.faults

    @faults.setter
    def faults(self, names: set[str]) -> None:
        self.tokens.faults = names

    def change_key(self) -> None:
        self.tokens.key = new_key()

    def answer(self, call: Call) -> Answer:
        self.calls.append(call)
        routes: dict[tuple[str, str], Callable[[Call], Answer]] = {
            ("GET", "/.well-known/openid-configuration"): self.discovery,
            ("GET", "/jwk.json"): self.keys,
            ("GET", "/style.css"): self.style,
            ("GET", "/v2/oauth2/authorize"): self.authorize,
            ("POST", "/v2/oauth2/authorize"): self.authorize,
            ("POST", "/v2/oauth2/token"): self.token,
            ("GET", "/v2/oauth2/userinfo"): self.userinfo,
            ("POST", "/v2/oauth2/token/revoke"): self.revoke,
            ("GET", "/v2/web/logout"): self.logout,
        }
        endpoint = routes.get((call.method, call.path))
        if endpoint is None:
            known = call.path in {path for _, path in routes}
            return as_json({"error": f"{call.method} {call.path}"}, 405 if known else 404)
        return endpoint(call)

    # --- documents

    def discovery(self, _: Call) -> Answer:
        document: dict[str, Any] = {
            "issuer": "https://evil.example" if "discovery_iss" in self.faults else self.issuer,
            "authorization_endpoint": f"{self.issuer}/v2/oauth2/authorize",
            "userinfo_endpoint": f"{self.issuer}/v2/oauth2/userinfo",
            "token_endpoint": f"{self.issuer}/v2/oauth2/token",
            "revocation_endpoint": f"{self.issuer}/v2/oauth2/token/revoke",
            "jwks_uri": f"{self.issuer}/jwk.json",
            "response_types_supported": ["code", "token", "token id_token", "id_token"],
            "id_token_signing_alg_values_supported": ["RS512"],
            "scopes_supported": ["openid", "email", "profile"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "claims_supported": [
                "at_hash",
                "aud",
                "email",
                "exp",
                "name",
                "nonce",
                "preferred_username",
                "iat",
                "iss",
                "sub",
            ],
            "subject_types_supported": ["public"],
        }
        return as_json(document)

    def keys(self, _: Call) -> Answer:
        return as_json({"keys": [self.tokens.public_key()]})

    def style(self, _: Call) -> Answer:
        return Answer(200, STYLE.read_text(), "text/css; charset=utf-8")

    # --- signing in

    def authorize(self, call: Call) -> Answer:
        query = call.query
        if query.get("client_id") != self.client_id or query.get("redirect_uri") not in self.redirect_uris:
            return as_json({"error": f"unknown client_id, or redirect_uri {query.get('redirect_uri')}"}, 400)
        error = self._authorize_error(call)
        if error:
            return self._back(call, error=error)
        if call.method == "POST":
            return self._sign_in(call)
        session = self._session(call)
        if session is None or query.get("prompt") == "login":
            return Answer(200, page("sign_in", free=FREE, premium=PREMIUM))
        return self._back(call, code=self._code(call, *session))

    @staticmethod
    def _authorize_error(call: Call) -> str | None:
        """What the client is told, by the names of RFC 6749 section 4.1.2.1."""
        query = call.query
        if query.get("response_type") != "code":
            return "unsupported_response_type"
        if query.get("code_challenge_method") != "S256" or len(query.get("code_challenge", "")) != 43:
            return "invalid_request"
        return "access_denied" if call.form.get("action") == "deny" else None

    def _sign_in(self, call: Call) -> Answer:
        identity = self.identities.get(call.form.get("identity", "")) or self._other(call.form)
        if identity is None:
            problem = "Give a name and a valid e-mail address."
            return Answer(400, page("sign_in", free=FREE, premium=PREMIUM, problem=problem, form=call.form))
        self.identities[identity.sub] = identity
        key, session = secrets.token_urlsafe(16), (identity.sub, int(time.time()))
        self.sessions[key] = session
        cookie = f"{COOKIE}={key}; Path=/; HttpOnly; SameSite=Lax"
        return self._back(call, {"Set-Cookie": cookie}, code=self._code(call, *session))

    @staticmethod
    def _other(form: dict[str, str]) -> Identity | None:
        name, email, organization = (form.get(key, "").strip() for key in ("name", "email", "organization"))
        try:
            validate_email(email)
        except ValidationError:
            return None
        return Identity.of(name, email, organization) if name else None

    def _session(self, call: Call) -> tuple[str, int] | None:
        cookie = SimpleCookie(call.headers.get("cookie", "")).get(COOKIE)
        return self.sessions.get(cookie.value) if cookie else None

    def _code(self, call: Call, sub: str, signed_in_at: int) -> str:
        query, code = call.query, secrets.token_urlsafe(24)
        grant = Grant(
            identity=self.identities[sub],
            scopes=query.get("scope", "").split(),
            signed_in_at=signed_in_at,
            nonce=query.get("nonce"),
            offline=query.get("access_type") == "offline",
        )
        self.codes[code] = (grant, query, time.time() + CODE_LIFETIME)
        return code

    @staticmethod
    def _back(call: Call, headers: dict[str, str] | None = None, **answer: str) -> Answer:
        """A redirect to the client, which gets its `state` back."""
        if "state" in call.query:
            answer["state"] = call.query["state"]
        location = f"{call.query['redirect_uri']}?{urlencode(answer)}"
        return Answer(302, headers={"Location": location, **(headers or {})})

    # --- tokens

    def token(self, call: Call) -> Answer:
        if "token_down" in self.faults:
            return as_json({"error": "unavailable"}, 503)
        if not self._is_client(call):
            return as_json({"error": "invalid_client"}, 401)
        if call.form.get("grant_type") != "authorization_code":
            return as_json({"error": "unsupported_grant_type"}, 400)
        grant, query, expires = self.codes.pop(call.form.get("code", ""), (None, {}, 0.0))
        challenge = base64url(hashlib.sha256(call.form.get("code_verifier", "").encode()).digest())
        same = (challenge, call.form.get("redirect_uri")) == (
            query.get("code_challenge"),
            query.get("redirect_uri"),
        )
        if grant is None or not same or expires < time.time():
            return as_json({"error": "invalid_grant"}, 400)
        return as_json(self.tokens.issue(grant))

    def userinfo(self, call: Call) -> Answer:
        grant = self.tokens.grants.get(call.headers.get("authorization", "").removeprefix("Bearer "))
        if grant is None:
            return as_json({"error": "invalid_token"}, 401)
        claims = grant.identity.claims(grant.scopes, grant.signed_in_at)
        return as_json(claims | ({"sub": "somebody-else"} if "userinfo_sub" in self.faults else {}))

    def revoke(self, call: Call) -> Answer:
        if "revoke_down" in self.faults:
            return as_json({"error": "unavailable"}, 503)
        if not self._is_client(call):
            return as_json({"error": "invalid_client"}, 401)
        self.tokens.revoke(call.form.get("token", ""))
        return as_json({"active": False})

    def _is_client(self, call: Call) -> bool:
        scheme, _, encoded = call.headers.get("authorization", "").partition(" ")
        return scheme == "Basic" and b64decode(encoded).decode() == f"{self.client_id}:{self.client_secret}"

    # --- signing out

    def logout(self, call: Call) -> Answer:
        cookie = SimpleCookie(call.headers.get("cookie", "")).get(COOKIE)
        if cookie:
            self.sessions.pop(cookie.value, None)
        wanted = urlsplit(call.query.get("redirect_uri", ""))
        ours = {(urlsplit(uri).scheme, urlsplit(uri).netloc) for uri in self.redirect_uris}
        link = wanted.geturl() if (wanted.scheme, wanted.netloc) in ours else ""
        body = page("signed_out", link=link, name=call.query.get("redirect_name", ""))
        return Answer(200, body, headers={"Set-Cookie": f"{COOKIE}=; Path=/; Max-Age=0"})
