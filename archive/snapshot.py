"""What lies in the stores at a time, in a temporary file: memory does not grow with it."""

import sqlite3
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple


class Line(NamedTuple):
    id: str  # key, or the vault's id
    name: str
    size: int  # bytes
    checksum: str
    created: float  # seconds since the epoch


class Snapshot:
    """Lines of several places, each of which can be taken by the row that names it; what is left over is nobody's."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)  # SQLite's name for a temporary file of its own
        self._database.execute("PRAGMA journal_mode=OFF")
        self._database.execute(
            "CREATE TABLE line (place TEXT, id TEXT, name TEXT, size INT, checksum TEXT, created REAL, taken INT, "
            "PRIMARY KEY (place, id)) WITHOUT ROWID"
        )

    def close(self) -> None:
        self._database.close()

    def fill(self, place: str, lines: Iterable[tuple[str, str, int, str, datetime]]) -> int:
        """Returns how many there are."""
        rows = ((place, id_, name, size, check, at.timestamp()) for id_, name, size, check, at in lines)
        self._database.execute("BEGIN")
        self._database.executemany("INSERT OR REPLACE INTO line VALUES (?, ?, ?, ?, ?, ?, 0)", rows)
        self._database.execute("COMMIT")
        count: int = self._database.execute("SELECT count(*) FROM line WHERE place = ?", [place]).fetchone()[0]
        return count

    def take(self, place: str, id_: str) -> Line | None:
        where = "WHERE place = ? AND id = ?"
        self._database.execute(f"UPDATE line SET taken = 1 {where}", [place, id_])  # noqa: S608
        found = self._database.execute(f"SELECT id, name, size, checksum, created FROM line {where}", [place, id_])  # noqa: S608
        line = found.fetchone()
        return Line(*line) if line else None

    def left_over(self, place: str) -> Iterator[Line]:
        found = self._database.execute(
            "SELECT id, name, size, checksum, created FROM line WHERE place = ? AND taken = 0", [place]
        )
        for line in found:
            yield Line(*line)
