"""Every issue that a photo can have, how severe it is, and what the photographer should do about it.

The retake advice is one YAML file per language beside this module: one line per issue, none missing and none additional.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import yaml

from screening.errors import ContractError

Severity = Literal["refuse", "flag"]


@dataclass(frozen=True)
class Issue:
    """One thing that can be wrong with a photo: ``refuse`` means that it must not be graded, ``flag`` that it may."""

    code: str
    severity: Severity


ISSUES: tuple[Issue, ...] = (
    Issue("too_few_pixels", "refuse"),
    Issue("too_dark", "refuse"),
    Issue("too_bright", "refuse"),
    Issue("nothing_visible", "refuse"),
    Issue("no_skin", "refuse"),
    Issue("out_of_focus", "refuse"),
    Issue("motion_blur", "refuse"),
    Issue("lesion_too_small", "refuse"),
    Issue("hair_over_lesion", "refuse"),
    Issue("needs_privacy_check", "flag"),
    Issue("dye_over_lesion", "flag"),
    Issue("object_over_lesion", "flag"),
    Issue("crust_over_lesion", "flag"),
    Issue("soft_focus", "flag"),
    Issue("slight_motion", "flag"),
    Issue("dim", "flag"),
    Issue("glare", "flag"),
    Issue("colour_cast", "flag"),
    Issue("lesion_cut_off", "flag"),
    Issue("lesion_small", "flag"),
    Issue("lesion_too_close", "flag"),
    Issue("lesion_off_centre", "flag"),
    Issue("little_skin", "flag"),
    Issue("some_dye", "flag"),
    Issue("some_hair", "flag"),
    Issue("few_pixels", "flag"),
    Issue("greyscale", "flag"),
    Issue("no_lesion_found", "flag"),
)
"""All issues, the most severe first: the order of a photo's ``issues``. Of the flags privacy comes first: pages show the first."""

_FOLDER = Path(__file__).parent
LANGUAGES: Mapping[str, Path] = MappingProxyType({file.stem: file for file in sorted(_FOLDER.glob("*.yaml"))})
"""The package's own files of messages, by ISO 639 code."""


def check_messages(messages: Mapping[Any, Any], file: str) -> Mapping[str, str]:
    """Return the messages, one for each issue.

    Raises:
        ContractError: an issue has no message, a message no issue, or one is no line of text; all is said at once.
    """
    codes = [issue.code for issue in ISSUES]
    missing = [code for code in codes if code not in messages]
    surplus = [str(code) for code in messages if code not in codes]
    problems = [f"no message for {', '.join(missing)}"] if missing else []
    problems += [f"no such issue: {', '.join(surplus)}"] if surplus else []
    problems += [
        f"{code} is {text!r}, expected one line of text"
        for code, text in messages.items()
        if code in codes and (not isinstance(text, str) or not text.strip() or "\n" in text)
    ]
    if problems:
        raise ContractError(f"messages {file}: {'; '.join(problems)}")
    return MappingProxyType(dict(messages))


ENGLISH = check_messages(yaml.safe_load(LANGUAGES["en"].read_text(encoding="utf-8")), "en.yaml")
"""Retake advice by issue code."""
