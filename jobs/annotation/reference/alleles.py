"""Compiles the alleles of a track in bounded memory: sorted runs go to the disk, and are merged into a contig's arrays.

key         int64, sorted: position << 32 | code of REF and ALT, see `tracks.allele_key`
long, long_at   text, REF>ALT of the alleles that are no SNV, whose code is a checksum; long_row (int64), their rows
N/number    int64, field N where it is for the column ID: an rs number, 0 for none, or minus a text's number
N/id        uint32, field N otherwise: a text's number
N/value     text; the first (0) is empty; a text X has its offsets in X_at (uint64)
"""

import bisect
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from .arrays import Array, Arrays, Stored, load, save, texts
from .declaration import Field

RUN = 500_000  # alleles that are sorted and merged at a time


class Values(NamedTuple):
    """A field of some alleles. `codes`: an rs number, 0 for none, or minus the place (from 1) in `texts`; int64."""

    codes: Array
    texts: Sequence[bytes]


class AlleleRuns:
    """The alleles of one track, parted by contig."""

    def __init__(self, folder: Path, fields: Sequence[Field]) -> None:
        self.folder, self.fields = folder, fields
        self._open: dict[str, _Run] = {}
        self._paths: dict[str, list[Path]] = {}
        self._count = 0
        folder.mkdir(parents=True)

    def add(self, contig: str, keys: Array, long: list[bytes], fields: Sequence[Values]) -> None:
        """Adds alleles in any order; `long` are REF>ALT of those that are no SNV, in the order of their keys here."""
        run = self._open.setdefault(contig, _Run(len(self.fields)))
        run.add(keys, long, fields)
        self._count += len(keys)
        if self._count >= RUN:
            self.close()

    def close(self) -> None:
        """Sorts and writes what is in memory."""
        for contig, run in self._open.items():
            paths = self._paths.setdefault(contig, [])
            paths.append(self.folder / f"{contig}.run{len(paths)}")
            save(paths[-1], run.arrays())
        self._open, self._count = {}, 0

    def merged(self, contig: str) -> dict[str, Stored]:
        """The arrays of a contig, on the disk. Alleles that come again are one, their texts joined by '&'."""
        paths = self._paths.get(contig, [])
        merge = _Merge([load(path) for path in paths], self.folder / f"{contig}.merged", self.fields)
        for path in paths:
            path.unlink()  # it is mapped; the disk is free when it has been read
        return merge.run()


class _Run:
    """Some alleles in memory."""

    def __init__(self, fields: int) -> None:
        self.keys: list[Array] = []
        self.long: list[bytes] = []
        self.codes: list[list[Array]] = [[] for _ in range(fields)]
        self.numbers: list[dict[bytes, int]] = [{} for _ in range(fields)]

    def add(self, keys: Array, long: list[bytes], fields: Sequence[Values]) -> None:
        self.keys.append(keys)
        self.long += long
        for parts, numbers, values in zip(self.codes, self.numbers, fields, strict=True):
            own = [0, *(-numbers.setdefault(text, len(numbers) + 1) for text in values.texts)]
            codes = values.codes
            parts.append(np.where(codes < 0, np.array(own, np.int64)[np.maximum(-codes, 0)], codes))

    def arrays(self) -> Arrays:
        """Sorted by key: `long` and `long_row` as in the finished track, N/code, and N/value without an empty one."""
        keys = np.concatenate(self.keys)
        order = np.argsort(keys, kind="stable")
        sorted_keys = keys[order]
        arrays = {"key": sorted_keys, "long_row": np.flatnonzero(_is_long(sorted_keys))}
        arrays["long_at"], arrays["long"] = texts(_reordered(self.long, keys, order))
        for field, (parts, numbers) in enumerate(zip(self.codes, self.numbers, strict=True)):
            codes = np.concatenate(parts)[order]
            arrays[f"{field}/code"] = (
                codes.astype(np.int32) if (codes <= 0).all() else codes
            )  # texts alone: half the disk
            arrays[f"{field}/value_at"], arrays[f"{field}/value"] = texts(list(numbers))
        return arrays


def _is_long(keys: Array) -> Array:
    found: Array = (keys >> 31 & 1).astype(np.bool_)
    return found


def _reordered(long: list[bytes], keys: Array, order: Array) -> list[bytes]:
    """REF>ALT of the alleles that are no SNV, when the keys are put in order."""
    place = np.cumsum(_is_long(keys)) - 1
    return [long[number] for number in place[order][_is_long(keys[order])].tolist()]


class _Merge:
    """Merges the runs of a contig, some rows of each at a time."""

    def __init__(self, runs: list[Arrays], folder: Path, fields: Sequence[Field]) -> None:
        self.runs, self.ids = runs, [field.id for field in fields]
        self.out = _Out(folder)
        self.rows = 0
        self.tables = [_Table(number, runs, self.out, join=field.is_joined) for number, field in enumerate(fields)]

    def run(self) -> dict[str, Stored]:
        for name, dtype in (("key", np.int64), ("long_row", np.int64), ("long", np.uint8), ("long_at", np.uint64)):
            self.out.append(name, np.zeros(int(name == "long_at"), dtype))
        for field, is_id in enumerate(self.ids):
            self._append_codes(field, np.zeros(0, np.int64), is_id=is_id)
        for slices in _cuts([run["key"] for run in self.runs]):
            self._append(slices)
        for table in self.tables:
            table.close()
        return self.out.close()

    def _append(self, slices: list[tuple[int, int, int]]) -> None:
        """Appends rows (run, start, stop), sorted, equal alleles once."""
        keys = np.concatenate([self.runs[run]["key"][start:stop] for run, start, stop in slices])
        order = np.argsort(keys, kind="stable")
        long = _reordered([text for piece in slices for text in self._long(*piece)], keys, order)
        codes = [np.concatenate([table.codes(*piece) for piece in slices])[order] for table in self.tables]
        keys = keys[order]
        kept = self._joined(keys, long, codes)
        long = [long[number] for number in np.flatnonzero(kept[_is_long(keys)]).tolist()]
        keys = keys[kept]
        self.out.append("key", keys)
        self.out.append("long_row", self.rows + np.flatnonzero(_is_long(keys)))
        self.out.append_texts("long", *texts(long))
        for field, is_id in enumerate(self.ids):
            self._append_codes(field, codes[field][kept], is_id=is_id)
        self.rows += len(keys)

    def _append_codes(self, field: int, codes: Array, *, is_id: bool) -> None:
        if is_id:
            self.out.append(f"{field}/number", codes)
        else:
            self.out.append(f"{field}/id", (-codes).astype(np.uint32))

    def _long(self, run: int, start: int, stop: int) -> list[bytes]:
        """REF>ALT of the rows of a run that are no SNV."""
        arrays = self.runs[run]
        first, last = np.searchsorted(arrays["long_row"], [start, stop])
        at = arrays["long_at"][first : last + 1].tolist()
        text = arrays["long"][at[0] : at[-1]].tobytes()
        return [text[here - at[0] : there - at[0]] for here, there in itertools.pairwise(at)]

    def _joined(self, keys: Array, long: list[bytes], codes: list[Array]) -> Array:
        """Which rows stay: the first of each allele, which gets the values of all. Equal keys may be two alleles'."""
        kept = np.ones(len(keys), np.bool_)
        again = np.flatnonzero(keys[1:] == keys[:-1])
        place = np.cumsum(_is_long(keys)) - 1
        groups: dict[tuple[int, bytes], list[int]] = {}
        for row in np.union1d(again, again + 1).tolist():
            key = int(keys[row])
            groups.setdefault((key, long[place[row]] if key >> 31 & 1 else b""), []).append(row)
        for first, *others in groups.values():
            kept[others] = False
            for table, column in zip(self.tables, codes, strict=True):
                column[first] = table.joined(column[[first, *others]].tolist())
        return kept


class _Table:
    """The texts of one field: an empty one, those of all runs, then what had to be joined."""

    def __init__(self, field: int, runs: list[Arrays], out: "_Out", *, join: bool) -> None:
        self.runs, self.out, self.field, self.join = runs, out, field, join
        self.name = f"{field}/value"
        self.base = [0]  # how many texts the runs before have
        self.more: list[bytes] = []
        out.append(self.name, np.zeros(0, np.uint8))
        out.append(f"{self.name}_at", np.zeros(2, np.uint64))
        for run in runs:
            out.append_texts(self.name, run[f"{self.name}_at"], run[self.name])
            self.base.append(self.base[-1] + len(run[f"{self.name}_at"]) - 1)

    def codes(self, run: int, start: int, stop: int) -> Array:
        """The codes of some rows of a run, numbered over all runs."""
        codes = self.runs[run][f"{self.field}/code"][start:stop].astype(np.int64)
        return np.where(codes < 0, codes - self.base[run], codes)

    def joined(self, codes: list[int]) -> int:
        """The code of the values together, or of the first."""
        values: dict[bytes, int] = {}
        for code in filter(None, codes):
            values.setdefault(self._text(code), code)
        if len(values) < 2 or not self.join:
            return next(iter(values.values()), 0)
        self.more.append(b"&".join(values))
        return -(self.base[-1] + len(self.more))

    def _text(self, code: int) -> bytes:
        if code > 0:
            return b"rs%d" % code
        run = bisect.bisect_left(self.base, -code) - 1
        number = -code - self.base[run] - 1
        at = self.runs[run][f"{self.name}_at"]
        return self.runs[run][self.name][int(at[number]) : int(at[number + 1])].tobytes()

    def close(self) -> None:
        self.out.append_texts(self.name, *texts(self.more))


class _Out:
    """Arrays that grow, each in a file of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, IO[bytes]] = {}
        self.dtypes: dict[str, np.dtype[np.generic]] = {}
        folder.mkdir()

    def append(self, name: str, array: Array) -> None:
        if name not in self.files:
            self.files[name] = (self.folder / name.replace("/", ".")).open("wb")
            self.dtypes[name] = array.dtype
        self.files[name].write(array.astype(self.dtypes[name], copy=False).tobytes())

    def append_texts(self, name: str, at: Array, text: Array) -> None:
        """Texts in the form of `arrays.texts`, behind those that are there."""
        self.append(f"{name}_at", at[1:] + np.uint64(self.files[name].tell()))
        self.append(name, text)

    def close(self) -> dict[str, Stored]:
        for file in self.files.values():
            file.close()
        return {name: Stored(Path(file.name), self.dtypes[name]) for name, file in self.files.items()}


def _cuts(runs: list[Array]) -> Iterator[list[tuple[int, int, int]]]:
    """Parts sorted runs into slices (run, start, stop), so that what comes later is larger; about RUN rows at a time."""
    at = [0] * len(runs)
    while live := [number for number, keys in enumerate(runs) if at[number] < len(keys)]:
        first = min(live, key=lambda number: int(runs[number][at[number]]))
        window = RUN
        while True:
            cut = runs[first][min(at[first] + window, len(runs[first])) - 1]
            slices = [(number, at[number], int(np.searchsorted(runs[number], cut, "right"))) for number in live]
            if window == 1 or sum(stop - start for _, start, stop in slices) <= 2 * RUN:
                break
            window //= 2
        for number, _, stop in slices:
            at[number] = stop
        yield [piece for piece in slices if piece[1] < piece[2]]
