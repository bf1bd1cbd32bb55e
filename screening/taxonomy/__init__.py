"""The tree of diseases, what networks answer of it, and its partition into training classes."""

from screening.taxonomy.partition import Partition, partition_diseases
from screening.taxonomy.training_classes import TrainingClasses, load_training_classes
from screening.taxonomy.tree import Disease, Taxonomy, load_taxonomy, taxonomy_of

__all__ = [
    "Disease",
    "Partition",
    "Taxonomy",
    "TrainingClasses",
    "load_taxonomy",
    "load_training_classes",
    "partition_diseases",
    "taxonomy_of",
]
