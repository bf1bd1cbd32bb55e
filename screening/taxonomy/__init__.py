"""The tree of diseases, what networks answer of it, and its partition into training classes."""

from screening.taxonomy.training_classes import TrainingClasses, load_training_classes
from screening.taxonomy.tree import Disease, Taxonomy, load_taxonomy

__all__ = ["Disease", "Taxonomy", "TrainingClasses", "load_taxonomy", "load_training_classes"]
