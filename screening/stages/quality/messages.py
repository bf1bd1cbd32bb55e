"""Every issue that a photo can have, how severe it is, and what the photographer should do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

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
    Issue("dye_over_lesion", "refuse"),
    Issue("hair_over_lesion", "refuse"),
    Issue("soft_focus", "flag"),
    Issue("slight_motion", "flag"),
    Issue("dim", "flag"),
    Issue("glare", "flag"),
    Issue("lesion_cut_off", "flag"),
    Issue("lesion_small", "flag"),
    Issue("little_skin", "flag"),
    Issue("some_dye", "flag"),
    Issue("some_hair", "flag"),
    Issue("few_pixels", "flag"),
    Issue("greyscale", "flag"),
    Issue("no_lesion_found", "flag"),
)
"""All issues, the most severe first: the order of a photo's ``issues``."""

ENGLISH: Mapping[str, str] = MappingProxyType(
    {
        "too_few_pixels": "The picture is too small: send the original photo from the camera, not a thumbnail or a screenshot.",
        "too_dark": "The photo is too dark: take it again in daylight or with the flash on.",
        "too_bright": "The photo is too bright: take it again without direct light on the skin, or move the flash further away.",
        "nothing_visible": "Nothing can be made out in the photo: take it again with the lesion in the middle and in focus.",
        "no_skin": "No skin can be seen: take the photo again with only the lesion and the skin around it in the frame.",
        "out_of_focus": "The photo is out of focus: hold the camera about 15 cm away, tap on the lesion to focus, and take it again.",
        "motion_blur": "The camera or the skin moved: rest your hand, ask the person to keep still, and take the photo again.",
        "lesion_too_small": "The lesion is too small in the photo: move closer until it fills about a third of the frame.",
        "dye_over_lesion": "Ink or dye covers the lesion: clean the skin and take the photo again.",
        "hair_over_lesion": "Hair covers the lesion: part, pin back or clip the hair and take the photo again.",
        "soft_focus": "The photo is a little out of focus: tap on the lesion to focus next time.",
        "slight_motion": "The photo is a little shaken: rest your hand next time.",
        "dim": "The photo is rather dark: use daylight or the flash next time.",
        "glare": "Light reflects from the lesion: change the angle of the light next time.",
        "lesion_cut_off": "The lesion reaches the edge of the photo: show all of it with some skin around it next time.",
        "lesion_small": "The lesion is rather small in the photo: move closer next time.",
        "little_skin": "Little skin can be seen around the lesion: show more of it and less background next time.",
        "some_dye": "There is ink or dye on the skin: take the photo before marking the skin next time.",
        "some_hair": "Hair crosses the lesion: part or clip the hair next time.",
        "few_pixels": "The picture is rather small: send the original photo from the camera next time.",
        "greyscale": "The photo has no colours: take a colour photo next time.",
        "no_lesion_found": "No lesion stands out: place the lesion in the middle of the frame next time.",
    }
)
"""Retake advice by issue code, in English; a programme may bring the same mapping in its own language."""
