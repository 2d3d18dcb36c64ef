"""What the stand-in answers, endpoint by endpoint."""

import json
import secrets
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

from accounts.fakestripe.events import Webhook, event
from accounts.fakestripe.web import error, missing, page, to
from accounts.stand_ins import Answer, Call, as_json

Row = dict[str, Any]
STYLE = Path(__file__).parent.with_name("fakeglobus") / "style.css"
SLOW = 30  # seconds
OVER = ("canceled", "incomplete_expired")
KEPT = ("customers", "sessions", "subscriptions", "portals")


class Provider:
    """`calls` are the latest requests, for tests; `faults` make answers wrong: down (500), slow; more are the webhook's.

    Customers, sessions and subscriptions are rows by id, in `path` too, if given, for the next start.
    """

    def __init__(self, url: str, key: str, webhook: Webhook, path: Path | None = None) -> None:
        self.url, self.key, self.webhook, self.path = url, key, webhook, path
        self.customers: dict[str, Row] = {}
        self.sessions: dict[str, Row] = {}
        self.subscriptions: dict[str, Row] = {}
        self.portals: dict[str, Row] = {}
        self.answers: dict[str, tuple[dict[str, str], Answer]] = {}  # by idempotency key
        self.calls: deque[Call] = deque(maxlen=1000)
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        if path and path.exists():
            for name, rows in json.loads(path.read_text()).items():
                getattr(self, name).update(rows)

    @property
    def faults(self) -> set[str]:
        return self.webhook.faults

    @faults.setter
    def faults(self, names: set[str]) -> None:
        self.webhook.faults = names

    def answer(self, call: Call) -> Answer:
        self.calls.append(call)
        is_api = call.names[0] == "v1"
        if is_api and "down" in self.faults:
            return error(500, "api_error", "", "An error of ours.")
        if is_api and "slow" in self.faults:
            self._stopped.wait(SLOW)
        if is_api and call.headers.get("authorization") != f"Bearer {self.key}":
            return error(401, "invalid_request_error", "", "Invalid API Key provided.")
        with self._lock:
            answer = self._once(call) if is_api else self._page(call)
            if self.path:
                self.path.write_text(json.dumps({name: getattr(self, name) for name in KEPT}, indent=1))
        return answer

    def _once(self, call: Call) -> Answer:
        """The same answer to the same idempotency key, as Stripe gives for a day."""
        key = call.headers.get("idempotency-key", "")
        if call.method != "POST" or not key:
            return self._api(call)
        asked, answer = self.answers.get(key) or (call.form, self._api(call))
        if asked != call.form:
            return error(400, "idempotency_error", "", "Keys can only be used with the same parameters.")
        self.answers[key] = asked, answer
        return answer

    # --- the API

    def _api(self, call: Call) -> Answer:
        form, query, found = call.form, call.query, None
        match (call.method, *call.names[1:]):
            case ("POST", "customers"):
                found = self._new(self.customers, "cus", "customer", livemode=False)
            case ("DELETE", "customers", name) if name in self.customers:
                found = self._delete_customer(name)
            case ("POST", "checkout", "sessions") if form.get("customer") in self.customers:
                found = self._new_session(form)
            case ("POST", "checkout", "sessions", name, "expire") if name in self.sessions:
                self.sessions[name] |= {"status": "expired", "url": None}
                found = self.sessions[name]
            case ("GET", "checkout", "sessions") if query.get("customer") in self.customers:
                found = self._listed(call, self.sessions)
            case ("POST", "billing_portal", "sessions") if form.get("customer") in self.customers:
                found = self._new_portal(form)
            case ("GET", "subscriptions") if query.get("customer") in self.customers:
                found = self._listed(call, self.subscriptions)
        return as_json(found) if found else missing(form.get("customer") or query.get("customer") or call.path)

    def _new(self, rows: dict[str, Row], prefix: str, kind: str, **fields: Any) -> Row:
        row = {"id": f"{prefix}_{secrets.token_hex(8)}", "object": kind, "created": int(time.time()), **fields}
        rows[row["id"]] = row
        return row

    def _new_session(self, form: dict[str, str]) -> Row:
        told = {
            name: form.get(name) for name in ("mode", "customer", "client_reference_id", "success_url", "cancel_url")
        }
        state = {"status": "open", "payment_status": "unpaid", "subscription": None}
        row = self._new(self.sessions, "cs_test", "checkout.session", **told, **state)
        row["price"] = form.get("line_items[0][price]")
        row["url"] = f"{self.url}/pay/{row['id']}"
        return row

    def _new_portal(self, form: dict[str, str]) -> Row:
        told = {name: form[name] for name in ("customer", "return_url")}
        row = self._new(self.portals, "bps", "billing_portal.session", **told)
        row["url"] = f"{self.url}/portal/{row['id']}"
        return row

    def _delete_customer(self, name: str) -> Row:
        for row in self._of(name):
            if row["status"] not in OVER:
                self.change(row["id"], "canceled")
        del self.customers[name]
        return {"id": name, "object": "customer", "deleted": True}

    def _listed(self, call: Call, rows: dict[str, Row]) -> Row:
        """The latest first; of subscriptions those that are not over, unless all are asked for."""
        query = call.query
        found = [row for row in reversed(rows.values()) if row["customer"] == query["customer"]]
        if wanted := query.get("status"):
            found = [row for row in found if wanted in ("all", row["status"])]
        elif rows is self.subscriptions:
            found = [row for row in found if row["status"] not in OVER]
        limit = int(query.get("limit", 10))
        after = [row["id"] for row in found].index(query["starting_after"]) + 1 if "starting_after" in query else 0
        more = len(found) > after + limit
        return {"object": "list", "url": call.path, "has_more": more, "data": found[after : after + limit]}

    def _of(self, customer: str) -> list[Row]:
        return [row for row in self.subscriptions.values() if row["customer"] == customer]

    # --- what people, time and banks do

    def pay(self, session: Row) -> None:
        state = {"status": "active", "cancel_at_period_end": False}
        made = self._new(self.subscriptions, "sub", "subscription", customer=session["customer"], **state)
        session |= {"status": "complete", "payment_status": "paid", "subscription": made["id"], "url": None}
        self.webhook.send(event("customer.subscription.created", made), event("checkout.session.completed", session))

    def change(self, name: str, status: str) -> None:
        """A subscription becomes "past_due", "unpaid", "canceled" ...; the events tell it."""
        row = self.subscriptions[name]
        row |= {"status": status}
        kinds = ["updated", "deleted"] if status == "canceled" else ["updated"]
        self.webhook.send(*(event(f"customer.subscription.{kind}", row) for kind in kinds))

    def cancel_at_period_end(self, name: str) -> None:
        row = self.subscriptions[name]
        row |= {"cancel_at_period_end": True}
        self.webhook.send(event("customer.subscription.updated", row))

    # --- the pages

    def _page(self, call: Call) -> Answer:
        match (call.method, *call.names):
            case ("GET", "style.css"):
                return Answer(200, STYLE.read_text(), "text/css; charset=utf-8")
            case (_, "pay", name) if name in self.sessions:
                return self._pay_page(call, self.sessions[name])
            case (_, "portal", name) if name in self.portals:
                return self._portal_page(call, self.portals[name])
        return missing(call.path)

    def _pay_page(self, call: Call, session: Row) -> Answer:
        if call.method == "GET" or session["status"] != "open":
            return page("pay", session=session)
        self.pay(session)
        return to(session["success_url"])

    def _portal_page(self, call: Call, portal: Row) -> Answer:
        subscriptions = [row for row in self._of(portal["customer"]) if row["status"] not in OVER]
        if call.method == "POST":
            for row in subscriptions:
                if call.form.get("act") == "cancel":
                    self.change(row["id"], "canceled")
                else:
                    self.cancel_at_period_end(row["id"])
            return to(call.path)
        return page("portal", subscriptions=subscriptions, return_url=portal["return_url"])
