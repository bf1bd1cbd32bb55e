"""Every picture that is made of one held-out photo, group by group, each group with its control.

A picture of kind ``AS_IS`` is the control: the same photo with all that the group does to its pictures except the damage,
e.g. sensor noise, so that a filter cannot tell them apart by the way in which they were made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tests.benchmarks.quality import damage, framing, look_alikes, print_in_photo, things
from tests.benchmarks.quality.real_photos import RealPhoto

AS_IS = "as is"
DEFOCUS_PX = (1.5, 2.5, 4, 6, 8)
MOTION_PX = (5, 9, 15, 30)
DYE_STRENGTHS = (0.35, 0.7, 1.4)
"""Density of the coat: a pale stain, a common one, one that hides the skin."""
PEN_MARKS = ("line", "arrow", "letters")
HAIRS = (5, 15, 40)
FAR_WIDTHS = (0.12, 0.08, 0.05)
"""Width of the lesion in the frame."""
NEAR_SHOWN = (1.0, 0.75, 0.5)
"""Shown part of the lesion's width."""
LEAST_AREA, LEAST_MARGIN = 0.02, 0.04
"""From this share of the frame on a lesion is near enough, with this much skin on every side (of the short side) far enough."""
STOPS = (-6, -4, -2, 1, 2, 3)
CASTS = {
    "incandescent": (1.35, 1.0, 0.5),
    "fluorescent": (0.9, 1.15, 0.85),
    "shade": (0.75, 1.0, 1.3),
    "blue": (0.5, 0.85, 1.5),
    "green": (0.6, 1.2, 0.6),
    "yellow": (1.1, 1.0, 0.25),
    "magenta": (1.2, 0.55, 1.2),
    "strong blue": (0.25, 0.6, 1.6),
    "strong green": (0.3, 1.3, 0.35),
    "strong yellow": (1.1, 1.0, 0.1),
    "strong magenta": (1.2, 0.3, 1.2),
}
COLOURED_LIGHTS = tuple(CASTS)[3:]
"""Those by which colour cannot be trusted; the three before are lamps and weather that a camera did not balance."""


PRINT_PX = (12, 16, 24, 36, 48)
"""Size of the font, pixels of 512."""


@dataclass(frozen=True)
class Picture:
    """One picture to ask the filters about."""

    group: str
    kind: str
    level: str
    """How much of it, e.g. ``4 px``; empty where there is no more and less."""
    pixels: np.ndarray


def pictures_of(photo: RealPhoto) -> Iterator[Picture]:
    """All pictures of one photo; the same ones at every run."""
    sharp = photo.pixels.astype(np.float32)
    for make in (_blurred, _dyed, _hairy, _far, _near, _lit, _printed, _covered, _innocent, _toned):
        yield from make(photo, sharp)


def _blurred(photo: RealPhoto, sharp: np.ndarray) -> Iterator[Picture]:
    noise = photo.noise("blur")

    def taken(kind: str, level: str, pixels: np.ndarray) -> Picture:
        return Picture("blur", kind, level, damage.with_sensor_noise(pixels, noise))

    yield taken(AS_IS, "", sharp)
    spoilt = [("defocus", px, damage.defocused(sharp, px)) for px in DEFOCUS_PX]
    # Each photo moves along two directions of its own, at right angles; all photos together, along all.
    angles = noise.uniform(0, 90) + np.array([0.0, 90.0])
    spoilt += [("motion", px, damage.shaken(sharp, px, angle)) for px in MOTION_PX for angle in angles]
    for kind, px, blurred in spoilt:
        yield taken(f"{kind}, frame", f"{px} px", blurred)
        yield taken(f"{kind}, lesion", f"{px} px", damage.on_lesion_only(sharp, blurred, photo.lesion))


def _dyed(photo: RealPhoto, sharp: np.ndarray) -> Iterator[Picture]:
    noise = photo.noise("dye")
    yield Picture("dye", AS_IS, "", sharp)
    for dye, absorbance in damage.DYES.items():
        for strength in DYE_STRENGTHS:
            for shape in noise.permutation(list(damage.STAIN_SHAPES))[:2]:
                density = strength * damage.stain(sharp, str(shape), photo.lesion, noise)
                yield Picture("dye", dye, f"{shape} {strength}", damage.dyed(sharp, density, absorbance))
    for mark in PEN_MARKS:
        ink = str(noise.choice(list(damage.PEN_INKS)))
        density = damage.pen_marks(photo.lesion, mark, noise)
        yield Picture("dye", "pen", f"{ink} {mark}", damage.dyed(sharp, density, damage.PEN_INKS[ink]))


def _hairy(photo: RealPhoto, sharp: np.ndarray) -> Iterator[Picture]:
    if photo.has_hair:
        return
    noise = photo.noise("hair")
    yield Picture("hair", AS_IS, "", sharp)
    everywhere = np.ones_like(photo.lesion)
    beside = damage.feathered(photo.lesion, 40) == 0
    for name, colour in (("dark", damage.DARK_HAIR), ("light", damage.LIGHT_HAIR)):
        for count in HAIRS:
            for place, region in (("over", everywhere), ("beside", beside)):
                if region.mean() > 0.2:
                    hairy = damage.hairy(sharp, region, count, colour, noise)
                    yield Picture("hair", f"{name}, {place} the lesion", f"{count} hairs", hairy)


def _far(photo: RealPhoto, sharp: np.ndarray) -> Iterator[Picture]:
    if photo.lesion.mean() < LEAST_AREA:
        return
    noise = photo.noise("far")
    yield Picture("far", AS_IS, "", damage.with_sensor_noise(sharp, noise))
    for width in FAR_WIDTHS:
        far, lesion = framing.from_far(sharp, photo.lesion, width, noise)
        colour = tuple(look_alikes.CLOTHS.values())[noise.integers(len(look_alikes.CLOTHS))]
        on_cloth = look_alikes.on_cloth(far, lesion, colour, noise)
        level = f"{width:.0%} wide"
        yield Picture("far", "on skin", level, damage.with_sensor_noise(far, noise))
        yield Picture("far", "skin on cloth", level, damage.with_sensor_noise(on_cloth, noise))


def _near(photo: RealPhoto, sharp: np.ndarray) -> Iterator[Picture]:
    if framing.margin(photo.lesion) < LEAST_MARGIN:
        return
    noise = photo.noise("near")
    for shown in NEAR_SHOWN:
        near, control = framing.from_near(sharp, photo.lesion, shown)
        yield Picture("near", AS_IS, f"{shown:.0%} shown", damage.with_sensor_noise(control, noise))
        yield Picture("near", "cut", f"{shown:.0%} shown", damage.with_sensor_noise(near, noise))


def _lit(photo: RealPhoto, sharp: np.ndarray) -> Iterator[Picture]:
    noise = photo.noise("light")
    yield Picture("light", AS_IS, "", damage.with_sensor_noise(sharp, noise))
    for stops in STOPS:
        exposed = damage.exposed(sharp, stops)
        yield Picture("light", "exposure", f"{stops:+d} stops", damage.with_sensor_noise(exposed, noise))
    for name, gains in CASTS.items():
        yield Picture("light", "colour cast", name, damage.with_sensor_noise(damage.lit_by(sharp, gains), noise))


def _covered(photo: RealPhoto, sharp: np.ndarray) -> Iterator[Picture]:
    noise = photo.noise("things")
    yield Picture("things", AS_IS, "", damage.with_sensor_noise(sharp, noise))
    for thing in things.THINGS:
        for place in things.PLACES:
            covered = things.with_thing(sharp, photo.lesion, thing, place, noise)
            yield Picture("things", thing, place, damage.with_sensor_noise(covered, noise))


def _printed(photo: RealPhoto, sharp: np.ndarray) -> Iterator[Picture]:
    noise = photo.noise("print")
    yield Picture("print", AS_IS, "", print_in_photo.as_sent(sharp))
    for style in print_in_photo.STYLES:
        for size in PRINT_PX:
            yield Picture("print", style, f"{size} px", print_in_photo.with_print(sharp, style, size, noise))


def _innocent(photo: RealPhoto, sharp: np.ndarray) -> Iterator[Picture]:
    noise, lesion = photo.noise("look-alikes"), photo.lesion
    yield Picture("look-alike", AS_IS, "", sharp)
    for name, colour in look_alikes.CLOTHS.items():
        yield Picture("look-alike", name, "", look_alikes.on_cloth(sharp, lesion, colour, noise))
    for name, pixels in (
        ("red lesion", look_alikes.red_lesion(sharp, lesion)),
        ("bleeding", look_alikes.bleeding(sharp, lesion, noise)),
        ("blue naevus", look_alikes.blue_naevus(sharp, lesion)),
        ("freckles", look_alikes.freckled(sharp, noise)),
        ("wrinkles", look_alikes.wrinkled(sharp, noise)),
        ("ruler", look_alikes.with_ruler(sharp, noise)),
        ("necklace", look_alikes.with_chain(sharp, lesion, noise)),
    ):
        yield Picture("look-alike", name, "", pixels)


def _toned(photo: RealPhoto, sharp: np.ndarray) -> Iterator[Picture]:
    noise = photo.noise("tones")
    for name, ita in look_alikes.TONES_ITA.items():
        toned = look_alikes.retoned(sharp, photo.lesion, ita)
        yield Picture("tone", name, "", damage.with_sensor_noise(toned, noise))
