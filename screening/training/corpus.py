"""Labelled photos of several sources as one table: every photo known by its bytes, its disease by the taxonomy.

``build_corpus`` makes the table ``corpus`` (its contract: ``screening/contracts.py``). ``with_class_index`` adds what
training needs: ``label``, the place of the disease among the training classes.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from screening.contracts import CORPUS, LabelStrength, PhotoKind
from screening.edges.folder_store import FolderStore
from screening.edges.tables import read_table, write_table
from screening.errors import ContractError, MissingError, PhotoError
from screening.stages.pixels import PhotoLimits, read_header
from screening.taxonomy import Taxonomy, TrainingClasses
from screening.training.readers import LabelledPhoto, read_source

log = logging.getLogger(__name__)

CLINICAL, DERMOSCOPIC = str(PhotoKind.CLINICAL), str(PhotoKind.DERMOSCOPIC)
_NAMED = 5  # names in a message; all stand in the report
_STRONGEST_FIRST = list(LabelStrength)

Progress = Callable[[int, int], None]


def _silent(_done: int, _total: int) -> None:
    pass


@dataclass(frozen=True)
class CorpusPhoto:
    """A labelled photo with its identity; ``source``, ``patient`` and ``lesion`` are those of the corpus, never empty."""

    photo_id: str
    disease: str
    source: str
    patient: str
    lesion: str
    labelled: LabelledPhoto


@dataclass
class CorpusReport:
    """What became of the sources' photos; names are ``<source>/<file>``."""

    read: dict[str, int] = field(default_factory=dict)
    not_used: dict[str, list[str]] = field(default_factory=dict)
    same_bytes: list[tuple[str, str]] = field(default_factory=list)
    """The photo that is kept, and the other of the same bytes."""
    contradictory: list[list[str]] = field(default_factory=list)
    """Photos of the same bytes with different diseases: none is used."""
    joined_patients: list[tuple[str, str]] = field(default_factory=list)
    """People who share the bytes of a photo, and so are taken for one: the name that is kept, and the other."""

    def lines(self) -> list[str]:
        """The report in plain words: counts, and by name what a person should look at."""
        found = [f"{source}: {count} labelled photos read" for source, count in self.read.items()]
        found += [f"not used, {why}: {len(names)}, {_some(names)}" for why, names in self.not_used.items()]
        if self.same_bytes:
            pairs = [f"{other} as {kept}" for kept, other in self.same_bytes]
            found.append(f"the same bytes twice, one row kept: {len(pairs)}, {_some(pairs)}")
        if self.joined_patients:
            pairs = [f"{other} as {kept}" for kept, other in self.joined_patients]
            found.append(f"people with the same photo, taken for one: {len(pairs)}, {_some(pairs)}")
        found += [f"contradictory labels of the same bytes, not used: {', '.join(n)}" for n in self.contradictory]
        return found


def build_corpus(
    root: Path,
    sources: Mapping[str, str | None],
    taxonomy: Taxonomy,
    *,
    skip_missing: bool = False,
    on_progress: Progress = _silent,
) -> tuple[pa.Table, CorpusReport]:
    """Read sources into one corpus table, one row per photo's bytes.

    Args:
        root: folder of the sources; the paths of the table start there.
        sources: name of each source's folder → its layout, or None where its files tell.
        taxonomy: knows the labels.
        skip_missing: leave out, and name in the report, photos that are not there; else they stop the reading.
        on_progress: gets the photos done and all of them.

    Raises:
        MissingError: a source, a file of it or one of its photos does not exist.
        ContractError: a source breaks its layout, a label is unknown, or a photo cannot be opened.
    """
    photos, report = read_photos(root, sources, taxonomy, skip_missing=skip_missing, on_progress=on_progress)
    kept = _settle_same_bytes(photos, taxonomy, report)
    for line in report.lines():
        log.info("corpus %s", line)
    return CORPUS.table([_row(photo, root) for photo in kept]), report


def read_photos(
    root: Path,
    sources: Mapping[str, str | None],
    taxonomy: Taxonomy,
    *,
    skip_missing: bool = False,
    on_progress: Progress = _silent,
) -> tuple[list[CorpusPhoto], CorpusReport]:
    """Every labelled photo of the sources, in their order; the same bytes may come twice. Raises as ``build_corpus``."""
    report = CorpusReport()
    labelled: list[tuple[str, LabelledPhoto]] = []
    for source, layout in sources.items():
        reading = read_source(root / source, layout)
        report.read[source] = len(reading.photos)
        for why, names in reading.not_used.items():
            report.not_used.setdefault(why, []).extend(f"{source}/{name}" for name in names)
        labelled += [(photo.source or source, photo) for photo in reading.photos]
    labelled = _present(labelled, skip_missing, report)
    diseases: dict[tuple[str, ...], str] = {}
    for _, photo in labelled:  # before any photo is read: an unknown label is said at once
        if (spelt := photo.names or (photo.label,)) not in diseases:
            diseases[spelt] = _disease_of(spelt, photo.where, taxonomy)
    photos = []
    broken = []
    for number, (source, photo) in enumerate(labelled, 1):
        body = photo.file.read_bytes()
        disease = diseases[photo.names or (photo.label,)]
        try:
            read_header(body, PhotoLimits())
        except PhotoError as error:
            broken.append(f"{photo.file}: {error}")
        photos.append(_identified(source, photo, hashlib.sha256(body).hexdigest()[:32], disease))
        on_progress(number, len(labelled))
    if broken:
        raise ContractError(
            f"{len(broken)} photos cannot be opened; mend them or take them from the labels: {_some(broken)}"
        )
    return photos, report


def read_corpus(root: Path, sources: Sequence[str], classes: TrainingClasses) -> pd.DataFrame:
    """Read labelled folders as they are, a row per line of their labels, with ``label`` for training.

    As the corpus table, but ``photo`` is a path that can be opened, and the same bytes may come twice: ``split_corpus``
    leaves the second out, or both if their labels contradict each other. So the rows, and the sides drawn for them, stay
    those that earlier releases were trained with.

    Raises:
        MissingError, ContractError: as ``build_corpus`` and ``with_class_index``.
    """
    photos, report = read_photos(root, dict.fromkeys(sources), classes.taxonomy)
    _settle_same_bytes(photos, classes.taxonomy, report)
    for line in report.lines():
        log.info("corpus %s", line)
    rows = pa.Table.from_pylist([_row(photo, root) for photo in photos], schema=CORPUS.schema)
    return with_class_index(corpus_frame(rows, root), classes)


def write_corpus(table: pa.Table, file: Path) -> None:
    """Write the table; its folder is made."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_table(FolderStore(file.parent), file.name, table, CORPUS)


def read_corpus_table(file: Path) -> pa.Table:
    """Read a corpus table.

    Raises:
        MissingObjectError: there is no such file.
        ContractError: the file breaks the contract.
    """
    return read_table(FolderStore(file.parent), file.name, CORPUS)


def corpus_frame(table: pa.Table, root: Path) -> pd.DataFrame:
    """The table as a frame whose ``photo`` is a path that can be opened; unknown texts are None."""
    frame: pd.DataFrame = table.to_pandas()
    return frame.assign(photo=[str(root / photo) for photo in frame["photo"]])


def with_class_index(corpus: pd.DataFrame, classes: TrainingClasses, *, drop_others: bool = False) -> pd.DataFrame:
    """Add ``label``, the place of each photo's disease among the training classes.

    Args:
        corpus: as ``corpus_frame`` gives it.
        classes: what the network answers.
        drop_others: leave out, and log, the photos of diseases that the network cannot answer; else they stop it.

    Raises:
        ContractError: a disease belongs to no class, or is coarser than the classes; it says how many photos, and names
            the first.
    """
    index = {}
    for disease, of_it in corpus.groupby("disease", sort=False):
        try:
            index[disease] = classes.class_of_label(str(disease))
        except ContractError as error:
            if not drop_others:
                raise ContractError(f"{len(of_it)} photos, the first is {of_it['photo'].iloc[0]}: {error}") from error
            log.info("corpus %d photos left out: %s", len(of_it), error)
    known = corpus[corpus["disease"].isin(index)].reset_index(drop=True) if drop_others else corpus
    return known.assign(label=known["disease"].map(index).astype(np.int64))


def _disease_of(names: Sequence[str], where: str, taxonomy: Taxonomy) -> str:
    """The id of the disease that the first known of the names stands for."""
    for name in names[:-1]:
        with suppress(ContractError):
            return taxonomy.of_label(name).id
    try:
        return taxonomy.of_label(names[-1]).id
    except ContractError as error:
        others = f" (nor {', '.join(map(repr, names[:-1]))})" if names[:-1] else ""
        raise ContractError(f"{where}: {error}{others}") from error


def _is_kind_of(disease: str, other: str, taxonomy: Taxonomy) -> bool:
    return any(above.id == other for above in taxonomy.lineage(disease))


def _present(
    labelled: list[tuple[str, LabelledPhoto]], skip_missing: bool, report: CorpusReport
) -> list[tuple[str, LabelledPhoto]]:
    missing = [f"{source}/{photo.file.name}" for source, photo in labelled if not photo.file.is_file()]
    if not missing:
        return labelled
    if not skip_missing:
        raise MissingError(
            f"{len(missing)} labelled photos are missing, {_some(missing)}; fetch them again, or take their lines from "
            "the labels"
        )
    report.not_used["the photo is missing"] = missing
    return [(source, photo) for source, photo in labelled if photo.file.is_file()]


def _identified(source: str, photo: LabelledPhoto, photo_id: str, disease: str) -> CorpusPhoto:
    """Ids get their source before them; the nameless are not one: a photo without a lesion is its own."""
    prefix = "" if photo.source else f"{source}/"
    lesion = f"{prefix}{photo.lesion}" if photo.lesion else f"{source}/{photo.file.stem}"
    patient = f"{prefix}{photo.patient}" if photo.patient else lesion
    return CorpusPhoto(photo_id, disease, source, patient, lesion, photo)


def _settle_same_bytes(photos: list[CorpusPhoto], taxonomy: Taxonomy, report: CorpusReport) -> list[CorpusPhoto]:
    """One photo for each bytes: the one with the strongest and finest label. Contradictory ones are all left out."""
    by_bytes: dict[str, list[CorpusPhoto]] = {}
    for photo in photos:
        by_bytes.setdefault(photo.photo_id, []).append(photo)
    kept: list[CorpusPhoto] = []
    patients = _Names()
    for alike in by_bytes.values():
        for other in alike:
            if patients.join(alike[0].patient, other.patient):
                report.joined_patients.append((alike[0].patient, other.patient))
        finest = max(alike, key=lambda p: sum(_is_kind_of(p.disease, other.disease, taxonomy) for other in alike))
        if any(not _is_kind_of(finest.disease, other.disease, taxonomy) for other in alike):
            report.contradictory.append([f"{_name(p)} ({p.labelled.label})" for p in alike])
            continue
        as_fine = [p for p in alike if p.disease == finest.disease]
        best = min(as_fine, key=lambda p: _STRONGEST_FIRST.index(p.labelled.strength))
        kept.append(best)
        report.same_bytes += [(_name(best), _name(p)) for p in alike if p is not best]
    return [CorpusPhoto(p.photo_id, p.disease, p.source, patients.of(p.patient), p.lesion, p.labelled) for p in kept]


class _Names:
    """Names that turn out to be of one person, under the name that is kept."""

    def __init__(self) -> None:
        self._kept: dict[str, str] = {}

    def of(self, name: str) -> str:
        while name in self._kept:
            name = self._kept[name]
        return name

    def join(self, kept: str, other: str) -> bool:
        kept, other = self.of(kept), self.of(other)
        if kept != other:
            self._kept[other] = kept
        return kept != other


def _row(photo: CorpusPhoto, root: Path) -> dict[str, object]:
    labelled = photo.labelled
    same = (
        "has_other_view_in",
        "captured_at_utc",
        "age_years",
        "sex",
        "fitzpatrick",
        "body_site",
        "licence",
        "quality_verdict",
        "quality_issues",
        "quality_reason",
    )
    row: dict[str, object] = dict.fromkeys(CORPUS.schema.names)
    return row | {
        "photo_id": photo.photo_id,
        "photo": labelled.file.relative_to(root).as_posix(),
        "disease": photo.disease,
        "source_label": labelled.label,
        "label_strength": str(labelled.strength),
        "patient": photo.patient,
        "lesion": photo.lesion,
        "source": photo.source,
        "kind": str(labelled.kind),
        "skin_group": labelled.skin_group or _skin_group(labelled.fitzpatrick),
        **{name: getattr(labelled, name) for name in same},
    }


def _skin_group(fitzpatrick: int | None) -> str | None:
    return ("I-II", "III-IV", "V-VI")[(fitzpatrick - 1) // 2] if fitzpatrick else None


def _name(photo: CorpusPhoto) -> str:
    return f"{photo.source}/{photo.labelled.file.name}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
