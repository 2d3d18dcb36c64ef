"""Writes the `.env` of a machine that has none: `python -m gas.env_file`. Part of `make setup`."""

import secrets
from pathlib import Path

from cryptography.fernet import Fernet

ENV_FILE = Path(__file__).resolve().parent.parent / ".env"


def write_env_file(path: Path = ENV_FILE) -> bool:
    """Write DEBUG=1 and fresh secrets to `path`, readable by its owner only; False when there is one already."""
    if path.exists():
        return False
    path.touch(mode=0o600)
    path.write_text(
        "# Written by `make setup` for this machine: the embedded default. .env.example names every setting.\n"
        f"DEBUG=1\nSECRET_KEY={secrets.token_urlsafe(50)}\nFIELD_KEYS={Fernet.generate_key().decode()}\n"
    )
    return True


if __name__ == "__main__":
    write_env_file()
