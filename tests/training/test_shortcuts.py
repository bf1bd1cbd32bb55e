"""`screening shortcuts`: a network that looks at ink is found out, one that looks at the lesion is not."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from screening.cli import app
from screening.cutoffs import GradeCutoffs
from screening.edges.release import load_release
from screening.errors import ContractError
from screening.taxonomy import load_taxonomy, load_training_classes
from screening.training.shortcuts.answers import answer_of_release
from screening.training.shortcuts.drawings import INK, PAINTED
from screening.training.shortcuts.measure import (
    DRAWN_INK,
    ORIGINAL,
    Answers,
    ask_about_drawings,
    auc_table,
    confounder_table,
    drawing_table,
)
from screening.training.shortcuts.report import Shortcuts, as_markdown, write_report
from tests.unit.skin_photos import BLUE_PEN, dyed, ring, skin_photo

REPOSITORY = Path("model_repository")
CUTOFFS = GradeCutoffs("g-test", dangerous=0.9, high_risk=0.4)
CLASSES = load_training_classes("isic8", load_taxonomy())
SIDE = 256


def photo(seed: int, *, has_ink: bool = False) -> np.ndarray:
    drawn = skin_photo(size=(SIDE, SIDE), radius=0.13, seed=seed)
    if has_ink:
        drawn = dyed(drawn, ring(0.3, 4, (SIDE, SIDE)), BLUE_PEN)
    return drawn.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """Ten photos; the last two have ink."""
    return np.stack([photo(seed, has_ink=seed >= 8) for seed in range(10)])


@pytest.fixture(scope="module")
def corpus() -> pd.DataFrame:
    """Clinical and dermoscopic in turns, the first six benign, two photos a patient."""
    benign, malignant = (CLASSES.class_of_label(label) for label in ("NEV", "BCC"))
    return pd.DataFrame(
        {
            "kind": ["clinical", "dermoscopic"] * 5,
            "patient": [f"p{i // 2}" for i in range(10)],
            "label": [benign] * 6 + [malignant] * 4,
        }
    )


def at_risk(p: np.ndarray) -> np.ndarray:
    """Probabilities of the grades: high risk has so much, and low risk the rest."""
    return np.stack([1 - p, p, np.zeros_like(p)], axis=1)


def looks_at_ink(asked: np.ndarray) -> np.ndarray:
    """A network that takes whatever is darker than skin, away from the lesion, for a cancer."""
    grey = asked.min(axis=3).astype(float)
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    outside = np.hypot(x - SIDE / 2, y - SIDE / 2) > 0.19 * SIDE
    dark = (grey < 0.75 * np.median(grey, axis=(1, 2), keepdims=True))[:, outside].mean(axis=1)
    return at_risk(0.1 + 0.8 * (dark > 0.002))


def looks_at_lesion(asked: np.ndarray) -> np.ndarray:
    """A network that sees the middle of the lesion and nothing else."""
    middle = asked[:, SIDE // 2 - 8 : SIDE // 2 + 8, SIDE // 2 - 8 : SIDE // 2 + 8].astype(float)
    return at_risk(middle.mean(axis=(1, 2, 3)) / 255)


def answers_of(network, corpus: pd.DataFrame, pixels: np.ndarray) -> Answers:
    drawings = INK | PAINTED
    return ask_about_drawings(corpus, np.arange(len(corpus)), pixels, network, CLASSES, drawings)


def values(table: pd.DataFrame, drawing: str, photos: str, measure: str) -> pd.Series:
    chosen = (table["drawing"] == drawing) & (table["photos"] == photos) & (table["measure"] == measure)
    return table[chosen].set_index("kind")["value"]


def test_a_network_that_looks_at_ink_moves_far_and_flips(corpus, pixels):
    answers = answers_of(looks_at_ink, corpus, pixels)

    table = drawing_table(answers, CUTOFFS)

    for kind in ("clinical", "dermoscopic"):
        assert values(table, "ink ring", "benign", "move")[kind] > 0.5
        assert values(table, DRAWN_INK, "benign", "size of move")[kind] > 0.5
        assert values(table, DRAWN_INK, "benign", "flips up")[kind] > 0.6
        assert values(table, DRAWN_INK, "benign", "flips down")[kind] == 0


def test_painting_ink_over_lowers_what_such_a_network_says_of_cancers(corpus, pixels):
    answers = answers_of(looks_at_ink, corpus, pixels)

    table = drawing_table(answers, CUTOFFS)

    assert (values(table, "ink painted over", "malignant", "move") < -0.5).all()
    assert (values(table, "ink painted over", "malignant", "flips down") == 1).all()
    assert values(table, "skin painted over (control)", "malignant", "move").abs().max() < 0.1


def test_a_network_that_looks_at_the_lesion_does_not_move(corpus, pixels):
    answers = answers_of(looks_at_lesion, corpus, pixels)

    table = drawing_table(answers, CUTOFFS)

    assert (table["value"] == 0).all()
    assert set(table["drawing"]) >= {DRAWN_INK, *INK}


def test_only_photos_with_ink_are_counted_where_ink_is_painted_over(corpus, pixels):
    table = drawing_table(answers_of(looks_at_lesion, corpus, pixels), CUTOFFS)

    painted = table[(table["drawing"] == "ink painted over") & (table["measure"] == "move")]
    assert painted.set_index(["kind", "photos"])["n"].to_dict() == {
        ("clinical", "malignant"): 1,
        ("dermoscopic", "malignant"): 1,
    }


def test_a_drawing_is_the_same_whatever_else_is_drawn_and_in_whichever_batch(corpus, pixels):
    alone = ask_about_drawings(corpus, np.array([4]), pixels, looks_at_ink, CLASSES, {"ink ring": INK["ink ring"]})
    together = answers_of(looks_at_ink, corpus, pixels)

    assert np.array_equal(alone.grades["ink ring"][0], together.grades["ink ring"][4])


def test_a_flip_counts_from_exactly_the_cutoff():
    photos = pd.DataFrame({"row": [0, 1], "kind": "clinical", "patient": ["a", "b"], "truth": 0, "ink": 0.0})
    before = np.array([[0.7, 0.3, 0.0], [0.7, 0.3, 0.0]])
    after = np.array([[0.6, 0.4, 0.0], [0.601, 0.399, 0.0]])
    table = drawing_table(Answers(photos, {ORIGINAL: before, "hair": after}, {"hair": np.array([True, True])}), CUTOFFS)

    assert values(table, "hair", "benign", "flips up")["clinical"] == 0.5
    assert values(table, "hair", "benign", "move")["clinical"] == pytest.approx(0.0995)


def test_ink_that_goes_with_cancers_tells_them_and_ink_that_does_not_tells_nothing():
    corpus = pd.DataFrame({"kind": "clinical", "patient": [str(i) for i in range(200)]})
    truth = np.repeat([0, 1], 100)
    ink = np.where(truth > 0, 0.02, 0.0)

    tells = confounder_table(corpus, truth, ink).set_index(["kind", "measure"])["value"]
    silent = confounder_table(corpus, truth, np.tile([0.0, 0.02], 100)).set_index(["kind", "measure"])["value"]

    assert tells["clinical", "auc of ink alone"] == 1
    assert tells["clinical", "malignant, with ink"] == 1
    assert tells["clinical", "malignant, without ink"] == 0
    assert silent["clinical", "auc of ink alone"] == 0.5


def test_a_kind_of_photo_with_more_cancers_tells_them():
    corpus = pd.DataFrame({"kind": ["clinical"] * 50 + ["dermoscopic"] * 50, "patient": [str(i) for i in range(100)]})
    truth = np.array([1] * 40 + [0] * 10 + [1] * 10 + [0] * 40)

    table = confounder_table(corpus, truth, np.zeros(100)).set_index(["kind", "measure"])["value"]

    assert table["both", "auc of the kind alone"] == pytest.approx(0.8)


def test_the_report_says_whether_what_is_wanted_is_kept(corpus, pixels, tmp_path):
    for network, is_kept in ((looks_at_ink, False), (looks_at_lesion, True)):
        answers = answers_of(network, corpus, pixels)
        truth = CLASSES.grade_of_class[corpus["label"]].argmax(axis=1)
        confounders = confounder_table(corpus, truth, answers.photos["ink"].to_numpy())
        shortcuts = Shortcuts("r0009", "validation", drawing_table(answers, CUTOFFS), auc_table(answers), confounders)

        files = write_report(shortcuts, answers, pixels, tmp_path)

        told = json.loads(files[0].read_text())["drawn_ink_on_benign"]
        assert [t["kind"] for t in told] == ["clinical", "dermoscopic"]
        assert all(t["is_size_of_move_kept"] == is_kept and t["is_flips_kept"] == is_kept for t in told)
        assert files[1].read_text() == as_markdown(shortcuts)
        assert ("NOT kept" in files[1].read_text()) == (not is_kept)
        assert Image.open(files[2]).width > 500


def test_a_release_answers_with_the_mean_of_its_members():
    answer = answer_of_release(REPOSITORY, load_release(str(REPOSITORY), "r0001"))

    found = answer(np.stack([photo(1), photo(2)]))

    assert found.shape == (2, 3)
    assert np.allclose(found.sum(axis=1), 1)


def test_a_release_that_does_not_fit_is_refused(tmp_path):
    release = load_release(str(REPOSITORY), "r0001")

    with pytest.raises(ContractError, match="no weights of"):
        answer_of_release(tmp_path, release)
    with pytest.raises(ContractError, match=r"its taxonomy.yaml is t-.*, expected t-0"):
        answer_of_release(REPOSITORY, replace(release, taxonomy_version="t-0"))
    with pytest.raises(ContractError, match="model input squash-1"):
        answer_of_release(REPOSITORY, replace(release, model_input="squash-1"))


@pytest.fixture
def photo_folder(tmp_path: Path) -> Path:
    """Three drawn photos of a data set, of which two are trained on and one is for validation."""
    images = tmp_path / "data/pad_ufes/images"
    images.mkdir(parents=True)
    lines, photo_ids = ["file,label,patient_id,lesion_id"], []
    for i, label in enumerate(("NEV", "BCC", "NEV")):
        file = images / f"{i}.png"
        cv2.imwrite(str(file), photo(i)[..., ::-1])
        photo_ids.append(hashlib.sha256(file.read_bytes()).hexdigest()[:32])
        lines.append(f"{file.name},{label},p{i},l{i}")
    (images.parent / "labels.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "work").mkdir()
    split = pd.DataFrame({"photo_id": photo_ids, "side": ["train", "train", "validation"]})
    split.to_parquet(tmp_path / "work/split.parquet")
    (tmp_path / "two.yaml").write_text("classes: [nevus, basal_cell_carcinoma]\n")
    recipe = Path("screening/training/recipes/first_ensemble.yaml").read_text()
    recipe = recipe.replace("[pad_ufes, ham10000, isic9]", "[pad_ufes]")
    (tmp_path / "recipe.yaml").write_text(recipe.replace("classes: isic8", f"classes: {tmp_path}/two.yaml"))
    return tmp_path


def run(folder: Path, side: str):
    options = {"photos": "data", "weights-dir": "weights", "work": "work", "out": "out", "recipe": "recipe.yaml"}
    arguments = [word for name, path in options.items() for word in (f"--{name}", str(folder / path))]
    return CliRunner().invoke(app, ["shortcuts", *arguments, "--side", side, "--release", "r0001"])


def test_the_command_measures_the_champion_on_photos_kept_out(photo_folder):
    result = run(photo_folder, "validation")

    assert result.exit_code == 0, result.output
    told = json.loads((photo_folder / "out/shortcuts.json").read_text())
    assert told["release"] == "r0001"
    assert {row["n"] for row in told["drawings"]} == {1}
    assert (photo_folder / "out/shortcuts.png").is_file()


def test_a_side_without_photos_is_told(photo_folder):
    result = run(photo_folder, "test")

    assert isinstance(result.exception, ContractError)
    assert "no test photos" in str(result.exception)
    assert not (photo_folder / "out").exists()
