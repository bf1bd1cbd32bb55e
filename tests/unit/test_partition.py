from collections.abc import Mapping
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.contracts import GRADES
from screening.errors import ContractError
from screening.taxonomy import Taxonomy, load_taxonomy, partition_diseases, taxonomy_of
from tests.unit.trees import a_tree, some_probabilities, trees

MOLES = a_tree(
    ("mole", "lesion", "low_risk"),
    ("blue", "mole", "low_risk"),
    ("spitz", "mole", "low_risk"),
    ("halo", "mole", "low_risk"),
    ("cancer", "lesion", "dangerous"),
    ("bcc", "cancer", "high_risk"),
    ("melanoma", "cancer", "dangerous"),
)


@st.composite
def corpora(draw: st.DrawFn) -> tuple[Taxonomy, dict[str, int]]:
    """Any tree with photos of some of its graded nodes, at least one."""
    taxonomy = draw(trees())
    graded = [d.id for d in taxonomy.diseases if taxonomy.grade_of(d.id)]
    photos = draw(
        st.dictionaries(st.sampled_from(graded), st.integers(0, 40), min_size=1).filter(lambda p: any(p.values()))
    )
    return taxonomy, photos


def sizes_of(photos: Mapping[str, int], limit: int, *, join_small: bool = True) -> dict[str, int]:
    found = partition_diseases(MOLES, photos, limit, join_small=join_small)
    return dict(zip(found.classes.class_ids, found.photos, strict=True))


@given(corpora(), st.integers(1, 60), st.booleans())
def test_every_photo_is_in_exactly_one_class(corpus: tuple[Taxonomy, dict[str, int]], limit: int, join: bool) -> None:
    taxonomy, photos = corpus
    found = partition_diseases(taxonomy, photos, limit, join_small=join)

    assert sorted(d for members in found.diseases for d in members) == sorted(d for d, n in photos.items() if n)
    for members, size in zip(found.diseases, found.photos, strict=True):
        assert size == sum(photos[d] for d in members)


@given(corpora(), st.integers(1, 60), st.booleans())
def test_a_class_is_within_the_limit_unless_it_is_one_disease(
    corpus: tuple[Taxonomy, dict[str, int]], limit: int, join: bool
) -> None:
    found = partition_diseases(*corpus, limit, join_small=join)

    assert all(size <= limit or len(members) == 1 for members, size in zip(found.diseases, found.photos, strict=True))


@given(corpora(), st.integers(1, 60), st.booleans())
def test_a_label_finds_the_class_that_its_photos_were_counted_for(
    corpus: tuple[Taxonomy, dict[str, int]], limit: int, join: bool
) -> None:
    found = partition_diseases(*corpus, limit, join_small=join)

    for place, members in enumerate(found.diseases):
        assert {found.classes.class_of_label(disease) for disease in members} == {place}


@given(corpora(), st.integers(1, 60))
def test_a_class_is_never_graded_milder_than_a_disease_in_it(
    corpus: tuple[Taxonomy, dict[str, int]], limit: int
) -> None:
    taxonomy, photos = corpus
    found = partition_diseases(taxonomy, photos, limit)

    for grade, members in zip(found.classes.grades, found.diseases, strict=True):
        severities = [GRADES.index(own) for disease in members if (own := taxonomy.grade_of(disease))]
        assert max(severities) <= GRADES.index(grade)


@given(corpora(), st.integers(1, 60), st.randoms(use_true_random=False))
def test_the_order_of_tree_and_photos_does_not_matter(
    corpus: tuple[Taxonomy, dict[str, int]], limit: int, random: Random
) -> None:
    taxonomy, photos = corpus
    shuffled = dict(random.sample(sorted(photos.items()), len(photos)))
    # Another order in which parents still stand before their children.
    depth = {d.id: len(list(taxonomy.lineage(d.id))) for d in taxonomy.diseases}
    diseases = sorted(random.sample(taxonomy.diseases, len(taxonomy.diseases)), key=lambda d: depth[d.id])

    found, again = (
        partition_diseases(tree, p, limit)
        for tree, p in ((taxonomy, photos), (replace(taxonomy, diseases=tuple(diseases)), shuffled))
    )

    assert (found.classes.class_ids, found.diseases, found.photos) == (
        again.classes.class_ids,
        again.diseases,
        again.photos,
    )


@given(corpora(), st.integers(1, 60))
def test_the_sums_over_any_cut_through_the_tree_that_holds_all_classes_are_one(
    corpus: tuple[Taxonomy, dict[str, int]], limit: int
) -> None:
    classes = partition_diseases(*corpus, limit).classes
    probabilities = some_probabilities(len(classes))
    cut = [classes.taxonomy.root.id]
    while cut:
        assert sum(classes.probability(node, probabilities) for node in cut) == pytest.approx(np.ones(5))
        finer = next((node for node in cut if node not in classes.class_ids), None)
        if finer is None:
            break
        below = [child.id for child in classes.taxonomy.children(finer) if classes.places_under(child.id)]
        cut = [node for node in cut if node != finer] + below


@given(corpora(), st.integers(1, 60))
def test_what_was_to_be_inferred_can_be(corpus: tuple[Taxonomy, dict[str, int]], limit: int) -> None:
    taxonomy, photos = corpus
    first_level = [child.id for child in taxonomy.children(taxonomy.root.id)]
    found = partition_diseases(taxonomy, photos, limit, inference=first_level)

    for node in first_level:
        shown = [
            place for place, members in enumerate(found.diseases) if any(d in members for d in below(taxonomy, node))
        ]
        assert found.classes.places_under(node) == shown


def below(taxonomy: Taxonomy, node: str) -> set[str]:
    return {d.id for d in taxonomy.descendants(node)}


def test_a_node_with_photos_up_to_the_limit_is_one_class() -> None:
    photos = {"blue": 4, "spitz": 6, "melanoma": 9}

    assert sizes_of(photos, 10) == {"mole": 10, "cancer": 9}
    assert sizes_of(photos, 9) == {"blue": 4, "spitz": 6, "cancer": 9}


def test_small_siblings_share_a_class_and_large_ones_have_their_own() -> None:
    photos = {"blue": 3, "spitz": 20, "halo": 5}

    assert sizes_of(photos, 10) == {"blue_and_1_more": 8, "spitz": 20}
    assert sizes_of(photos, 10, join_small=False) == {"blue": 3, "halo": 5, "spitz": 20}


def test_photos_of_a_descended_node_itself_are_a_class_with_its_small_children() -> None:
    photos = {"mole": 4, "blue": 3, "spitz": 20, "halo": 5}

    assert sizes_of(photos, 10) == {"blue": 3, "mole": 9, "spitz": 20}
    assert sizes_of(photos, 10, join_small=False) == {"blue": 3, "halo": 5, "mole": 4, "spitz": 20}


def test_small_siblings_of_different_grades_stay_apart() -> None:
    assert sizes_of({"bcc": 2, "melanoma": 3, "cancer": 30}, 10) == {"bcc": 2, "cancer": 30, "melanoma": 3}


def test_joined_siblings_stand_below_a_node_that_a_release_can_keep() -> None:
    tree = partition_diseases(MOLES, {"blue": 3, "spitz": 20, "halo": 5}, 10).classes.taxonomy

    assert [d.id for d in tree.lineage("halo")] == ["halo", "blue_and_1_more", "mole", "lesion"]
    assert tree["blue_and_1_more"].name == "Blue or Halo"
    assert taxonomy_of(tree.diseases).version == tree.version != MOLES.version


@pytest.mark.parametrize(
    ("photos", "limit", "says"),
    [
        ({"blue": 1}, 0, "max_class_size is 0, expected at least 1"),
        ({"blue": -1}, 5, "'blue' has -1 photos"),
        ({"wart": 1}, 5, "no disease 'wart'"),
        ({}, 5, "there are no photos"),
        ({"blue": 0}, 5, "there are no photos"),
        ({"lesion": 3}, 5, "3 photos are labelled 'lesion', which has no grade; give them finer labels"),
    ],
)
def test_photos_that_cannot_be_partitioned_are_refused(photos: dict[str, int], limit: int, says: str) -> None:
    with pytest.raises(ContractError, match=says):
        partition_diseases(MOLES, photos, limit)


def test_the_trees_own_partition_still_answers_the_nine_classes_of_esteva() -> None:
    taxonomy = load_taxonomy()
    nine = [d.id for parent in ("benign", "malignant", "non_neoplastic") for d in taxonomy.children(parent)]
    leaves = [d.id for node in nine for d in taxonomy.descendants(node) if not taxonomy.children(d.id)]
    found = partition_diseases(taxonomy, dict.fromkeys(leaves, 100), 1000, inference=nine)

    inferred = found.classes.inferred(nine, some_probabilities(len(found.classes)))

    assert inferred.sum(axis=1) == pytest.approx(np.ones(5))
