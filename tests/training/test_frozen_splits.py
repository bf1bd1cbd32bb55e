from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screening.errors import ContractError, SettingsError
from screening.taxonomy import load_taxonomy, load_training_classes
from screening.training.ensemble import TrainingSet
from screening.training.recipe import load_recipe
from screening.training.release import split_of
from screening.training.splits import (
    ReleaseSplit,
    assign_folds,
    check_every_class_is_trained,
    check_unlearnt,
    extend_split,
    find_leaks,
    freeze_split,
    keep_sides,
    leave_out_blurred,
    read_split,
    side_drawn_once,
    side_in_fold,
    sides_of,
    similarity_graph,
    split_by_time,
    without_verdicts,
    write_split,
)
from screening.training.splits.blurred import is_blurred_or_distant
from screening.training.splits.draw import draw_split
from screening.training.splits.frozen import version_of
from screening.training.splits.given import read_given_split
from tests.training.labelled_photos import a_csv

RULE = {"method": "groups", "seed": 0}


def a_corpus(photos: int, **columns: object) -> pd.DataFrame:
    """Photos of different people and lesions of one source and disease, but for the columns that are given."""
    defaults: dict[str, object] = {
        "photo_id": [f"{n:032x}" for n in range(photos)],
        "photo": [f"north/{n}.jpg" for n in range(photos)],
        "disease": "nevus",
        "source": "north",
        "patient": [f"patient-{n}" for n in range(photos)],
        "lesion": [f"lesion-{n}" for n in range(photos)],
        "has_other_view_in": "",
        "quality_issues": [()] * photos,
        "captured_at_utc": pd.Series(
            [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(photos)], dtype="datetime64[us, UTC]"
        ),
    }
    return pd.DataFrame(defaults | columns, index=range(photos))


def groups_of(corpus: pd.DataFrame) -> np.ndarray:
    return similarity_graph(corpus[["patient", "lesion"]]).groups


def frozen(corpus: pd.DataFrame, *sides: str) -> pa.Table:
    return freeze_split(corpus, pd.Series(sides, index=corpus.index), groups_of(corpus), RULE)


people = st.lists(st.integers(0, 30), min_size=12, max_size=60)


@settings(max_examples=40, deadline=None)
@given(people, st.sampled_from([2, 5, 9]))
def test_k_folds_keep_each_photo_out_exactly_once_with_all_of_its_person(names: list[int], folds: int) -> None:
    corpus = a_corpus(len(names), patient=[f"p{n}" for n in names])
    groups = groups_of(corpus)
    try:
        fold = assign_folds(corpus, groups, folds)
    except ContractError as error:
        assert len(set(names)) < folds or "is empty" in str(error)  # noqa: PT017 - some draws allow no folds
        return

    kept_out = np.sum([fold == number for number in range(folds)], axis=0)
    assert kept_out.tolist() == [1] * len(names)
    assert pd.Series(fold).groupby(names).nunique().max() == 1


def test_folds_keep_source_and_disease_in_proportion() -> None:
    corpus = a_corpus(300, disease=["melanoma" if n % 10 == 0 else "nevus" for n in range(300)])

    fold = assign_folds(corpus, groups_of(corpus), 5)

    assert pd.Series(fold).groupby(corpus["disease"]).value_counts().tolist() == [6] * 5 + [54] * 5


def test_more_folds_than_people_are_refused() -> None:
    with pytest.raises(ContractError, match="5 folds of 2 groups; expected 2 folds or more, and a group each"):
        assign_folds(a_corpus(8, patient=["a", "b"] * 4), groups_of(a_corpus(8, patient=["a", "b"] * 4)), 5)


def test_a_fold_validates_while_the_others_train() -> None:
    corpus = a_corpus(20)
    split = sides_of(draw_split(corpus, None, similarity_graph(corpus), "5-fold"), corpus)

    sides = side_in_fold(split, 3)

    assert sides.value_counts().to_dict() == {"train": 16, "validation": 4}
    assert (sides == "validation").equals(split["fold"] == 3)
    with pytest.raises(ContractError, match=r"the split has no fold 5; it has \[0, 1, 2, 3, 4\]"):
        side_in_fold(split, 5)


def test_the_oldest_photos_train_and_the_newest_test() -> None:
    corpus = a_corpus(100)

    side = split_by_time(corpus.sample(frac=1, random_state=0), np.arange(100)).sort_index()

    assert side.tolist() == ["train"] * 81 + ["validation"] * 9 + ["test"] * 10


def test_a_new_photo_of_a_person_that_was_learnt_from_is_left_out() -> None:
    corpus = a_corpus(100, patient=["patient-0" if n in (0, 95) else f"patient-{n}" for n in range(100)])

    side = split_by_time(corpus, groups_of(corpus))

    assert (side[0], side[95], side[94]) == ("train", "left_out", "test")


def test_photos_of_one_moment_stand_on_one_side() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    taken = pd.Series([moment] * 85 + [moment + timedelta(days=n) for n in range(1, 16)], dtype="datetime64[us, UTC]")

    side = split_by_time(a_corpus(100, captured_at_utc=taken), np.arange(100))

    assert set(side[:85]) == {"train"}


def test_a_split_by_time_needs_every_capture_time() -> None:
    corpus = a_corpus(3)
    corpus.loc[1, "captured_at_utc"] = pd.NaT

    with pytest.raises(ContractError, match=r"1 of 3 photos have no capture time, the first is north/1\.jpg; give"):
        split_by_time(corpus, np.arange(3))


def test_a_corpus_of_one_moment_has_no_border() -> None:
    with pytest.raises(ContractError, match="no photo for validation; too few moments or groups differ"):
        split_by_time(a_corpus(20, captured_at_utc=datetime(2026, 1, 1, tzinfo=UTC)), np.arange(20))


def test_blurred_and_distant_photos_are_learnt_from_but_never_measured_on() -> None:
    corpus = a_corpus(
        5,
        quality_issues=[
            ["out_of_focus"],
            ["too_few_pixels", "lesion_too_small"],
            ["motion_blur"],
            ["soft_focus"],
            None,
        ],
    )

    side = leave_out_blurred(corpus, pd.Series(["train", "test", "validation", "test", "test"]))

    assert side.tolist() == ["train", "left_out", "left_out", "test", "test"]


MEASURED_ON = ["validation", "test"]


@st.composite
def blurred_corpora(draw: st.DrawFn) -> pd.DataFrame:
    """First photos of any people and any quality, then a sharp one of each of 40 people."""
    issues = st.sampled_from([None, [], ["soft_focus"], ["out_of_focus", "some_hair"], ["lesion_too_small"]])
    some = draw(st.lists(st.tuples(st.integers(0, 60), issues), min_size=1, max_size=40))
    people = [f"p{n}" for n in [*(n for n, _ in some), *range(40)]]
    quality = [*(found for _, found in some), *[[]] * 40]
    return a_corpus(len(people), patient=people, lesion=people, quality_issues=quality)


@pytest.mark.filterwarnings("ignore:The least populated class")
@settings(max_examples=40, deadline=None)
@given(blurred_corpora(), st.sampled_from(["groups", "time", "3-fold"]))
def test_however_a_split_is_drawn_blurred_photos_are_never_measured_on_and_nobody_straddles(
    corpus: pd.DataFrame, method: str
) -> None:
    graph = similarity_graph(corpus)
    split = sides_of(draw_split(corpus, None, graph, method), corpus)
    folds = [side_in_fold(split, fold) for fold in range(3)] if method == "3-fold" else []

    for side in (split["side"], *folds):
        assert not side[is_blurred_or_distant(corpus)].isin(MEASURED_ON).any()
        assert not find_leaks(corpus, graph, side)
    assert is_blurred_or_distant(corpus)[split["reason"] == "quality"].all()


@pytest.mark.filterwarnings("ignore:The least populated class")
@settings(max_examples=40, deadline=None)
@given(blurred_corpora(), st.integers(1, 40))
def test_blurred_photos_train_unless_somebody_of_their_group_is_measured_on_also_in_a_split_that_grew(
    corpus: pd.DataFrame, start: int
) -> None:
    graph = similarity_graph(corpus)
    drawn = draw_split(corpus, None, graph, "groups")
    first = corpus.iloc[:start]
    small = freeze_split(first, leave_out_blurred(first, pd.Series("test", first.index)), groups_of(first), RULE)
    grown, _ = extend_split(small, corpus, graph.groups)

    for split, new in ((sides_of(drawn, corpus), corpus.index), (sides_of(grown, corpus), corpus.index[start:])):
        has_measured = split["side"].isin(MEASURED_ON).groupby(graph.groups).transform("any")
        blurred = split[is_blurred_or_distant(corpus) & split.index.isin(new)]
        assert (blurred["side"] == "left_out").equals(has_measured[blurred.index])
        assert set(blurred["side"]) <= {"train", "left_out"}
        assert set(blurred["reason"][blurred["side"] == "left_out"]) <= {"quality"}
        assert not find_leaks(corpus, graph, split["side"])


def test_without_verdicts_blurred_photos_are_drawn_as_any_other() -> None:
    corpus = a_corpus(100, quality_issues=[["motion_blur"]] * 100)

    with_them = draw_split(without_verdicts(corpus), None, similarity_graph(corpus), "groups").to_pandas()
    never_judged = draw_split(a_corpus(100), None, similarity_graph(corpus), "groups").to_pandas()

    assert with_them.equals(never_judged)
    assert set(with_them["side"]) == {"train", "validation", "test"}


def test_a_blurred_photo_trains_in_every_fold_but_its_own() -> None:
    corpus = a_corpus(20, quality_issues=[["lesion_too_small"], *[[]] * 19])
    split = sides_of(draw_split(corpus, None, similarity_graph(corpus), "5-fold"), corpus)

    sides = [side_in_fold(split, fold)[0] for fold in range(5)]

    assert sides[split["fold"][0]] == "left_out"
    assert sorted(sides) == ["left_out", "train", "train", "train", "train"]


def test_a_release_says_which_photos_its_split_left_out_for_their_quality() -> None:
    corpus = a_corpus(4, quality_issues=[["motion_blur"], ["motion_blur"], [], []])
    side = pd.Series(["left_out", "train", "test", "left_out"])
    recipe = load_recipe("first_ensemble")
    classes = load_training_classes(recipe.classes, load_taxonomy())
    photos = TrainingSet(corpus, side, np.empty((4, 0)), classes, pd.Series(range(4)))

    split = split_of(recipe, photos)

    assert split["side"].to_pylist() == side.tolist()
    assert split["reason"].to_pylist() == ["quality", "drawn", "drawn", "drawn"]


def test_a_frozen_split_survives_being_written(tmp_path: Path) -> None:
    corpus = a_corpus(3, patient=["a", "a", "b"])
    split = frozen(corpus, "train", "train", "test")

    write_split(split, tmp_path / "split.parquet")

    assert read_split(tmp_path / "split.parquet").equals(split)
    assert split["component"].to_pylist() == [f"{0:032x}", f"{0:032x}", f"{2:032x}"]
    assert sides_of(split, corpus.iloc[::-1])["side"].tolist() == ["test", "train", "train"]


def test_sides_are_drawn_once_and_never_read_for_other_photos(tmp_path: Path) -> None:
    corpus, sides = a_corpus(2), pd.Series(["train", "test"])

    first = side_drawn_once(tmp_path / "split.parquet", corpus, lambda: sides)
    second = side_drawn_once(tmp_path / "split.parquet", corpus, lambda: sides[::-1])

    assert first.tolist() == second.tolist() == ["train", "test"]
    for other in (corpus.iloc[::-1], a_corpus(3)):
        with pytest.raises(ContractError, match=r"was frozen for other photos than these .; give another work folder"):
            side_drawn_once(tmp_path / "split.parquet", other, lambda: sides)


def test_a_class_without_a_training_photo_is_named() -> None:
    corpus = a_corpus(3).assign(label=[0, 1, 2])

    check_every_class_is_trained(corpus, pd.Series(["train", "train", "train"]), ["nevus", "melanoma", "scar"])
    with pytest.raises(ContractError, match="no training photo of melanoma, scar; add a source that has some"):
        check_every_class_is_trained(corpus, pd.Series(["train", "test", "left_out"]), ["nevus", "melanoma", "scar"])


def test_the_version_follows_the_corpus_and_the_rule_and_not_the_order() -> None:
    corpus = a_corpus(3)
    version = version_of(corpus, RULE)

    assert version_of(corpus.iloc[::-1], RULE) == version
    assert version_of(corpus, RULE | {"seed": 1}) != version
    assert version_of(corpus.assign(patient="a"), RULE) != version
    assert version_of(corpus.iloc[:2], RULE) != version


def test_a_split_that_lacks_photos_of_the_corpus_is_refused() -> None:
    with pytest.raises(
        ContractError, match=f"knows 1 photos of the corpus not, the first is {2:032x}; extend it first"
    ):
        sides_of(frozen(a_corpus(2), "train", "test"), a_corpus(3))


def test_a_new_photo_joins_the_side_of_its_person_and_one_between_two_sides_is_left_out() -> None:
    earlier = a_corpus(2, patient=["a", "b"], lesion=["1", "2"])
    now = a_corpus(4, patient=["a", "b", "b", "a"], lesion=["1", "2", "3", "4"])
    groups = np.array([0, 1, 1, 0])

    grown, growth = extend_split(frozen(earlier, "train", "test"), now, groups)
    between, told = extend_split(frozen(earlier, "train", "test"), a_corpus(3), np.array([0, 0, 0]))

    assert grown["side"].to_pylist() == ["train", "test", "test", "train"]
    assert grown["reason"].to_pylist() == ["drawn", "drawn", "joins_earlier", "joins_earlier"]
    assert growth.lines() == ["added to train: 1 photos", "added to test: 1 photos"]
    assert between["side"].to_pylist() == ["train", "test", "left_out"]
    assert told.between == [f"{2:032x}"]


def test_what_may_be_seen_elsewhere_and_what_is_blurred_is_never_new_in_the_test() -> None:
    photos = 200
    doubtful = a_corpus(photos, has_other_view_in=["", *["ham10000"] * (photos - 1)])
    blurred = a_corpus(photos, quality_issues=[["out_of_focus"]] * photos)
    first = frozen(a_corpus(1), "train")

    for corpus, reason in ((doubtful, "may_be_seen_elsewhere"), (blurred, "quality")):
        split = extend_split(first, corpus, np.arange(photos))[0].to_pandas()
        assert set(split["side"]) == {"train"}
        assert set(split["reason"][1:]) == {reason}


def test_a_photo_that_is_withdrawn_leaves_the_split_and_is_named() -> None:
    grown, growth = extend_split(frozen(a_corpus(3), "train", "test", "train"), a_corpus(2), np.arange(2))

    assert grown["side"].to_pylist() == ["train", "test"]
    assert growth.gone == [f"{2:032x}"]


def test_the_same_corpus_gives_the_frozen_split_itself() -> None:
    split = frozen(a_corpus(3), "train", "test", "train")

    same, growth = extend_split(split, a_corpus(3), np.arange(3))

    assert same is split
    assert growth.lines() == ["nothing was added to the split"]


def test_photos_of_an_earlier_release_keep_their_sides_and_bytes_that_stand_twice_have_one(tmp_path: Path) -> None:
    earlier = tmp_path / "split.parquet"
    write_split(frozen(a_corpus(4), "train", "test", "validation", "train"), earlier)
    corpus = pd.concat([a_corpus(6, patient=["a", "b", "c", "d", "b", "e"]), a_corpus(2)], ignore_index=True)

    side = keep_sides(earlier, corpus, np.eye(8), "groups", 0)

    assert side[:4].tolist() == ["train", "test", "validation", "train"]
    assert side[4] == "test", "a new photo of a person whose other one is tested on"
    assert side[6:].tolist() == ["train", "test"]


def test_what_a_release_learnt_from_is_not_kept_out_afterwards(tmp_path: Path) -> None:
    earlier = tmp_path / "split.parquet"
    corpus = a_corpus(3)
    write_split(frozen(corpus, "train", "test", "validation"), earlier)

    check_unlearnt(corpus["photo_id"][1:], ReleaseSplit("r0007", earlier))
    with pytest.raises(
        ContractError, match=r"release r0007 learnt from 1 of these 3 kept-out photos, the first is 0{32};"
    ):
        check_unlearnt(corpus["photo_id"], ReleaseSplit("r0007", earlier))


def test_of_a_large_addition_15_percent_each_are_for_test_and_validation() -> None:
    grown, _ = extend_split(frozen(a_corpus(1), "train"), a_corpus(4001), np.arange(4001))

    shares = pd.Series(grown["side"].to_pylist()[1:]).value_counts(normalize=True)
    assert shares["test"] == pytest.approx(0.15, abs=0.02)
    assert shares["validation"] == pytest.approx(0.15, abs=0.02)


@settings(max_examples=60, deadline=None)
@given(people, st.integers(1, 11), st.data())
def test_later_additions_never_move_a_photo_nor_let_a_person_straddle(
    names: list[int], start: int, data: st.DataObject
) -> None:
    everyone = a_corpus(len(names), patient=[f"p{n}" for n in names], lesion=[f"p{n}" for n in names])
    known = start
    corpus = everyone.iloc[:known]
    side_of_person = {f"p{n}": data.draw(st.sampled_from(["train", "validation", "test"])) for n in set(names)}
    split = frozen(corpus, *(side_of_person[p] for p in corpus["patient"]))
    while known < len(names):
        known += data.draw(st.integers(1, len(names) - known))
        corpus = everyone.iloc[:known]
        before = dict(zip(*split.select(["photo_id", "side"]).to_pydict().values(), strict=True))

        split, growth = extend_split(split, corpus, groups_of(corpus))

        sides = sides_of(split, corpus)["side"]
        kept = corpus["photo_id"].isin(before)
        assert sides[kept].tolist() == [before[photo] for photo in corpus["photo_id"][kept]]
        assert sum(map(len, growth.added.values())) == len(corpus) - len(before)
        assert sides.groupby(corpus["patient"]).nunique().max() == 1


@pytest.mark.parametrize("method", ["time", "5-fold"])
def test_only_a_split_by_groups_grows(method: str) -> None:
    corpus = a_corpus(40)
    split = draw_split(corpus, None, similarity_graph(corpus), method)

    assert extend_split(split, corpus, np.arange(40), method)[0] is split
    with pytest.raises(ContractError, match=f"a split by {method} cannot grow; draw that of the grown corpus into"):
        extend_split(split, a_corpus(41), np.arange(41), method)
    with pytest.raises(ContractError, match=f"this split was drawn by {method}, not by groups"):
        extend_split(split, corpus, np.arange(40))


def test_a_method_that_is_not_known_is_refused() -> None:
    corpus = a_corpus(40)

    with pytest.raises(SettingsError, match="split by 'luck'; expected groups, time, or a number of folds as 5-fold"):
        draw_split(corpus, None, similarity_graph(corpus), "luck")


def test_a_drawn_split_says_why_each_photo_has_its_side() -> None:
    corpus = a_corpus(
        100,
        has_other_view_in=["south" if n < 10 else "" for n in range(100)],
        quality_issues=[["motion_blur"] if n % 2 else [] for n in range(100)],
        patient=[f"patient-{n // 2}" if n < 80 else f"patient-{n}" for n in range(100)],
    )

    split = draw_split(corpus, np.eye(100), similarity_graph(corpus), "groups").to_pandas()

    assert set(split["reason"][:10]) == {"may_be_seen_elsewhere"}
    assert set(split["reason"][81::2]) == {"quality"}
    assert set(split["side"][81::2]) == {"train"}, "of people whose photos are all blurred"
    left_out = split[split["side"] == "left_out"]
    assert set(left_out["reason"]) == {"quality"}
    assert set(left_out.index % 2) == {1}
    assert left_out.index.max() < 80


def test_photos_seen_elsewhere_need_features_to_find_their_counterparts() -> None:
    corpus = a_corpus(40, has_other_view_in="south")

    with pytest.raises(ContractError, match=r"40 photos may show lesions of another source .* CNN features are needed"):
        draw_split(corpus, None, similarity_graph(corpus), "groups")


def test_a_split_of_somebody_else_is_read_by_path_id_or_file_name(tmp_path: Path) -> None:
    corpus = a_corpus(4)
    file = a_csv(
        tmp_path / "split.csv",
        {"photo": "north/0.jpg", "side": "Train"},
        {"photo": "1.jpg", "side": "val"},
        {"photo": f"{2:032x}", "side": "testing"},
        {"photo": "9.jpg", "side": "test"},
        {"photo": "0.jpg", "side": "test"},
    )

    given_split = read_given_split(file, corpus)

    assert given_split.side.tolist() == ["train", "validation", "test", "left_out"]
    assert given_split.is_measured_on.tolist() == [False, True, True, False]
    assert given_split.faults == [
        "9.jpg: not in the corpus, or the name of several of its photos",
        "0.jpg: stands on two sides, train and test",
        "1 photos of the corpus have no side, the first is north/3.jpg",
    ]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"photo": "0.jpg", "side": "left"}, "side 'left'; expected one of train, training"),
        ({"image": "0.jpg", "side": "test"}, "columns image, side; expected photo or photo_id, and side"),
    ],
)
def test_a_given_split_with_other_columns_or_words_is_refused(tmp_path: Path, row: dict[str, str], says: str) -> None:
    with pytest.raises(ContractError, match=says):
        read_given_split(a_csv(tmp_path / "split.csv", row), a_corpus(1))
