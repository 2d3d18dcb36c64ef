"""The stand-in as a program: python -m accounts.fakestripe --webhook http://localhost:8000/billing/webhook/"""

import argparse
import contextlib
import os
import sys

import django
from django.core.exceptions import ImproperlyConfigured

from accounts.fakestripe import FakeStripe


def main() -> None:
    parser = argparse.ArgumentParser("python -m accounts.fakestripe", description="A stand-in for Stripe on loopback.")
    parser.add_argument("--port", type=int, default=8002)
    parser.add_argument("--webhook", required=True, metavar="URL")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gas.settings")
    try:
        django.setup()
        provider = FakeStripe(options.port, webhook_url=options.webhook).start()
    except (ImproperlyConfigured, OSError) as error:
        sys.exit(str(error))
    print(f"The stand-in for Stripe is at {provider.url}", flush=True)  # noqa: T201
    with contextlib.suppress(KeyboardInterrupt):
        provider.wait()


if __name__ == "__main__":
    main()
