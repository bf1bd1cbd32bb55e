"""Photos that the quality filters refuse for blur or distance: learnt from, and never measured on (Esteva et al. 2017).

One that is drawn for validation or test is left out. It trains only where nobody of its group is measured on: elsewhere
it would tell the networks of a person whom they are tested with. A corpus without verdicts has no such photos.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from screening.contracts import Side

BLUR_OR_DISTANCE = frozenset({"nothing_visible", "no_skin", "out_of_focus", "motion_blur", "lesion_too_small"})
"""Issues that refuse a photo because it is too blurred, or from too far away, to show a lesion.

Too few pixels, light and hair are not among them: published photos were shrunk by others than who took them.
"""
MEASURED_ON = frozenset({Side.VALIDATION, Side.TEST})
QUALITY = "quality"
"""The reason of a side that such a photo has because it is one; of one in a fold: it is not judged there."""


def is_blurred_or_distant(corpus: pd.DataFrame) -> np.ndarray:
    """Whether each photo was refused for blur or distance: shape (photos,), bool."""
    return np.array(
        [issues is not None and not BLUR_OR_DISTANCE.isdisjoint(issues) for issues in corpus["quality_issues"]], bool
    )


def is_blurred_with_its_group(corpus: pd.DataFrame, groups: np.ndarray) -> np.ndarray:
    """Whether each photo is such a one, and so are all that must stay with it: shape (photos,), bool."""
    return pd.Series(is_blurred_or_distant(corpus)).groupby(groups).transform("all").to_numpy(bool)


def leave_out_blurred(corpus: pd.DataFrame, side: pd.Series) -> pd.Series:
    """The sides, without blurred and distant photos in validation and test."""
    return side.mask(is_blurred_or_distant(corpus) & side.isin(MEASURED_ON), str(Side.LEFT_OUT))


def without_verdicts(corpus: pd.DataFrame) -> pd.DataFrame:
    """The corpus as if nobody had judged its photos: all of them may be measured on."""
    return corpus.assign(quality_issues=None)


def describe_blurred(corpus: pd.DataFrame, row: int) -> str:
    """One line: a blurred or distant photo, and why it counts as one."""
    issues = [issue for issue in corpus["quality_issues"].iloc[row] if issue in BLUR_OR_DISTANCE]
    return f"{corpus['photo'].iloc[row]}: {', '.join(issues)}"
