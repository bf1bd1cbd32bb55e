import csv
from pathlib import Path

import pandas as pd
import pytest

from screening.errors import ContractError, MissingError
from screening.taxonomy import load_taxonomy, load_training_classes
from screening.training.corpus import LAYOUTS, read_corpus

CLASSES = load_training_classes("isic8", load_taxonomy())


def a_source(root: Path, name: str, *rows: dict[str, str]) -> None:
    """``labels.csv`` with the given rows, and an (empty) photo for each; ``label`` is nevus unless a row says else."""
    (root / name / "images").mkdir(parents=True)
    numbered = [{"file": f"{n}.jpg", "label": "nevus"} | row for n, row in enumerate(rows)]
    for row in numbered:
        (root / name / "images" / row["file"]).touch()
    with (root / name / "labels.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(numbered[0]))
        writer.writeheader()
        writer.writerows(numbered)


def a_clinical_photo(patient: str = "PAT_1", lesion: str = "1", **row: str) -> dict[str, str]:
    return {"patient_id": patient, "lesion_id": lesion} | row


def a_dermoscopic_photo(lesion: str = "HAM_1", finer: str = "", **row: str) -> dict[str, str]:
    return {"lesion_id": lesion, "isic_diag9": finer} | row


def corpus_of(root: Path, *sources: str) -> pd.DataFrame:
    return read_corpus(root, list(sources), CLASSES)


def diseases(corpus: pd.DataFrame) -> list[str]:
    return [CLASSES.class_ids[label] for label in corpus["label"]]


def test_a_photo_is_read_with_its_label_and_the_people_behind_it(tmp_path: Path) -> None:
    a_source(tmp_path, "pad_ufes", a_clinical_photo("PAT_8", "20", file="PAT_8_20_1.jpg", label="MEL"))

    [row] = corpus_of(tmp_path, "pad_ufes").to_dict("records")

    assert row == {
        "photo": str(tmp_path / "pad_ufes" / "images" / "PAT_8_20_1.jpg"),
        "label": CLASSES.class_ids.index("melanoma"),
        "source": "pad_ufes",
        "kind": "clinical",
        "patient": "pad_ufes/PAT_8",
        "lesion": "pad_ufes/20",
        "has_other_view_in": "",
    }


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


@pytest.mark.parametrize("name", LAYOUTS)
def test_nobody_is_null(tmp_path: Path, name: str) -> None:
    rows = (
        {"patient_id": "", "lesion_id": "", "isic_diag9": ""},
        {"patient_id": "NA", "lesion_id": "NA", "isic_diag9": ""},
    )
    a_source(tmp_path, name, *rows)

    assert not corpus_of(tmp_path, name).isna().any().any()


def test_a_source_without_a_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="source 'derm7pt' has no layout; known are pad_ufes, ham10000, isic9"):
        corpus_of(tmp_path, "derm7pt")


def test_a_source_without_labels_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"pad_ufes/labels\.csv does not exist"):
        corpus_of(tmp_path, "pad_ufes")


def test_a_photo_of_the_labels_that_is_not_there_is_missing(tmp_path: Path) -> None:
    a_source(tmp_path, "pad_ufes", *[a_clinical_photo(file=f"{n}.jpg") for n in "abc"])
    for lost in "bc":
        (tmp_path / "pad_ufes" / "images" / f"{lost}.jpg").unlink()

    with pytest.raises(MissingError, match=r"pad_ufes: 2 photos of labels\.csv are missing, the first is b\.jpg"):
        corpus_of(tmp_path, "pad_ufes")


def test_a_label_that_the_taxonomy_does_not_know_is_refused(tmp_path: Path) -> None:
    a_source(tmp_path, "pad_ufes", a_clinical_photo(label="flat wart on a cat"))

    with pytest.raises(ContractError, match="no disease has the label 'flat wart on a cat'"):
        corpus_of(tmp_path, "pad_ufes")
