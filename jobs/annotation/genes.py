"""Which genes, and which kind of region, a stretch of a contig lies in; from the contig's GFF3 file."""

import bisect
import gzip
from dataclasses import dataclass
from pathlib import Path

# Ensembl biotype (or GFF3 type, for what is no gene) -> Sequence Ontology name
REGIONS = {
    "protein_coding": "protein_coding_gene",  # SO:0001217
    "Mt_tRNA": "tRNA_gene",  # SO:0001272
    "Mt_rRNA": "rRNA_gene",  # SO:0001637
    "D_loop": "D_loop",  # SO:0000297, the control region
}
OTHER_GENE = "gene"  # SO:0000704
INTERGENIC = "intergenic_region"  # SO:0000605


@dataclass(frozen=True, eq=False)  # told apart by identity: quick to hash, in tuples that are keys
class Feature:
    """A gene, or another region (`symbol` empty). Positions are 1-based and inclusive."""

    start: int
    end: int
    symbol: str
    region: str


class Features:
    """The features of one contig, cut into disjoint segments so that a look-up is one binary search."""

    def __init__(self, features: list[Feature], spliced: set[str]) -> None:
        self.spliced = spliced
        self.starts = sorted({1} | {f.start for f in features} | {f.end + 1 for f in features})
        self.segments = [tuple(f for f in features if f.start <= at <= f.end) for at in self.starts]

    def at(self, start: int, end: int) -> tuple[Feature, ...]:
        """The features that overlap start..end, in order.

        With end = start - 1, those that the gap between these two bases lies in: what is inserted right
        before a gene is not in it.
        """
        if end < start:
            left = self.at(end, end)
            return tuple(f for f in self.at(start, start) if f in left)
        first = bisect.bisect_right(self.starts, max(start, 1)) - 1
        last = bisect.bisect_right(self.starts, max(end, 1))
        if last - first == 1:
            return self.segments[first]
        return tuple(dict.fromkeys(f for segment in self.segments[first:last] for f in segment))


def read_gff(path: Path) -> Features:
    """Genes and named regions of a GFF3 file, and which genes have introns."""
    features, exons, symbols = [], dict[str, int](), dict[str, str]()
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        for line in lines:
            if line.startswith("#"):
                continue
            _, _, kind, start, end, _, _, _, text = line.rstrip("\n").split("\t")
            attributes = dict(item.split("=", 1) for item in text.split(";"))
            if kind == "gene":
                region = REGIONS.get(attributes["biotype"], OTHER_GENE)
                features.append(Feature(int(start), int(end), attributes["Name"], region))
                symbols[attributes["ID"]] = attributes["Name"]
            elif kind in REGIONS:
                features.append(Feature(int(start), int(end), "", REGIONS[kind]))
            elif kind == "exon":
                exons[attributes["Parent"]] = exons.get(attributes["Parent"], 0) + 1
            elif attributes.get("Parent") in symbols:
                symbols[attributes["ID"]] = symbols[attributes["Parent"]]
    return Features(features, {symbols[transcript] for transcript, count in exons.items() if count > 1})
