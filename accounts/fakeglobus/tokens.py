"""The tokens that the stand-in gives out, and the faults that tests ask for."""

import hashlib
import secrets
import time
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from accounts.fakeglobus.identities import VIEW_IDENTITY_SET, Identity

LIFETIME = 172_800  # seconds, Globus's own
OWN_SCOPES = {"openid", "profile", "email", VIEW_IDENTITY_SET}
CLAIM_FAULTS: dict[str, dict[str, Any]] = {
    "iss": {"iss": "https://evil.example"},
    "aud": {"aud": "another-client"},
    "nonce": {"nonce": "wrong"},
    "at_hash": {"at_hash": "wrong"},
    "expired": {"exp": 1_000_000_000},
    "stale": {"iat": 1_000_000_000},
    "no_last_authentication": {"last_authentication": None},  # as Globus says of an identity that never signed in
}


def base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def new_key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


@dataclass(frozen=True)
class Grant:
    """What a person has allowed a client: the scopes, and when he signed in (seconds since 1970)."""

    identity: Identity
    scopes: list[str]
    signed_in_at: int
    nonce: str | None = None
    offline: bool = False


class TokenStore:
    """Access and refresh tokens by value, and the key that signs ID tokens."""

    def __init__(self, issuer: str, client_id: str) -> None:
        self.issuer, self.client_id = issuer, client_id
        self.grants: dict[str, Grant] = {}
        self.revoked: list[str] = []
        self.faults: set[str] = set()
        self.key = new_key()

    def public_key(self) -> dict[str, str]:
        """A JWK (RFC 7517) without `kid`."""
        numbers = self.key.public_key().public_numbers()
        n, e = (base64url(i.to_bytes((i.bit_length() + 7) // 8, "big")) for i in (numbers.n, numbers.e))
        return {"alg": "RS512", "kty": "RSA", "use": "sig", "n": n, "e": e}

    def issue(self, grant: Grant) -> dict[str, Any]:
        """The answer of the token endpoint: tokens for Globus Auth, and for each other resource server."""
        own = [scope for scope in grant.scopes if scope in OWN_SCOPES]
        other: dict[str, list[str]] = {}
        for scope in grant.scopes:
            if scope not in OWN_SCOPES and scope.startswith("urn:globus:auth:scope:"):
                other.setdefault(scope.split(":")[4], []).append(scope)
        answer = self._tokens("auth.globus.org", own, grant)
        answer["other_tokens"] = [self._tokens(server, scopes, grant) for server, scopes in other.items()]
        if "openid" in grant.scopes and "no_id_token" not in self.faults:
            answer["id_token"] = self._id_token(grant, answer["access_token"])
        return answer

    def revoke(self, token: str) -> None:
        self.revoked.append(token)
        self.grants.pop(token, None)

    def _tokens(self, server: str, scopes: list[str], grant: Grant) -> dict[str, Any]:
        tokens = {"access_token": "Ag" + secrets.token_urlsafe(36)}
        if grant.offline:
            tokens["refresh_token"] = "Ag" + secrets.token_urlsafe(36)
        self.grants |= dict.fromkeys(tokens.values(), grant)
        answer = {"expires_in": LIFETIME, "resource_server": server, "token_type": "Bearer"}
        return answer | {"scope": " ".join(scopes)} | tokens

    def _id_token(self, grant: Grant, access_token: str) -> str:
        now = int(time.time())
        claims = grant.identity.claims(grant.scopes, grant.signed_in_at) | {
            "iss": self.issuer,
            "aud": self.client_id,
            "iat": now,
            "exp": now + LIFETIME,
            "at_hash": base64url(hashlib.sha512(access_token.encode()).digest()[:32]),
        }
        if grant.nonce:
            claims["nonce"] = grant.nonce
        for fault in self.faults & CLAIM_FAULTS.keys():
            claims |= CLAIM_FAULTS[fault]
        return self._sign(claims)

    def _sign(self, claims: dict[str, Any]) -> str:
        if "alg_none" in self.faults:
            return jwt.encode(claims, None, algorithm="none")  # type: ignore[arg-type]
        if "hs256" in self.faults:
            return jwt.encode(claims, "k" * 32, algorithm="HS256")
        key = new_key() if "bad_signature" in self.faults else self.key
        return jwt.encode(claims, key, algorithm="RS512")
