"""Genetic codes, amino acids, and what a substitution in a codon changes."""

import re
from functools import cached_property

import numpy as np

from jobs.annotation.reference.arrays import Array

# NCBI translation tables (gc.prt): amino acids of the 64 codons, each base in the order T, C, A, G, and start codons
GENETIC_CODES = {
    1: (
        "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG",
        "---M------**--*----M---------------M----------------------------",
    ),
    2: (
        "FFLLSSSSYY**CCWWLLLLPPPPHHQQRRRRIIMMTTTTNNKKSS**VVVVAAAADDEEGGGG",
        "----------**--------------------MMMM----------**---M------------",
    ),
}
BASES = "TCAG"
CODONS = [first + second + third for first in BASES for second in BASES for third in BASES]
_NUMBER = np.full(256, 4, np.uint8)
_NUMBER[list(BASES.encode())] = range(4)
AMINO_ACIDS = dict(
    zip(
        "ARNDCQEGHILKMFPSTWYVUX*",
        re.findall("...", "AlaArgAsnAspCysGlnGluGlyHisIleLeuLysMetPheProSerThrTrpTyrValSecXaaTer"),
        strict=True,
    )
)

_SHORT = 120  # bases; below it, numpy costs more than it saves


class GeneticCode:
    """One of NCBI's translation tables."""

    def __init__(self, amino_acids: str, starts: str) -> None:
        self.amino_acids = dict(zip(CODONS, amino_acids, strict=True))
        self._letters = np.full((5, 5, 5), ord("X"), np.uint8)  # by the numbers of three bases; 4 is any other
        self._letters[:4, :4, :4] = np.frombuffer(amino_acids.encode(), np.uint8).reshape(4, 4, 4)
        self.starts = {codon for codon, start in zip(CODONS, starts, strict=True) if start == "M"}

    @cached_property
    def changes(self) -> tuple[Array, Array, Array]:
        """The texts of each substitution (aAa/gAa, Lys, and Glu or %3D with a closing parenthesis).

        They are at [position in the codon * 256 + codon * 4 + base], bases numbered in the order T, C, A, G.
        """
        changes = [self._change(codon, at, base) for at in range(3) for codon in CODONS for base in BASES]
        codons, old, new = np.array(changes, object).T.copy()
        return codons, old, new

    def _change(self, codon: str, at: int, base: str) -> tuple[str, str, str]:
        changed = codon[:at] + base + codon[at + 1 :]
        old, new = self.amino_acids[codon], self.amino_acids[changed]
        text = f"{_marked(codon, at)}/{_marked(changed, at)}"
        return text, AMINO_ACIDS[old], "%3D)" if old == new else f"{AMINO_ACIDS[new]})"

    def translate(self, bases: str, at: int = 0) -> str:
        """Amino acids of the whole codons of `bases` from `at` on, through stops; X for a codon with other bases."""
        if len(bases) - at < _SHORT:
            get = self.amino_acids.get
            return "".join([get(bases[i : i + 3], "X") for i in range(at, len(bases) - 2, 3)])
        numbers = _NUMBER[np.frombuffer(bases.encode(), np.uint8)[at : len(bases) - (len(bases) - at) % 3]]
        return self._letters[numbers[::3], numbers[1::3], numbers[2::3]].tobytes().decode()

    def translate_to_stop(self, bases: str, at: int) -> str:
        """As translate, up to the first stop, which is included. Piece by piece: a new frame stops soon."""
        protein = ""
        while at + 3 <= len(bases) and not protein.endswith("*"):
            protein += up_to_stop(self.translate(bases[at : at + 90]))
            at += 90
        return protein


def up_to_stop(protein: str) -> str:
    """The protein up to its first stop, which is included."""
    stop = protein.find("*")
    return protein if stop < 0 else protein[: stop + 1]


def _marked(codon: str, at: int) -> str:
    return codon[:at].lower() + codon[at] + codon[at + 1 :].lower()


CODES = {number: GeneticCode(*table) for number, table in GENETIC_CODES.items()}
