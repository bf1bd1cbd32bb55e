from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screening.errors import ContractError
from screening.stages.quality.duplicates import HASH_BYTES
from screening.training.splits import Evidence, SimilarityGraph, find_leaks, similarity_graph
from screening.training.splits.graph import SERIES_SECONDS, Join
from screening.training.splits.leaks import describe_leak

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def strangers(photos: int, **columns: object) -> pd.DataFrame:
    """Photos that have nothing in common, but for the columns that are given."""
    defaults: dict[str, object] = {
        "photo": [f"pad_ufes/{n}.jpg" for n in range(photos)],
        "source": "pad_ufes",
        "patient": [f"patient-{n}" for n in range(photos)],
        "lesion": [f"lesion-{n}" for n in range(photos)],
        "device": None,
        "captured_at_utc": pd.Series([None] * photos, dtype="datetime64[us, UTC]"),
        "perceptual_hash": None,
    }
    return pd.DataFrame(defaults | columns, index=range(photos))


def moments(*seconds: float) -> pd.Series:
    return pd.Series([NOON + timedelta(seconds=s) for s in seconds], dtype="datetime64[us, UTC]")


def evidence_between(graph: SimilarityGraph, first: int, second: int) -> list[Evidence]:
    return [join.evidence for join in graph.why(first, second)]


def test_strangers_are_not_joined() -> None:
    graph = similarity_graph(strangers(3), np.eye(3))

    assert set(graph.counts().values()) == {0}
    assert graph.why(0, 2) == []
    assert len(set(graph.groups)) == 3


def test_one_picture_in_other_bytes_is_joined_by_its_hash() -> None:
    hashes = np.random.default_rng(0).integers(0, 256, (3, HASH_BYTES), dtype=np.uint8)
    hashes[2] = hashes[0]
    hashes[2, 0] ^= 1

    graph = similarity_graph(strangers(4, perceptual_hash=[*(row.tobytes().hex() for row in hashes), None]))

    assert graph.why(0, 2) == [Join(0, 2, Evidence.PERCEPTUAL_HASH)]
    assert graph.counts()[Evidence.PERCEPTUAL_HASH] == 1


def test_a_photo_of_the_isic_archive_is_known_again_in_another_data_set() -> None:
    files = ["isic/ISIC_0024306.jpg", "ham/ISIC_0024307.jpg", "ham/isic_0024306_downsampled.jpg"]

    graph = similarity_graph(strangers(3, photo=files))

    assert evidence_between(graph, 0, 2) == [Evidence.PUBLISHED_NUMBER]
    assert graph.why(0, 1) == []


@pytest.mark.parametrize(("seconds", "joined"), [(SERIES_SECONDS, True), (SERIES_SECONDS + 1, False)])
def test_photos_by_one_device_are_of_one_sitting_up_to_two_minutes(seconds: int, joined: bool) -> None:
    graph = similarity_graph(strangers(2, device="Fairphone FP5", captured_at_utc=moments(0, seconds)))

    assert (evidence_between(graph, 0, 1) == [Evidence.SITTING]) == joined


def test_other_devices_and_other_sources_are_other_sittings() -> None:
    two_devices = strangers(2, device=["A", "B"], captured_at_utc=moments(0, 1))
    two_sources = strangers(2, device="A", source=["north", "south"], captured_at_utc=moments(0, 1))

    for corpus in (two_devices, two_sources):
        assert similarity_graph(corpus).why(0, 1) == []


def test_a_sitting_is_a_chain_of_photos_in_any_order() -> None:
    graph = similarity_graph(strangers(3, device="A", captured_at_utc=moments(200, 0, 100)))

    assert graph.why(1, 0) == [Join(1, 2, Evidence.SITTING), Join(2, 0, Evidence.SITTING)]


def test_the_shortest_chain_of_evidence_is_told() -> None:
    corpus = strangers(4, patient=["a", "a", "b", "c"], lesion=["1", "2", "2", "3"])
    features = np.eye(4)
    features[3] = features[2]

    graph = similarity_graph(corpus, features)

    assert evidence_between(graph, 0, 3) == [Evidence.PATIENT, Evidence.LESION, Evidence.FEATURES]


@pytest.mark.parametrize("features", [np.eye(2), np.full((3, 3), np.nan)])
def test_features_of_other_photos_or_of_none_are_refused(features: np.ndarray) -> None:
    with pytest.raises(ContractError, match="for 3 photos, or not finite; expected a row per photo"):
        similarity_graph(strangers(3), features)


def test_leaks_are_named_one_by_one() -> None:
    corpus = strangers(6, patient=["a", "a", "b", "c", "d", "e"], lesion=["1", "2", "3", "3", "4", "5"])
    features = np.eye(6)
    features[5] = features[4]
    side = pd.Series(["train", "test", "train", "validation", "train", "test"])

    leaks = find_leaks(corpus, similarity_graph(corpus, features), side)

    assert [describe_leak(leak, corpus, side) for leak in leaks] == [
        "same patient a: pad_ufes/0.jpg (train), pad_ufes/1.jpg (test)",
        "same lesion 3: pad_ufes/2.jpg (train), pad_ufes/3.jpg (validation)",
        "nearest neighbours of CNN features: pad_ufes/4.jpg (train), pad_ufes/5.jpg (test)",
    ]


def test_a_photo_that_is_left_out_leaks_nothing() -> None:
    corpus = strangers(2, patient="a")

    assert find_leaks(corpus, similarity_graph(corpus), pd.Series(["train", "left_out"])) == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), min_size=2, max_size=30))
def test_whoever_shares_a_name_is_in_one_component_and_nobody_else(people: list[tuple[int, int]]) -> None:
    corpus = strangers(len(people), patient=[f"p{p}" for p, _ in people], lesion=[f"l{n}" for _, n in people])

    graph = similarity_graph(corpus)

    for i in range(len(people)):
        for j in range(len(people)):
            # A chain of names leads from one to the other exactly where they are in one component.
            assert (bool(graph.why(i, j)) or i == j) == (graph.groups[i] == graph.groups[j])
            if people[i][0] == people[j][0] or people[i][1] == people[j][1]:
                assert graph.groups[i] == graph.groups[j]
