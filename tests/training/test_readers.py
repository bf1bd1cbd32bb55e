from pathlib import Path

import pytest

from screening.contracts import LabelStrength, PhotoKind
from screening.errors import ContractError, MissingError
from screening.taxonomy import load_taxonomy
from screening.training.readers import read_source, recognise_layout
from screening.training.readers.class_folders import DERMOFIT_CLASSES
from tests.training.labelled_photos import a_csv, a_photo


def ham_row(**row: object) -> dict[str, object]:
    published = {
        "lesion_id": "HAM_0000118", "image_id": "ISIC_0027419", "dx": "bkl", "dx_type": "histo", "age": "80.0",
        "sex": "male", "localization": "scalp",
    }  # fmt: skip
    return published | row


def pad_row(**row: object) -> dict[str, object]:
    published = {
        "patient_id": "PAT_1516", "lesion_id": "1765", "age": "8", "gender": "", "fitspatrick": "", "region": "ARM",
        "diagnostic": "NEV", "img_id": "PAT_1516_1765_530.png", "biopsed": "False",
    }  # fmt: skip
    return published | row


def isic_row(**row: object) -> dict[str, object]:
    published = {
        "isic_id": "ISIC_0024306", "copyright_license": "CC-BY-NC", "age_approx": "45.0",
        "anatom_site_general": "posterior torso", "anatom_site_special": "", "concomitant_biopsy": "False",
        "diagnosis_1": "Benign", "diagnosis_2": "Benign melanocytic proliferations", "diagnosis_3": "Nevus",
        "diagnosis_4": "", "diagnosis_confirm_type": "serial imaging showing no change",
        "fitzpatrick_skin_type": "III", "image_type": "dermoscopic", "lesion_id": "IL_7252831", "patient_id": "",
        "sex": "male",
    }  # fmt: skip
    return published | row


def test_a_folder_per_class_labels_its_photos(tmp_path: Path) -> None:
    first, second = a_photo(tmp_path / "benign/a.jpg"), a_photo(tmp_path / "malignant/deep/b.png")

    photos = read_source(tmp_path).photos

    assert [(p.file, p.label) for p in photos] == [(first, "benign"), (second, "malignant")]
    assert {p.strength for p in photos} == {LabelStrength.UNKNOWN}


def test_the_sides_of_a_tutorials_folders_are_not_labels(tmp_path: Path) -> None:
    a_photo(tmp_path / "train/benign/a.jpg")
    a_photo(tmp_path / "test/malignant/b.jpg")

    assert sorted(p.label for p in read_source(tmp_path).photos) == ["benign", "malignant"]


def test_photos_of_one_name_in_two_classes_are_not_one_lesion(tmp_path: Path) -> None:
    a_photo(tmp_path / "benign/1.jpg")
    a_photo(tmp_path / "malignant/1.jpg")

    assert [p.lesion for p in read_source(tmp_path).photos] == ["benign/1", "malignant/1"]


def test_a_class_without_a_photo_is_refused_by_name(tmp_path: Path) -> None:
    a_photo(tmp_path / "benign/a.jpg")
    (tmp_path / "malignant").mkdir()

    with pytest.raises(ContractError, match=r"malignant: no photo in the folder of this class; fill it, or remove"):
        read_source(tmp_path)


def test_med_node_is_told_by_its_two_folders(tmp_path: Path) -> None:
    a_photo(tmp_path / "melanoma/1.jpg")
    a_photo(tmp_path / "naevus/2.jpg")

    assert recognise_layout(tmp_path) == "med_node"
    assert [p.label for p in read_source(tmp_path).photos] == ["melanoma", "naevus"]


def test_dermofit_has_a_folder_per_lesion_and_masks_that_are_no_photos(tmp_path: Path) -> None:
    a_photo(tmp_path / "IEC/P102/P102.png")
    a_photo(tmp_path / "IEC/P102/P102mask.png")
    a_photo(tmp_path / "ML/A7/A7.png")

    photos = read_source(tmp_path).photos

    assert recognise_layout(tmp_path) == "dermofit"
    assert [(p.label, p.names[0], p.lesion, p.file.name) for p in photos] == [
        ("IEC", "intraepithelial carcinoma", "IEC/P102", "P102.png"),
        ("ML", "melanocytic nevus", "ML/A7", "A7.png"),
    ]
    assert {p.strength for p in photos} == {LabelStrength.CONSENSUS}


@pytest.mark.parametrize("name", DERMOFIT_CLASSES.values())
def test_the_taxonomy_knows_what_dermofit_calls_its_folders(name: str) -> None:
    assert load_taxonomy().of_label(name).id


def test_ham10000_is_read_as_published(tmp_path: Path) -> None:
    a_csv(tmp_path / "HAM10000_metadata.csv", ham_row(), ham_row(image_id="ISIC_0000002", dx="nv", dx_type="follow_up"))
    a_photo(tmp_path / "HAM10000_images_part_1/ISIC_0027419.jpg")
    a_photo(tmp_path / "HAM10000_images_part_2/ISIC_0000002.jpg")

    first, second = read_source(tmp_path).photos

    assert first.file == tmp_path / "HAM10000_images_part_1/ISIC_0027419.jpg"
    assert (first.label, first.strength, first.lesion) == ("bkl", LabelStrength.HISTOPATHOLOGY, "HAM_0000118")
    assert (first.age_years, first.sex, first.body_site, first.kind) == (80, "male", "scalp", PhotoKind.DERMOSCOPIC)
    assert second.strength == LabelStrength.CONSENSUS


def test_pad_ufes_20_is_read_as_published(tmp_path: Path) -> None:
    biopsed = pad_row(diagnostic="BCC", gender="FEMALE", fitspatrick="3.0", biopsed="True", img_id="b.png")
    a_csv(tmp_path / "metadata.csv", pad_row(), biopsed)
    a_photo(tmp_path / "images/imgs_part_1/PAT_1516_1765_530.png")
    a_photo(tmp_path / "images/imgs_part_2/b.png")

    plain, proven = read_source(tmp_path).photos

    assert recognise_layout(tmp_path) == "pad_ufes_20"
    assert (plain.label, plain.patient, plain.lesion, plain.age_years) == ("NEV", "PAT_1516", "PAT_1516/1765", 8)
    assert (plain.strength, plain.sex, plain.fitzpatrick) == (LabelStrength.CONSENSUS, None, None)
    assert (proven.strength, proven.sex, proven.fitzpatrick) == (LabelStrength.HISTOPATHOLOGY, "female", 3)


def test_the_isic_archive_gives_the_finest_diagnosis_first(tmp_path: Path) -> None:
    a_csv(tmp_path / "metadata.csv", isic_row())
    a_photo(tmp_path / "ISIC_0024306.jpg")

    [photo] = read_source(tmp_path).photos

    assert recognise_layout(tmp_path) == "isic_archive"
    assert photo.label == "Nevus"
    assert photo.names == ("Nevus", "Benign melanocytic proliferations", "Benign")
    assert (photo.lesion, photo.fitzpatrick, photo.licence) == ("IL_7252831", 3, "CC-BY-NC")


@pytest.mark.parametrize(
    ("said", "biopsied", "strength"),
    [
        ("histopathology", "True", LabelStrength.HISTOPATHOLOGY),
        ("serial imaging showing no change", "False", LabelStrength.CONSENSUS),
        ("single image expert consensus", "False", LabelStrength.CONSENSUS),
        ("confocal microscopy with consensus dermoscopy", "False", LabelStrength.CONSENSUS),
        ("single contributor clinical assessment", "True", LabelStrength.SINGLE_READER),
        ("", "True", LabelStrength.HISTOPATHOLOGY),
        ("", "False", LabelStrength.UNKNOWN),
    ],
)
def test_the_isic_archive_says_what_a_label_rests_on(
    tmp_path: Path, said: str, biopsied: str, strength: LabelStrength
) -> None:
    a_csv(tmp_path / "metadata.csv", isic_row(diagnosis_confirm_type=said, concomitant_biopsy=biopsied))

    assert read_source(tmp_path).photos[0].strength == strength


def test_photos_of_the_isic_archive_that_no_network_could_learn_from_are_named(tmp_path: Path) -> None:
    no_diagnosis = isic_row(isic_id="ISIC_0000002", diagnosis_1="", diagnosis_2="", diagnosis_3="")
    a_csv(
        tmp_path / "metadata.csv",
        isic_row(),
        no_diagnosis,
        isic_row(isic_id="ISIC_0000003", image_type="clinical: overview"),
        isic_row(isic_id="ISIC_0000004", image_type="clinical: close-up"),
    )

    reading = read_source(tmp_path)

    assert [p.kind for p in reading.photos] == [PhotoKind.DERMOSCOPIC, PhotoKind.CLINICAL]
    assert reading.not_used == {
        "no diagnosis": ["ISIC_0000002"],
        "photo of type 'clinical: overview'": ["ISIC_0000003"],
    }


def test_fitzpatrick17k_calls_photos_after_their_md5(tmp_path: Path) -> None:
    row = {"md5hash": "5e82a45bc5d78bd24ae9202d194423f8", "fitzpatrick_scale": "3", "label": "melanoma", "qc": ""}
    a_csv(
        tmp_path / "fitzpatrick17k.csv",
        row,
        row | {"md5hash": "0" * 32, "fitzpatrick_scale": "-1"},
        row | {"md5hash": "1" * 32, "qc": "3 Wrongly labelled"},
    )
    photo = a_photo(tmp_path / f"images/{row['md5hash']}.jpg")

    reading = read_source(tmp_path)

    assert reading.photos[0].file == photo
    assert [p.fitzpatrick for p in reading.photos] == [3, None]
    assert reading.not_used == {"called wrongly labelled by the source": ["1" * 32]}


def test_ddi_knows_pairs_of_skin_types_and_was_biopsied(tmp_path: Path) -> None:
    row = {
        "DDI_ID": "1",
        "DDI_file": "000001.png",
        "skin_tone": "56",
        "malignant": "True",
        "disease": "melanoma-in-situ",
    }
    a_csv(tmp_path / "ddi_metadata.csv", row)
    a_photo(tmp_path / "images/000001.png")

    [photo] = read_source(tmp_path).photos

    assert (photo.skin_group, photo.fitzpatrick, photo.strength) == ("V-VI", None, LabelStrength.HISTOPATHOLOGY)
    assert photo.names == ("melanoma-in-situ", "melanoma in situ")


@pytest.mark.parametrize(
    ("file", "rows", "says"),
    [
        ("HAM10000_metadata.csv", [{"image_id": "a", "dx": "nv"}], r"no column lesion_id, dx_type; found image_id, dx"),
        ("HAM10000_metadata.csv", [ham_row(dx_type="guess")], r"csv:2: dx_type is 'guess', expected one of histo"),
        ("HAM10000_metadata.csv", [ham_row(age="old")], r"csv:2: age is 'old', expected a number from 0 to 120"),
        ("HAM10000_metadata.csv", [ham_row(), ham_row(age="140")], r"csv:3: age is '140'"),
        ("ddi_metadata.csv", [{"DDI_file": "a", "skin_tone": "78", "disease": "x"}], r"skin_tone is '78', expected"),
    ],
)
def test_a_table_that_breaks_its_layout_is_refused_by_column_and_line(
    tmp_path: Path, file: str, rows: list[dict[str, object]], says: str
) -> None:
    a_csv(tmp_path / file, *rows)

    with pytest.raises(ContractError, match=says):
        read_source(tmp_path)


def test_a_table_without_a_line_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ddi_metadata.csv").write_text("DDI_file,skin_tone,disease\n")

    with pytest.raises(ContractError, match=r"ddi_metadata\.csv has no row"):
        read_source(tmp_path)


def test_a_table_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ddi_metadata.csv").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(ContractError, match="cannot be read as CSV in UTF-8"):
        read_source(tmp_path)


def test_two_photos_of_one_name_are_refused(tmp_path: Path) -> None:
    a_csv(tmp_path / "HAM10000_metadata.csv", ham_row())
    for part in "12":
        a_photo(tmp_path / f"HAM10000_images_part_{part}/ISIC_0027419.jpg")

    with pytest.raises(ContractError, match=r"'ISIC_0027419' is the name of .*part_1.* and of .*part_2"):
        read_source(tmp_path)


def test_a_layout_or_folder_that_is_not_known_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(ContractError, match="layout 'derm7pt' is not known; known are class_folders"):
        read_source(tmp_path, "derm7pt")
    with pytest.raises(ContractError, match="no layout known here has these files; name one of"):
        read_source(tmp_path / "empty")
    with pytest.raises(MissingError, match="nowhere does not exist"):
        read_source(tmp_path / "nowhere")
