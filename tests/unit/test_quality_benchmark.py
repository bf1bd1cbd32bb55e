"""The quality benchmark from a photo to its figures."""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.benchmarks.quality import damage_figures
from tests.benchmarks.quality.damage_figures import Findings, look_at
from tests.benchmarks.quality.filters import as_upload, ask_filters
from tests.benchmarks.quality.real_photos import RealPhoto
from tests.unit.skin_photos import lesion_mask, skin_photo
from tests.unit.test_faces import with_face

SIZE = (96, 128)


def drawn_photo(folder: Path) -> RealPhoto:
    pixels = np.clip(skin_photo(size=SIZE, radius=0.2), 0, 255).astype(np.uint8)
    cv2.imwrite(str(folder / "photo.png"), pixels[..., ::-1])
    cv2.imwrite(str(folder / "mask.png"), lesion_mask(0.2, size=SIZE).astype(np.uint8) * 255)
    return RealPhoto(
        folder / "photo.png", folder / "mask.png", "PAT_1", "II", has_ink=False, has_hair=False, crust="no"
    )


@pytest.fixture(scope="module")
def findings(tmp_path_factory) -> Findings:
    return Findings(look_at(drawn_photo(tmp_path_factory.mktemp("photo"))))


@pytest.mark.parametrize(
    "figures_of",
    [
        damage_figures.blur_figures,
        damage_figures.dye_figures,
        damage_figures.hair_figures,
        damage_figures.framing_figures,
        damage_figures.light_figures,
        damage_figures.thing_figures,
        damage_figures.look_alike_figures,
        damage_figures.tone_figures,
    ],
)
def test_no_figure_is_counted_over_nothing(findings, figures_of):
    figures = figures_of(findings)

    assert figures
    assert not [figure.what for figure in figures if math.isnan(figure.estimate.value)]
    assert all(figure.estimate.low <= figure.estimate.value <= figure.estimate.high for figure in figures)


def test_a_face_is_no_alarm_of_print_though_both_raise_one_issue():
    said = ask_filters(as_upload(with_face(skin_photo(), 400, 50, 50)))

    assert "needs_privacy_check" in said.issues
    assert said.raised & {"print", "face"} == {"face"}
