"""A night is judged by the cut-offs that it was opened with, and answers in the programme's language."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest

from screening.contracts import QUALITY
from screening.cutoffs import QualityCutoffs
from screening.edges import paths
from screening.edges.folder_store import FolderStore
from screening.edges.tables import read_table
from screening.errors import ContractError, SettingsError
from screening.settings import Settings
from screening.stages.quality.messages import ENGLISH, LANGUAGES
from screening.tasks import NightContext, open_night, prepare
from screening.tasks.context import Plan
from screening.tasks.quality_rules import load_quality_rules
from tests.unit.made_up_night import RELEASE
from tests.unit.photo_files import saved
from tests.unit.skin_photos import skin_photo

NIGHT = date(2026, 11, 20)


class WithoutTriton(NightContext):
    """A context whose model server is always in health."""

    def release(self, _name):
        return RELEASE

    def model_server(self, _release, *, with_heat_maps=False):  # noqa: ARG002  # as the one it stands for
        return nullcontext(SimpleNamespace(canary=lambda **_how: None))


@pytest.fixture
def store(tmp_path):
    folder = tmp_path / "store"
    folder.mkdir()
    store = FolderStore(folder)
    store.put(paths.upload("north", NIGHT, "dark.jpg"), saved((skin_photo() * 0.1).astype("uint8"), "JPEG"))
    return store


def cutoffs_file(folder: Path, name: str, **numbers: float) -> str:
    file = folder / f"{name}.yaml"
    file.write_text(f"name: {name}\ncutoffs:\n" + "".join(f"  {n}: {v}\n" for n, v in numbers.items()))
    return str(file)


def context(store, **settings: object) -> NightContext:
    return WithoutTriton(Settings(pseudonym_key="k" * 32, **settings), store, store)


def quality_row(plan: Plan, context: NightContext):
    prepare(plan.run_id, 0, context)
    [row] = read_table(context.results, paths.staged_batch(plan.run_id, "quality", 0), QUALITY).to_pylist()
    return row


def test_without_settings_the_products_cutoffs_and_english_hold():
    rules = load_quality_rules(Settings())

    assert (rules.cutoffs, rules.messages) == (QualityCutoffs(), ENGLISH)


def test_a_site_judges_by_its_own_cutoffs_and_every_row_says_so(store, tmp_path):
    ours = context(store, quality_cutoffs=cutoffs_file(tmp_path, "lenient", refuse_brightness_below=0.01))
    plan = open_night(NIGHT, ours)

    row = quality_row(plan, ours)

    assert row["reason"] != "too_dark", "which it is by the product's own cut-offs, see below"
    assert row["cutoffs_version"] == plan.quality_cutoffs.version
    assert row["cutoffs_version"].startswith("lenient-")


@pytest.mark.parametrize("is_there", [True, False])
def test_another_machine_of_the_night_judges_by_the_plan_and_not_by_its_own_file(store, tmp_path, is_there):
    plan = open_night(NIGHT, context(store))
    file = cutoffs_file(tmp_path, "lenient", refuse_brightness_below=0.01) if is_there else "none.yaml"

    row = quality_row(plan, context(store, quality_cutoffs=file))

    assert (row["reason"], row["cutoffs_version"]) == ("too_dark", QualityCutoffs().version)


def test_a_night_opened_again_keeps_its_cutoffs_and_another_night_has_the_new_ones(store, tmp_path, caplog):
    first = open_night(NIGHT, context(store))
    changed = context(store, quality_cutoffs=cutoffs_file(tmp_path, "lenient", refuse_brightness_below=0.01))

    again, other = open_night(NIGHT, changed), open_night(date(2026, 11, 21), changed)

    assert again.quality_cutoffs == first.quality_cutoffs == QualityCutoffs()
    assert other.quality_cutoffs.name == "lenient"
    assert f"keeps quality_cutoffs={QualityCutoffs().version}, the settings name lenient-" in caplog.text


def test_a_night_whose_plan_has_the_cutoffs_of_other_code_is_opened_with_those_of_the_settings(store):
    opened = open_night(NIGHT, context(store))
    text = store.get(paths.run_plan(opened.run_id)).decode()
    store.put(paths.run_plan(opened.run_id), text.replace("flag_hair", "flag_fur").encode())

    assert open_night(NIGHT, context(store)) == opened


def test_a_plan_with_the_cutoffs_of_other_code_judges_nothing(store):
    opened = open_night(NIGHT, context(store))
    text = store.get(paths.run_plan(opened.run_id)).decode().replace("flag_hair", "flag_fur")

    with pytest.raises(ContractError, match="plan of night-2026-11-20: its quality cut-offs are not this code's"):
        Plan.from_json(text.encode())


def test_a_plan_is_read_back_as_it_was_written(store):
    plan = open_night(NIGHT, context(store))

    assert Plan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize("messages", ["es", str(LANGUAGES["es"])])
def test_the_advice_is_given_in_the_language_or_from_the_file_that_is_named(store, messages):
    spanish = context(store, advice_messages=messages)

    assert quality_row(open_night(NIGHT, spanish), spanish)["advice"].startswith("La foto está demasiado oscura")


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("quality_cutoffs", "none.yaml", "SCREENING_QUALITY_CUTOFFS: none.yaml cannot be read"),
        ("advice_messages", "fr", "SCREENING_ADVICE_MESSAGES: fr cannot be read: .* a language, en or es"),
    ],
)
def test_a_file_that_does_not_exist_stops_the_night_before_it_opens(store, setting, value, told):
    with pytest.raises(SettingsError, match=told):
        open_night(NIGHT, context(store, **{setting: value}))

    assert not store.exists(paths.ledger(NIGHT))


def test_messages_that_lack_an_issue_stop_the_night_before_it_opens(store, tmp_path):
    file = tmp_path / "ours.yaml"
    file.write_text('dim: "Take it again."\n')

    with pytest.raises(ContractError, match=r"ours\.yaml: no message for too_few_pixels, "):
        open_night(NIGHT, context(store, advice_messages=str(file)))
    assert not store.exists(paths.ledger(NIGHT))
