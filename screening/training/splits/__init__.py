"""Splits of a corpus: which photos must stay together, how sides are drawn, frozen and checked for leaks."""

from screening.training.splits.blurred import (
    QUALITY,
    describe_blurred,
    is_blurred_or_distant,
    leave_out_blurred,
    without_verdicts,
)
from screening.training.splits.earlier import ReleaseSplit, check_unlearnt, keep_sides
from screening.training.splits.folds import assign_folds, side_in_fold
from screening.training.splits.frozen import (
    Growth,
    extend_split,
    freeze_split,
    read_split,
    side_drawn_once,
    sides_of,
    write_split,
)
from screening.training.splits.graph import (
    COUNTERPARTS,
    NEAR_DUPLICATE_COSINE,
    Evidence,
    SimilarityGraph,
    connect_groups,
    similarity_graph,
)
from screening.training.splits.leaks import Leak, check_no_leak, find_leaks
from screening.training.splits.sides import (
    LEFT_OUT,
    TEST,
    TRAIN,
    VALIDATION,
    check_every_class_is_trained,
    kept_in_training,
    split_by_time,
    split_corpus,
)

__all__ = [
    "COUNTERPARTS",
    "LEFT_OUT",
    "NEAR_DUPLICATE_COSINE",
    "QUALITY",
    "TEST",
    "TRAIN",
    "VALIDATION",
    "Evidence",
    "Growth",
    "Leak",
    "ReleaseSplit",
    "SimilarityGraph",
    "assign_folds",
    "check_every_class_is_trained",
    "check_no_leak",
    "check_unlearnt",
    "connect_groups",
    "describe_blurred",
    "extend_split",
    "find_leaks",
    "freeze_split",
    "is_blurred_or_distant",
    "keep_sides",
    "kept_in_training",
    "leave_out_blurred",
    "read_split",
    "side_drawn_once",
    "side_in_fold",
    "sides_of",
    "similarity_graph",
    "split_by_time",
    "split_corpus",
    "without_verdicts",
    "write_split",
]
