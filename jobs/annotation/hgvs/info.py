"""INFO text of names, for the records of one contig in a block at once."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from jobs.annotation.reference.arrays import Array

from .changes import Change, change_of, names
from .entries import Allele, Pairs, Site, pairs_of
from .substitutions import Named, Substitutions, name_substitutions
from .transcripts import Transcripts

_NAMELESS, _SUBSTITUTION, _OTHER = range(3)
_ALT = np.zeros(256, bool)
_ALT[list(b"ACGTN")] = True
_LEADS = np.array([";GAS_HGVSC=", ";GAS_HGVSP=", ";GAS_CODON=", ","], object)


def info_fields(transcripts: Transcripts, sites: Iterable[Site], bcsq: Mapping[int, bytes]) -> dict[int, bytes]:
    """INFO text `;GAS_HGVSC=id:c.64A>G,...;GAS_HGVSP=id:p.(Lys22Glu),...;GAS_CODON=id:aAa/gAa,...` by row.

    `bcsq` has BCSQ values by row; REF agrees with the contig. Fields without a name are left out, and so are rows
    without any, and entries of transcripts that are not known. Values are percent-encoded (VCF 4.3 section 1.2).
    """
    sites = [site for site in sites if site[0] in bcsq]
    if not sites:
        return {}
    pairs, alleles = pairs_of(transcripts, sites, [bcsq[site[0]] for site in sites])
    if not alleles:
        return {}
    found, texts = _joined(pairs.site, _named(transcripts, pairs, alleles))
    return {sites[index][0]: text for index, text in zip(found.tolist(), texts, strict=True)}


def _named(transcripts: Transcripts, pairs: Pairs, alleles: Sequence[Allele]) -> Named:
    """The names of each pair."""
    named = Named.nothing(len(pairs.site))
    kind, at, ref, alt, changes = _sorted_out(alleles)
    rows = np.flatnonzero(kind[pairs.allele] == _SUBSTITUTION)
    which = pairs.allele[rows]
    found = name_substitutions(transcripts, Substitutions(pairs.number[rows], at[which], ref[which], alt[which]))
    for column, texts in zip(named, found, strict=True):
        column[rows] = texts
    for row in np.flatnonzero(kind[pairs.allele] == _OTHER).tolist():
        number = int(pairs.number[row])
        c, p, codon = names(transcripts[number], changes[int(pairs.allele[row])])
        name = transcripts.names[number]
        named.c[row] = c and f"{name}:{c}"
        named.p[row] = p and f"{name}:{p}".replace("=", "%3D")
        named.codon[row] = codon and f"{name}:{codon}"
    return named


def _sorted_out(alleles: Sequence[Allele]) -> tuple[Array, Array, Array, Array, dict[int, Change]]:
    """The kind of each allele; position and letters of REF and ALT of substitutions; and the other changes."""
    at = np.array([start for start, _, _ in alleles])
    ref = np.frombuffer(b"".join([ref[:1] for _, ref, _ in alleles]), np.uint8).copy()
    alt = np.frombuffer(b"".join([alt[:1] for _, _, alt in alleles]), np.uint8).copy()
    kind = np.where(_ALT[alt] & (ref != alt), _SUBSTITUTION, _NAMELESS)
    changes = {}
    for index, (start, old, new) in enumerate(alleles):
        if len(old) == 1 == len(new):
            continue
        change = change_of(start, old.decode(), new.decode())
        if change is None:
            kind[index] = _NAMELESS
        elif len(change.ref) == 1 == len(change.alt):
            kind[index] = _SUBSTITUTION
            at[index], ref[index], alt[index] = change.start, ord(change.ref), ord(change.alt)
        else:
            kind[index], changes[index] = _OTHER, change
    return kind, at, ref, alt, changes


def _joined(site: Array, named: Named) -> tuple[Array, list[bytes]]:
    """The sites that have names, and the text of each: names of one kind with commas, in the order of the pairs."""
    text, kinds = np.concatenate(named), len(named)
    key = np.concatenate([site * kinds + kind for kind in range(kinds)])
    there = np.flatnonzero(text != "")
    order = there[np.argsort(key[there], kind="stable")]
    key, text = key[order], text[order]
    again = np.diff(key, prepend=-1) == 0
    pieces = np.empty((len(key), 2), object)
    pieces[:, 0], pieces[:, 1] = _LEADS[np.where(again, kinds, key % kinds)], text
    starts = np.flatnonzero(np.diff(key // kinds, prepend=-1))
    pieces[starts, 0] = "\n" + pieces[starts, 0]
    return key[starts] // kinds, "".join(pieces.ravel().tolist()).encode().split(b"\n")[1:]
