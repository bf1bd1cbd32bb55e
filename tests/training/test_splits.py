import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from screening.errors import ContractError
from screening.training.splits import (
    COUNTERPARTS,
    NEAR_DUPLICATE_COSINE,
    TEST,
    TRAIN,
    VALIDATION,
    check_no_leak,
    connect_groups,
    kept_in_training,
    split_corpus,
)


def a_corpus(photos: int, **columns: object) -> pd.DataFrame:
    """Photos of different people and lesions of one source and disease, but for the columns that are given."""
    defaults: dict[str, object] = {
        "label": 0,
        "source": "pad_ufes",
        "patient": [f"patient-{n}" for n in range(photos)],
        "lesion": [f"lesion-{n}" for n in range(photos)],
        "has_other_view_in": "",
        "quality_issues": None,
    }
    return pd.DataFrame(defaults | columns, index=range(photos))


def unlike(photos: int) -> np.ndarray:
    """Features of photos none of which resembles another."""
    return np.eye(photos)


def at_cosine(cosine: float) -> np.ndarray:
    """Features of two photos that resemble each other so much."""
    return np.array([[1.0, 0.0], [cosine, np.sqrt(1 - cosine**2)]])


def a_real_looking_corpus(photos: int = 1200) -> tuple[pd.DataFrame, np.ndarray]:
    """Two sources, three diseases, people with one to four photos, and a few near-duplicates at the end."""
    random = np.random.default_rng(0)
    patient = np.repeat(np.arange(photos), random.integers(1, 5, photos))[:photos]
    source = np.where(patient % 3 == 0, "ham10000", "pad_ufes")
    corpus = a_corpus(
        photos,
        label=random.choice(3, photos, p=[0.6, 0.25, 0.15]),
        source=source,
        patient=[f"p{p}" for p in patient],
        lesion=[f"p{p}-{n}" for p, n in zip(patient, random.integers(0, 2, photos), strict=True)],
    )
    features = random.normal(size=(photos, 128))
    features[-50:] = features[100:150] + random.normal(scale=0.05, size=(50, 128))
    return corpus, features


@dataclass(frozen=True)
class Split:
    corpus: pd.DataFrame
    features: np.ndarray
    side: pd.Series


@pytest.fixture(scope="module")
def split() -> Split:
    corpus, features = a_real_looking_corpus()
    return Split(corpus, features, split_corpus(corpus, features))


def test_photos_of_one_person_or_one_lesion_are_one_group() -> None:
    corpus = a_corpus(5, patient=["a", "b", "a", "c", "d"], lesion=["1", "2", "3", "4", "2"])

    groups = connect_groups(corpus, unlike(5))

    assert groups[0] == groups[2]
    assert groups[1] == groups[4]
    assert len(set(groups)) == 3


def test_a_chain_of_people_lesions_and_looks_is_one_group() -> None:
    # 0 and 1 share a person, 1 and 2 a lesion, 2 and 3 look the same.
    corpus = a_corpus(5, patient=["a", "a", "b", "c", "d"], lesion=["1", "2", "2", "3", "4"])
    features = unlike(5)
    features[3] = features[2]

    groups = connect_groups(corpus, features)

    assert len(set(groups[:4])) == 1
    assert groups[4] != groups[0]


@pytest.mark.parametrize(("above", "groups"), [(-1e-6, 2), (1e-6, 1)])
def test_two_photos_count_as_one_just_above_the_cosine(above: float, groups: int) -> None:
    found = connect_groups(a_corpus(2), at_cosine(NEAR_DUPLICATE_COSINE + above))

    assert len(set(found)) == groups


def test_the_scale_of_the_features_does_not_matter() -> None:
    features = at_cosine(0.99) * [[1000.0], [0.001]]

    assert len(set(connect_groups(a_corpus(2), features))) == 1


def test_look_alikes_are_found_however_far_apart_they_stand() -> None:
    features = np.random.default_rng(0).normal(size=(1100, 64))
    features[1099] = features[3]

    groups = connect_groups(a_corpus(1100), features)

    assert groups[3] == groups[1099]
    assert len(set(groups)) == 1099


def test_a_photo_that_may_stand_in_another_source_stays_in_training_with_its_counterparts_there() -> None:
    corpus = a_corpus(
        8,
        source=["isic9", *["ham10000"] * 6, "pad_ufes"],
        label=[0, 0, 0, 0, 0, 0, 1, 0],
        has_other_view_in=["ham10000", *[""] * 7],
    )
    # The likeness of each photo to the first falls from 0.9 to 0.3; the sixth is of another disease, the last elsewhere.
    likeness = np.array([1.0, 0.6, 0.9, 0.3, 0.8, 0.7, 0.95, 0.99])
    features = np.hstack([likeness[:, None], np.diag(np.sqrt(1 - likeness**2))])

    kept = kept_in_training(corpus, features)

    assert COUNTERPARTS == 3
    assert np.flatnonzero(kept).tolist() == [0, 2, 4, 5]


def test_nothing_is_kept_in_training_where_no_source_overlaps() -> None:
    assert not kept_in_training(a_corpus(4), unlike(4)).any()


def test_a_split_lets_no_group_patient_or_lesion_straddle(split: Split) -> None:
    groups = pd.Series(connect_groups(split.corpus, split.features))

    for key in (split.corpus["patient"], split.corpus["lesion"], groups):
        assert split.side.groupby(key).nunique().max() == 1
    assert (split.side[-50:].to_numpy() == split.side[100:150].to_numpy()).all(), "a near-duplicate beside its original"


def test_a_split_keeps_15_percent_for_the_test_and_15_for_validation(split: Split) -> None:
    shares = split.side.value_counts(normalize=True)

    assert set(shares.index) == {TRAIN, VALIDATION, TEST}
    assert shares[TEST] == pytest.approx(0.15, abs=0.015)
    assert shares[VALIDATION] == pytest.approx(0.15, abs=0.015)


def test_a_quarter_of_the_photos_may_be_the_test_and_holds_those_of_a_smaller_one(split: Split) -> None:
    quarter = split_corpus(split.corpus, split.features, test_share=0.25)

    assert (quarter == TEST).mean() == pytest.approx(0.25, abs=0.015)
    assert (quarter == VALIDATION).mean() == pytest.approx(0.15, abs=0.015)
    assert (quarter[split.side == TEST] == TEST).all()


def test_every_disease_of_every_source_stands_on_every_side_in_proportion(split: Split) -> None:
    for _, of_stratum in split.side.groupby([split.corpus["source"], split.corpus["label"]]):
        shares = of_stratum.value_counts(normalize=True)
        assert shares[TEST] == pytest.approx(0.15, abs=0.06)
        assert shares[VALIDATION] == pytest.approx(0.15, abs=0.06)


def test_the_split_keeps_the_numbering_of_the_corpus(split: Split) -> None:
    assert split.side.index.equals(split.corpus.index)


@pytest.mark.filterwarnings("ignore:The least populated class")
def test_the_same_seed_gives_the_same_split_and_another_seed_another() -> None:
    corpus, features = a_real_looking_corpus(photos=400)
    side = split_corpus(corpus, features, seed=7)

    assert split_corpus(corpus.copy(), features.copy(), seed=7).equals(side)
    assert not split_corpus(corpus, features, seed=8).equals(side)


@pytest.mark.filterwarnings("ignore:The least populated class")
def test_what_may_leak_from_another_source_and_its_whole_group_is_trained_on() -> None:
    corpus, features = a_real_looking_corpus(photos=600)
    doubtful = corpus.index[corpus["source"] == "pad_ufes"][:30]
    corpus.loc[doubtful, "has_other_view_in"] = "ham10000"

    side = split_corpus(corpus, features)

    assert set(side[doubtful]) == {TRAIN}
    kept = kept_in_training(corpus, features)
    families = corpus["patient"].isin(corpus["patient"][kept])
    assert set(side[families]) == {TRAIN}
    assert set(side[~families]) == {TRAIN, VALIDATION, TEST}


@pytest.mark.parametrize(
    ("columns", "groups", "says"),
    [
        ({}, [0, 0, 1, 2], "1 groups stand on two sides, the first is 0"),
        ({"patient": ["a", "a", "b", "c"]}, [0, 1, 2, 3], "1 patients stand on two sides, the first is a"),
        ({"lesion": ["1", "2", "1", "2"]}, [0, 1, 2, 3], "2 lesions stand on two sides, the first is 1"),
    ],
)
def test_a_leak_is_refused(columns: dict[str, object], groups: list[int], says: str) -> None:
    side = pd.Series([TRAIN, TEST, VALIDATION, TRAIN])

    with pytest.raises(ContractError, match=f"split: {says}"):
        check_no_leak(a_corpus(4, **columns), np.array(groups), side)


def test_a_clean_split_is_accepted() -> None:
    corpus = a_corpus(4, patient=["a", "a", "b", "b"])

    check_no_leak(corpus, np.array([0, 0, 1, 1]), pd.Series([TRAIN, TRAIN, TEST, TEST]))


@pytest.mark.filterwarnings("ignore:The least populated class")
@pytest.mark.parametrize(
    ("photos", "seed", "digest"),
    [(1200, 0, "a4bce6e706283203"), (1200, 7, "9d13251c2e2076b1"), (600, 3, "2ecd5e3098274fe1")],
)
def test_the_sides_are_those_that_the_first_release_was_split_by(photos: int, seed: int, digest: str) -> None:
    """Digests of what the code that split for r0001 gave: its test photos must stay test photos."""
    corpus, features = a_real_looking_corpus(photos)
    if photos == 600:
        corpus.loc[corpus.index[corpus["source"] == "pad_ufes"][:30], "has_other_view_in"] = "ham10000"

    side = split_corpus(corpus, features, seed)

    assert hashlib.sha256("".join(word[1] for word in side).encode()).hexdigest()[:16] == digest


@pytest.mark.filterwarnings("ignore:The least populated class")
def test_bytes_that_come_twice_are_learnt_from_once_and_contradictory_ones_never() -> None:
    corpus, features = a_real_looking_corpus(400)
    corpus = corpus.assign(photo_id=[f"id-{n}" for n in range(400)], disease=corpus["label"].astype(str))
    corpus.loc[[1, 3], "photo_id"] = ["id-0", "id-2"]
    corpus.loc[[0, 1, 2, 3], "disease"] = ["nevus", "nevus", "nevus", "melanoma"]

    side = split_corpus(corpus, features)

    assert side[0] != "left_out"
    assert side[1:3].tolist() == side[2:4].tolist() == ["left_out", "left_out"]


def test_a_corpus_too_small_for_shares_of_five_percent_is_refused() -> None:
    with pytest.raises(ContractError, match=r"split: at most 19 photos of a disease and source .* expected 20 or more"):
        split_corpus(a_corpus(19), unlike(19))
