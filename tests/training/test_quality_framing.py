"""Photos that the frame cuts, and the regression that tells them: what counts as cut, and what is learnt."""

import json

import numpy as np
import pytest

from screening.stages.pixels import MODEL_SIDE
from screening.stages.quality import framing
from screening.stages.quality.framing import cut_score, framing_features
from screening.stages.quality.regions import find_regions
from screening.training.quality.fit_framing import fit_framing
from screening.training.quality.framed_photos import DrawnLesion, framed_views, is_cut_by
from tests.unit.skin_photos import lesion_mask, skin_photo

SIZE = (192, 256)


def lesion_in(rows: slice, columns: slice) -> np.ndarray:
    lesion = np.zeros(SIZE, bool)
    lesion[rows, columns] = True
    return lesion


MIDDLE = lesion_in(slice(60, 120), slice(80, 160))


@pytest.mark.parametrize(
    ("window", "is_cut"),
    [
        ((0, 0, 256, 192), False),
        ((60, 40, 120, 100), False),
        ((80, 60, 80, 60), True),  # it reaches all sides
        ((80, 40, 80, 100), True),  # it reaches two opposite sides
        ((100, 40, 120, 100), True),  # a quarter lies outside
        ((82, 40, 120, 100), None),  # a sliver lies outside
        ((79, 40, 120, 100), None),  # it nearly touches one side
        ((0, 0, 40, 30), None),  # no lesion at all
    ],
)
def test_a_lesion_is_cut_where_a_part_of_it_is_missing_or_no_skin_is_left_on_two_sides(window, is_cut):
    assert is_cut_by(MIDDLE, window) is is_cut


def drawn(person: str, seed: int) -> DrawnLesion:
    pixels = np.clip(skin_photo(size=SIZE, radius=0.15, seed=seed), 0, 255).astype(np.uint8)
    return DrawnLesion(person, pixels, lesion_mask(0.15, size=SIZE))


def test_views_of_both_kinds_are_cut_out_as_the_networks_see_them_and_the_same_ones_again():
    first, again = (list(framed_views(drawn("PAT_1", 0), np.random.default_rng(5))) for _ in range(2))

    assert [is_cut for is_cut, _ in first].count(True) == [is_cut for is_cut, _ in first].count(False) == 4
    assert {(view.shape, view.dtype.name) for _, view in first} == {((MODEL_SIDE, MODEL_SIDE, 3), "uint8")}
    assert all((a == b).all() for (_, a), (_, b) in zip(first, again, strict=True))


def test_what_is_fitted_tells_a_lesion_that_the_frame_cuts(tmp_path, monkeypatch):
    file = fit_framing([drawn(f"PAT_{seed}", seed) for seed in range(6)], tmp_path / "framing.json")
    monkeypatch.setattr(framing, "FRAMING", file)
    views = list(framed_views(drawn("PAT_9", 9), np.random.default_rng(1)))
    scores = [cut_score(framing_features(find_regions(view).encoding)) for _, view in views]
    cut, whole = ([s for s, (is_cut, _) in zip(scores, views, strict=True) if is_cut is kind] for kind in (True, False))

    assert np.mean(cut) > np.mean(whole) + 1
    assert set(json.loads(file.read_text())) == {"mean", "scale", "weights", "intercept"}
