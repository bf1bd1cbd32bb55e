"""The CLEAR Derm checklist of a release (Daneshjou et al. 2022, JAMA Dermatology 158:90), filled from its run.

Its 25 points in our own words; what the project does not know or has not done is said, not left out.
"""

from __future__ import annotations

from collections.abc import Iterator

from screening.edges.release import Release
from screening.training.ensemble import TrainingSet
from screening.training.recipe import EnsembleRecipe

_SECTIONS = {"Data": 15, "Technique": 4, "Technical assessment": 4, "Application": 2}
"""Points of each section, in order."""


def clear_derm(release: Release, recipe: EnsembleRecipe, training_set: TrainingSet) -> list[list[str]]:
    """Rows of section, point and answer."""
    sections = [section for section, points in _SECTIONS.items() for _ in range(points)]
    answers = _answers(release, recipe, training_set)
    return [[section, point, answer] for section, (point, answer) in zip(sections, answers, strict=True)]


def _answers(release: Release, recipe: EnsembleRecipe, training_set: TrainingSet) -> Iterator[tuple[str, str]]:
    corpus, side = training_set.corpus, training_set.side
    counts = ", ".join(f"{n} {name}" for name, n in side.value_counts().items())
    kinds = ", ".join(f"{n} {kind}" for kind, n in corpus["kind"].value_counts().items())
    balance = corpus["label"].value_counts()
    spread = ", ".join(f"{name} {balance.get(i, 0)}" for i, name in enumerate(release.classes))
    has_skin = "fitzpatrick" in corpus and bool((corpus["fitzpatrick"] > 0).any())
    known = int((corpus["fitzpatrick"] > 0).sum()) if has_skin else 0
    cutoff = release.outlier_cutoff
    yield "Kind of images", f"{kinds} photos"
    yield (
        "Artefacts",
        "ink rings, hair, rulers and dark corners occur; the quality filters flag or refuse them in service",
    )
    yield "How they were taken", "phones (clinical) and dermoscopes of several makers, as far as the data sets say"
    yield (
        "Preprocessing",
        f"{release.model_input}: the whole frame squeezed to {release.input_shape[0]} px; the same code in service",
    )
    yield "Synthetic images", "none"
    yield "Public images named", f"all are public: {', '.join(recipe.sources)}"
    yield "Data about patients", "age, sex and body site where a data set has them; the networks do not see them"
    yield "Skin tone", f"Fitzpatrick type as the data sets record it, known of {known} of {len(corpus)} photos"
    yield (
        "Biases of such data",
        "ink goes with cancer, kind of photo with disease, dark skin is nearly absent: see Limits",
    )
    yield "Partition", f"by person, lesion and near-duplicate: {counts} photos"
    yield "Sizes", f"{len(corpus)} photos of {corpus['patient'].nunique()} people or lesions"
    yield "External test", "none in this card"
    yield "Several makers", "yes, unequally; the makers are not recorded for most photos"
    yield "Balance of classes", spread
    yield (
        "Images unlike the training",
        "not told" if cutoff is None else f"flagged from a distance of {cutoff:g} on, and graded with a warning",
    )
    yield "How labels came about", "as the data sets give them; strength differs: histopathology, consensus, follow-up"
    yield "Accepted names", f"taxonomy {release.taxonomy_version}, with ICD-10 codes"
    yield "Histopathology of cancers", "told photo by photo by some of the data sets; not checked for the others"
    yield "How the algorithm was made", f"recipe {recipe.name}, in the repository with code and seeds"
    yield "Public evaluation", "weights, code and the partition's rule are public; kept-back photos are not"
    yield "Measures", "see Figures, with 95 % intervals"
    yield "Comparison with others", "members beside the ensemble; releases beside each other by screening evaluate"
    yield "Bias assessment", "by kind of photo, data set and, where known, skin type; types V and VI cannot be judged"
    yield "Use and target conditions", f"triage in screening programmes for research; {', '.join(release.classes)}"
    yield (
        "Effect on people",
        "a person sees every referral; a missed cancer and needless visits are the harms; not studied",
    )
