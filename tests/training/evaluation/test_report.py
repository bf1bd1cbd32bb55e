"""The page: it shows what the document says, whatever is missing, and nothing of anybody."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from screening.errors import ContractError, MissingError
from screening.training.evaluation import figures
from screening.training.evaluation.heat_maps import choose_photos, heat_map_rows
from screening.training.evaluation.photo_map import places_of
from screening.training.evaluation.report import Pictures, evaluation_report, in_hundred, p_value, three
from screening.training.evaluation.scored_photos import ScoredPhotos, write_scored_photos
from screening.training.evaluation.whole_report import Request, write_report
from tests.training.evaluation.made_up_photos import some_scored
from tests.training.evaluation.test_document import evaluated
from tests.training.evaluation.test_document import figures as figures_of


class Shown(HTMLParser):
    """``values`` are the figures that the page shows, by id; ``pictures`` the words of its pictures."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.values: dict[str, set[str]] = {}
        self.pictures: list[str] = []
        self.text, self._id = "", ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self._id = dict(attrs).get("data-id") or ""
        if tag == "img":
            self.pictures.append(dict(attrs).get("alt") or "")

    def handle_data(self, data):
        if self._id:
            self.values.setdefault(self._id, set()).add(data)
            self._id = ""
        self.text += " " + data


def report_of(folder: Path, scored: ScoredPhotos, **options) -> tuple[str, dict]:
    folder.mkdir(exist_ok=True)
    write_scored_photos(scored, folder / "table.parquet")
    write_report(Request(out=folder / "out", scored=folder / "table.parquet", resamples=100, **options), lambda _: None)
    return (folder / "out/evaluation.html").read_text(), json.loads((folder / "out/evaluation.json").read_text())


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return report_of(tmp_path_factory.mktemp("report"), some_scored())


def test_every_figure_of_the_page_is_the_one_of_the_json(written):
    page, document = written
    by_id = {figure["id"]: figure["value"] for figure in figures_of(document)}
    shown = Shown(page).values

    assert len(shown) > 150
    assert {ident: {three(by_id[ident])} for ident in shown} == shown


def test_a_figure_of_a_grade_stands_on_the_page_unless_it_is_a_dot_of_a_curve(written):
    page, document = written
    asked = [q for group in document["groups"] for q in group["questions"]]
    wanted = {f["id"] for f in figures_of(asked) if "/bin " not in f["id"]}

    assert len(wanted) > 80
    assert wanted - set(Shown(page).values) == set()


def test_every_picture_says_in_words_what_it_shows(written):
    pictures = Shown(written[0]).pictures

    assert len(pictures) > 10
    assert all(len(words) > 40 for words in pictures)
    assert any("AUC 0." in words for words in pictures)


def test_the_page_loads_nothing_and_runs_nothing(written):
    page = re.sub(r'src="data:[^"]*"', "", written[0])

    assert not re.findall(r"<script|<link|<iframe|https?://|url\(|@import", page)
    assert "default-src 'none'" in page


def test_nobody_and_no_file_is_named(written):
    assert not re.findall(r"patient-\d|photo-\d", written[0])
    assert not re.findall(r"patient-\d|photo-\d", json.dumps(written[1]))


@pytest.mark.parametrize(
    "columns",
    [
        {"disease": ["nevus", "melanoma", "basal_cell_carcinoma"] * 40},
        {"disease": ["nevus", "melanoma"] * 60},
        {"disease": ["nevus"] * 120},
        {"kind": "clinical", "source": "here", "sex": "female", "age_years": 50},
        {"kind": None, "source": None, "sex": None, "age_years": None, "patient": None},
    ],
    ids=["classes missing", "a grade missing", "one disease only", "one subgroup", "nothing known"],
)
def test_a_report_is_made_of_whatever_there_is(tmp_path, columns):
    page, document = report_of(tmp_path, some_scored(**columns))

    assert "</html>" in page
    assert document["photos"] == 120


def test_readers_other_answers_and_other_populations_are_read_from_files(tmp_path):
    scored, other = some_scored(), some_scored(skill=0.5, seed=5)
    write_scored_photos(other, tmp_path / "other.parquet")
    (tmp_path / "readers.csv").write_text("reader,target,sensitivity,specificity\nA,dangerous,0.7,0.8\nB,mel,0.9,0.6\n")
    (tmp_path / "answers.csv").write_text("reader,photo,disease\nA,photo-0,nevus\nA,photo-7,melanoma\n")

    page, document = report_of(
        tmp_path,
        scored,
        readers=tmp_path / "readers.csv",
        readers_answers=tmp_path / "answers.csv",
        against=(str(tmp_path / "other.parquet"),),
        others=(("elsewhere", tmp_path / "other.parquet"),),
    )

    text = Shown(page).text
    assert "Grades, reader A" in text
    assert "their mean ± sd" not in text  # a legend, drawn inside a picture
    assert "elsewhere" in text
    assert [c["name"] for c in document["comparisons"]] == ["other"]


@pytest.mark.parametrize(
    ("csv", "says"),
    [
        ("reader,target,sensitivity\nA,dangerous,0.7\n", "no column specificity"),
        ("reader,target,sensitivity,specificity\nA,dangerous,70,80\n", "line 2: sensitivity and specificity"),
        ("reader,target,sensitivity,specificity\nA,a cold,0.7,0.8\n", "'a cold'"),
    ],
)
def test_a_wrong_table_of_readers_stops_before_anything_is_computed(tmp_path, csv, says):
    (tmp_path / "readers.csv").write_text(csv)

    with pytest.raises(ContractError, match=says):
        write_report(
            Request(out=tmp_path / "out", scored=tmp_path / "none.csv", readers=tmp_path / "readers.csv"),
            lambda _: None,
        )


def test_answers_to_other_photos_cannot_be_compared(tmp_path):
    write_scored_photos(some_scored(60), tmp_path / "other.parquet")

    with pytest.raises(ContractError, match="60 of 120 photos have no answer there"):
        report_of(tmp_path, some_scored(), against=(str(tmp_path / "other.parquet"),))


def test_a_table_that_is_not_there_is_missing(tmp_path):
    with pytest.raises(MissingError, match="expected a table of scored photos"):
        write_report(Request(out=tmp_path, scored=tmp_path / "none.parquet"), lambda _: None)


# Pictures


def test_misses_alarms_and_finds_are_shown_the_worst_first():
    scored = some_scored(skill=1.0)
    shown = choose_photos(scored, per_case=2)

    missed = [s for s in shown if s.title == "Missed, clinical"]
    assert all(scored.true_grades[s.row] == 2 and scored.given_grades[s.row] == 0 for s in missed)
    assert [s.class_place for s in missed] == [scored.labels[s.row] for s in missed]
    rows = [s.row for s in shown if s.title == "False alarm, dermoscopic"]
    at_risk = scored.grade_scores[rows, 1:].sum(axis=1)
    assert list(at_risk) == sorted(at_risk, reverse=True)
    assert len(rows) == 2


def test_heat_maps_stand_beside_their_photo_and_a_layer_without_maps_is_left_out():
    scored = some_scored(skill=1.0)
    pixels = np.random.default_rng(0).integers(0, 256, (120, 32, 32, 3), dtype=np.uint8)
    layers = [("Grad-CAM", lambda photos, _: np.zeros(photos.shape[:3])), ("Saliency", lambda *_: None)]

    rows = heat_map_rows(scored, pixels, choose_photos(scored, per_case=1), layers)

    assert {len(row.pictures) for row in rows} == {2}
    assert heat_map_rows(scored, pixels, [], layers) == []
    page = evaluation_report(document_of(scored), Pictures(True, heat_maps=rows))
    assert "This file holds photos of patients" in page


def document_of(scored: ScoredPhotos) -> dict:
    return evaluated(scored) | {
        "made_at": "2026-11-21",
        "data": "made up",
        "runs": {
            "metric": "auc",
            "price": 2.0,
            "rows": [{"name": "a", "architecture": "resnet18", "hours": 1.5, "score": 0.9}],
        },
        "model": {
            "name": "release r0001",
            "weights_sha256": None,
            "members": [],
            "classes": list(scored.classes),
            "class_names": list(scored.class_names),
            "cutoffs": None,
            "taxonomy": "t-1",
        },
    }


def test_time_and_cost_stand_beside_accuracy():
    text = Shown(evaluation_report(document_of(some_scored()), Pictures(False))).text

    assert re.search(r"resnet18\s+1.50\s+3.00\s+0.900", text)


def test_the_map_is_the_same_each_time_and_photos_alike_lie_close():
    random = np.random.default_rng(0)
    features = np.concatenate([random.normal(0, 0.1, (15, 8)), random.normal(5, 0.1, (15, 8))])
    places = places_of(features)

    assert (places == places_of(features)).all()
    first, second = places[:15], places[15:]
    within = np.linalg.norm(first - first.mean(axis=0), axis=1).max()
    assert np.linalg.norm(first.mean(axis=0) - second.mean(axis=0)) > within


def test_a_map_without_photos_holds_dots_only():
    places, grades = np.array([[0.0, 0.0], [1.0, 1.0]]), ["low_risk", "dangerous"]
    photos = np.full((2, 8, 8, 3), 200, np.uint8)

    assert figures.map_of_photos(places, grades, None) != figures.map_of_photos(places, grades, photos)


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.0, "0"), (0.001, "fewer than 1"), (0.5, "50"), (0.999, "more than 99"), (1.0, "100"), (None, "–")],
)
def test_none_of_a_hundred_is_only_said_of_none(value, words):
    assert in_hundred(value) == words


def test_a_small_p_is_a_bound():
    assert (p_value(0.0099), p_value(0.01), p_value(None)) == ("< 0.01", "0.01", "–")
