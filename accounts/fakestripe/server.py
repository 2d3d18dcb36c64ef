"""The stand-in as a server on loopback."""

from pathlib import Path

from accounts.fakestripe.events import Webhook
from accounts.fakestripe.provider import Provider
from accounts.stand_ins import StandIn

KEY, WEBHOOK_SECRET = "sk_test_stand_in", "whsec_stand_in"  # as the settings have them, of its only client


class FakeStripe(Provider, StandIn):
    """Everybody pays, and no money moves."""

    def __init__(
        self, port: int = 0, *, webhook_url: str = "", path: Path | None = None, debug: bool | None = None
    ) -> None:
        StandIn.__init__(self, port, debug)
        Provider.__init__(self, self.url, KEY, Webhook(webhook_url, WEBHOOK_SECRET), path)

    def stop(self) -> None:
        self._stopped.set()
        self.webhook.stop()
        super().stop()
