"""How far readers agree beyond chance: the kappas of Cohen (two readers) and of Fleiss (any number)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence


def cohen_kappa(pairs: Sequence[tuple[Hashable, Hashable]]) -> float | None:
    """Cohen's kappa (1960) of two readers, -1..1.

    Args:
        pairs: for each photo the answer of the first reader and that of the second.

    Returns:
        None where it is not defined: no photos, or both gave one and the same answer to all.
    """
    if not pairs:
        return None
    n = len(pairs)
    agreed = sum(first == second for first, second in pairs) / n
    of_first, of_second = Counter(first for first, _ in pairs), Counter(second for _, second in pairs)
    return _beyond_chance(agreed, sum(of_first[answer] * of_second[answer] for answer in of_first) / n**2)


def fleiss_kappa(answers: Sequence[Sequence[Hashable]]) -> float | None:
    """Fleiss' kappa (1971), -1..1, also where photos have different numbers of readers.

    Args:
        answers: for each photo the answers of its readers; photos with fewer than two are left out.

    Returns:
        None where it is not defined: no photo with two readers, or one and the same answer to all.
    """
    read = [Counter(of_photo) for of_photo in answers if len(of_photo) >= 2]
    if not read:
        return None
    agreed = sum(_agreeing_pairs(counts) for counts in read) / len(read)
    given: Counter[Hashable] = sum(read, Counter())
    total = given.total()
    return _beyond_chance(agreed, sum((count / total) ** 2 for count in given.values()))


def _agreeing_pairs(counts: Counter[Hashable]) -> float:
    readers = counts.total()
    return sum(count * (count - 1) for count in counts.values()) / (readers * (readers - 1))


def _beyond_chance(agreed: float, by_chance: float) -> float | None:
    return None if by_chance >= 1.0 else (agreed - by_chance) / (1.0 - by_chance)
