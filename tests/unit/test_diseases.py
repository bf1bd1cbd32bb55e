"""The tree of diseases itself: what it must know, and how severe it must take things."""

import pytest

from screening.taxonomy import load_taxonomy, load_training_classes
from screening.taxonomy.training_classes import CLASSES_FOLDER

TAXONOMY = load_taxonomy()
NEOPLASMS = [*TAXONOMY.descendants("benign"), *TAXONOMY.descendants("malignant")]

# The names of the classes of each data set, as its files spell them.
LABELS = {
    "HAM10000": "nv, mel, bkl, bcc, akiec, vasc, df",
    "ISIC 2019": "MEL, NV, BCC, AK, BKL, DF, VASC, SCC, UNK",
    "ISIC 2020": """nevus, melanoma, seborrheic keratosis, lentigo NOS, lichenoid keratosis, solar lentigo, cafe-au-lait macule,
        atypical melanocytic proliferation, unknown""",
    "ISIC archive": """actinic keratosis, angiofibroma or fibrous papule, angioma, angiokeratoma, AIMP, acrochordon,
        basal cell carcinoma, dermatofibroma, lentigo simplex, pigmented benign keratosis, scar, squamous cell carcinoma,
        vascular lesion, verruca, mucosal melanosis, neurofibroma, clear cell acanthoma, other, Hidradenoma,
        Lichen planus like keratosis, Solar or actinic keratosis, Fibroepithelial polyp, Hemangioma, Molluscum, Porokeratosis,
        Trichilemmal or isthmic-catagen or pilar cyst, Infundibular or epidermal cyst, Kaposi sarcoma, Merkel cell carcinoma,
        Atypical intraepithelial melanocytic proliferation, Atypical melanocytic neoplasm, Squamous cell carcinoma in situ,
        Melanoma in situ, Melanoma Invasive, Melanoma metastasis, Indeterminate, Benign, Malignant, Ink-spot lentigo, Cylindroma,
        Spiradenoma, Trichoblastoma, Sebaceous hyperplasia, Supernumerary nipple, Juvenile xanthogranuloma, Mastocytosis,
        Mucosal melanotic macule, Exogenous, Benign - Other, Inflammatory or infectious diseases, Atypical fibroxanthoma,
        Collision - Only benign proliferations, Collision - At least one malignant proliferation, Keratoacanthoma, Blue nevus,
        Lymphocytic proliferations - T-Cell/NK, Malignant peripheral nerve sheath tumor, Pyogenic granuloma,
        Benign soft tissue proliferations - Fibro-histiocytic, Benign soft tissue proliferations - Vascular""",
    "PAD-UFES-20": "ACK, BCC, BOD, MEL, NEV, SCC, SEK",
    "MED-NODE": "melanoma, naevus",
    "Dermofit": """Actinic Keratosis, Basal Cell Carcinoma, Melanocytic Nevus (mole), Squamous Cell Carcinoma,
        Seborrhoeic Keratosis, Intraepithelial Carcinoma, Pyogenic Granuloma, Haemangioma, Dermatofibroma, Malignant Melanoma,
        AK, BCC, ML, SCC, SK, IEC, PYO, VASC, DF, MEL""",
    "Fitzpatrick17k": """acanthosis nigricans, acne, acne vulgaris, acquired autoimmune bullous diseaseherpes gestationis,
        acrodermatitis enteropathica, actinic keratosis, allergic contact dermatitis, aplasia cutis, basal cell carcinoma,
        basal cell carcinoma morpheiform, becker nevus, behcets disease, calcinosis cutis, cheilitis, congenital nevus,
        dariers disease, dermatofibroma, dermatomyositis, disseminated actinic porokeratosis, drug eruption,
        drug induced pigmentary changes, dyshidrotic eczema, eczema, ehlers danlos syndrome, epidermal nevus,
        epidermolysis bullosa, erythema annulare centrifigum, erythema elevatum diutinum, erythema multiforme, erythema nodosum,
        factitial dermatitis, fixed eruptions, folliculitis, fordyce spots, granuloma annulare, granuloma pyogenic,
        hailey hailey disease, halo nevus, hidradenitis, ichthyosis vulgaris, incontinentia pigmenti, juvenile xanthogranuloma,
        kaposi sarcoma, keloid, keratosis pilaris, langerhans cell histiocytosis, lentigo maligna, lichen amyloidosis,
        lichen planus, lichen simplex, livedo reticularis, lupus erythematosus, lupus subacute, lyme disease, lymphangioma,
        malignant melanoma, melanoma, milia, mucinosis, mucous cyst, mycosis fungoides, myiasis, naevus comedonicus,
        necrobiosis lipoidica, nematode infection, neurodermatitis, neurofibromatosis, neurotic excoriations,
        neutrophilic dermatoses, nevocytic nevus, nevus sebaceous of jadassohn, papilomatosis confluentes and reticulate,
        paronychia, pediculosis lids, perioral dermatitis, photodermatoses, pilar cyst, pilomatricoma,
        pityriasis lichenoides chronica, pityriasis rosea, pityriasis rubra pilaris, porokeratosis actinic,
        porokeratosis of mibelli, porphyria, port wine stain, prurigo nodularis, psoriasis, pustular psoriasis,
        pyogenic granuloma, rhinophyma, rosacea, sarcoidosis, scabies, scleroderma, scleromyxedema, seborrheic dermatitis,
        seborrheic keratosis, solid cystic basal cell carcinoma, squamous cell carcinoma, stasis edema,
        stevens johnson syndrome, striae, sun damaged skin, superficial spreading melanoma ssm, syringoma, telangiectases,
        tick bite, tuberous sclerosis, tungiasis, urticaria, urticaria pigmentosa, vitiligo, xanthomas, xeroderma pigmentosum""",
    "Fitzpatrick17k, in three and nine": """non-neoplastic, benign, malignant, inflammatory, malignant epidermal,
        genodermatoses, benign dermal, benign epidermal, malignant melanoma, benign melanocyte, malignant cutaneous lymphoma,
        malignant dermal""",
    "DDI": """melanoma-in-situ, mycosis-fungoides, squamous-cell-carcinoma-in-situ, basal-cell-carcinoma,
        squamous-cell-carcinoma, melanoma-acral-lentiginous, basal-cell-carcinoma-superficial,
        squamous-cell-carcinoma-keratoacanthoma, subcutaneous-t-cell-lymphoma, melanocytic-nevi,
        seborrheic-keratosis-irritated, focal-acral-hyperkeratosis, hyperpigmentation, lipoma, foreign-body-granuloma,
        blue-nevus, verruca-vulgaris, acrochordon, wart, epidermal-nevus, abrasions-ulcerations-and-physical-injuries,
        basal-cell-carcinoma-nodular, epidermal-cyst, acquired-digital-fibrokeratoma, seborrheic-keratosis, trichilemmoma,
        pyogenic-granuloma, neurofibroma, syringocystadenoma-papilliferum, nevus-lipomatosus-superficialis, benign-keratosis,
        inverted-follicular-keratosis, onychomycosis, dermatofibroma, trichofolliculoma, lymphocytic-infiltrations,
        prurigo-nodularis, kaposi-sarcoma, scar, eccrine-poroma, angioleiomyoma, keloid, hematoma, metastatic-carcinoma,
        melanoma, angioma, folliculitis, atypical-spindle-cell-nevus-of-reed, xanthogranuloma, eczema-spongiotic-dermatitis,
        arteriovenous-hemangioma, acne-cystic, verruciform-xanthoma, molluscum-contagiosum, condyloma-accuminatum, morphea,
        neuroma, dysplastic-nevus, nodular-melanoma-(nm), actinic-keratosis, pigmented-spindle-cell-nevus-of-reed,
        dermatomyositis, glomangioma, cellular-neurothekeoma, fibrous-papule, graft-vs-host-disease, lichenoid-keratosis,
        reactive-lymphoid-hyperplasia, coccidioidomycosis, leukemia-cutis, sebaceous-carcinoma, chondroid-syringoma,
        tinea-pedis, solar-lentigo, clear-cell-acanthoma, abscess, blastic-plasmacytoid-dendritic-cell-neoplasm,
        acral-melanotic-macule""",
    "Han et al. 2018": """basal cell carcinoma, squamous cell carcinoma, intraepithelial carcinoma, actinic keratosis,
        seborrheic keratosis, malignant melanoma, melanocytic nevus, lentigo, pyogenic granuloma, hemangioma, dermatofibroma,
        wart""",
}


def labels_of(data_set: str) -> list[str]:
    return [label.strip() for label in LABELS[data_set].split(",")]


@pytest.mark.parametrize("data_set", LABELS)
def test_every_label_of_a_data_set_has_its_disease(data_set: str) -> None:
    for label in labels_of(data_set):
        TAXONOMY.of_label(label)


def test_the_labels_of_fitzpatrick17k_are_all_there() -> None:
    assert len(set(labels_of("Fitzpatrick17k"))) == 114


def test_the_first_two_levels_are_those_of_esteva() -> None:
    first = ("benign", "malignant", "non_neoplastic")
    second = {child.id for parent in first for child in TAXONOMY.children(parent)}

    assert {d.id for d in TAXONOMY.children("lesion")} == {*first, "unspecified"}
    assert second - {"benign_other", "malignant_other"} == set(load_training_classes("esteva2017", TAXONOMY).class_ids)


def test_every_node_but_the_root_is_graded() -> None:
    assert [d.id for d in TAXONOMY.diseases if TAXONOMY.grade_of(d.id) is None] == ["lesion"]


def test_nothing_malignant_or_unknown_is_of_low_risk() -> None:
    suspects = [*TAXONOMY.descendants("malignant"), *TAXONOMY.descendants("unspecified")]

    assert [d.id for d in suspects if TAXONOMY.grade_of(d.id) == "low_risk"] == []


def test_nothing_benign_is_of_more_than_low_risk() -> None:
    assert {TAXONOMY.grade_of(d.id) for d in TAXONOMY.descendants("benign")} == {"low_risk"}


@pytest.mark.parametrize(
    ("node", "grade"),
    [
        ("melanoma", "dangerous"),
        ("squamous_cell_carcinoma", "dangerous"),
        ("basal_cell_carcinoma", "high_risk"),
        ("actinic_keratosis_bowen", "high_risk"),
    ],
)
def test_all_kinds_of_a_cancer_have_its_grade(node: str, grade: str) -> None:
    assert {TAXONOMY.grade_of(d.id) for d in TAXONOMY.descendants(node)} == {grade}


def test_the_grades_of_the_first_release_are_those_of_the_tree() -> None:
    assert list(map(str, load_training_classes("isic8", TAXONOMY).grades)) == [
        *["low_risk"] * 4,
        *["high_risk"] * 2,
        *["dangerous"] * 2,
    ]


def test_nearly_every_kind_of_tumour_has_an_icd_10_code() -> None:
    leaves = [d for d in NEOPLASMS if not TAXONOMY.children(d.id)]

    assert {d.id for d in leaves if not d.icd10} == {"mucous_cyst", "benign_other", "malignant_other"}


@pytest.mark.parametrize("name", sorted(file.stem for file in CLASSES_FOLDER.glob("*.yaml")))
def test_every_list_of_classes_can_be_trained_and_graded(name: str) -> None:
    classes = load_training_classes(name, TAXONOMY)

    assert len(classes.grades) == len(classes) >= 2


@pytest.mark.parametrize(
    ("name", "number"), [("han2018", 13), ("zhao2019", 10), ("mishra2018", 9), ("isic8", 8), ("esteva2017", 9)]
)
def test_a_papers_list_has_as_many_classes_as_the_paper(name: str, number: int) -> None:
    assert len(load_training_classes(name, TAXONOMY)) == number


def test_the_twelve_tumours_of_han_have_classes_of_their_own_and_all_others_share_one() -> None:
    han = load_training_classes("han2018", TAXONOMY)

    assert sorted(han.class_of_label(label) for label in labels_of("Han et al. 2018")) == [*range(12)]
    assert han.class_ids[han.class_of_label("psoriasis")] == "other_lesion"


@pytest.mark.parametrize("label", ["hemangioma", "syringoma"])
def test_the_diseases_that_zhao_kept_unseen_have_no_class(label: str) -> None:
    with pytest.raises(Exception, match="belongs to no training class"):
        load_training_classes("zhao2019", TAXONOMY).class_of_label(label)


@pytest.mark.parametrize(
    ("data_set", "name"), [("HAM10000", "isic8"), ("PAD-UFES-20", "isic8"), ("MED-NODE", "benign_malignant")]
)
def test_a_data_set_can_be_trained_whole_with_the_classes_made_for_it(data_set: str, name: str) -> None:
    classes = load_training_classes(name, TAXONOMY)
    for label in labels_of(data_set):
        classes.class_of_label(label)
