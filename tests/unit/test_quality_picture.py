"""The picture of what the quality filters saw."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from screening.cutoffs import QualityCutoffs
from screening.quality_cli import app
from screening.reports.quality_picture import draw_quality
from screening.stages.quality import judge_quality, measure_quality
from tests.unit.skin_photos import BLUE_PEN, decoded, dyed, ring, skin_photo

CUTOFFS = QualityCutoffs()


def drawn(pixels: np.ndarray) -> np.ndarray:
    photo = decoded(pixels)
    measures = measure_quality(photo)
    return draw_quality(photo.pixels, measures, judge_quality(measures, CUTOFFS, "enforce"), CUTOFFS)


def share_of(picture: np.ndarray, colour: tuple[int, int, int]) -> float:
    return float((np.abs(picture.astype(int) - colour).max(axis=2) <= 40).mean())


@pytest.mark.parametrize("size", [(1, 1), (40, 900), (900, 40), (600, 800)])
def test_a_photo_of_any_size_is_drawn(size):
    picture = drawn(np.full((*size, 3), 128))

    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3


def test_the_lesion_is_outlined_and_ink_is_coloured():
    plain, inked = drawn(skin_photo()), drawn(dyed(skin_photo(), ring(0.25), BLUE_PEN))

    assert share_of(plain[:, :520], (0, 200, 0)) > 0.0005
    changed = np.abs(plain[:384, :512].astype(int) - inked[:384, :512]).max(axis=2) > 30
    assert changed.mean() > 0.02


def test_each_photo_gets_its_picture_and_what_cannot_be_read_is_said(tmp_path: Path):
    photo, text = tmp_path / "mole.png", tmp_path / "text.jpg"
    cv2.imwrite(str(photo), np.clip(skin_photo(), 0, 255).astype(np.uint8)[..., ::-1])
    text.write_text("no photo")

    result = CliRunner().invoke(app, ["explain", str(photo), str(text), "--out", str(tmp_path / "out")])

    assert result.exit_code == 0
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["mole.png.quality.png"]
    assert "text.jpg: not read" in result.output
