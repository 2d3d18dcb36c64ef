"""The stand-in as a server on loopback."""

from collections.abc import Sequence

from accounts.fakeglobus.provider import Provider
from accounts.stand_ins import StandIn


class FakeGlobus(Provider, StandIn):
    """Lets in anybody; `issuer` is its address."""

    def __init__(
        self,
        port: int = 0,
        client_id: str = "dev-client",
        client_secret: str = "dev-secret",  # noqa: S107 (of the stand-in's only client)
        redirect_uris: Sequence[str] = (),
        debug: bool | None = None,
    ) -> None:
        StandIn.__init__(self, port, debug)
        Provider.__init__(self, self.url, client_id, client_secret, list(redirect_uris))
