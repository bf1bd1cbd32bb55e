from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from screening.contracts import GRADES, RiskGrade
from screening.errors import ContractError
from screening.taxonomy import Disease, Taxonomy, load_taxonomy

TAXONOMY = load_taxonomy()
CLASSES = len(TAXONOMY.classes)


def a_node(disease_id: str, parent: str | None = "lesion", **changed: object) -> dict[str, object]:
    return {"id": disease_id, "name": disease_id.title(), "parent": parent} | changed


def a_class(disease_id: str, index: int) -> dict[str, object]:
    return a_node(disease_id, grade="low_risk") | {"class": index}


def a_file(folder: Path, *nodes: dict[str, object]) -> Path:
    file = folder / "diseases.yaml"
    file.write_text(yaml.safe_dump([a_node("lesion", None), *nodes]))
    return file


def some_probabilities(photos: int = 5, classes: int = CLASSES) -> np.ndarray:
    """Shape (photos, classes), rows sum to 1."""
    return np.random.default_rng(7).dirichlet(np.ones(classes), photos)


@st.composite
def trees(draw: st.DrawFn) -> Taxonomy:
    """Any tree of up to twelve nodes; any of them, not only leaves, may be a training class."""
    nodes = draw(st.integers(1, 12))
    is_class = draw(st.lists(st.booleans(), min_size=nodes, max_size=nodes))
    places = iter(draw(st.permutations(range(sum(is_class)))))
    return Taxonomy(
        tuple(
            Disease(
                id=f"d{number}",
                name="",
                parent=f"d{draw(st.integers(0, number - 1))}" if number else None,
                grade=draw(st.sampled_from(GRADES)),
                icd10=None,
                class_index=next(places) if is_class[number] else None,
                labels=(),
            )
            for number in range(nodes)
        ),
        version="t-drawn",
    )


@given(trees())
def test_the_probability_of_a_node_is_its_own_and_the_sum_of_its_children(taxonomy: Taxonomy) -> None:
    probabilities = some_probabilities(classes=max(1, len(taxonomy.classes)))
    for node in taxonomy.diseases:
        own = probabilities[:, node.class_index] if node.class_index is not None else 0.0
        children = sum(taxonomy.probability(d.id, probabilities) for d in taxonomy.diseases if d.parent == node.id)

        assert taxonomy.probability(node.id, probabilities) == pytest.approx(own + children)


@given(trees())
def test_the_descendants_of_a_node_are_itself_and_all_that_lead_up_to_it(taxonomy: Taxonomy) -> None:
    parent_of = {d.id: d.parent for d in taxonomy.diseases}

    def leads_to(disease_id: str | None, node: str) -> bool:
        return disease_id == node or (disease_id is not None and leads_to(parent_of[disease_id], node))

    for node in taxonomy.diseases:
        expected = {d.id for d in taxonomy.diseases if leads_to(d.id, node.id)}
        assert {d.id for d in taxonomy.descendants(node.id)} == expected


@given(trees())
def test_the_grades_of_a_photo_share_out_all_its_probability(taxonomy: Taxonomy) -> None:
    if not taxonomy.classes:
        return
    probabilities = some_probabilities(classes=len(taxonomy.classes))

    grades = taxonomy.grade_probabilities(probabilities)

    assert grades.shape == (5, 3)
    assert grades.sum(axis=1) == pytest.approx(np.ones(5))
    for column, grade in enumerate(GRADES):
        of_grade = [place for place, d in enumerate(taxonomy.classes) if d.grade == grade]
        assert grades[:, column] == pytest.approx(probabilities[:, of_grade].sum(axis=1))


@given(trees())
def test_the_classes_stand_in_the_order_of_the_tensor(taxonomy: Taxonomy) -> None:
    assert [d.class_index for d in taxonomy.classes] == list(range(len(taxonomy.classes)))
    assert taxonomy.class_ids == tuple(d.id for d in taxonomy.classes)


@pytest.mark.parametrize(
    ("nodes", "says"),
    [
        ([a_node("mole"), a_node("mole")], "'mole' stands twice"),
        ([a_node("mole", "benign")], "'mole' comes before its parent 'benign', or that is missing"),
        ([a_node("mole", "benign"), a_node("benign")], "'mole' comes before its parent 'benign'"),
        ([a_node("mole", "mole")], "'mole' comes before its parent 'mole'"),
        ([a_node("mole") | {"class": 0}], "training class 'mole' has no grade"),
        ([a_class("mole", 1)], r"class indices are \[1\], expected 0..0"),
        ([a_class("mole", 0), a_class("wart", 0)], r"class indices are \[0, 0\], expected 0..1 once each"),
    ],
)
def test_a_file_that_is_no_tree_is_refused(nodes: list[dict[str, object]], says: str, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=f"diseases.yaml: .*{says}"):
        load_taxonomy(a_file(tmp_path, *nodes))


def test_a_changed_file_is_another_version(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    (tmp_path / "changed").mkdir()
    version = load_taxonomy(a_file(tmp_path, a_node("mole"))).version

    assert load_taxonomy(a_file(tmp_path / "again", a_node("mole"))).version == version
    assert load_taxonomy(a_file(tmp_path / "changed", a_node("mole", name="Naevus"))).version != version


def test_the_classes_of_the_ensemble_stand_in_the_order_it_was_trained_with() -> None:
    assert TAXONOMY.class_ids == (
        "nevus",
        "seborrheic_keratosis",
        "dermatofibroma",
        "vascular_lesion",
        "basal_cell_carcinoma",
        "actinic_keratosis_bowen",
        "squamous_cell_carcinoma",
        "melanoma",
    )


@pytest.mark.parametrize(
    ("grade", "diseases"),
    [
        ("low_risk", {"nevus", "seborrheic_keratosis", "dermatofibroma", "vascular_lesion"}),
        ("high_risk", {"basal_cell_carcinoma", "actinic_keratosis_bowen"}),
        ("dangerous", {"squamous_cell_carcinoma", "melanoma"}),
    ],
)
def test_a_disease_has_the_grade_of_its_behaviour(grade: str, diseases: set[str]) -> None:
    assert {d.id for d in TAXONOMY.classes if d.grade == grade} == diseases


@pytest.mark.parametrize(("node", "grade"), [("benign", 0), ("premalignant_or_slow", 1), ("aggressive", 2)], ids=str)
def test_a_grade_is_as_likely_as_the_branch_that_holds_its_diseases(node: str, grade: int) -> None:
    probabilities = some_probabilities()

    of_branch = TAXONOMY.probability(node, probabilities)

    assert of_branch == pytest.approx(TAXONOMY.grade_probabilities(probabilities)[:, grade])


def test_every_photo_shows_some_lesion() -> None:
    assert TAXONOMY.probability("lesion", some_probabilities()) == pytest.approx(np.ones(5))


def test_a_disease_is_graded_as_its_parent() -> None:
    assert [d.id for d in TAXONOMY.classes if d.parent and d.grade != TAXONOMY[d.parent].grade] == []


def test_every_class_has_an_icd_10_code() -> None:
    assert [d.id for d in TAXONOMY.classes if not d.icd10] == []


def test_no_label_belongs_to_two_classes() -> None:
    spellings = [spelling for d in TAXONOMY.classes for spelling in {d.id, *d.labels}]

    assert len(set(spellings)) == len(spellings)


@pytest.mark.parametrize(
    ("label", "disease"),
    [
        ("nv", "nevus"),
        ("NEV", "nevus"),
        (" Melanoma ", "melanoma"),
        ("mel", "melanoma"),
        ("pigmented benign keratosis", "seborrheic_keratosis"),
        ("akiec", "actinic_keratosis_bowen"),
        ("ACK", "actinic_keratosis_bowen"),
        ("squamous_cell_carcinoma", "squamous_cell_carcinoma"),
    ],
)
def test_a_data_sets_label_finds_its_class_whatever_its_case(label: str, disease: str) -> None:
    assert TAXONOMY.class_ids[TAXONOMY.class_of_label(label)] == disease


def test_every_label_finds_its_class_in_capitals_too() -> None:
    for disease in TAXONOMY.classes:
        for spelling in (disease.id, *disease.labels):
            assert TAXONOMY.class_of_label(spelling.upper()) == disease.class_index, spelling


@pytest.mark.parametrize("label", ["", "wart", "benign", "lesion", "nevu"])
def test_a_label_that_no_class_knows_is_refused(label: str) -> None:
    with pytest.raises(ContractError, match=f"no training class for label '{label}'"):
        TAXONOMY.class_of_label(label)


def test_a_disease_is_found_by_its_id() -> None:
    assert TAXONOMY["melanoma"].grade is RiskGrade.DANGEROUS
    with pytest.raises(ContractError, match="no disease 'wart'"):
        TAXONOMY["wart"]


def test_the_probability_of_an_unknown_disease_is_an_error_and_not_zero() -> None:
    with pytest.raises(ContractError, match="no disease 'wart'"):
        TAXONOMY.probability("wart", some_probabilities())
