"""Photos with print drawn into them, and the regression that tells it from other rows of marks."""

import json

import numpy as np

from screening.stages.quality import lettering
from screening.stages.quality.lettering import find_rows
from screening.training.quality.fit_lettering import fit_lettering
from screening.training.quality.lettered_photos import lettered_views
from tests.unit.skin_photos import hairy, skin_photo


def photo(seed: int, long_side: int = 512) -> np.ndarray:
    skin = skin_photo(size=(long_side * 3 // 4, long_side), seed=seed)
    return np.asarray(np.clip(hairy(skin, 20) if seed % 2 else skin, 0, 255), np.uint8)


def test_a_large_photo_is_learnt_from_as_it_is_and_twice_with_print_and_a_small_one_as_it_is():
    large, again, small = (
        list(lettered_views(p, np.random.default_rng(5))) for p in (photo(0), photo(0), photo(0, 300))
    )

    assert [view.print_box is None for view in large] == [True, False, False]
    assert [view.print_box is None for view in small] == [True]
    assert all((a.pixels == b.pixels).all() and a.print_box == b.print_box for a, b in zip(large, again, strict=True))


def test_print_is_drawn_where_the_box_is_and_within_the_photo():
    plain, *printed = lettered_views(photo(0), np.random.default_rng(2))
    for view in printed:
        assert view.print_box is not None
        left, top, right, bottom = view.print_box
        changed = np.abs(view.pixels.astype(int) - plain.pixels).max(axis=2) > 60
        rows, columns = np.nonzero(changed)

        assert changed.any()
        assert left - 8 <= columns.min() <= columns.max() <= right + 8
        assert top - 8 <= rows.min() <= rows.max() <= bottom + 8


def test_what_is_fitted_tells_print_from_hair(tmp_path, monkeypatch):
    file = fit_lettering([photo(seed) for seed in range(12)], tmp_path / "lettering.json")
    monkeypatch.setattr(lettering, "LETTERING", file)
    plain, *printed = lettered_views(photo(21), np.random.default_rng(3))
    scores = [max((row.score for row in find_rows(view.pixels)), default=-np.inf) for view in (plain, *printed)]

    assert min(scores[1:]) > max(scores[0], 0)
    assert set(json.loads(file.read_text())) == {"mean", "scale", "weights", "intercept"}
