"""`screening quality fit` on drawn photos: what it prints, what it writes, and that the file can be used."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from screening.cli import app
from screening.cutoffs import QualityCutoffs
from screening.errors import ContractError, MissingError, SettingsError
from screening.settings import Settings
from screening.stages.quality.fit import fit_cutoffs
from screening.tasks.fit_quality import measure_rated, write_cutoffs
from screening.tasks.quality_rules import load_quality_rules
from tests.unit.skin_photos import hairy, skin_photo


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """24 bare and 24 hairy photos, one file that is no photo, and their labels."""
    folder = tmp_path_factory.mktemp("photos")
    lines = ["file,hair", "text.jpg,none"]
    (folder / "text.jpg").write_text("no photo")
    photo = skin_photo(size=(240, 320))
    for i in range(24):
        for word, pixels in (("none", photo), ("some", hairy(photo, 10 + i))):
            Image.fromarray(pixels.astype("uint8")).save(folder / f"{word}-{i}.png")
            lines.append(f"{word}-{i}.png,{word}")
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder


def fit(photos: Path, out: Path, *more: str) -> Result:
    given = ("--photos", photos, "--labels", photos / "labels.csv", "--out", out)
    return CliRunner(env={"COLUMNS": "120"}).invoke(app, ["quality", "fit", *map(str, given), *more])


def test_a_fit_is_printed_and_written_and_can_be_judged_by(photos, tmp_path):
    out = tmp_path / "new" / "cutoffs.yaml"
    result = fit(photos, out, "--name", "north")

    assert result.exit_code == 0, result.output
    cutoffs = load_quality_rules(Settings(quality_cutoffs=str(out))).cutoffs
    assert f"{cutoffs.version} written to {out}" in result.output
    assert "kept out of the fit (5 folds), with 95 % Wilson intervals" in result.output
    assert "not fitted: refuse_hair: 0 photos to hit and 48 to pass, expected 20 of either" in result.output
    assert "not read: 'text.jpg'" in result.output
    assert "48 photos" in out.read_text()
    assert f"as in {QualityCutoffs().version}" in out.read_text()


@pytest.mark.parametrize("name", ["North", ""])
def test_a_name_that_no_file_could_have_is_told_before_anything_is_measured(photos, tmp_path, name):
    result = fit(photos, tmp_path / "cutoffs.yaml", "--name", name)

    assert isinstance(result.exception, SettingsError)
    assert f"--name {name!r}: expected at most 40" in str(result.exception)


@pytest.mark.parametrize(
    ("target", "is_accepted"), [("0.0009", False), ("0.001", True), ("0.5", True), ("0.51", False)]
)
def test_a_false_alarm_is_accepted_from_a_thousandth_to_a_half(photos, tmp_path, target, is_accepted):
    assert (fit(photos, tmp_path / "c.yaml", "--target-false-alarm", target).exit_code != 2) == is_accepted


def test_where_nothing_could_be_fitted_nothing_is_written(tmp_path):
    out = tmp_path / "cutoffs.yaml"

    with pytest.raises(ContractError, match="was not written: no cut-off could be fitted"):
        write_cutoffs(fit_cutoffs([], "north", 0.05, 5), out, date(2026, 11, 20))
    assert not out.exists()


@pytest.mark.parametrize(
    ("folder", "labels", "told"), [("none", "l.csv", "is not a folder"), (".", "l.csv", "cannot be read")]
)
def test_a_folder_or_file_that_does_not_exist_is_told(tmp_path, folder, labels, told):
    with pytest.raises(MissingError, match=told):
        measure_rated(tmp_path / folder, tmp_path / labels, Settings())


def test_labels_as_a_spreadsheet_writes_them_are_read_and_other_encodings_told(photos, tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text("file,hair\r\nnone-0.png,none\r\n", encoding="utf-8-sig")
    assert len(measure_rated(photos, labels, Settings())[0]) == 1

    labels.write_text("file,hair\n", encoding="utf-16")
    with pytest.raises(ContractError, match="expected UTF-8"):
        measure_rated(photos, labels, Settings())


def test_training_says_where_it_runs(tmp_path):
    result = CliRunner().invoke(app, ["quality", "train", "--photos", str(tmp_path), "--weights-dir", str(tmp_path)])

    assert isinstance(result.exception, MissingError)
    assert "training runs as .venv-training/bin/screening quality train" in str(result.exception)
