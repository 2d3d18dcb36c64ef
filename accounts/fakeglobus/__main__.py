"""The stand-in as a program: python -m accounts.fakeglobus --redirect http://localhost:8000/auth/complete/globus/"""

import argparse
import contextlib
import os
import sys

import django
from django.core.exceptions import ImproperlyConfigured

from accounts.fakeglobus import FakeGlobus


def main() -> None:
    parser = argparse.ArgumentParser("python -m accounts.fakeglobus", description="A stand-in for Globus on loopback.")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--client", default="dev-client:dev-secret", metavar="ID:SECRET")
    parser.add_argument("--redirect", action="append", required=True, metavar="URI", help="may be repeated")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gas.settings")
    client_id, _, client_secret = options.client.partition(":")
    try:
        django.setup()
        provider = FakeGlobus(options.port, client_id, client_secret, options.redirect).start()
    except (ImproperlyConfigured, OSError) as error:
        sys.exit(str(error))
    print(f"The stand-in for Globus is at {provider.issuer}", flush=True)  # noqa: T201
    with contextlib.suppress(KeyboardInterrupt):
        provider.wait()


if __name__ == "__main__":
    main()
