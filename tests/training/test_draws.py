"""Which photos an epoch shows, and that a resumed run would show the same."""

import numpy as np
import pandas as pd
import pytest
import torch

from screening.training.draws import EpochBatches, InOrder, PhotosByRows, draw_weights
from screening.training.recipe import Draws

ROWS = np.arange(100, 203)


def rows_of_epoch(epoch: int, seed: int = 1, **options: object) -> np.ndarray:
    batches = EpochBatches(ROWS, 10, seed, **options)
    batches.set_epoch(epoch)
    return np.concatenate(list(batches))


def a_corpus() -> pd.DataFrame:
    """90 dermoscopic photos of two sources and 10 clinical ones; disease 1 is rare."""
    kinds = ["dermoscopic"] * 90 + ["clinical"] * 10
    return pd.DataFrame(
        {
            "kind": kinds,
            "source": ["large"] * 80 + ["small"] * 10 + ["phone"] * 10,
            "label": ([0] * 9 + [1]) * 10,
        }
    )


def test_no_photo_comes_twice_in_an_epoch_of_the_plain_shuffle():
    for epoch in range(5):
        rows = rows_of_epoch(epoch)
        assert len(rows) == len(set(rows)) == 100
        assert set(rows) <= set(ROWS)


def test_an_epoch_draws_alike_whenever_it_is_run_and_unlike_another_epoch_or_seed():
    weights = np.full(len(ROWS), 1 / len(ROWS))
    for options in ({}, {"weights": weights}):
        assert (rows_of_epoch(3, **options) == rows_of_epoch(3, **options)).all()
        assert (rows_of_epoch(3, **options) != rows_of_epoch(4, **options)).any()
        assert (rows_of_epoch(3, **options) != rows_of_epoch(3, seed=2, **options)).any()


def test_every_photo_is_left_out_of_some_epoch_only():
    # Three photos do not fill a batch; they must not be the same ones every time.
    assert set(np.concatenate([rows_of_epoch(epoch) for epoch in range(4)])) == set(ROWS)


def test_each_of_several_devices_gets_its_own_photos_and_as_many_batches():
    parts = [rows_of_epoch(2, rank=rank, world=4) for rank in range(4)]

    assert [len(part) for part in parts] == [20] * 4
    assert len(set(np.concatenate(parts))) == 80


def test_fewer_photos_than_a_batch_are_one_batch():
    assert [len(batch) for batch in EpochBatches(np.arange(3), 10, 0)] == [3]


def test_what_is_judged_comes_in_order_to_the_last_photo():
    assert np.concatenate(list(InOrder(ROWS, 10))).tolist() == ROWS.tolist()
    assert len(InOrder(ROWS, 10)) == 11


@pytest.mark.parametrize("balanced_over", ["nothing", "kind", "source"])
def test_chances_sum_to_one(balanced_over):
    weights = draw_weights(a_corpus(), Draws(order="by_chance", balanced_over=balanced_over, class_power=0.5))

    assert weights.sum() == pytest.approx(1)
    assert (weights > 0).all()


def test_clinical_photos_get_their_share():
    corpus = a_corpus()
    weights = draw_weights(corpus, Draws(order="by_chance", balanced_over="kind", clinical_share=0.4))

    assert weights[corpus["kind"] == "clinical"].sum() == pytest.approx(0.4)


def test_within_a_kind_a_source_is_drawn_by_the_root_of_its_number():
    corpus = a_corpus()
    weights = draw_weights(corpus, Draws(order="by_chance", balanced_over="source", clinical_share=0.4))

    large, small = (weights[corpus["source"] == name].sum() for name in ("large", "small"))
    assert large + small == pytest.approx(0.6)
    assert large / small == pytest.approx((80 / 10) ** 0.5)


@pytest.mark.parametrize(("power", "ratio"), [(0, 9.0), (0.5, 3.0), (1, 1.0)])
def test_a_rare_disease_is_drawn_as_the_recipe_says(power, ratio):
    corpus = a_corpus()
    weights = draw_weights(corpus, Draws(order="by_chance", class_power=power))

    assert weights[corpus["label"] == 0].sum() / weights[corpus["label"] == 1].sum() == pytest.approx(ratio)


def test_a_batch_is_the_same_from_a_memory_map_and_from_the_device():
    pixels = np.random.default_rng(0).integers(0, 256, (20, 4, 4, 3), dtype=np.uint8)
    labels, rows = np.arange(20), np.array([7, 3, 3])

    for photos in (PhotosByRows(pixels, labels), PhotosByRows(torch.from_numpy(pixels), labels)):
        shown, of_shown = photos[rows]
        assert (shown.numpy() == pixels[rows]).all()
        assert of_shown.tolist() == [7, 3, 3]
