"""The command from photos to the report, with the networks of the release in the repository and photos of noise."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from screening.cli import app
from screening.errors import ContractError, MissingError, SettingsError
from screening.taxonomy import load_taxonomy, load_training_classes
from screening.training.corpus import read_corpus
from screening.training.evaluation.scored_photos import write_scored_photos
from screening.training.recipe import RECIPES
from screening.training.splits import freeze_split, write_split
from tests.training.evaluation.made_up_photos import some_scored

REPOSITORY = Path(__file__).parents[3] / "model_repository"
CLASSES = load_training_classes("isic8", load_taxonomy())
LABELS = ["NEV", "MEL", "BCC", "SEK", "ACK", "SCC"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """Twenty-four photos of noise as a data set, with its recipe, and a split that puts every second into the test."""
    root = Path(tmp_path_factory.mktemp("corpus"))
    (root / "pad_ufes/images").mkdir(parents=True)
    random = np.random.default_rng(0)
    rows = []
    for n in range(24):
        pixels = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((128, 128)).save(root / f"pad_ufes/images/SECRET_{n}.png")
        rows.append({"file": f"SECRET_{n}.png", "label": LABELS[n // 2 % 6], "patient_id": f"PAT_{n}", "lesion_id": n,
                     "fitspatrick": 2.0, "region": "ARM", "age": 50, "gender": "MALE"})  # fmt: skip
    pd.DataFrame(rows).to_csv(root / "pad_ufes/labels.csv", index=False)
    (root / "isic9/images").mkdir(parents=True)
    for n, label in enumerate(["nv", "mel", "bcc", "scc"] * 3):
        pixels = random.integers(0, 256, (96, 96, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"isic9/images/SECRET_{n}_{label}.png")
    files = sorted(file.name for file in (root / "isic9/images").iterdir())
    labels = [file.removesuffix(".png").rpartition("_")[2] for file in files]
    pd.DataFrame({"file": files, "label": labels}).to_csv(root / "isic9/labels.csv", index=False)
    recipe = yaml.safe_load((RECIPES / "first_ensemble.yaml").read_text()) | {"sources": ["pad_ufes"]}
    (root / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    split = pd.DataFrame({"source": "pad_ufes", "lesion": [f"pad_ufes/{n}" for n in range(24)],
                          "patient": [f"pad_ufes/PAT_{n}" for n in range(24)], "side": ["train", "test"] * 12})  # fmt: skip
    split.to_parquet(root / "split.parquet")
    return root


def evaluate(*arguments: object):
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def of_release(corpus: Path, out: Path, *more: object):
    return evaluate(
        "--photos", corpus, "--work", corpus, "--recipe", corpus / "recipe.yaml", "--release", "r0001",
        "--model-repository", REPOSITORY, "--out", out, "--resamples", 100, *more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def done(corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    return of_release(corpus, out, "--other", f"elsewhere={corpus / 'isic9'}"), out


def test_one_command_makes_one_page_a_json_and_the_table(done):
    result, out = done

    assert result.exit_code == 0, result.exception
    assert {file.name for file in out.iterdir()} == {"evaluation.html", "evaluation.json", "scored_photos.parquet"}
    document = json.loads((out / "evaluation.json").read_text())
    assert document["photos"] == 12
    assert {c["name"] for c in document["comparisons"]} == set(document["model"]["members"])
    [elsewhere] = document["others"]
    assert elsewhere["photos"] == 12


def test_the_page_shows_photos_a_map_and_heat_maps_and_says_so(done):
    page = (done[1] / "evaluation.html").read_text()

    assert "This file holds photos of patients" in page
    assert "Grad-CAM for" in page
    assert "What looks alike to the networks" in page
    assert "Saliency is left out" in page


def test_neither_page_nor_json_nor_terminal_names_a_photo_or_a_patient(done):
    result, out = done

    for text in (result.output, *(file.read_text() for file in out.glob("*.[hj]*"))):
        assert "SECRET" not in text
        assert "PAT_" not in text


def test_photos_are_left_out_where_that_is_asked_for(corpus, tmp_path):
    assert of_release(corpus, tmp_path, "--no-photos").exit_code == 0

    page = (tmp_path / "evaluation.html").read_text()
    assert "This file holds photos" not in page
    assert "Grad-CAM for" not in page


def test_a_population_that_was_learnt_from_is_no_other(corpus, tmp_path):
    result = of_release(corpus, tmp_path, "--other", f"elsewhere={corpus / 'pad_ufes'}")

    assert isinstance(result.exception, ContractError)
    assert "24 of its patients are in the split of the training" in str(result.exception)


def test_a_release_is_not_measured_on_what_it_learnt_from(corpus, tmp_path):
    repository = tmp_path / "repository"
    shutil.copytree(REPOSITORY / "lesion_ensemble_r0001", repository / "lesion_ensemble_r0001")
    photos = read_corpus(corpus, ["pad_ufes"], CLASSES)
    learnt = freeze_split(photos, pd.Series("train", index=photos.index), np.arange(24), {"method": "groups"})
    write_split(learnt, repository / "lesion_ensemble_r0001/split.parquet")

    result = of_release(corpus, tmp_path / "out", "--model-repository", repository)
    assert isinstance(result.exception, ContractError)
    assert "release r0001 learnt from 12 of these 12 kept-out photos" in str(result.exception)


def test_a_split_of_another_corpus_is_refused(corpus, tmp_path):
    pd.read_parquet(corpus / "split.parquet")[:20].to_parquet(tmp_path / "split.parquet")

    result = of_release(corpus, tmp_path / "out", "--work", tmp_path)
    assert isinstance(result.exception, ContractError)
    assert "is of 20 photos, not of the 24" in str(result.exception)


def test_without_a_frozen_split_nothing_is_measured(corpus, tmp_path):
    result = of_release(corpus, tmp_path / "out", "--work", tmp_path)

    assert isinstance(result.exception, MissingError)
    assert "split.parquet" in str(result.exception)


def test_a_side_without_photos_is_refused(corpus, tmp_path):
    result = of_release(corpus, tmp_path, "--side", "exam")

    assert isinstance(result.exception, ContractError)
    assert "'exam'" in str(result.exception)


def test_any_models_answers_are_measured_from_a_table(tmp_path):
    write_scored_photos(some_scored(), tmp_path / "theirs.parquet")

    result = evaluate("--scored", tmp_path / "theirs.parquet", "--out", tmp_path / "out", "--resamples", 100)

    assert result.exit_code == 0, result.exception
    assert "How well theirs grades" in (tmp_path / "out/evaluation.html").read_text()


@pytest.mark.parametrize("arguments", [[], ["--scored", "a.csv", "--photos", "b", "--work", "c"], ["--photos", "b"]])
def test_either_a_release_with_photos_or_a_table_is_measured(arguments, tmp_path):
    assert isinstance(evaluate("--out", tmp_path, *arguments).exception, SettingsError)


def test_another_population_needs_a_name(tmp_path):
    write_scored_photos(some_scored(), tmp_path / "theirs.parquet")

    result = evaluate("--scored", tmp_path / "theirs.parquet", "--out", tmp_path, "--other", "folder")
    assert isinstance(result.exception, SettingsError)
