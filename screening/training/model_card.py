"""The model card of a release, in the sections of Mitchell et al. 2019."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from screening.contracts import EVERYBODY
from screening.edges.release import Release
from screening.training.clear_derm import clear_derm
from screening.training.ensemble import TrainingSet
from screening.training.recipe import EnsembleRecipe

_CARD = """# Model card: release {name}

Made on {made_on}. Photos of skin lesions in; probabilities of {n_classes} diseases and of three risk grades out.

**Intended use: research and demonstration only.** The licences of the photos, below, bind what was learnt from them. The release
is not a medical device, has seen no prospective study, and its grades need a clinician's eye.

## Members
{members}

They started from {start} (recipe `{recipe}`). Their probabilities are averaged. One temperature for all members,
{temperature:.3f}, was fitted on the validation photos.

## Data
{data}

No person, lesion or near-duplicate stands on two sides of the split. Dermoscopic lesions that may appear in two data sets
under different ids were kept in training together with their likeliest counterparts, so rare dermoscopic diseases are few in the test.
Photos that an earlier release knew kept their sides.

## Cut-offs
Chosen on the validation photos, every kind of photo counting the same (docs/decisions/0005 and 0020): dangerous from
p_dangerous ≥ {dangerous}, high_risk from p_high_risk + p_dangerous ≥ {high_risk}.

## Figures on the test photos
The test photos took no part in anything above; earlier releases and candidates were scored on them too (docs/decisions/0004).
Brackets: 95 % intervals, bootstrap over patients.

### Ensemble
{ensemble}

### Members beside the ensemble (AUC, grade against the rest)
{comparison}

{limits}

## Limits
- Where dangerous lesions of a kind of photo are few in the test, the interval says how little is known.
- Skin types V and VI are nearly absent from the clinical photos (skin type was recorded for some only).
- Ink rings go with cancers in the clinical photos (they were drawn before biopsy); `screening shortcuts` measures how far
  the answer follows them (docs/decisions/0015).
- Diseases outside the {n_classes} classes are forced into one of them.
- The figures hold for photos like these: smartphone close-ups of one lesion, and dermoscopy.

{clear_derm}
"""

_LIMITS = """## What the release knows of its limits
A photo whose mean distance from the training photos reaches {cutoff} is flagged as unlike them (2 % of the validation
photos, every kind counting the same). The prediction set of a photo should hold the true disease with a probability of
{coverage}, for each grade of it; {groups}. On the test photos, with 95 % intervals, bootstrap over people:

{figures}"""


def write_model_card(  # noqa: PLR0913  # everything that a run left behind meets in its card
    file: Path,
    release: Release,
    recipe: EnsembleRecipe,
    training_set: TrainingSet,
    tables: dict[str, pd.DataFrame],
    made_on: date,
    temperature: float,
    *,
    limits: pd.DataFrame,
) -> None:
    """Write the card; ``tables`` holds ``evaluation_table`` of each member and of ``ensemble``, ``limits`` its figures."""
    corpus = training_set.corpus
    counts = pd.crosstab(corpus["source"], training_set.side).astype(str)
    file.write_text(
        _CARD.format(
            name=release.name,
            made_on=made_on.isoformat(),
            n_classes=len(release.classes),
            members=_markdown(
                ["member", "architecture", "trained", "side, px", "epochs", "weights SHA-256"],
                [
                    [
                        m.name,
                        m.architecture,
                        m.trained,
                        str(m.size),
                        str(m.stop_after or m.epochs),
                        r.weights_sha256[:16],
                    ]
                    for m, r in zip(recipe.members, release.members, strict=True)
                ],
            ),
            start=f"the members of release {recipe.start_from}" if recipe.start_from else "weights that others trained",
            recipe=recipe.name,
            temperature=temperature,
            data=_markdown(
                ["data set", *counts.columns, "licence"],
                [[str(i), *row, _licences(corpus, i)] for i, row in zip(counts.index, counts.values, strict=True)],
            ),
            dangerous=release.cutoffs["dangerous"],
            high_risk=release.cutoffs["high_risk"],
            ensemble=_figures(tables["ensemble"]),
            comparison=_comparison(tables),
            limits=limits_section(release, limits),
            clear_derm=clear_derm_section(release, recipe, training_set),
        )
    )


def limits_section(release: Release, figures: pd.DataFrame) -> str:
    """Coverage and warnings; ``figures`` as of ``limits_figures``."""
    sets = release.prediction_sets or {"coverage": "–", "lowest": {}}
    own = [group for group in sets["lowest"] if group != EVERYBODY]
    groups = (
        f"skin types {', '.join(own)} have limits of their own"
        if own
        else "no group of skin types has validation photos enough for limits of its own, so that the promise is for all together"
    )
    cells = [
        [
            str(row.group),
            str(row.photos),
            f"{row.coverage:.3f} ({row.coverage_low:.3f}–{row.coverage_high:.3f})" if row.photos else "–",
            f"{row.diseases:.2f}" if row.photos else "–",
            f"{row.unlike:.3f} ({row.unlike_low:.3f}–{row.unlike_high:.3f})" if row.photos else "–",
        ]
        for row in figures.itertuples()
    ]
    table = _markdown(["group", "photos", "coverage", "diseases in a set", "flagged as unlike"], cells)
    return _LIMITS.format(cutoff=release.outlier_cutoff, coverage=sets["coverage"], groups=groups, figures=table)


def clear_derm_section(release: Release, recipe: EnsembleRecipe, training_set: TrainingSet) -> str:
    """The checklist."""
    rows = clear_derm(release, recipe, training_set)
    return "## CLEAR Derm checklist\n" + _markdown(["section", "point", "this release"], rows)


def _licences(corpus: pd.DataFrame, source: object) -> str:
    if "licence" not in corpus:
        return "not recorded"
    found = corpus["licence"][corpus["source"] == source].fillna("not recorded for some photos")
    return "; ".join(sorted(found.unique()))


def _cell(row: Any) -> str:
    if pd.isna(row.value):
        return "–"
    return f"{row.value:.3f}" + ("" if pd.isna(row.low) else f" ({row.low:.3f}–{row.high:.3f})")


def _figures(table: pd.DataFrame) -> str:
    groups = list(dict.fromkeys(zip(table["group"], table["photos"], strict=True)))
    rows = [
        [str(measure), *(_cell(next(of_measure[of_measure["group"] == g].itertuples())) for g, _ in groups)]
        for measure, of_measure in table.groupby("measure", sort=False)
    ]
    return _markdown(["measure", *(f"{g} (n = {n})" for g, n in groups)], rows)


def _comparison(tables: dict[str, pd.DataFrame]) -> str:
    of_ensemble = tables["ensemble"]
    wanted = [
        (g, m)
        for g in of_ensemble["group"].unique()
        if g.startswith("kind=")
        for m in of_ensemble["measure"].unique()
        if m.startswith("auc")
    ]
    rows = []
    for who, table in tables.items():
        indexed = table.set_index(["group", "measure"])["value"]
        rows.append([who, *(f"{indexed[pair]:.3f}" for pair in wanted)])
    return _markdown(["", *(f"{g.removeprefix('kind=')} {m.removeprefix('auc ')}" for g, m in wanted)], rows)


def _markdown(header: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *rows)]
    return "\n".join(lines)
