"""Fills in ID and INFO of the records of a block; all else stays byte for byte the user's."""

from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from .block import Block, values_at
from .fields import is_ours
from .reference.arrays import Array
from .tracks import Column


@dataclass
class Filling:
    """What comes into the rows of a block that are of one contig.

    `columns` are INFO texts (`;KEY=...`), in this order; `ids` are new values of the column ID, by row. Rows count from
    the first of them.
    """

    rows: slice
    columns: list[Column] = field(default_factory=list)
    ids: dict[int, bytes] = field(default_factory=dict)

    def filled(self) -> Array:
        """Which rows get an INFO text."""
        some: Array = np.zeros(self.rows.stop - self.rows.start, bool)
        for column in self.columns:
            some |= column.filled
        return some

    def clear(self, rows: Array) -> None:
        """Takes all INFO texts out of some rows (bool)."""
        for column in self.columns:
            column.texts[rows] = b""
            column.filled[rows] = False

    def text(self, block: Block) -> bytes:
        """The lines of these rows. May change the columns: for use once, at the end."""
        filled = self.filled()
        heads, bare = self._heads(block, filled)
        for column in self.columns:
            first = np.flatnonzero(bare & column.filled)
            column.texts[first] = [text[1:] for text in column.texts[first].tolist()]
            bare[first] = False
        columns = (column.texts.tolist() for column in self.columns if column.filled.any())
        stops, ends = block.stops[self.rows, 7], block.ends[self.rows]
        tails = values_at(block.text, stops, ends + 1) if (stops < ends).any() else [b"\n"] * len(heads)
        return b"".join(chain.from_iterable(zip(heads, *columns, tails, strict=True)))

    def _heads(self, block: Block, filled: Array) -> tuple[list[bytes], Array]:
        """The start of each line to the end of the user's own INFO, and where this is empty (bool)."""
        text, rows = block.text, self.rows
        begins, stops = block.begins[rows], block.stops[rows]
        heads = values_at(text, begins, stops[:, 7])
        bare = np.zeros(len(heads), bool)
        again = b"GAS_" in text or b"BCSQ" in text or b";;" in text
        last = np.frombuffer(text, np.uint8)[stops[:, 7] - 1]
        odd = filled & (last == ord(".")) | (last == ord(";")) | again
        info = block.starts[rows, 7] - begins
        for row, start in zip(np.flatnonzero(odd).tolist(), info[odd].tolist(), strict=True):
            own = _without_ours(heads[row][start:]) if again else heads[row][start:]
            own = own.rstrip(b";") or b"."
            if filled[row] and own == b".":
                own, bare[row] = b"", True
            heads[row] = heads[row][:start] + own
        starts, ends = (block.starts[rows, 2] - begins).tolist(), (stops[:, 2] - begins).tolist()
        for row, name in self.ids.items():
            head = heads[row]
            heads[row] = b"%b%b%b" % (head[: starts[row]], name, head[ends[row] :])
        return heads, bare


def _without_ours(info: bytes) -> bytes:
    """INFO without fields of ours, and without empty entries."""
    return b";".join(item for item in info.split(b";") if item and not is_ours(item.partition(b"=")[0])) or b"."
