"""HGVS names (hgvs-nomenclature.org, version 21) and codon changes of the entries of a BCSQ value that name a transcript.

Positions c. and n. are those of the Ensembl transcript; c.1 is the first base of its coding sequence (CDS), also where
the 5' end of the CDS is incomplete. Protein positions are those of the Ensembl protein, which begins with an X for an
incomplete first codon: one more than bcftools csq says for such a transcript. All p. names are predictions and stand in
parentheses. Deletions, insertions and duplications move to the most 3' position on the transcript's strand, by the
genome's sequence, also across an edge between exon and intron. Not named: inversions, repeats ([n]), alleles other than
bases or with more than LONGEST_ALT of them, and variants that reach out of the transcript.
"""

from .info import info_fields
from .transcripts import Transcripts

__all__ = ["Transcripts", "info_fields"]
