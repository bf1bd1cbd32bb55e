"""A night grades with the tree and the classes that its release was frozen with, whatever later releases know."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from screening.contracts import grades_contract
from screening.cutoffs import GradeCutoffs, QualityCutoffs
from screening.edges import paths
from screening.edges.folder_store import FolderStore
from screening.edges.tables import write_table
from screening.errors import ContractError, MissingError
from screening.settings import Settings
from screening.tasks import NightContext
from screening.tasks.context import Plan, release_classes, servable_release
from screening.tasks.staged import EARLIER_GRADES, earlier_grades, published_contracts
from tests.unit.made_up_night import NIGHT, Upload, night_of

FROZEN = Path(__file__).parents[2] / "model_repository" / "lesion_ensemble_r0001"
EARLIER = date(2026, 11, 18)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    folder = tmp_path / "models" / FROZEN.name
    folder.mkdir(parents=True)
    for name in ("release.json", "taxonomy.yaml"):
        shutil.copy(FROZEN / name, folder)
    return Settings(model_repository=str(tmp_path / "models"))


def in_release(settings: Settings, name: str) -> Path:
    return Path(settings.model_repository) / FROZEN.name / name


def test_a_release_answers_with_its_own_tree(settings: Settings) -> None:
    classes = release_classes(settings, servable_release(settings, "r0001"))

    assert classes.taxonomy.version == "t-9bee07e27896"
    assert "seborrheic_keratosis" in classes.class_ids  # which the tree of today calls benign_keratosis


def test_a_release_whose_tree_was_changed_is_not_served(settings: Settings) -> None:
    file = in_release(settings, "taxonomy.yaml")
    file.write_text(file.read_text().replace("grade: dangerous", "grade: high_risk"))

    with pytest.raises(ContractError, match=r"r0001: its taxonomy\.yaml is t-.*, expected t-9bee07e27896; restore"):
        servable_release(settings, "r0001")


def test_a_release_without_a_tree_is_not_served(settings: Settings) -> None:
    in_release(settings, "taxonomy.yaml").unlink()

    with pytest.raises(MissingError, match=r"taxonomy\.yaml does not exist"):
        servable_release(settings, "r0001")


def test_a_release_with_a_class_that_its_tree_does_not_know_is_not_served(settings: Settings) -> None:
    file = in_release(settings, "release.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"classes": ["nevus", "wart"]}))

    with pytest.raises(ContractError, match="no disease 'wart'"):
        servable_release(settings, "r0001")


def test_a_night_publishes_a_column_for_each_class_of_its_release(settings: Settings) -> None:
    classes = release_classes(settings, servable_release(settings, "r0001"))

    columns = [column.name for column in published_contracts(classes)["grades"].columns]
    assert columns[-8:] == [f"p_{disease}" for disease in classes.class_ids]


def test_grades_of_a_night_whose_release_had_other_classes_can_be_borrowed(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    classes = ("nevus", "melanoma")
    [row] = night_of(Upload("old.jpg", grade="dangerous")).tables["grades"].to_pylist()
    fewer = {name: value for name, value in row.items() if not name.startswith("p_") or name in EARLIER_GRADES}
    contract = grades_contract(classes)
    old = contract.table([fewer | {"p_low_risk": 0.2, "p_nevus": 0.2, "p_melanoma": 0.8}])
    write_table(store, paths.published("grades", "coast", EARLIER), old, contract)
    again = night_of(Upload("new.jpg", outcome="duplicate", same_as="old.jpg", same_as_night=EARLIER)).tables["photos"]

    found = earlier_grades(again.to_pylist(), NightContext(Settings(), store, store))

    assert found.column_names == list(EARLIER_GRADES)
    assert found["grade"].to_pylist() == ["dangerous"]


def test_a_night_that_repeats_nothing_borrows_nothing(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    plan = Plan(
        f"night-{NIGHT}", NIGHT, [1], "r0001", "c", datetime.now(UTC), QualityCutoffs(), GradeCutoffs("g", 0.2, 0.3)
    )
    store.put(paths.run_plan(plan.run_id), plan.to_json())

    assert (
        earlier_grades(
            night_of(Upload("a.jpg")).tables["photos"].to_pylist(), NightContext(Settings(), store, store)
        ).num_rows
        == 0
    )
