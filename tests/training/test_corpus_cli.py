"""`screening corpus …` on small photos: what it says, what it writes, and its exit code."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from screening.cli import app
from screening.contracts import CORPUS
from screening.errors import MissingError
from screening.training.corpus import read_corpus_table, write_corpus
from tests.training.labelled_photos import a_csv, a_photo

PEOPLE = 12


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["corpus", *map(str, arguments)])


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of two photos of each person, the first person's twice in the same bytes."""
    root = tmp_path_factory.mktemp("photos")
    rows = [
        {
            "file": f"{person}-{number}.jpg",
            "label": "NEV" if person % 2 else "BCC",
            "patient_id": f"PAT_{person}",
            "lesion_id": f"{person}-{number}",
            "biopsed": "True",
        }
        for person in range(PEOPLE)
        for number in range(2)
    ]
    rows.append(rows[0] | {"file": "again.jpg"})
    a_csv(root / "pad_ufes/labels.csv", *rows)
    for row in rows:
        a_photo(root / "pad_ufes/images" / row["file"])
    a_photo(root / "pad_ufes/images/0-0.jpg", 1)
    a_photo(root / "pad_ufes/images/again.jpg", 1)
    built = run(
        "build", root, "--source", "pad_ufes", "--out", root / "corpus.parquet", "--work", root / "work"
    )  # fmt: skip
    assert built.exit_code == 0, built.output
    assert (
        f"the same bytes twice, one row kept: 1, pad_ufes/again.jpg as pad_ufes/0-0.jpg\n{2 * PEOPLE} photos"
        in built.output
    )
    return root


def test_a_split_by_folds_has_no_leak(photos: Path, tmp_path: Path) -> None:
    drawn = run("split", photos / "corpus.parquet", "--method", "3-fold", "--out", tmp_path / "split.parquet")
    checked = run("check", photos / "corpus.parquet", tmp_path / "split.parquet")

    assert f"{2 * PEOPLE} photos in {PEOPLE} components" in drawn.output
    assert f"same patient: {PEOPLE}" in drawn.output
    assert "folds: 8, 8, 8 photos" in drawn.output
    assert (drawn.exit_code, checked.exit_code) == (0, 0)
    assert "no leak" in checked.output


def test_a_leak_of_a_given_split_is_named_and_is_exit_code_1(photos: Path, tmp_path: Path) -> None:
    sides = [
        {"photo": f"{person}-{number}.jpg", "side": "test" if (person, number) == (3, 1) else "train"}
        for person in range(PEOPLE)
        for number in range(2)
    ]

    checked = run("check", photos / "corpus.parquet", a_csv(tmp_path / "split.csv", *sides))

    assert checked.exit_code == 1
    assert (
        "same patient pad_ufes/PAT_3: pad_ufes/images/3-0.jpg (train), pad_ufes/images/3-1.jpg (test)" in checked.output
    )
    assert "1 leaks, 0 faults of the file, " in checked.output


def test_blurred_and_distant_photos_that_a_split_measures_on_are_named_and_are_exit_code_1(
    photos: Path, tmp_path: Path
) -> None:
    table = read_corpus_table(photos / "corpus.parquet")
    blurred = {"pad_ufes/images/2-0.jpg": ["motion_blur", "some_hair"], "pad_ufes/images/4-0.jpg": ["out_of_focus"]}
    rows = [row | {"quality_issues": blurred.get(row["photo"], [])} for row in table.to_pylist()]
    write_corpus(CORPUS.table(rows), tmp_path / "corpus.parquet")
    sides = [
        {"photo": f"{person}-{number}.jpg", "side": "test" if person == 2 else "train"}
        for person in range(PEOPLE)
        for number in range(2)
    ]
    command = ("check", tmp_path / "corpus.parquet", a_csv(tmp_path / "split.csv", *sides))

    checked, with_them = run(*command), run(*command, "--measure-on-blurred")

    assert checked.exit_code == 1
    assert "measured on (test) though refused: pad_ufes/images/2-0.jpg: motion_blur\n" in checked.output
    assert "0 leaks, 0 faults of the file, 1 photos measured on though refused for blur or distance" in checked.output
    assert (with_them.exit_code, "no leak" in with_them.output) == (0, True)


def test_a_split_by_folds_judges_no_blurred_photo_unless_it_is_told_to(photos: Path, tmp_path: Path) -> None:
    table = read_corpus_table(photos / "corpus.parquet")
    rows = [row | {"quality_issues": ["no_skin"] if n < 3 else []} for n, row in enumerate(table.to_pylist())]
    corpus, split = tmp_path / "corpus.parquet", tmp_path / "split.parquet"
    write_corpus(CORPUS.table(rows), corpus)

    run("split", corpus, "--method", "3-fold", "--out", split)
    all_judged = run("split", corpus, "--method", "3-fold", "--out", tmp_path / "all.parquet", "--measure-on-blurred")

    assert run("check", corpus, split).exit_code == 0
    assert all_judged.exit_code == 0
    assert "3 photos measured on though refused" in run("check", corpus, tmp_path / "all.parquet").output


def test_a_split_that_is_there_is_not_drawn_anew(photos: Path, tmp_path: Path) -> None:
    command = ("split", photos / "corpus.parquet", "--method", "3-fold", "--out", tmp_path / "split.parquet")
    run(*command)
    bytes_before = (tmp_path / "split.parquet").read_bytes()

    assert "nothing was added to the split" in run(*command, "--seed", 5).output
    assert (tmp_path / "split.parquet").read_bytes() == bytes_before


def test_why_two_photos_stay_together_is_told(photos: Path) -> None:
    table = photos / "corpus.parquet"

    told = run("why", table, "pad_ufes/images/3-0.jpg", "pad_ufes/images/3-1.jpg").output
    nothing = run("why", table, "pad_ufes/images/3-0.jpg", "pad_ufes/images/4-1.jpg").output

    assert "pad_ufes/images/3-0.jpg - pad_ufes/images/3-1.jpg: same patient" in told
    assert "nothing joins them" in nothing
    assert isinstance(run("why", table, "nobody.jpg", "3-1.jpg").exception, MissingError)
