"""Events on their way to the webhook of GAS."""

import hashlib
import hmac
import json
import secrets
import threading
import time
from typing import Any

import requests

Event = dict[str, Any]
FIRST_PAUSE = 0.1  # seconds before a delivery is tried again; each pause is twice the last
MAX_TRIES = 8


class Webhook:
    """Signs events and delivers them in a thread, each until the answer is a 2xx.

    `faults`: bad_signature, duplicate, out_of_order (the events of one act backwards), lost; delayed (until `release()`).
    `deliveries` are the answers so far: the id of the event, and the status (0: no answer).
    """

    def __init__(self, url: str, secret: str) -> None:
        self.url, self.secret = url, secret
        self.faults: set[str] = set()
        self.sent: list[Event] = []
        self.deliveries: list[tuple[str, int]] = []
        self._held: list[Event] = []
        self._threads: list[threading.Thread] = []
        self._stopped = threading.Event()

    def send(self, *events: Event) -> None:
        """The events of one act, of which one may be there before the other."""
        self.sent += events
        if not self.url or "lost" in self.faults:
            return
        order = [*reversed(events)] if "out_of_order" in self.faults else [*events]
        order = [event for event in order for _ in range(2 if "duplicate" in self.faults else 1)]
        if "delayed" in self.faults:
            self._held += order
        else:
            self._start(order)

    def release(self) -> None:
        """Deliver now what was delayed."""
        held, self._held = self._held, []
        self._start(held)

    def settle(self) -> None:
        """Until all that was sent is delivered, or given up."""
        while self._threads:
            self._threads.pop(0).join()

    def stop(self) -> None:
        self._stopped.set()
        self.settle()

    def signed(self, event: Event) -> tuple[bytes, str]:
        """A body and its Stripe-Signature."""
        body, at = json.dumps(event).encode(), int(time.time())
        secret = "whsec_of_somebody_else" if "bad_signature" in self.faults else self.secret
        signature = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
        return body, f"t={at},v1={signature}"

    def _start(self, events: list[Event]) -> None:
        thread = threading.Thread(target=self._deliver, args=(events,), name="fakestripe-events", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _deliver(self, events: list[Event]) -> None:
        for event in events:
            for number in range(MAX_TRIES):
                status = self._post(event)
                self.deliveries.append((event["id"], status))
                if 200 <= status < 300 or self._stopped.wait(FIRST_PAUSE * 2**number):
                    break

    def _post(self, event: Event) -> int:
        body, signature = self.signed(event)
        headers = {"Content-Type": "application/json", "Stripe-Signature": signature}
        try:
            return requests.post(self.url, body, headers=headers, timeout=20, allow_redirects=False).status_code
        except requests.RequestException:
            return 0


def event(kind: str, row: dict[str, Any]) -> Event:
    """An event of this kind, with a copy of the row as it is now."""
    made = {"id": f"evt_{secrets.token_hex(8)}", "object": "event", "type": kind, "created": int(time.time())}
    return made | {"livemode": False, "data": {"object": dict(row)}}
