"""The cut-offs that judge a photo and the words that say so, as the settings name them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from screening.cutoffs import QualityCutoffs
from screening.edges.yaml_file import read_mapping
from screening.errors import MissingError, SettingsError
from screening.settings import Settings
from screening.stages.quality.messages import LANGUAGES, check_messages
from screening.stages.quality.site_cutoffs import site_cutoffs


@dataclass(frozen=True)
class QualityRules:
    """Where a measure becomes an issue, and the retake advice by issue code."""

    cutoffs: QualityCutoffs
    messages: Mapping[str, str]


def load_quality_rules(settings: Settings) -> QualityRules:
    """Both, read strictly.

    Raises:
        SettingsError: a setting names no file that can be read.
        ContractError: a file breaks its rules.
    """
    return QualityRules(load_cutoffs(settings), load_messages(settings))


def load_cutoffs(settings: Settings) -> QualityCutoffs:
    """The site's own cut-offs, or the product's; raises as ``load_quality_rules``."""
    file = settings.quality_cutoffs
    if file is None:
        return QualityCutoffs()
    try:
        return site_cutoffs(read_mapping(Path(file)), file)
    except MissingError as error:
        raise SettingsError(f"SCREENING_QUALITY_CUTOFFS: {error}") from error


def load_messages(settings: Settings) -> Mapping[str, str]:
    """The retake advice by issue code; raises as ``load_quality_rules``."""
    name = settings.advice_messages
    try:
        return check_messages(read_mapping(LANGUAGES.get(name, Path(name))), name)
    except MissingError as error:
        known = " or ".join(LANGUAGES)
        raise SettingsError(f"SCREENING_ADVICE_MESSAGES: {error}; expected a file or a language, {known}") from error
