from pathlib import Path

import pytest
from hypothesis import given

from screening.contracts import GRADES, RiskGrade
from screening.errors import ContractError, MissingError
from screening.taxonomy import Taxonomy, load_taxonomy
from tests.unit.trees import a_node, a_tree, a_tree_file, trees

TAXONOMY = load_taxonomy()


@given(trees())
def test_the_descendants_of_a_node_are_itself_and_all_that_lead_up_to_it(taxonomy: Taxonomy) -> None:
    parent_of = {d.id: d.parent for d in taxonomy.diseases}

    def leads_to(disease_id: str | None, node: str) -> bool:
        return disease_id == node or (disease_id is not None and leads_to(parent_of[disease_id], node))

    for node in taxonomy.diseases:
        expected = {d.id for d in taxonomy.diseases if leads_to(d.id, node.id)}
        assert {d.id for d in taxonomy.descendants(node.id)} == expected


@given(trees())
def test_the_lineage_of_a_node_is_all_that_it_descends_from(taxonomy: Taxonomy) -> None:
    for node in taxonomy.diseases:
        expected = {d.id for d in taxonomy.diseases if node in taxonomy.descendants(d.id)}
        lineage = [d.id for d in taxonomy.lineage(node.id)]
        assert set(lineage) == expected
        assert (lineage[0], lineage[-1]) == (node.id, taxonomy.root.id)


@given(trees())
def test_a_node_is_never_graded_milder_than_anything_below_it(taxonomy: Taxonomy) -> None:
    for node in taxonomy.diseases:
        if grade := taxonomy.grade_of(node.id):
            below = [d.grade for d in taxonomy.descendants(node.id) if d.grade]
            assert all(GRADES.index(other) <= GRADES.index(grade) for other in below)


@pytest.mark.parametrize(
    ("nodes", "grade"),
    [
        ([("mole", "lesion", "low_risk"), ("wart", "lesion", "low_risk")], "low_risk"),
        ([("mole", "lesion", "low_risk"), ("cancer", "lesion", "dangerous")], None),
        ([("mole", "lesion", "low_risk"), ("rash", "lesion")], None),
        ([("mole", "lesion", "high_risk"), ("blue", "mole", "low_risk")], "high_risk"),
        ([("mole", "lesion"), ("blue", "mole", "low_risk"), ("blue2", "blue")], "low_risk"),
        ([], None),
    ],
)
def test_a_node_without_a_grade_has_the_one_that_all_its_children_share(
    nodes: list[tuple[str, str]], grade: str | None
) -> None:
    assert a_tree(*nodes).grade_of("lesion") == grade


@pytest.mark.parametrize(
    ("nodes", "says"),
    [
        ([a_node("mole"), a_node("mole")], "'mole' stands twice"),
        ([a_node("mole", "benign")], "'mole' comes before its parent 'benign', or that is missing"),
        ([a_node("mole", "benign"), a_node("benign")], "'mole' comes before its parent 'benign'"),
        ([a_node("mole", "mole")], "'mole' comes before its parent 'mole'"),
        ([a_node("mole", None)], r"nodes without a parent are \['lesion', 'mole'\], expected exactly one"),
        ([a_node("mole", labels=["nv"]), a_node("wart", labels=["NV"])], "'NV' is a label of both 'mole' and 'wart'"),
        ([a_node("mole", labels=["wart"]), a_node("wart")], "'wart' is a label of both 'mole' and 'wart'"),
        ([a_node("mole", grade="mild")], "'mole': grade is 'mild', expected one of low_risk, high_risk, dangerous"),
        (
            [a_node("mole", grade="low_risk"), a_node("bad mole", "mole", grade="dangerous")],
            "'mole' is low_risk, but 'bad mole' below it is dangerous",
        ),
        ([a_node("mole", icd=10)], r"'mole' has unknown keys \['icd'\]"),
        ([a_node("mole", icd10=22)], "'mole': a value is no text"),
        ([a_node("mole", labels="nv")], "'mole': a value is no text"),
        ([{"id": "mole", "parent": "lesion"}], "is no disease, expected at least id, name and parent"),
    ],
)
def test_a_file_that_is_no_tree_is_refused(nodes: list[dict[str, object]], says: str, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=f"diseases.yaml: .*{says}"):
        load_taxonomy(a_tree_file(tmp_path, *nodes))


@pytest.mark.parametrize(("text", "says"), [("[", "is no YAML"), ("a: 1", "expected a list"), ("", "expected a list")])
def test_a_file_that_is_no_list_is_refused(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "tree.yaml").write_text(text)
    with pytest.raises(ContractError, match=f"tree.yaml: .*{says}"):
        load_taxonomy(tmp_path / "tree.yaml")


def test_a_tree_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"nowhere\.yaml does not exist"):
        load_taxonomy(tmp_path / "nowhere.yaml")


def test_a_changed_file_is_another_version(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    (tmp_path / "changed").mkdir()
    version = load_taxonomy(a_tree_file(tmp_path, a_node("mole"))).version

    assert load_taxonomy(a_tree_file(tmp_path / "again", a_node("mole"))).version == version
    assert load_taxonomy(a_tree_file(tmp_path / "changed", a_node("mole", name="Naevus"))).version != version


@pytest.mark.parametrize(
    ("label", "disease"),
    [
        ("nv", "nevus"),
        ("NEV", "nevus"),
        (" Melanoma ", "melanoma"),
        ("mel", "melanoma"),
        ("bkl", "benign_keratosis"),
        ("SEK", "seborrheic_keratosis"),
        ("akiec", "actinic_keratosis_bowen"),
        ("ACK", "actinic_keratosis"),
        ("Bowen's disease", "bowens_disease"),
        ("bowens-disease", "bowens_disease"),
        ("squamous_cell_carcinoma", "squamous_cell_carcinoma"),
    ],
)
def test_a_data_sets_label_finds_its_disease_whatever_its_spelling(label: str, disease: str) -> None:
    assert TAXONOMY.of_label(label).id == disease


def test_every_id_name_and_label_finds_its_disease_in_capitals_too() -> None:
    for disease in TAXONOMY.diseases:
        for spelling in (disease.id, disease.name, *disease.labels):
            assert TAXONOMY.of_label(spelling.upper()) is disease, spelling


@pytest.mark.parametrize("label", ["", "?", "nevu", "a photo of a cat"])
def test_a_label_that_no_disease_has_is_refused_with_what_to_do(label: str) -> None:
    with pytest.raises(ContractError, match=r"no disease has the label .*; add it to the labels of its disease"):
        TAXONOMY.of_label(label)


def test_a_disease_is_found_by_its_id() -> None:
    assert TAXONOMY["melanoma"].grade is RiskGrade.DANGEROUS
    with pytest.raises(ContractError, match="no disease 'moles'"):
        TAXONOMY["moles"]
