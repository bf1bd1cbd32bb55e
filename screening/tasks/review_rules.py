"""The review rules, as the settings name them."""

from __future__ import annotations

from pathlib import Path

from screening.edges.yaml_file import read_mapping
from screening.errors import MissingError, SettingsError
from screening.settings import Settings
from screening.stages.review_rules import SiteReviewRules, site_review_rules


def load_review_rules(settings: Settings) -> SiteReviewRules:
    """The site's own rules, or the product's.

    Raises:
        SettingsError: the setting names no file that can be read.
        ContractError: the file breaks its rules.
    """
    file = settings.review_rules
    if file is None:
        return SiteReviewRules()
    try:
        return site_review_rules(read_mapping(Path(file)), file)
    except MissingError as error:
        raise SettingsError(f"SCREENING_REVIEW_RULES: {error}") from error
