import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from screening.contracts import CORPUS, check_table
from screening.cutoffs import QualityCutoffs
from screening.errors import ContractError, MissingError
from screening.taxonomy import load_taxonomy, load_training_classes
from screening.training.corpus import (
    build_corpus,
    corpus_frame,
    read_corpus,
    read_corpus_table,
    with_class_index,
    write_corpus,
)
from screening.training.look_over import look_over
from screening.training.readers.labels_csv import SELECTIONS
from tests.training.labelled_photos import a_csv, a_photo

TAXONOMY = load_taxonomy()
REAL_PHOTOS = Path("../shared/data")
CLASSES = load_training_classes("isic8", TAXONOMY)


def a_source(root: Path, name: str, *rows: dict[str, str]) -> None:
    """``labels.csv`` with the given rows, and a photo of its own for each; ``label`` is nevus unless a row says else."""
    numbered = [{"file": f"{n}.jpg", "label": "nevus"} | row for n, row in enumerate(rows)]
    for row in numbered:
        a_photo(root / name / "images" / row["file"])
    a_csv(root / name / "labels.csv", *numbered)


def a_clinical_photo(patient: str = "PAT_1", lesion: str = "1", **row: str) -> dict[str, str]:
    return {"patient_id": patient, "lesion_id": lesion} | row


def a_dermoscopic_photo(lesion: str = "HAM_1", finer: str = "", **row: str) -> dict[str, str]:
    return {"lesion_id": lesion, "isic_diag9": finer} | row


def corpus_of(root: Path, *sources: str) -> pd.DataFrame:
    return read_corpus(root, list(sources), CLASSES)


def built(root: Path, *sources: str, **options: bool) -> pd.DataFrame:
    table, _ = build_corpus(root, dict.fromkeys(sources), TAXONOMY, **options)
    return pd.DataFrame(table.to_pandas())


def diseases(corpus: pd.DataFrame) -> list[str]:
    return [CLASSES.class_ids[label] for label in corpus["label"]]


def test_a_photo_is_read_with_its_label_and_the_people_behind_it(tmp_path: Path) -> None:
    a_source(
        tmp_path,
        "pad_ufes",
        a_clinical_photo(
            "PAT_8", "20", file="PAT_8_20_1.jpg", label="MEL", biopsed="True", age="61", fitspatrick="2.0"
        ),
    )
    photo = tmp_path / "pad_ufes" / "images" / "PAT_8_20_1.jpg"

    [row] = corpus_of(tmp_path, "pad_ufes").to_dict("records")

    assert row["photo"] == str(photo)
    assert row["photo_id"] == hashlib.sha256(photo.read_bytes()).hexdigest()[:32]
    assert (row["label"], row["disease"]) == (CLASSES.class_ids.index("melanoma"), "melanoma")
    assert (row["source_label"], row["label_strength"]) == ("MEL", "histopathology")
    assert (row["source"], row["kind"], row["has_other_view_in"]) == ("pad_ufes", "clinical", "")
    assert (row["patient"], row["lesion"]) == ("pad_ufes/PAT_8", "pad_ufes/20")
    assert (row["age_years"], row["fitzpatrick"], row["skin_group"]) == (61, 2, "I-II")


def test_sources_stand_one_after_the_other_under_one_numbering(tmp_path: Path) -> None:
    a_source(tmp_path, "ham10000", a_dermoscopic_photo(), a_dermoscopic_photo())
    a_source(tmp_path, "pad_ufes", a_clinical_photo())

    corpus = corpus_of(tmp_path, "pad_ufes", "ham10000")

    assert corpus["source"].tolist() == ["pad_ufes", "ham10000", "ham10000"]
    assert corpus["kind"].tolist() == ["clinical", "dermoscopic", "dermoscopic"]
    assert corpus.index.tolist() == [0, 1, 2]


def test_the_finer_diagnosis_outranks_the_label_where_there_is_one(tmp_path: Path) -> None:
    a_source(
        tmp_path,
        "ham10000",
        a_dermoscopic_photo(label="akiec", finer="scc"),
        a_dermoscopic_photo(label="akiec", finer=""),
    )

    assert diseases(corpus_of(tmp_path, "ham10000")) == ["squamous_cell_carcinoma", "actinic_keratosis_bowen"]


def test_two_sources_never_share_a_person_or_a_lesion(tmp_path: Path) -> None:
    a_source(tmp_path, "ham10000", a_dermoscopic_photo("1"))
    a_source(tmp_path, "pad_ufes", a_clinical_photo("1", "1"))

    corpus = corpus_of(tmp_path, "ham10000", "pad_ufes")

    assert corpus["lesion"].nunique() == 2
    assert corpus["patient"].nunique() == 2


def test_a_source_without_patients_has_one_per_lesion(tmp_path: Path) -> None:
    a_source(tmp_path, "ham10000", a_dermoscopic_photo("1"), a_dermoscopic_photo("1"), a_dermoscopic_photo("2"))

    assert corpus_of(tmp_path, "ham10000")["patient"].tolist() == ["ham10000/1", "ham10000/1", "ham10000/2"]


def test_a_source_without_lesions_has_one_per_photo(tmp_path: Path) -> None:
    a_source(tmp_path, "isic9", {"file": "a.jpg"}, {"file": "b.jpg"})

    corpus = corpus_of(tmp_path, "isic9")

    assert corpus["lesion"].tolist() == corpus["patient"].tolist() == ["isic9/a", "isic9/b"]


def test_photos_without_a_name_behind_them_are_not_all_one_persons(tmp_path: Path) -> None:
    a_source(tmp_path, "pad_ufes", a_clinical_photo("", "1"), a_clinical_photo("", "2"), a_clinical_photo("7", ""))

    corpus = corpus_of(tmp_path, "pad_ufes")

    assert corpus["patient"].tolist() == ["pad_ufes/1", "pad_ufes/2", "pad_ufes/7"]
    assert corpus["lesion"].tolist() == ["pad_ufes/1", "pad_ufes/2", "pad_ufes/2"]


def test_a_photo_that_another_source_may_show_too_says_so(tmp_path: Path) -> None:
    a_source(tmp_path, "isic9", {"in_ham10000": "True"}, {"in_ham10000": "False"}, {"in_ham10000": ""})

    assert corpus_of(tmp_path, "isic9")["has_other_view_in"].tolist() == ["ham10000", "", ""]


@pytest.mark.parametrize("name", SELECTIONS)
def test_nobody_is_null(tmp_path: Path, name: str) -> None:
    rows = (
        {"patient_id": "", "lesion_id": "", "isic_diag9": ""},
        {"patient_id": "NA", "lesion_id": "NA", "isic_diag9": ""},
    )
    a_source(tmp_path, name, *rows)

    assert not corpus_of(tmp_path, name)[["patient", "lesion", "label"]].isna().any().any()


def test_a_table_of_labels_whose_columns_are_not_known_is_refused(tmp_path: Path) -> None:
    a_source(tmp_path, "derm7pt", a_clinical_photo())

    with pytest.raises(
        ContractError, match=r"source 'derm7pt' has no columns of labels\.csv known here; known are pad_ufes"
    ):
        corpus_of(tmp_path, "derm7pt")


def test_photos_of_the_labels_that_are_not_there_stop_the_reading_by_name(tmp_path: Path) -> None:
    a_source(tmp_path, "pad_ufes", *[a_clinical_photo(file=f"{n}.jpg") for n in "abc"])
    for lost in "bc":
        (tmp_path / "pad_ufes" / "images" / f"{lost}.jpg").unlink()

    with pytest.raises(
        MissingError, match=r"2 labelled photos are missing, pad_ufes/b\.jpg, pad_ufes/c\.jpg; fetch them"
    ):
        corpus_of(tmp_path, "pad_ufes")


def test_missing_photos_may_be_left_out_and_are_named(tmp_path: Path) -> None:
    a_source(tmp_path, "pad_ufes", *[a_clinical_photo(file=f"{n}.jpg") for n in "ab"])
    (tmp_path / "pad_ufes/images/b.jpg").unlink()

    table, report = build_corpus(tmp_path, {"pad_ufes": None}, TAXONOMY, skip_missing=True)

    assert table["photo"].to_pylist() == ["pad_ufes/images/a.jpg"]
    assert report.not_used == {"the photo is missing": ["pad_ufes/b.jpg"]}


def test_a_photo_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    a_source(tmp_path, "pad_ufes", a_clinical_photo(file="a.jpg"), a_clinical_photo(file="b.jpg"))
    (tmp_path / "pad_ufes/images/b.jpg").write_bytes(b"no photo at all")

    with pytest.raises(ContractError, match=r"1 photos cannot be opened; mend them .*images/b\.jpg: not one of JPEG"):
        corpus_of(tmp_path, "pad_ufes")


def test_a_label_that_the_taxonomy_does_not_know_is_refused_with_its_line(tmp_path: Path) -> None:
    a_source(tmp_path, "pad_ufes", a_clinical_photo(), a_clinical_photo(label="no such disease"))

    with pytest.raises(ContractError, match=r"labels\.csv:3: .* no disease has the label 'no such disease'; add it"):
        corpus_of(tmp_path, "pad_ufes")


def test_the_same_bytes_twice_are_one_row_with_the_stronger_label(tmp_path: Path) -> None:
    a_source(
        tmp_path,
        "pad_ufes",
        a_clinical_photo("A", "1", file="weak.jpg", biopsed="False"),
        a_clinical_photo("B", "2", file="strong.jpg", biopsed="True"),
        a_clinical_photo("A", "3", file="other.jpg", biopsed="True"),
    )
    for file in ("weak.jpg", "strong.jpg"):
        a_photo(tmp_path / "pad_ufes/images" / file, number=1)

    table, report = build_corpus(tmp_path, {"pad_ufes": None}, TAXONOMY)

    assert table["photo"].to_pylist() == ["pad_ufes/images/strong.jpg", "pad_ufes/images/other.jpg"]
    assert report.same_bytes == [("pad_ufes/strong.jpg", "pad_ufes/weak.jpg")]
    assert "the same bytes twice, one row kept: 1, pad_ufes/weak.jpg as pad_ufes/strong.jpg" in report.lines()


def test_people_who_share_the_bytes_of_a_photo_are_one_person(tmp_path: Path) -> None:
    a_source(
        tmp_path,
        "pad_ufes",
        a_clinical_photo("A", "1", file="1.jpg"),
        a_clinical_photo("B", "2", file="2.jpg"),
        a_clinical_photo("B", "3", file="3.jpg"),
        a_clinical_photo("C", "4", file="4.jpg"),
        a_clinical_photo("C", "5", file="5.jpg"),
    )
    a_photo(tmp_path / "pad_ufes/images/1.jpg", number=1)
    a_photo(tmp_path / "pad_ufes/images/2.jpg", number=1)
    a_photo(tmp_path / "pad_ufes/images/3.jpg", number=2)
    a_photo(tmp_path / "pad_ufes/images/4.jpg", number=2)

    corpus = built(tmp_path, "pad_ufes")

    assert corpus["patient"].tolist() == ["pad_ufes/A"] * 3


def test_contradictory_labels_of_the_same_bytes_are_both_left_out_by_name(tmp_path: Path) -> None:
    a_source(
        tmp_path,
        "pad_ufes",
        a_clinical_photo(file="a.jpg", label="BCC"),
        a_clinical_photo(file="b.jpg", label="ACK"),
        a_clinical_photo(file="c.jpg"),
    )
    for file in "ab":
        a_photo(tmp_path / f"pad_ufes/images/{file}.jpg", number=1)

    table, report = build_corpus(tmp_path, {"pad_ufes": None}, TAXONOMY)

    assert table["photo"].to_pylist() == ["pad_ufes/images/c.jpg"]
    assert report.contradictory == [["pad_ufes/a.jpg (BCC)", "pad_ufes/b.jpg (ACK)"]]


def test_a_corpus_survives_being_written_and_is_a_source_itself(tmp_path: Path) -> None:
    a_source(tmp_path, "pad_ufes", a_clinical_photo("PAT_8", "20", label="MEL"), a_clinical_photo())
    table, _ = build_corpus(tmp_path, {"pad_ufes": None}, TAXONOMY)
    write_corpus(table, tmp_path / "corpus.parquet")

    again, _ = build_corpus(tmp_path.parent, {tmp_path.name: None}, TAXONOMY)

    assert read_corpus_table(tmp_path / "corpus.parquet").equals(table)
    same = [name for name in CORPUS.schema.names if name != "photo"]
    assert again.select(same).equals(table.select(same))
    assert [Path(p).exists() for p in corpus_frame(again, tmp_path.parent)["photo"]] == [True, True]


def test_labels_of_the_same_bytes_that_differ_in_fineness_do_not_contradict(tmp_path: Path) -> None:
    a_source(
        tmp_path, "pad_ufes", a_clinical_photo(file="a.jpg", label="bkl"), a_clinical_photo(file="b.jpg", label="SEK")
    )
    for file in "ab":
        a_photo(tmp_path / f"pad_ufes/images/{file}.jpg", number=1)

    assert built(tmp_path, "pad_ufes")["disease"].tolist() == ["seborrheic_keratosis"]


def test_the_corpus_holds_the_disease_and_training_the_class_above_it(tmp_path: Path) -> None:
    a_source(tmp_path, "pad_ufes", a_clinical_photo(label="ACK"), a_clinical_photo(label="SEK"))

    corpus = corpus_of(tmp_path, "pad_ufes")

    assert corpus["disease"].tolist() == ["actinic_keratosis", "seborrheic_keratosis"]
    assert diseases(corpus) == ["actinic_keratosis_bowen", "benign_keratosis"]


def test_a_label_coarser_than_the_training_classes_is_refused_with_its_photo(tmp_path: Path) -> None:
    a_photo(tmp_path / "tutorial/benign/a.jpg")
    a_photo(tmp_path / "tutorial/malignant/b.jpg")

    assert built(tmp_path, "tutorial")["disease"].tolist() == ["benign", "malignant"]
    with pytest.raises(ContractError, match=r"1 photos, the first is .*a\.jpg: label 'benign' .* coarser"):
        with_class_index(built(tmp_path, "tutorial"), CLASSES)


def test_photos_that_the_network_cannot_answer_may_be_left_out_with_their_count(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    a_source(tmp_path, "pad_ufes", a_clinical_photo(label="benign"), a_clinical_photo(label="MEL"))
    caplog.set_level("INFO", "screening")

    corpus = with_class_index(built(tmp_path, "pad_ufes"), CLASSES, drop_others=True)

    assert diseases(corpus) == ["melanoma"]
    assert corpus.index.tolist() == [0]
    assert "1 photos left out: label 'benign'" in caplog.text


def test_looking_over_fills_in_what_the_photo_tells_and_measures_it_once(tmp_path: Path) -> None:
    a_source(tmp_path, "pad_ufes", a_clinical_photo(file="a.jpg"))
    exif = Image.Exif()
    exif[271], exif[272], exif[306] = "Fairphone", "FP5", "2026:03:01 10:20:30"
    a_photo(tmp_path / "pad_ufes/images/a.jpg", 1, exif)
    table, _ = build_corpus(tmp_path, {"pad_ufes": None}, TAXONOMY)

    looked = look_over(table, tmp_path, tmp_path / "cache", QualityCutoffs())
    (tmp_path / "pad_ufes/images/a.jpg").unlink()
    again = look_over(table, tmp_path, tmp_path / "cache", QualityCutoffs())

    [row] = check_table(looked, CORPUS).to_pylist()
    assert (row["device"], row["captured_at_utc"]) == ("Fairphone FP5", datetime(2026, 3, 1, 10, 20, 30, tzinfo=UTC))
    assert (row["quality_verdict"], row["quality_reason"]) == ("refused", "too_few_pixels")
    assert len(row["perceptual_hash"]) == 88
    assert again.equals(looked)


def test_a_corpus_that_was_built_keeps_its_verdicts_where_it_is_trained_on(tmp_path: Path) -> None:
    a_source(tmp_path / "north", "pad_ufes", a_clinical_photo())
    table, _ = build_corpus(tmp_path / "north", {"pad_ufes": None}, TAXONOMY)
    verdict = {"quality_verdict": "refused", "quality_reason": "motion_blur", "quality_issues": ["motion_blur", "dim"]}
    write_corpus(CORPUS.table([row | verdict for row in table.to_pylist()]), tmp_path / "north/corpus.parquet")

    [row] = read_corpus(tmp_path, ["north"], CLASSES).to_dict("records")

    assert {name: row[name] for name in ("quality_verdict", "quality_reason")} | {
        "quality_issues": list(row["quality_issues"])
    } == verdict


def test_a_photo_that_ends_early_is_named_and_the_others_stay_measured(tmp_path: Path) -> None:
    a_source(tmp_path, "pad_ufes", a_clinical_photo(file="a.jpg"), a_clinical_photo(file="b.jpg"))
    file = tmp_path / "pad_ufes/images/b.jpg"
    file.write_bytes(file.read_bytes()[:-300])
    table, _ = build_corpus(tmp_path, {"pad_ufes": None}, TAXONOMY)
    done: list[tuple[int, int]] = []

    for _ in range(2):
        with pytest.raises(ContractError, match=r"1 photos cannot be decoded; mend them .*images/b\.jpg"):
            look_over(table, tmp_path, tmp_path / "cache", QualityCutoffs(), lambda *step: done.append(step))

    assert done == [(0, 2), (1, 2), (2, 2), (1, 2), (2, 2)]


@pytest.mark.skipif(not REAL_PHOTOS.is_dir(), reason=f"real photos are read from {REAL_PHOTOS}, which is not here")
def test_the_public_sets_are_read_whole_and_their_contradiction_is_found() -> None:
    table, report = build_corpus(REAL_PHOTOS, {"pad_ufes": None, "ham10000": None, "isic9": None}, TAXONOMY)

    assert report.read == {"pad_ufes": 1134, "ham10000": 3661, "isic9": 904}
    assert report.contradictory == [["pad_ufes/PAT_691_1311_890.jpg (BCC)", "pad_ufes/PAT_691_3994_791.jpg (ACK)"]]
    assert table.num_rows == 1134 + 3661 + 904 - 2
    assert not {"unknown"} & set(table.filter(table["source"].to_numpy() != "isic9")["label_strength"].to_pylist())
