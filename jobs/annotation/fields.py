"""The registry of INFO fields: what the engine itself writes. Those of tracks are declared with the reference."""

from dataclasses import dataclass

PREFIX = b"GAS_"  # of every field of ours but BCSQ, so that they are known when a file comes back


@dataclass(frozen=True)
class Field:
    """An INFO field: Number and Type as in the VCF header, where its values come from, and one such value."""

    name: str
    number: str
    type: str
    description: str
    source: str
    version: str
    example: str

    @property
    def key(self) -> bytes:
        return self.name.encode()


CSQ_DESCRIPTION = (
    "Local consequence annotation from BCFtools/csq, "
    "see http://samtools.github.io/bcftools/howtos/csq-calling.html for details. "
    "Format: Consequence|gene|transcript|biotype|strand|amino_acid_change|dna_change"
)
CONSEQUENCE_FIELDS = [
    ("BCSQ", CSQ_DESCRIPTION, "missense|MT-ND4|MT-ND4-201|protein_coding|+|340R>340H|11778G>A"),
    (
        "GAS_HAPLOTYPE",
        "As BCSQ, with what else is on the haplotypes of the samples taken into account, where that makes a difference; "
        "@POS: described at the record there; *: after a new stop codon",
        "missense|MT-ND4|MT-ND4-201|protein_coding|+|340R>340F|11777C>T+11778G>T",
    ),
]
HGVS_FIELDS = [
    ("GAS_HGVSC", "HGVS names on the coding sequence of transcripts", "MT-ND4-201:c.1019G>A"),
    ("GAS_HGVSP", "HGVS names of the protein changes, as predicted", "MT-ND4-201:p.(Arg340His)"),
    ("GAS_CODON", "Codons before and after, with the changed bases in upper case", "MT-ND4-201:cGc/cAc"),
]
GENE_FIELDS = [
    ("GAS_GENE", "Symbols of the genes that the changed bases lie in", "MT-ND4"),
    (
        "GAS_LOCATION",
        "What of which gene the changed bases lie in, with exon or intron number. "
        "Format: gene|transcript|strand|region|number",
        "MT-ND4|MT-ND4-201|+|CDS|1/1",
    ),
    (
        "GAS_REGION",
        "What the changed bases lie in (Sequence Ontology): CDS, five_prime_UTR, three_prime_UTR, intron, "
        "noncoding_exon, noncoding_intron, splice_donor_site, splice_acceptor_site, promoter, tRNA, rRNA, gene, D_loop or "
        "intergenic_region",
        "CDS",
    ),
    (
        "GAS_NEAREST",
        "Nearest gene of a variant in no gene, and its distance in bases. Format: gene|distance",
        "TP53|712",
    ),
]
OVERLAP_ONLY = Field(
    "GAS_OVERLAP_ONLY",
    "0",
    "Flag",
    "No ALT allele is spelled out in bases: only what the variant overlaps was looked up",
    "GAS",
    "",
    "",
)


def is_ours(key: bytes) -> bool:
    """Whether an INFO key is one that we write, here or from a track."""
    return key == b"BCSQ" or key.startswith(PREFIX)
