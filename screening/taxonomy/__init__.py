"""The tree of diseases: names, parents, risk grades, ICD-10 codes and training classes."""

from screening.taxonomy.tree import Disease, Taxonomy, load_taxonomy

__all__ = ["Disease", "Taxonomy", "load_taxonomy"]
