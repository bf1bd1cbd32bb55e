"""Recipes as files: all of them can be read, every field is explained, and a slip is told by its name."""

from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel
from typer.testing import CliRunner

from screening.errors import MissingError, SettingsError
from screening.recipes_cli import app, parts_of
from screening.training.recipe import RECIPES, EnsembleRecipe, Fold, MemberRecipe, load_recipe, recipe_names

WANTED = {
    "esteva2017_inception_v3",
    "han2018_resnet152",
    "zhao2019_xception",
    *(f"mishra2018_{net}_{how}" for net in ("resnet18", "resnet50", "resnet152", "densenet161") for how in ("head", "full")),
    "transfer_vgg16",
    "transfer_resnet50",
    "transfer_mobilenet",
    "ensemble_resnet152_vgg19",
    "first_ensemble",
    "second_ensemble",
    "best_ensemble",
}  # fmt: skip


def all_parts(model: type[BaseModel]) -> set[type[BaseModel]]:
    inner = [part for field in model.model_fields.values() for part in parts_of(field.annotation)]
    return {model}.union(*(all_parts(part) for part in inner))


def a_recipe(tmp_path: Path, **changes: object) -> Path:
    """The first ensemble with other fields in its first member, as a file."""
    fields = yaml.safe_load((RECIPES / "first_ensemble.yaml").read_text())
    fields["members"][0] |= changes
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(fields))
    return file


def test_every_system_that_the_project_stands_on_has_a_recipe():
    assert set(recipe_names()) >= WANTED


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_is_named_as_its_file_and_says_which_numbers_are_ours(name):
    recipe = load_recipe(name)

    assert recipe.name == name
    assert recipe.ours
    assert recipe.from_paper or recipe.source.startswith("docs/decisions/")
    assert all(member.size <= recipe.input_side for member in recipe.members), "no pixel is invented"


@pytest.mark.parametrize("part", sorted(all_parts(EnsembleRecipe), key=str), ids=lambda part: str(part.__name__))
def test_every_field_of_a_recipe_is_explained(part):
    assert [name for name, field in part.model_fields.items() if not field.description] == []


def test_the_optimisation_of_esteva_is_that_of_the_paper():
    [member] = load_recipe("esteva2017_inception_v3").members

    optimizer, schedule = member.optimizer, member.schedule
    assert (member.size, optimizer.name, optimizer.learning_rate) == (299, "rmsprop", 0.001)
    assert (optimizer.decay, optimizer.momentum, optimizer.epsilon) == (0.9, 0.9, 0.1)
    assert (schedule.name, schedule.every_epochs, schedule.divide_by) == ("step", 30, 16)
    assert [step.name for step in member.augmentations] == ["rotate_and_crop"]


def test_the_folds_of_mishra_leave_out_each_photo_once():
    for name in recipe_names():
        if name.startswith("mishra2018"):
            assert [m.fold for m in load_recipe(name).members] == [Fold(number=k, of=5) for k in range(5)]


def test_the_members_of_the_best_ensemble_differ_in_size_seed_and_fold():
    members = load_recipe("best_ensemble").members

    for field in ("size", "seed", "fold"):
        assert len({str(getattr(member, field)) for member in members}) == len(members)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rat": 1}, r"learning_rat: Extra inputs"),
        ({"architecture": "mobilenet_v2"}, r"architecture: .*pattern"),
        ({"fold": {"number": 5, "of": 5}}, r"fold: .*fold 5 of 5: expected 0 to 4"),
        ({"first_size": None}, r"first_epochs is 16, so first_size must be given"),
        ({"mean": [0.5, 0.5, 0.5]}, r"mean and std: give both or neither"),
        ({"trained": "head_on_cached_features"}, r"augmentations and mixup must be off"),
        ({"augmentations": [{"name": "sparkle"}]}, r"augmentations.0: .*sparkle"),
        ({"name": "lesion_mobilenet_v2_192"}, r"every name may stand once"),
    ],
)
def test_a_slip_in_a_recipe_is_told_by_its_field(tmp_path, changes, message):
    with pytest.raises(SettingsError, match=message):
        load_recipe(str(a_recipe(tmp_path, **changes)))


def test_a_recipe_that_is_not_yaml_or_not_there_is_told(tmp_path):
    (tmp_path / "broken.yaml").write_text("members: [")

    with pytest.raises(SettingsError, match=r"broken\.yaml: not YAML"):
        load_recipe(str(tmp_path / "broken.yaml"))
    with pytest.raises(MissingError, match=r"recipe 'nobody2020' does not exist; known are .*first_ensemble"):
        load_recipe("nobody2020")


def test_what_members_share_is_written_once(tmp_path):
    fields = yaml.safe_load(a_recipe(tmp_path).read_text())
    fields["every_member"]["batch_photos"] = 7
    fields["members"][1]["batch_photos"] = 9
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(fields))

    assert [member.batch_photos for member in load_recipe(str(tmp_path / "mine.yaml")).members] == [7, 9, 7]


def test_the_command_lists_the_recipes_explains_the_fields_and_shows_one_in_full():
    listed = CliRunner().invoke(app, [], env={"COLUMNS": "200"}).output
    explained = CliRunner().invoke(app, ["--fields"]).output
    shown = yaml.safe_load(CliRunner().invoke(app, ["show", "zhao2019_xception"], env={"COLUMNS": "200"}).output)

    assert all(name in listed for name in recipe_names())
    assert all(f"members.{name}: " in explained for name in MemberRecipe.model_fields)
    assert EnsembleRecipe.model_validate(shown) == load_recipe("zhao2019_xception")


def test_a_part_of_an_ensemble_can_be_trained_alone() -> None:
    recipe = load_recipe("first_ensemble")

    assert [m.name for m in recipe.only(["lesion_mobilenet_v2_256"]).members] == ["lesion_mobilenet_v2_256"]
    assert recipe.only([]) == recipe
    with pytest.raises(SettingsError, match="recipe first_ensemble has no member lesion_mobilenet_v2_288"):
        recipe.only(["lesion_mobilenet_v2_288"])


def test_members_are_named_for_their_release() -> None:
    named = load_recipe("second_ensemble").named_for("r0002")

    assert [m.name for m in named.members] == [f"lesion_mobilenet_v2_{side}_r0002" for side in (224, 192, 256)]
