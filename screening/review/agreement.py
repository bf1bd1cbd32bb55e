"""How well the readers agree, of the readings that count."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from screening.review.queue_index import Queue
from screening.stages.adjudication import counting_decisions
from screening.stages.agreement import cohen_kappa, fleiss_kappa
from screening.taxonomy import Taxonomy

Decision = Mapping[str, Any]


@dataclass(frozen=True)
class Agreement:
    """Of some photos that at least two people read: the share of pairs that agree, and kappas (None: not defined)."""

    name: str
    photos: int
    pairs: int
    same_disease: float | None
    disease_kappa: float | None
    same_grade: float | None
    grade_kappa: float | None


@dataclass(frozen=True)
class AgreementFigures:
    """``programmes`` and ``whole`` with Fleiss' kappa; ``pairs`` of readers with Cohen's."""

    whole: Agreement
    programmes: Sequence[Agreement]
    pairs: Sequence[tuple[tuple[str, str], Agreement]]


def agreement_of(queue: Queue, decisions: Mapping[str, Sequence[Decision]], taxonomy: Taxonomy) -> AgreementFigures:
    """Compare the readings of the photos in the queue; who cannot tell gives an answer of its own."""
    by_programme: dict[str, list[dict[str, Decision]]] = defaultdict(list)
    by_pair: dict[tuple[str, str], list[dict[str, Decision]]] = defaultdict(list)
    for photo_id, said in decisions.items():
        entry = queue.by_photo.get(photo_id)
        read = {d["reader"]: d for d in counting_decisions(said).readings} if entry and len(said) > 1 else {}
        if entry is None or len(read) < 2:
            continue
        by_programme[entry.programme].append(read)
        for first, second in combinations(sorted(read), 2):
            by_pair[first, second].append({first: read[first], second: read[second]})
    whole = [read for found in by_programme.values() for read in found]

    def grade(decision: Decision) -> str:
        disease = decision["disease"]
        known = {d.id for d in taxonomy.diseases}
        return str(decision["grade"] or (taxonomy.grade_of(disease) if disease in known else "cannot tell"))

    def disease(decision: Decision) -> str:
        return str(decision["disease"] or "cannot tell")

    def figures(name: str, photos: Sequence[Mapping[str, Decision]]) -> Agreement:
        return _figures(name, photos, disease, grade)

    return AgreementFigures(
        whole=figures("all programmes", whole),
        programmes=[figures(name, photos) for name, photos in sorted(by_programme.items())],
        pairs=[(pair, figures(" and ".join(pair), photos)) for pair, photos in sorted(by_pair.items())],
    )


def _figures(
    name: str,
    photos: Sequence[Mapping[str, Decision]],
    disease: Callable[[Decision], str],
    grade: Callable[[Decision], str],
) -> Agreement:
    def compared(label: Callable[[Decision], str]) -> tuple[float | None, float | None]:
        answers = [[label(read[reader]) for reader in sorted(read)] for read in photos]
        pairs = [pair for of_photo in answers for pair in combinations(of_photo, 2)]
        share = sum(a == b for a, b in pairs) / len(pairs) if pairs else None
        of_two = len({reader for read in photos for reader in read}) == 2
        kappa = cohen_kappa([(a[0], a[1]) for a in answers]) if of_two else fleiss_kappa(answers)
        return share, kappa

    same_disease, disease_kappa = compared(disease)
    same_grade, grade_kappa = compared(grade)
    pairs = sum(len(read) * (len(read) - 1) // 2 for read in photos)
    return Agreement(name, len(photos), pairs, same_disease, disease_kappa, same_grade, grade_kappa)
