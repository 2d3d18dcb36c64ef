"""Who can sign in at the stand-in: invented people at addresses that cannot exist (RFC 2606)."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

VIEW_IDENTITY_SET = "urn:globus:auth:scope:auth.globus.org:view_identity_set"
_IDENTITY_PROVIDER = "5a9bbaf6-4a9c-4a3e-9d5e-6a3e3d0c8f51"
_NAMESPACE = UUID("0c7b3b52-6f8e-4c39-8d3c-5c1f0a7f1b9e")


@dataclass(frozen=True)
class Identity:
    sub: str
    name: str
    email: str
    organization: str

    @classmethod
    def of(cls, name: str, email: str, organization: str) -> "Identity":
        """The identity that belongs to `email`: the same after a restart."""
        return cls(str(uuid5(_NAMESPACE, email.lower())), name, email, organization)

    def claims(self, scopes: list[str], signed_in_at: int) -> dict[str, Any]:
        """What an ID token or the userinfo endpoint says, by scope."""
        claims: dict[str, Any] = {"sub": self.sub, "last_authentication": signed_in_at}
        if "profile" in scopes:
            claims |= {"preferred_username": self.email, **self._profile()}
        if "email" in scopes:
            claims["email"] = self.email
        if VIEW_IDENTITY_SET in scopes:
            row = {"sub": self.sub, "username": self.email, "email": self.email, **self._profile()}
            claims["identity_set"] = [row | {"last_authentication": signed_in_at}]
        return claims

    def _profile(self) -> dict[str, str]:
        return {
            "name": self.name,
            "organization": self.organization,
            "identity_provider": _IDENTITY_PROVIDER,
            "identity_provider_display_name": "Stand-in Institute",
        }


FREE = Identity.of("Rosalind Free", "rosalind.free@example.org", "Institute of Mitochondria")
PREMIUM = Identity.of("Pascal Premium", "pascal.premium@example.org", "Institute of Exomes")
