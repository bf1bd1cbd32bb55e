from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

from screening.contracts import GRADES
from screening.edges.release import load_release, taxonomy_file
from screening.errors import ContractError, MissingError
from screening.taxonomy import TrainingClasses, load_taxonomy, load_training_classes
from tests.unit.trees import a_tree, class_lists, some_probabilities

TAXONOMY = load_taxonomy()
ISIC8 = load_training_classes("isic8", TAXONOMY)
MODEL_REPOSITORY = Path(__file__).parents[2] / "model_repository"
MOLES = a_tree(
    ("mole", "lesion"), ("blue", "mole", "low_risk"), ("spitz", "mole", "low_risk"), ("cancer", "lesion", "dangerous")
)


@given(class_lists())
def test_the_probability_of_a_node_is_its_own_and_the_sum_of_its_children(classes: TrainingClasses) -> None:
    probabilities = some_probabilities(len(classes))
    for node in classes.taxonomy.diseases:
        if not classes.places_under(node.id):
            with pytest.raises(ContractError):
                classes.probability(node.id, probabilities)
            continue
        own = probabilities[:, classes.class_ids.index(node.id)] if node.id in classes.class_ids else 0.0
        known = [d.id for d in classes.taxonomy.children(node.id) if classes.places_under(d.id)]
        children = sum(classes.probability(child, probabilities) for child in known)

        assert classes.probability(node.id, probabilities) == pytest.approx(own + children)


@given(class_lists())
def test_the_probability_of_the_root_is_one(classes: TrainingClasses) -> None:
    probabilities = some_probabilities(len(classes))

    assert classes.probability(classes.taxonomy.root.id, probabilities) == pytest.approx(np.ones(5))


@given(class_lists())
def test_the_grades_of_a_photo_share_out_all_its_probability(classes: TrainingClasses) -> None:
    probabilities = some_probabilities(len(classes))

    grades = classes.grade_probabilities(probabilities)

    assert grades.sum(axis=1) == pytest.approx(np.ones(5))
    for column, grade in enumerate(GRADES):
        of_grade = [place for place, found in enumerate(classes.grades) if found == grade]
        assert grades[:, column] == pytest.approx(probabilities[:, of_grade].sum(axis=1))


@given(class_lists())
def test_every_label_has_one_class_or_is_refused(classes: TrainingClasses) -> None:
    for disease in classes.taxonomy.diseases:
        above = [d.id for d in classes.taxonomy.lineage(disease.id) if d.id in classes.class_ids]
        is_coarse = bool(classes.places_under(disease.id)) and disease.id not in classes.class_ids
        if is_coarse or not above:
            with pytest.raises(ContractError):
                classes.class_of_label(disease.id)
        else:
            assert classes.class_ids[classes.class_of_label(disease.id)] == above[0]


@given(class_lists())
def test_an_answer_restricted_to_a_node_keeps_its_proportions_and_sums_to_one(classes: TrainingClasses) -> None:
    probabilities = some_probabilities(len(classes))
    for node in classes.taxonomy.diseases:
        if places := classes.places_under(node.id):
            restricted = classes.restricted(node.id, probabilities)
            of_node = classes.probability(node.id, probabilities)[:, None]

            assert restricted.sum(axis=1) == pytest.approx(np.ones(5))
            assert restricted[:, places] * of_node == pytest.approx(probabilities[:, places])


def test_an_answer_that_rules_the_node_out_is_shared_evenly_when_restricted_to_it() -> None:
    classes = TrainingClasses(MOLES, ("blue", "spitz", "cancer"))

    assert classes.restricted("mole", np.array([[0.0, 0.0, 1.0]])).tolist() == [[0.5, 0.5, 0.0]]


def test_an_answer_restricted_to_what_no_class_tells_is_an_error() -> None:
    with pytest.raises(
        ContractError, match="'blue' is a part of the training class 'mole', which cannot be told apart"
    ):
        TrainingClasses(MOLES, ("mole", "cancer")).restricted("blue", some_probabilities(2))


def test_coarser_classes_are_sums_in_the_order_that_is_asked_for() -> None:
    classes = TrainingClasses(MOLES, ("blue", "spitz", "cancer"))

    assert classes.inferred(("cancer", "mole"), np.array([[0.2, 0.3, 0.5]])) == pytest.approx(np.array([[0.5, 0.5]]))


@pytest.mark.parametrize(
    ("class_ids", "label", "says"),
    [
        (("blue", "spitz", "cancer"), "mole", r"'mole' \(mole\) is coarser than the training classes blue, spitz;"),
        (("blue", "cancer"), "spitz", r"'spitz' \(spitz\) belongs to no training class;.*: spitz, mole"),
        (("blue", "cancer"), "wart", "no disease has the label 'wart'"),
    ],
)
def test_a_label_above_or_beside_the_classes_is_refused_with_what_to_do(
    class_ids: tuple[str, ...], label: str, says: str
) -> None:
    with pytest.raises(ContractError, match=says):
        TrainingClasses(MOLES, class_ids).class_of_label(label)


def test_the_class_of_the_rest_takes_what_is_beside_all_others_and_nothing_coarser() -> None:
    classes = TrainingClasses(MOLES, ("blue", "cancer"), rest="cancer")

    assert classes.class_of_label("spitz") == 1
    with pytest.raises(ContractError, match="coarser"):
        classes.class_of_label("mole")


def test_a_class_below_another_takes_its_own_labels_and_leaves_the_rest_to_the_other() -> None:
    classes = TrainingClasses(MOLES, ("mole", "blue", "cancer"))

    assert [classes.class_of_label(label) for label in ("mole", "spitz", "blue")] == [0, 0, 1]


@pytest.mark.parametrize(
    ("class_ids", "rest", "says"),
    [
        ((), None, "expected at least one"),
        (("blue", "blue"), None, "stands twice"),
        (("blue", "wart"), None, "no disease 'wart'"),
        (("blue", "cancer"), "mole", "rest is 'mole', expected one of"),
        (("lesion",), None, "'lesion': its diseases are low_risk and dangerous; take finer classes"),
    ],
)
def test_a_list_that_cannot_be_answered_is_refused(class_ids: tuple[str, ...], rest: str | None, says: str) -> None:
    with pytest.raises(ContractError, match=says):
        TrainingClasses(MOLES, class_ids, rest)


def test_a_class_of_ungraded_diseases_is_refused() -> None:
    with pytest.raises(ContractError, match="'rash': its diseases are not graded"):
        TrainingClasses(a_tree(("rash", "lesion")), ("rash",))


def test_a_class_of_different_grades_is_taken_where_its_node_has_the_severest_of_them() -> None:
    tree = a_tree(("skin cancer", "lesion", "dangerous"), ("slow", "skin cancer", "high_risk"))

    assert TrainingClasses(tree, ("skin cancer",)).grades == ("dangerous",)


def test_the_classes_of_the_first_release_stand_in_the_order_it_was_trained_with() -> None:
    release = load_release(str(MODEL_REPOSITORY), "r0001")
    frozen = load_taxonomy(taxonomy_file(str(MODEL_REPOSITORY), release))

    assert frozen.version == release.taxonomy_version == "t-9bee07e27896"
    classes = TrainingClasses(frozen, release.classes)
    assert dict(zip(classes.class_ids, map(str, classes.grades), strict=True)) == {
        "nevus": "low_risk",
        "seborrheic_keratosis": "low_risk",
        "dermatofibroma": "low_risk",
        "vascular_lesion": "low_risk",
        "basal_cell_carcinoma": "high_risk",
        "actinic_keratosis_bowen": "high_risk",
        "squamous_cell_carcinoma": "dangerous",
        "melanoma": "dangerous",
    }
    assert [classes.class_of_label(label) for label in ("nv", "bkl", "df", "vasc", "bcc", "akiec", "scc", "mel")] == [
        *range(8)
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[", "is no YAML"),
        ("- nevus", "expected the keys classes"),
        ("{classes: [nevus], names: []}", "expected the keys classes"),
        ("{rest: nevus}", "classes is None, expected a list of ids"),
        ("{classes: nevus}", "classes is 'nevus', expected a list of ids"),
        ("{classes: [nevi]}", "no disease 'nevi'"),
    ],
)
def test_a_file_that_lists_no_classes_is_refused(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ContractError, match=f"mine.yaml: .*{says}"):
        load_training_classes(str(tmp_path / "mine.yaml"), TAXONOMY)


def test_an_unknown_list_is_missing_and_the_known_ones_are_named() -> None:
    with pytest.raises(MissingError, match=r"expected a YAML file or one of .*isic8"):
        load_training_classes("isic9", TAXONOMY)


def test_a_list_of_ones_own_is_read_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("{classes: [melanoma, nevus]}")

    assert load_training_classes(str(tmp_path / "mine.yaml"), TAXONOMY).class_ids == ("melanoma", "nevus")


@pytest.mark.parametrize(
    ("label", "disease"),
    [("sek", "benign_keratosis"), ("ACK", "actinic_keratosis_bowen"), ("bowen", "actinic_keratosis_bowen")],
)
def test_a_finer_label_belongs_to_the_class_above_it(label: str, disease: str) -> None:
    assert ISIC8.class_ids[ISIC8.class_of_label(label)] == disease
