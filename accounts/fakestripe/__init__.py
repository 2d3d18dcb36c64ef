"""A stand-in for Stripe on loopback, for development and tests: everybody pays, and no money moves.

It has what GAS uses of Stripe's API, in Stripe's shapes: customers, Checkout sessions with their page, subscriptions, the
customer portal, idempotency keys, and signed events that are delivered until they are taken, in no promised order.
"""

from accounts.fakestripe.server import FakeStripe

__all__ = ["FakeStripe"]
