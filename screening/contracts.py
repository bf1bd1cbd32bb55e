"""The words and tables that the stages share, each column written once.

Every read and every write of a table passes ``check_table``: names, types, nulls, ranges, allowed words and one row per
key. A pyarrow schema alone checks neither range nor key, and nulls only on writing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import pyarrow as pa
import pyarrow.compute as pc

from screening.errors import ContractError


class RiskGrade(StrEnum):
    """How soon a clinician should look at the lesion (Zhao et al. 2019), mildest first."""

    LOW_RISK = "low_risk"
    HIGH_RISK = "high_risk"
    DANGEROUS = "dangerous"


GRADES = (RiskGrade.LOW_RISK, RiskGrade.HIGH_RISK, RiskGrade.DANGEROUS)
"""The order of severity, and of every array with one column per grade."""


EVERYBODY = "everybody"
"""The group of a photo whose skin type is unknown, or has too few validation photos for limits of its own."""
SKIN_TYPES = {1: "I-II", 2: "I-II", 3: "III-IV", 4: "III-IV", 5: "V-VI", 6: "V-VI"}
"""Groups of Fitzpatrick's skin types, as Daneshjou et al. 2022 report them."""


class Verdict(StrEnum):
    """What the quality filters say of a photo."""

    USABLE = "usable"
    FLAGGED = "flagged"
    REFUSED = "refused"


class Outcome(StrEnum):
    """What became of a listed object; every one has exactly one."""

    GRADED = "graded"
    REFUSED = "refused"
    FAILED = "failed"
    DUPLICATE = "duplicate"


class PhotoKind(StrEnum):
    """How a photo was taken: by a camera or phone, or through a dermatoscope."""

    CLINICAL = "clinical"
    DERMOSCOPIC = "dermoscopic"


class LabelStrength(StrEnum):
    """What a label rests on, strongest first."""

    HISTOPATHOLOGY = "histopathology"
    CONSENSUS = "consensus"
    SINGLE_READER = "single_reader"
    UNKNOWN = "unknown"


class Side(StrEnum):
    """What a photo is for in a split; one that is left out is neither learnt from nor measured on."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"
    LEFT_OUT = "left_out"


@dataclass(frozen=True)
class Column:
    """One column: ``low`` and ``high`` bound its values, ``words`` are all that it may hold."""

    name: str
    type: pa.DataType
    description: str
    unit: str = ""
    nullable: bool = False
    low: float | None = None
    high: float | None = None
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contract:
    """A table: its columns in order, and the columns that together are unique."""

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema, with each column's description and unit in its metadata."""
        return pa.schema(
            [
                pa.field(c.name, c.type, nullable=c.nullable, metadata={"description": c.description, "unit": c.unit})
                for c in self.columns
            ]
        )

    def table(self, rows: list[dict[str, object]]) -> pa.Table:
        """Build and check a table from rows; a key that a row lacks is null."""
        try:
            return check_table(pa.Table.from_pylist(rows, schema=self.schema), self)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError) as error:
            raise ContractError(f"table {self.name}: {error}") from error


def check_table(table: pa.Table, contract: Contract) -> pa.Table:
    """Return the table, or say which promise it breaks.

    Raises:
        ContractError: a column is missing, additional, of another type, null, out of range, holds an unknown word, or a
            key stands twice. The message gives counts, never a value that might be a patient's.
    """
    name = contract.name
    expected = [c.name for c in contract.columns]
    if table.column_names != expected:
        missing = [c for c in expected if c not in table.column_names]
        surplus = [c for c in table.column_names if c not in expected]
        raise ContractError(f"table {name}: missing columns {missing}, unexpected columns {surplus}, or another order")
    for column in contract.columns:
        values = table[column.name]
        if values.type != column.type:
            raise ContractError(f"table {name}: column {column.name} is {values.type}, expected {column.type}")
        if not column.nullable and values.null_count:
            raise ContractError(f"table {name}: column {column.name} has {values.null_count} nulls, expected none")
        _check_values(name, column, values)
    if table.num_rows > 1:
        distinct = table.group_by(list(contract.key)).aggregate([]).num_rows
        if distinct != table.num_rows:
            raise ContractError(
                f"table {name}: {table.num_rows} rows but {distinct} distinct {'+'.join(contract.key)}, expected one row each"
            )
    return table.cast(contract.schema)


def _check_values(name: str, column: Column, values: pa.ChunkedArray) -> None:
    if column.low is not None or column.high is not None:
        outside = sum(
            pc.sum(is_outside(values, bound)).as_py() or 0
            for is_outside, bound in ((pc.less, column.low), (pc.greater, column.high))
            if bound is not None
        )
        if outside:
            raise ContractError(
                f"table {name}: column {column.name} has {outside} values outside {column.low} to {column.high}"
            )
        if pa.types.is_floating(column.type) and pc.any(pc.is_nan(values)).as_py():
            raise ContractError(f"table {name}: column {column.name} holds NaN; an unknown value is null")
    if column.words:
        known = pa.array([None, *column.words], column.type)
        unknown = len(values) - pc.sum(pc.is_in(values, known)).as_py() if len(values) else 0
        if unknown:
            raise ContractError(
                f"table {name}: column {column.name} has {unknown} values that are none of {list(column.words)}"
            )


_TEXT = pa.string()
_TIME = pa.timestamp("us", tz="UTC")
_P = pa.float64()
_GRADE_WORDS = tuple(str(g) for g in GRADES)


def _probability(name: str, description: str, nullable: bool = False) -> Column:
    # The sum of a row of probabilities may pass 1 by rounding.
    return Column(name, _P, description, "0..1", nullable=nullable, low=0.0, high=1.0 + 1e-9)


LEDGER = Contract(
    "ledger",
    ("key", "etag"),
    (
        Column("key", _TEXT, "object key in the uploads store"),
        Column("etag", _TEXT, "the store's tag of the bytes; other bytes under the same key are another upload"),
        Column("size_bytes", pa.int64(), "size of the object", "B", low=0),
        Column("programme", _TEXT, "who uploaded: the first folder below uploads/"),
        Column("night", pa.date32(), "the first night that listed it"),
        Column("claimed_at_utc", _TIME, "when that night listed it"),
        Column(
            "photo_id",
            _TEXT,
            "first 32 hex digits of the SHA-256 of the bytes; null until the night is published",
            nullable=True,
        ),
        Column("outcome", _TEXT, "null until the night is published", nullable=True, words=tuple(Outcome)),
    ),
)

BATCH = Contract(
    "batch",
    ("key",),
    (
        Column("key", _TEXT, "object key in the uploads store"),
        Column("etag", _TEXT, "the store's tag of the bytes"),
        Column("size_bytes", pa.int64(), "size of the object", "B", low=0),
        Column("programme", _TEXT, "who uploaded"),
        Column("source_name", _TEXT, "path below the folder of the upload, as the uploader knows it"),
        Column("patient", _TEXT, "pseudonym (HMAC) of the person; null when the manifest names none", nullable=True),
        Column("lesion", _TEXT, "pseudonym of the lesion; null when the manifest names none", nullable=True),
        Column("body_site", _TEXT, "as the manifest says", nullable=True),
        Column("age_years", pa.int16(), "as the manifest says", "years", nullable=True, low=0, high=120),
        Column("sex", _TEXT, "as the manifest says", nullable=True, words=("female", "male", "other")),
        Column("fitzpatrick", pa.int8(), "skin type as the manifest says", "1..6", nullable=True, low=1, high=6),
        Column("captured_at_utc", _TIME, "as the manifest says", nullable=True),
        Column("device", _TEXT, "as the manifest says", nullable=True),
        Column("has_training_consent", pa.bool_(), "the person agreed to training; false when nobody said so"),
    ),
)

MANIFEST_ISSUES = Contract(
    "manifest_issues",
    ("manifest", "line", "issue", "column"),
    (
        Column("programme", _TEXT, "who uploaded"),
        Column("manifest", _TEXT, "key of the manifest.csv"),
        Column("line", pa.int32(), "line of the file, 1 = header; 0 = the file as a whole", low=0),
        Column("column", _TEXT, "column of the manifest; empty when the line as a whole is meant"),
        Column(
            "issue",
            _TEXT,
            "code",
            words=(
                "empty",
                "unreadable",
                "unknown_column",
                "duplicate_column",
                "missing_column",
                "unknown_file",
                "duplicate_file",
                "invalid_value",
            ),
        ),
        Column("found", _TEXT, "what is wrong, without a patient's identifier"),
        Column("expected", _TEXT, "what would be right"),
    ),
)

PHOTOS = Contract(
    "photos",
    ("key", "etag"),
    (
        *BATCH.columns[:5],
        Column(
            "photo_id",
            _TEXT,
            "first 32 hex digits of the SHA-256 of the bytes; null when they were never read",
            nullable=True,
        ),
        Column(
            "format", _TEXT, "null when no header could be read", nullable=True, words=("jpeg", "png", "webp", "heif")
        ),
        Column("width_px", pa.int32(), "as uploaded", "px", nullable=True, low=1),
        Column("height_px", pa.int32(), "as uploaded", "px", nullable=True, low=1),
        *BATCH.columns[5:],
        Column("outcome", _TEXT, "what became of it", words=tuple(Outcome)),
        Column("reason", _TEXT, "code; null only when it was graded", nullable=True),
        Column("reason_text", _TEXT, "what was found and what was expected", nullable=True),
        Column("advice", _TEXT, "what the uploader should do; null when nothing", nullable=True),
        Column("duplicate_of", _TEXT, "key of the photo whose grade it shares", nullable=True),
        Column("duplicate_of_night", pa.date32(), "night in which that photo was graded", nullable=True),
        Column(
            "same_picture_as",
            _TEXT,
            "photo_id of the programme's first photo with the same picture in other bytes, of this night or one shortly "
            "before; both are judged; null when none is known",
            nullable=True,
        ),
    ),
)

PREPARED = Contract(
    "prepared",
    PHOTOS.key,
    tuple(
        replace(c, nullable=True, description="null: to be graded") if c.name == "outcome" else c
        for c in PHOTOS.columns
    ),
)
"""PHOTOS on its way: `prepare` already knows what was refused or failed, `grade` completes it."""

UNANSWERED = Contract(
    "unanswered",
    ("photo_id",),
    (
        Column("photo_id", _TEXT, "a prepared photo for which the model server has no answer"),
        Column("reason", _TEXT, "code"),
        Column("reason_text", _TEXT, "what was found and what was expected"),
    ),
)

QUALITY = Contract(
    "quality",
    ("photo_id",),
    (
        Column("photo_id", _TEXT, "the photo"),
        Column("programme", _TEXT, "who uploaded it first"),
        Column("blur_score", pa.float32(), "of a lesion out of focus or moved, against sharp", "log odds"),
        Column("motion_share", pa.float32(), "share of motion in what speaks for a blur", "0..1", low=0, high=1),
        Column("detail_grey_levels", pa.float32(), "middling detail (G1 - G3) of the frame", "0..255", low=0),
        Column("lesion_certainty", pa.float32(), "probability that there is a lesion", "0..1", low=0, high=1),
        Column("lesion_diameter_px", pa.float32(), "of a disc of the likeliest lesion's area, of 256 px", "px", low=0),
        Column("lesion_rim_fraction", pa.float32(), "share of the rim that the lesion reaches", "0..1", low=0, high=1),
        Column(
            "lesion_cut_score",
            pa.float32(),
            "that the frame cuts the lesion, against all of it with skin around; null before it was measured",
            "log odds",
            nullable=True,
        ),
        Column("lesion_offset", pa.float32(), "its centre's distance from the frame's", "half sides", low=0),
        Column("skin_fraction", pa.float32(), "share that is skin, lesion included", "0..1", low=0, high=1),
        Column("border_skin_fraction", pa.float32(), "share of the outer eighth that is skin", "0..1", low=0, high=1),
        Column("dye_certainty", pa.float32(), "probability that there is ink or dye", "0..1", low=0, high=1),
        Column("dye_fraction", pa.float32(), "share under ink or dye", "0..1", low=0, high=1),
        Column("lesion_dye_fraction", pa.float32(), "share of the lesion under ink or dye", "0..1", low=0, high=1),
        Column("hair_fraction", pa.float32(), "share that hairs cross", "0..1", low=0, high=1),
        Column("lesion_hair_fraction", pa.float32(), "share of the lesion that hairs cross", "0..1", low=0, high=1),
        Column("skin_brightness", pa.float32(), "median luma of the skin", "0..1", low=0, high=1),
        Column(
            "skin_ita_deg",
            pa.float32(),
            "individual typology angle of the skin beside the lesion, for statistics only; null without enough skin",
            "degrees",
            nullable=True,
            low=-90,
            high=90,
        ),
        Column(
            "colour_cast_stops",
            pa.float32(),
            "by how much one colour of light is beyond what skin of any tone has; null without enough skin or colour, or "
            "before it was measured",
            "stops",
            nullable=True,
        ),
        Column("clipped_dark_fraction", pa.float32(), "share that is black", "0..1", low=0, high=1),
        Column("clipped_bright_fraction", pa.float32(), "share that is white", "0..1", low=0, high=1),
        Column("lesion_glare_fraction", pa.float32(), "share of the lesion that is white", "0..1", low=0, high=1),
        Column(
            "lettering_score",
            pa.float32(),
            "that the likeliest row of marks is print; null where no marks stand in a row, or before it was measured",
            "log odds",
            nullable=True,
        ),
        Column(
            "face_score",
            pa.float32(),
            "probability of a face where it is likeliest; null before it was measured",
            "0..1",
            low=0,
            high=1,
            nullable=True,
        ),
        Column(
            "crust_score",
            pa.float32(),
            "that crust, scale, exudate or blood hides a third and more of the lesion; null before it was measured",
            "log odds",
            nullable=True,
        ),
        Column(
            "object_score",
            pa.float32(),
            "that a thing lies on the lesion, such as a ruler, a sticker or a gauze; null before it was measured",
            "log odds",
            nullable=True,
        ),
        Column("short_side_px", pa.int32(), "shorter side as uploaded", "px", low=1),
        Column("is_greyscale", pa.bool_(), "no pixel has a colour"),
        Column(
            "perceptual_hash",
            _TEXT,
            "88 hex digits: signs of 256 low frequencies, colours of four frames; null for a flat frame",
            nullable=True,
        ),
        Column("issues", pa.list_(_TEXT), "codes of all that was found, most severe first"),
        Column("verdict", _TEXT, "usable, flagged or refused", words=tuple(Verdict)),
        Column("reason", _TEXT, "code of the issue that decided; null when usable", nullable=True),
        Column("advice", _TEXT, "retake advice; null when usable", nullable=True),
        Column("quality_mode", _TEXT, "enforce: refusals count; observe: measured only", words=("enforce", "observe")),
        Column("cutoffs_version", _TEXT, "version of the quality cut-offs"),
        Column(
            "filters_version",
            _TEXT,
            "digests of what the filters learnt: regions.onnx, blur.json, framing.json, lettering.json, faces.onnx, surface.json",
        ),
    ),
)


_LATER_MEASURES = frozenset(
    {
        "skin_ita_deg",
        "lesion_cut_score",
        "colour_cast_stops",
        "lettering_score",
        "face_score",
        "crust_score",
        "object_score",
    }
)
"""Of a table of quality: nights that were published before have none of them."""


def quality_contract_of(column_names: Sequence[str]) -> Contract:
    """The contract of a table of quality that a night before the latest measures may have written."""
    missing = _LATER_MEASURES.difference(column_names)
    return replace(QUALITY, columns=tuple(c for c in QUALITY.columns if c.name not in missing))


PREDICTIONS = Contract(
    "predictions",
    ("photo_id", "member"),
    (
        Column("photo_id", _TEXT, "the photo"),
        Column("programme", _TEXT, "who uploaded it first"),
        Column("member", _TEXT, "name of the CNN, or `ensemble` for their mean"),
        Column("member_version", _TEXT, "version in the model repository; the release for `ensemble`"),
        Column("weights_sha256", _TEXT, "digest of the member's ONNX file; of all of them for `ensemble`"),
        Column("release", _TEXT, "the release that answered"),
        Column("probabilities", pa.list_(_P), "calibrated, in the order of the release's classes", "0..1"),
        Column(
            "outlier_distance",
            pa.float64(),
            "how far the photo is from the training photos, as the member sees it; null when the release does not say",
            "1 = median",
            nullable=True,
            low=0,
        ),
    ),
)


def grades_contract(class_ids: tuple[str, ...]) -> Contract:
    """The table of grades of a release: one column ``p_<disease>`` per class."""
    return Contract(
        "grades",
        ("photo_id",),
        (
            Column("photo_id", _TEXT, "the photo"),
            Column("programme", _TEXT, "who uploaded it"),
            Column("source_name", _TEXT, "path below the folder of the upload"),
            Column("key", _TEXT, "object key of the photo that was graded"),
            Column("patient", _TEXT, "pseudonym; null when unknown", nullable=True),
            Column("lesion", _TEXT, "pseudonym; null when unknown", nullable=True),
            _probability("p_low_risk", "sum over the diseases of this grade"),
            _probability("p_high_risk", "sum over the diseases of this grade"),
            _probability("p_dangerous", "sum over the diseases of this grade"),
            Column("grade", _TEXT, "most severe grade whose cut-off is reached", words=_GRADE_WORDS),
            Column("disease", _TEXT, "likeliest disease of that grade", words=class_ids),
            Column("differential", pa.list_(_TEXT), "diseases over their own cut-off, likeliest first"),
            Column(
                "member_spread",
                pa.float64(),
                "largest difference between two members' p_high_risk + p_dangerous",
                "0..1",
                low=0,
                high=1.0 + 1e-9,
            ),
            Column(
                "prediction_set",
                pa.list_(_TEXT),
                "diseases that together hold the true one with the release's coverage, likeliest first; null when the "
                "release does not say",
                nullable=True,
            ),
            Column(
                "outlier_distance",
                pa.float64(),
                "how far the photo is from the training photos, mean of the members; null when the release does not say",
                "1 = median",
                nullable=True,
                low=0,
            ),
            Column(
                "is_outlier",
                pa.bool_(),
                "outlier_distance reaches the release's cut-off; null when the release does not say",
                nullable=True,
            ),
            Column("warnings", pa.list_(_TEXT), "codes of why the answer needs a person's eye; empty when nothing"),
            Column(
                "verdict",
                _TEXT,
                "of the quality filters; flagged also where there is a warning",
                words=("usable", "flagged"),
            ),
            Column("release", _TEXT, "the release that answered"),
            Column("weights_sha256", _TEXT, "digest over the members' weights"),
            Column("cutoffs_version", _TEXT, "version of the grade cut-offs"),
            Column("taxonomy_version", _TEXT, "version of the taxonomy"),
            Column("code_revision", _TEXT, "revision of the code that graded"),
            *(_probability(f"p_{disease}", f"probability of {disease}") for disease in class_ids),
        ),
    )


def grades_contract_of(column_names: Sequence[str]) -> Contract:
    """The contract of a table of grades that another release may have written, whose classes are told by its columns.

    A night before releases told the limits of their answers has none of ``_LIMITS``.
    """
    of_grades = {f"p_{grade}" for grade in GRADES}
    contract = grades_contract(
        tuple(name.removeprefix("p_") for name in column_names if name.startswith("p_") and name not in of_grades)
    )
    if set(_LIMITS) & set(column_names):
        return contract
    return replace(contract, columns=tuple(c for c in contract.columns if c.name not in _LIMITS))


_LIMITS = ("prediction_set", "outlier_distance", "is_outlier", "warnings")


SHADOW_GRADES = Contract(
    "shadow_grades",
    ("photo_id",),
    (
        Column("photo_id", _TEXT, "a photo that the champion graded"),
        Column("programme", _TEXT, "who uploaded it"),
        Column("release", _TEXT, "the shadow: a release that answers beside the champion and grades nobody"),
        Column("grade", _TEXT, "that it would give; null where it has no answer", nullable=True, words=_GRADE_WORDS),
        Column("disease", _TEXT, "likeliest disease of that grade", nullable=True),
        _probability("p_low_risk", "sum over the diseases of this grade", nullable=True),
        _probability("p_high_risk", "sum over the diseases of this grade", nullable=True),
        _probability("p_dangerous", "sum over the diseases of this grade", nullable=True),
        Column(
            "member_spread",
            pa.float64(),
            "largest difference between two members' p_high_risk + p_dangerous",
            "0..1",
            nullable=True,
            low=0,
            high=1.0 + 1e-9,
        ),
        Column("champion", _TEXT, "the release that graded the photo"),
        Column("champion_grade", _TEXT, "as published", words=_GRADE_WORDS),
        Column("champion_disease", _TEXT, "as published"),
        Column("is_different", pa.bool_(), "the two grades differ; false where the shadow has no answer"),
        Column("problem", _TEXT, "why the shadow has no answer; null when it has one", nullable=True),
        Column("weights_sha256", _TEXT, "digest over the shadow's weights; null where it has no answer", nullable=True),
        Column("cutoffs_version", _TEXT, "of the shadow; null where it has no answer", nullable=True),
        Column("code_revision", _TEXT, "revision of the code that asked"),
    ),
)

REFERRALS = Contract(
    "referrals",
    ("referral_id",),
    (
        Column("referral_id", _TEXT, "the same person, lesion and grade in the same night always give the same id"),
        Column("programme", _TEXT, "who uploaded"),
        Column("patient", _TEXT, "pseudonym; photo:<photo_id> when the person is unknown"),
        Column("lesion", _TEXT, "pseudonym; null for the person as a whole", nullable=True),
        Column("subject", _TEXT, "what the row is about", words=("patient", "lesion")),
        Column("grade", _TEXT, "most severe grade of the photos", words=_GRADE_WORDS),
        Column(
            "action",
            _TEXT,
            "code of what to do",
            words=("keep_monitoring", "visit_nearby_hospital", "pathological_examination_at_once"),
        ),
        Column("advice", _TEXT, "that action in plain words"),
        Column("due_by", pa.date32(), "last day for it"),
        Column("photos", pa.int32(), "graded photos that it rests on, duplicates included", low=1),
        Column("key_photo_id", _TEXT, "the photo that decided"),
        Column("state", _TEXT, "life cycle", words=("open", "sent", "acknowledged", "completed", "cancelled")),
        Column("night", pa.date32(), "the night that made it"),
        Column("release", _TEXT, "the release that graded"),
    ),
)

CORPUS = Contract(
    "corpus",
    ("photo_id",),
    (
        Column("photo_id", _TEXT, "first 32 hex digits of the SHA-256 of the bytes"),
        Column("photo", _TEXT, "path of the file below the folder of the corpus, with forward slashes"),
        Column("disease", _TEXT, "id of a node of the taxonomy"),
        Column("source_label", _TEXT, "the label as the source spells it"),
        Column("label_strength", _TEXT, "what the label rests on", words=tuple(LabelStrength)),
        Column("patient", _TEXT, "prefixed by source; the lesion's where the source names nobody"),
        Column("lesion", _TEXT, "prefixed by source; the photo's own where the source names none"),
        Column("source", _TEXT, "data set or programme"),
        Column("kind", _TEXT, "how it was taken", words=tuple(PhotoKind)),
        Column(
            "has_other_view_in", _TEXT, "source that may show the lesion too, under an unknown id; empty when none does"
        ),
        Column("captured_at_utc", _TIME, "as the source or the camera says", nullable=True),
        Column("device", _TEXT, "camera, as it names itself", nullable=True),
        Column(
            "age_years",
            pa.int16(),
            "of the person, often rounded by the source",
            "years",
            nullable=True,
            low=0,
            high=120,
        ),
        Column("sex", _TEXT, "of the person", nullable=True, words=("female", "male", "other")),
        Column(
            "fitzpatrick",
            pa.int8(),
            "skin type; null where only the group is known",
            "1..6",
            nullable=True,
            low=1,
            high=6,
        ),
        Column("skin_group", _TEXT, "pair of skin types", nullable=True, words=("I-II", "III-IV", "V-VI")),
        Column("body_site", _TEXT, "as the source says, in small letters", nullable=True),
        Column("licence", _TEXT, "as the source says; `consent` where the person agreed to training", nullable=True),
        Column(
            "perceptual_hash",
            _TEXT,
            "as in `quality`; null for a flat frame, or before it was looked at",
            nullable=True,
        ),
        Column(
            "quality_verdict",
            _TEXT,
            "of the quality filters; null when not judged",
            nullable=True,
            words=tuple(Verdict),
        ),
        Column(
            "quality_issues",
            pa.list_(_TEXT),
            "codes of all that was found, most severe first; null when not judged",
            nullable=True,
        ),
        Column(
            "quality_reason", _TEXT, "code of the issue that decided; null when usable or not judged", nullable=True
        ),
    ),
)

SPLIT = Contract(
    "split",
    ("photo_id",),
    (
        Column("split", _TEXT, "version: digest of the corpus and of the rule"),
        Column("rule", _TEXT, "how the sides were drawn (JSON)"),
        Column("photo_id", _TEXT, "a photo of the corpus"),
        Column("side", _TEXT, "what it is for", words=tuple(Side)),
        Column("fold", pa.int16(), "the fold that keeps it out, of a k-fold split", nullable=True, low=0),
        Column(
            "reason",
            _TEXT,
            "why this side; `quality`: refused for blur or distance, so never measured on",
            words=(
                "drawn",
                "by_time",
                "older_photos_in_training",
                "may_be_seen_elsewhere",
                "quality",
                "joins_earlier",
                "joins_two_sides",
            ),
        ),
        Column("component", _TEXT, "smallest photo_id of those that must stay together"),
    ),
)

REVIEW_QUEUE = Contract(
    "review_queue",
    ("photo_id",),
    (
        Column("photo_id", _TEXT, "a graded photo that a clinician should look at"),
        Column("programme", _TEXT, "who uploaded it"),
        Column("night", pa.date32(), "the night that graded it"),
        Column("run_id", _TEXT, "the run that holds its working copy and its heat map"),
        Column("reasons", pa.list_(_TEXT), "codes of why it is here, weightiest first; never empty"),
        Column("priority", pa.int16(), "place of its weightiest reason: 0 is looked at first", low=0),
        _probability(
            "inclusion_probability",
            "chance that it had to come here: 1, or that of the random sample of low-risk photos",
        ),
        Column("readers_wanted", pa.int8(), "independent readers that the programme asks for", low=1, high=3),
        Column("patient", _TEXT, "pseudonym; null when unknown", nullable=True),
        Column("lesion", _TEXT, "pseudonym; null when unknown", nullable=True),
        Column("body_site", _TEXT, "as the manifest says", nullable=True),
        Column("age_years", pa.int16(), "as the manifest says", "years", nullable=True, low=0, high=120),
        Column("sex", _TEXT, "as the manifest says", nullable=True, words=("female", "male", "other")),
        Column("fitzpatrick", pa.int8(), "skin type as the manifest says", "1..6", nullable=True, low=1, high=6),
        Column("has_training_consent", pa.bool_(), "the person agreed to training"),
        Column("grade", _TEXT, "as published", words=_GRADE_WORDS),
        Column("disease", _TEXT, "as published"),
        Column("differential", pa.list_(_TEXT), "as published"),
        _probability("p_low_risk", "as published"),
        _probability("p_high_risk", "as published"),
        _probability("p_dangerous", "as published"),
        Column("member_spread", pa.float64(), "as published", "0..1", low=0, high=1.0 + 1e-9),
        Column("verdict", _TEXT, "of the quality filters", words=("usable", "flagged")),
        Column("release", _TEXT, "the release that answered"),
    ),
)

RELEASES = Contract(
    "releases",
    ("event_id",),
    (
        Column("event_id", pa.int64(), "1, 2, … in the order in which they happened", low=1),
        Column(
            "event",
            _TEXT,
            "what happened; a shadow_night is one that counts for a shadow",
            words=(
                "registered",
                "promoted",
                "rolled_back",
                "rejected",
                "shadow_started",
                "shadow_night",
                "shadow_ended",
            ),
        ),
        Column("release", _TEXT, "the release that it happened to; of a rollback, the one that came back"),
        Column("champion_before", _TEXT, "the release in use until then; null before the first", nullable=True),
        Column("at_utc", _TIME, "when"),
        Column("by", _TEXT, "who: a person, or the part of the pipeline that did it"),
        Column("why", _TEXT, "in words"),
        Column("evidence", _TEXT, "place of the comparison that it rests on; null where none was given", nullable=True),
        Column("weights_sha256", _TEXT, "digest over the members' weights; null where they never came", nullable=True),
        Column("code_revision", _TEXT, "revision of the code that recorded it"),
        Column("night", pa.date32(), "of a shadow_night", nullable=True),
        Column("nights", pa.int16(), "how many a shadow was started for", nullable=True, low=1),
    ),
)

DECISIONS = Contract(
    "decisions",
    ("decision_id",),
    (
        Column("decision_id", _TEXT, "32 hex digits; the same line of a file always gives the same id"),
        Column("photo_id", _TEXT, "the photo"),
        Column("programme", _TEXT, "who uploaded it"),
        Column("night", pa.date32(), "the night whose photo was looked at"),
        Column("reader", _TEXT, "who decided, as the log-in or the file names them"),
        Column("decided_at_utc", _TIME, "when"),
        Column("recorded_at_utc", _TIME, "when it reached the store"),
        Column("source", _TEXT, "how it came", words=("pages", "csv", "label_studio")),
        Column("evidence", _TEXT, "what it rests on", words=("reading", "adjudication", "histopathology")),
        Column("answer", _TEXT, "a disease, or that none can be told from the photo", words=("disease", "cannot_tell")),
        Column("disease", _TEXT, "node of the taxonomy; null when none can be told", nullable=True),
        Column("grade", _TEXT, "the reader's own grade, where given", nullable=True, words=_GRADE_WORDS),
        Column(
            "photo_quality", _TEXT, "the reader's own verdict", nullable=True, words=("good", "acceptable", "unusable")
        ),
        Column("comment", _TEXT, "free text, at most 2,000 characters", nullable=True),
        Column("was_blind", pa.bool_(), "the reader had not seen the model's answer before"),
        Column("seconds", pa.float64(), "from opening the page to the answer", "s", nullable=True, low=0),
        Column("corrects", _TEXT, "decision_id of the same reader's earlier one, which this replaces", nullable=True),
        Column("shown_grade", _TEXT, "the model's published grade at that time", nullable=True, words=_GRADE_WORDS),
        Column("release", _TEXT, "the release that gave it", nullable=True),
    ),
)

RECORDED_DECISIONS = Contract(
    "recorded_decisions",
    DECISIONS.key,
    (*DECISIONS.columns, Column("recorded_in", _TEXT, "key of the object that holds it")),
)

WITHDRAWALS = Contract(
    "withdrawals",
    ("programme", "patient"),
    (
        Column("programme", _TEXT, "who uploaded the person's photos"),
        Column("patient", _TEXT, "pseudonym of the person who took back their consent"),
        Column("withdrawn_at_utc", _TIME, "when"),
        Column("recorded_by", _TEXT, "who wrote it down"),
    ),
)

VETTED_PHOTOS = Contract(
    "vetted_photos",
    ("photo_id",),
    (
        Column("photo_id", _TEXT, "a photo with at least one decision"),
        Column("programme", _TEXT, "who uploaded it"),
        Column("night", pa.date32(), "the night that graded it"),
        Column(
            "state",
            _TEXT,
            "where the reading stands",
            words=("settled", "needs_second_reader", "needs_adjudication", "cannot_tell", "held"),
        ),
        Column("disease", _TEXT, "node of the taxonomy that stands; null unless settled", nullable=True),
        Column(
            "label_strength", _TEXT, "what it rests on; null unless settled", nullable=True, words=tuple(LabelStrength)
        ),
        Column("readers", pa.int16(), "people who read it", low=0),
        Column("decisions", pa.list_(_TEXT), "decision_ids that count, oldest first; corrected ones do not"),
        Column(
            "settled_at_utc", _TIME, "when the last decision that counts was made; null unless settled", nullable=True
        ),
        Column("is_in_corpus", pa.bool_(), "it may be trained on"),
        Column(
            "kept_out",
            _TEXT,
            "why it is not in the corpus; null when it is",
            nullable=True,
            words=("not_settled", "no_consent", "withdrawn", "unusable_photo", "no_working_copy"),
        ),
    ),
)

_OF_A_NIGHT = (
    Column("programme", _TEXT, "who uploaded"),
    Column("night", pa.date32(), "the night"),
    Column("claimed_at_utc", _TIME, "when the night claimed its uploads: it knows of no night that was claimed later"),
)


def _expected(name: str, description: str) -> tuple[Column, Column]:
    return (
        Column(f"expected_{name}", _P, f"expected number of {description}: sum of probabilities", low=0),
        Column(f"expected_{name}_variance", _P, "its variance, photos being independent: sum of p(1 - p)", low=0),
    )


NIGHT_FIGURES = Contract(
    "night_figures",
    ("programme", "night", "group_kind", "group"),
    (
        *_OF_A_NIGHT,
        Column("release", _TEXT, "the release that graded"),
        Column(
            "group_kind", _TEXT, "what the photos are told apart by", words=("all", "age", "sex", "skin", "skin_as_lit")
        ),
        Column("group", _TEXT, "the group; `unknown` where it is not recorded"),
        Column("photos", pa.int32(), "listed, without duplicates: graded + refused + failed", low=0),
        Column("graded", pa.int32(), "with a grade", low=0),
        Column("refused", pa.int32(), "by the quality filters, or no photo that can be read", low=0),
        Column("failed", pa.int32(), "lost before they could be judged", low=0),
        Column("flagged", pa.int32(), "graded, and marked", low=0),
        *(Column(str(grade), pa.int32(), "photos of this grade", low=0) for grade in GRADES),
        *_expected("dangerous", "dangerous lesions among the graded photos"),
        *_expected("dangerous_found", "those of them that were graded dangerous"),
        *_expected("dangerous_sent", "those of them that were graded dangerous or high risk"),
        *_expected("at_risk", "dangerous and high-risk lesions"),
        *_expected("at_risk_sent", "those of them that were graded dangerous or high risk"),
    ),
)

CONTROL_CHARTS = Contract(
    "control_charts",
    ("programme", "night", "chart"),
    (
        *_OF_A_NIGHT,
        Column("chart", _TEXT, "which share", words=("dangerous", "high_risk", "referred", "refused", "flagged")),
        Column("regime", _TEXT, "release and cut-offs under which shares can be compared"),
        Column("events", pa.int32(), "photos or people with the property", low=0),
        Column("of", pa.int32(), "photos or people in all", low=0),
        Column(
            "state",
            _TEXT,
            "how the night compares with the level",
            words=("no_photos", "learning", "in_control", "above", "below"),
        ),
        Column("baseline_nights", pa.int16(), "earlier nights that the level rests on", low=0),
        _probability("level", "share in the earlier nights; null while learning", nullable=True),
        _probability("low", "share below which the night alarms by itself", nullable=True),
        _probability("high", "share above which the night alarms by itself", nullable=True),
        Column("score", _P, "tail probability of the night as a normal score", "deviations", nullable=True),
        Column("mean_score", _P, "exponentially weighted mean of the scores", "deviations", nullable=True),
        Column("since", pa.date32(), "first night of the alarm that stands; null without one", nullable=True),
    ),
)

DRIFT = Contract(
    "drift",
    ("programme", "night", "property"),
    (
        *_OF_A_NIGHT,
        Column("property", _TEXT, "column of `quality` or `grades`, or `answers` of the members"),
        Column("regime", _TEXT, "filters or release under which the values can be compared"),
        Column("photos", pa.int32(), "photos of the night that have a value", low=0),
        Column("values", pa.list_(_P), "mean over the photos of what they are compared by; empty without photos"),
        Column(
            "state",
            _TEXT,
            "how the last nights compare with the reference",
            words=("learning", "too_few", "steady", "drift"),
        ),
        _probability("p_value", "that nights alike differ so much; null unless tested", nullable=True),
        Column("effect", _P, "how large the difference is; null unless tested", nullable=True, low=0),
        Column("at", _P, "value at which the shares differ most", nullable=True),
        _probability("share_before", "share of the photos of the reference up to that value", nullable=True),
        _probability("share_now", "share of the photos of the last nights up to that value", nullable=True),
        Column("reference_from", pa.date32(), "first night of the reference", nullable=True),
        Column("reference_to", pa.date32(), "last night of the reference", nullable=True),
        Column("since", pa.date32(), "first night of the drift that stands; null without one", nullable=True),
    ),
)

DRIFT_REFERENCE = Contract(
    "drift_reference",
    ("property", "night"),
    tuple(c for c in DRIFT.columns if c.name in ("night", "claimed_at_utc", "property", "photos", "values")),
)
