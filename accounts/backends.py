"""Globus as an OpenID provider: social-core's backend, and what Globus needs that it does not do (7.0.0)."""

from collections.abc import Callable
from typing import Any

from social_core.backends.globus import GlobusOpenIdConnect

from accounts.step_up import STARTED

REVOKE_TIMEOUT = 3  # seconds; somebody waits for the sign-out


class GlobusAuth(GlobusOpenIdConnect[Any]):
    EXTRA_DATA = [("sub", "sub")]

    def auth_params(self, state: str | None = None) -> dict[str, Any]:
        """In a step-up the person has to sign in, whatever session he has at Globus."""
        params: dict[str, Any] = super().auth_params(state)  # type: ignore[no-untyped-call]
        return params | ({"prompt": "login"} if self.strategy.session_get(STARTED) else {})

    def find_valid_key(self, id_token: str) -> dict[str, Any] | None:
        """Globus names no `kid`: social-core would believe its cached keys for a day after a change."""
        find: Callable[[str], dict[str, Any] | None] = super().find_valid_key
        key = find(id_token)
        if key is None:
            self.get_jwks_keys_for_uri.invalidate(self, self.jwks_uri())
            key = find(id_token)
        return key

    def revoke_token(self, token: str, uid: str | None = None) -> bool:
        """By POST with client authentication (RFC 7009). Raises SocialAuthBaseException when that fails."""
        response = self.request(
            self.revoke_token_url(token, uid),
            method="POST",
            data={"token": token},
            auth=self.get_key_and_secret(),
            timeout=REVOKE_TIMEOUT,
            stage="disconnect",
        )
        return bool(response.status_code == 200)

    def extra_data(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """What is kept of the answer with the identity: no token."""
        data = super().extra_data(*args, **kwargs)
        for secret in ("access_token", "refresh_token", "id_token", "other_tokens"):
            data.pop(secret, None)
        return data
