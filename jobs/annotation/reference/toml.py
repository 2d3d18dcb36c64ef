"""Writes TOML: tables, arrays of tables, and values of text, numbers, truth and lists of these."""

import json
from typing import Any


def dumps(table: dict[str, Any], path: str = "") -> str:
    """The table as TOML, in its own order; a table within an entry of a list goes on the entry's line."""
    head, tail = "", ""
    for key, value in table.items():
        name = f"{path}{_key(key)}"
        if isinstance(value, dict):
            if path:
                head += f"{_key(key)} = {_value(value)}\n"
            else:
                tail += f"\n[{name}]\n{dumps(value, f'{name}.')}"
        elif isinstance(value, list) and value and all(isinstance(entry, dict) for entry in value):
            tail += "".join(f"\n[[{name}]]\n{dumps(entry, f'{name}.')}" for entry in value)
        else:
            head += f"{_key(key)} = {_value(value)}\n"
    return head + tail


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if bare else json.dumps(key, ensure_ascii=False)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_key(key)} = {_value(entry)}' for key, entry in value.items())} }}"
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
