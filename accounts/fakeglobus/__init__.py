"""A stand-in for Globus Auth on loopback, for development and tests: anybody signs in as anybody.

Its shape is Globus's, as the test data of globus-sdk-python show it (a real discovery document, key and ID
token): RS512 without `kid`, no `email_verified`, client_secret_basic only, `other_tokens`, POST revocation,
`identity_set` by scope, a sign-out page at /v2/web/logout that links back and does not redirect. It demands
PKCE (S256).
"""

from accounts.fakeglobus.identities import FREE, PREMIUM, Identity
from accounts.fakeglobus.server import FakeGlobus

__all__ = ["FREE", "PREMIUM", "FakeGlobus", "Identity"]
