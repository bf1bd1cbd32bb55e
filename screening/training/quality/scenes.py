"""Scenes composed of real photos and drawn things, so that every pixel of ink, dye, hair, skin and cloth is known.

A photo is turned, mirrored and zoomed; then it may be laid on other skin or on cloth, be partly covered by cloth, get
a dye (light absorbed by Beer and Lambert's law), pen strokes and hair, and another skin tone, light, focus and noise.
All randomness comes from the generator that is given.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from screening.training import marks

SIDE = 256
"""Pixels: photos are squeezed into this square, as for the networks that grade."""

DYES = {
    # Absorbed red, green, blue per unit of dose, from the colours of stained skin.
    "gentian violet": (1.15, 1.75, 0.55),
    "methylene blue": (1.9, 0.95, 0.35),
    "brilliant green": (1.75, 0.5, 0.95),
    "iodine": (0.28, 0.85, 1.9),
    "eosin": (0.05, 1.35, 0.85),
}
MELANIN = (0.62, 0.83, 1.61)
"""Absorption of red, green and blue: it falls with the third power of the wavelength (Jacques 2013)."""
BLOOD = (0.35, 1.1, 0.95)
"""Absorption of haemoglobin in the skin: strongest between 520 and 580 nm (Jacques 2013)."""


@dataclass(frozen=True)
class Scene:
    """A picture and what is where in it.

    ``pixels``: shape (SIDE, SIDE, 3), float32, 0..1. ``truth`` and ``known``: shape (4, SIDE, SIDE), float32, 0..1, in
    the order of ``CHANNELS``: what is there, and how far that is known.
    """

    pixels: np.ndarray
    truth: np.ndarray
    known: np.ndarray


LESION, SKIN, INK, HAIR = range(4)


def compose(scene: Scene, other: Scene, random: np.random.Generator) -> Scene:
    """A new scene from a photo's; ``other`` lends skin to lay the photo on."""
    scene = moved(scene, random)
    if random.random() < 0.2:
        scene = laid_on(scene, skin_of(other, scene, random) if random.random() < 0.5 else cloth(random), random)
    if random.random() < 0.3:
        scene = partly_covered(scene, cloth(random), random)
    if random.random() < 0.08:
        scene = bluish_lesion(scene, random)
    if random.random() < 0.35:
        scene = pigmented(scene, random)
    if random.random() < 0.25:
        scene = dyed(scene, random)
    if random.random() < 0.3:
        scene = inked(scene, random)
    if random.random() < 0.35:
        scene = haired(scene, random)
    return seen(scene, random)


def moved(scene: Scene, random: np.random.Generator) -> Scene:
    """Turned, mirrored, stretched and zoomed; what lies outside is mirrored in."""
    zoom = np.exp(random.uniform(np.log(0.75), np.log(1.6)))
    stretch = np.exp(random.uniform(-0.2, 0.2))
    angle = random.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.diag([zoom * stretch * random.choice([-1, 1]), zoom / stretch])
    middle = np.full(2, SIDE / 2)
    shift = middle - matrix @ middle + random.uniform(-0.15, 0.15, 2) * SIDE
    return _warped(scene, np.column_stack([matrix, shift]), cv2.BORDER_REFLECT_101)


def _warped(scene: Scene, matrix: np.ndarray, border: int) -> Scene:
    def warp(image: np.ndarray) -> np.ndarray:
        return np.asarray(cv2.warpAffine(image, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=border))

    maps = warp(np.ascontiguousarray(np.concatenate([scene.truth, scene.known]).transpose(1, 2, 0)))
    half = len(scene.truth)
    maps = maps.transpose(2, 0, 1)
    return Scene(warp(scene.pixels), maps[:half], maps[half:])


def laid_on(scene: Scene, ground: Scene, random: np.random.Generator) -> Scene:
    """The photo made smaller, with soft edges, on another scene: a lesion seen from afar."""
    scale = np.exp(random.uniform(np.log(0.12), np.log(0.7)))
    centre = random.uniform(0.3, 0.7, 2) * SIDE
    matrix = np.array([[scale, 0, centre[0] - scale * SIDE / 2], [0, scale, centre[1] - scale * SIDE / 2]])
    small = _warped(scene, matrix, cv2.BORDER_CONSTANT)
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    u, v = (x - centre[0]) / (scale * SIDE / 2), (y - centre[1]) / (scale * SIDE / 2)
    power = random.choice([2.0, 4.0, 8.0])
    inside = np.clip((0.95 - (np.abs(u) ** power + np.abs(v) ** power) ** (1 / power)) / 0.15, 0, 1)
    return _blended(ground, small, inside)


def skin_of(other: Scene, like: Scene, random: np.random.Generator) -> Scene:
    """A whole frame of another photo's skin, without its lesion, in the colour of the first."""
    crop = 96
    free = [
        (int(y), int(x))
        for y, x in random.integers(0, SIDE - crop, (12, 2))
        if other.truth[LESION, y : y + crop, x : x + crop].max() < 0.1
        and other.truth[SKIN, y : y + crop, x : x + crop].min() > 0.9
    ]
    rim = np.concatenate([like.pixels[:12].reshape(-1, 3), like.pixels[-12:].reshape(-1, 3)])
    tone = np.median(rim, axis=0)
    if free:
        y, x = free[0]
        tile = other.pixels[y : y + crop, x : x + crop]
        tiled = np.block([[[tile], [tile[:, ::-1]]], [[tile[::-1]], [tile[::-1, ::-1]]]])
        pixels = np.tile(tiled, (2, 2, 1))[:SIDE, :SIDE] * (tone / np.maximum(tile.mean(axis=(0, 1)), 0.05))
    else:
        pixels = tone * (1 + 0.04 * _clouds(random, 3.0)[..., None])
    truth = np.zeros((4, SIDE, SIDE), np.float32)
    truth[SKIN] = 1
    known = np.ones_like(truth)
    known[[INK, HAIR]] = other.known[[INK, HAIR]].mean() > 0.95
    return Scene(np.clip(pixels, 0, 1).astype(np.float32), truth, known)


def cloth(random: np.random.Generator) -> Scene:
    """A frame without skin: woven, striped, printed, wooden, plain or noisy, in any colour and light."""
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    base = _any_colour(random)
    angle = random.uniform(0, np.pi)
    along = x * np.cos(angle) + y * np.sin(angle)
    across = -x * np.sin(angle) + y * np.cos(angle)
    kind = random.integers(6)
    shade = 0.12 * _clouds(random, random.uniform(15, 60)) + 0.03 * _clouds(random, 1.0)
    if kind == 0:  # woven
        period = random.uniform(2.2, 8)
        shade = shade + random.uniform(0.03, 0.2) * np.sin(along * 2 * np.pi / period) * np.sin(
            across * 2 * np.pi / period
        )
    pixels = base * (1 + shade[..., None])
    if kind == 1:  # stripes or checks
        period = random.uniform(8, 60)
        stripes = np.sin(along * 2 * np.pi / period) > random.uniform(-0.5, 0.5)
        if random.random() < 0.5:
            stripes ^= np.sin(across * 2 * np.pi / period) > 0
        pixels = np.where(stripes[..., None], _any_colour(random) * (1 + shade[..., None]), pixels)
    elif kind == 2:  # wood or folds
        grain = np.sin(across / random.uniform(2, 12) + 3 * _clouds(random, 25.0))
        pixels = pixels * (1 + random.uniform(0.05, 0.25) * grain[..., None])
    elif kind == 3:  # print: words, lines and shapes
        page = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
        ink = tuple(float(v) for v in _any_colour(random) * 255)
        for row in range(random.integers(1, 12)):
            place = (int(random.integers(-20, 120)), int(row * 22 + random.integers(8, 24)))
            words = "".join(random.choice(list("abcdeghikmnorstu 0123456789"), 22))
            cv2.putText(page, words, place, cv2.FONT_HERSHEY_SIMPLEX, random.uniform(0.3, 0.9), ink, 1, cv2.LINE_AA)
        pixels = page.astype(np.float32) / 255
    elif kind == 4:  # two things beside each other
        pixels = np.where((across > random.uniform(0.2, 0.8) * SIDE)[..., None], _any_colour(random), pixels)
    truth = np.zeros((4, SIDE, SIDE), np.float32)
    return Scene(np.clip(pixels, 0, 1).astype(np.float32), truth, np.ones_like(truth))


def _any_colour(random: np.random.Generator) -> np.ndarray:
    """White, black, grey, the blues and greens of a hospital, or any colour."""
    kind = random.integers(4)
    if kind == 0:
        return np.full(3, random.choice([random.uniform(0.02, 0.2), random.uniform(0.4, 1.0)]), np.float32)
    if kind == 1:
        blue = np.array([random.uniform(0.05, 0.5), random.uniform(0.3, 0.7), random.uniform(0.4, 0.9)])
        return blue.astype(np.float32)
    return random.uniform(0.03, 0.95, 3).astype(np.float32)


def partly_covered(scene: Scene, cover: Scene, random: np.random.Generator) -> Scene:
    """Cloth over a side, two sides, or all but a window: with the shadow that it throws."""
    y, x = (np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) - SIDE / 2) / (SIDE / 2)
    angle = random.uniform(0, 2 * np.pi)
    wavy = 0.06 * _clouds(random, random.uniform(40, 120))
    across = x * np.cos(angle) + y * np.sin(angle) + wavy
    kind = random.integers(3)
    if kind == 0:  # one side
        distance = across - random.uniform(0.05, 0.9)
    elif kind == 1:  # a limb or a finger between two sides
        distance = np.abs(across + random.uniform(-0.2, 0.2)) - random.uniform(0.25, 0.9)
    else:  # a window in a drape
        distance = np.hypot(x, y) + wavy - random.uniform(0.35, 1.1)
    covered = np.clip(distance * random.uniform(10, 60) + 0.5, 0, 1).astype(np.float32)
    shadow = 1 - random.uniform(0, 0.5) * cv2.GaussianBlur(covered, (0, 0), random.uniform(2, 10))
    return _blended(replace(scene, pixels=scene.pixels * shadow[..., None]), cover, covered)


def _blended(below: Scene, above: Scene, inside: np.ndarray) -> Scene:
    return Scene(
        below.pixels * (1 - inside[..., None]) + above.pixels * inside[..., None],
        below.truth * (1 - inside) + above.truth * inside,
        below.known * (1 - inside) + above.known * inside,
    )


def bluish_lesion(scene: Scene, random: np.random.Generator) -> Scene:
    """A lesion as slate-blue as a blue naevus, which is no dye."""
    lesion = cv2.GaussianBlur(scene.truth[LESION], (0, 0), 2.0)[..., None]
    grey = scene.pixels.mean(axis=2, keepdims=True)
    slate = grey * np.array([0.75, 0.9, 1.15], np.float32)
    share = random.uniform(0.4, 1.0) * lesion
    return replace(scene, pixels=scene.pixels * (1 - share) + slate * share)


def pigmented(scene: Scene, random: np.random.Generator) -> Scene:
    """A drawn mole or red patch: pigment and blood are no dye, or else everything drawn would be taken for one."""
    centre = random.uniform(0.2, 0.8, 2) * SIDE
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    radius = np.exp(random.uniform(np.log(0.03), np.log(0.35))) * SIDE
    away = np.hypot(x - centre[0], (y - centre[1]) * random.uniform(0.6, 1.6))
    away = away + random.uniform(0, 0.2) * radius * _clouds(random, random.uniform(12, 60))
    area = np.clip((radius - away) / random.uniform(1, 0.3 * radius + 2) + 0.5, 0, 1) * scene.truth[SKIN]
    mottled = np.clip(1 + random.uniform(0, 0.5) * _clouds(random, random.uniform(2, 12)), 0.2, 2)
    is_brown = random.random() < 0.65
    dose = random.uniform(0.3, 1.9) if is_brown else random.uniform(0.2, 0.9)
    absorbed = np.array(MELANIN if is_brown else BLOOD, np.float32) * random.uniform(0.85, 1.15, 3)
    linear = scene.pixels**2.2 * np.exp(-(area * mottled * dose)[..., None] * absorbed)
    truth, known = scene.truth.copy(), scene.known.copy()
    if truth[LESION].max() < 0.1:
        truth[LESION] = np.maximum(truth[LESION], area)
    else:  # two lesions: which one the photo is of, nobody knows
        known[LESION][area > 0.05] = 0
    return Scene(linear.astype(np.float32) ** (1 / 2.2), truth, known)


def dyed(scene: Scene, random: np.random.Generator) -> Scene:
    """A dye painted on the skin: a patch, a ring or strokes, over the lesion or beside it."""
    centre = _lesion_centre(scene) if random.random() < 0.6 else random.uniform(0.1, 0.9, 2) * SIDE
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    radius = random.uniform(0.06, 0.4) * SIDE
    away = np.hypot(x - centre[0], (y - centre[1]) * random.uniform(0.6, 1.6)) + 0.15 * radius * _clouds(
        random, random.uniform(12, 60)
    )
    kind = random.integers(3)
    if kind == 0:
        area = np.clip((radius - away) / random.uniform(1, 8) + 0.5, 0, 1)
    elif kind == 1:
        area = np.clip((random.uniform(0.15, 0.4) * radius - np.abs(away - radius)) / 2 + 0.5, 0, 1)
    else:
        strokes = np.zeros((SIDE, SIDE), np.uint8)
        marks.draw_curves(strokes, centre, int(random.integers(2, 8)), radius, (4, 16), random)
        area = strokes / np.float32(255)
    evenness = 1 + random.uniform(0, 0.5) * _clouds(random, random.uniform(2, 12))
    dose = area * np.clip(evenness, 0.3, 2) * np.exp(random.uniform(np.log(0.35), np.log(1.8)))
    absorbed = np.array(list(DYES.values())[random.integers(len(DYES))]) * random.uniform(0.85, 1.15, 3)
    return _absorbing(scene, dose, absorbed)


def inked(scene: Scene, random: np.random.Generator) -> Scene:
    """Marker strokes: a ring around the lesion, arcs, dots, arrows, lines or letters."""
    centre = _lesion_centre(scene)
    drawn = np.zeros((SIDE, SIDE), np.uint8)
    width = int(random.integers(1, 6))
    for _ in range(random.integers(1, 4)):
        kind = random.integers(5)
        spot = centre + random.normal(0, 0.05 * SIDE, 2)
        if kind <= 1:
            axes = random.uniform(0.12, 0.45) * SIDE * random.uniform(0.7, 1.3, 2)
            marks.draw_arc(drawn, spot, axes, bool(kind == 0), width, random)
        elif kind == 2:
            far = random.uniform(0, SIDE, 2)
            marks.draw_arrow(drawn, far, far + (spot - far) * 0.6, width)
        elif kind == 3:
            marks.draw_letters(drawn, random.uniform(0, 200, 2), width, random)
        else:
            marks.draw_curves(drawn, random.uniform(0, SIDE, 2), 3, 0.2 * SIDE, (1, width + 1), random)
    dose = marks.felt_tip(drawn, random) * random.uniform(0.35, 1.3)
    return _absorbing(scene, dose, np.array(marks.PENS[random.integers(len(marks.PENS))]) * random.uniform(0.8, 1.2, 3))


def _absorbing(scene: Scene, dose: np.ndarray, absorbed: np.ndarray) -> Scene:
    """The scene with a dye on its skin; the dye darkens and colours, and does not take away hair or relief."""
    on_skin = dose * scene.truth[SKIN]
    is_ink = np.clip((on_skin - 0.1) / 0.1, 0, 1)
    truth, known = scene.truth.copy(), scene.known.copy()
    truth[INK] = np.maximum(truth[INK], is_ink)
    known[INK] = np.maximum(known[INK], is_ink)
    faint = (on_skin > 0.03) & (is_ink < 1)
    known[INK][faint] = 0
    # Nobody knows where the lesion ends under an opaque stain.
    known[LESION] = known[LESION] * (1 - 0.5 * is_ink)
    return Scene(scene.pixels * marks.transmitted(on_skin, absorbed), truth, known)


def haired(scene: Scene, random: np.random.Generator) -> Scene:
    """Curved hairs of one colour, a few or many, growing in about the same direction."""
    hairs = marks.grow_hairs((SIDE, SIDE), random)
    pixels = scene.pixels * (1 - hairs.shadow[..., None])
    pixels = pixels * (1 - hairs.cover[..., None]) + hairs.colour * hairs.cover[..., None]
    truth, known = scene.truth.copy(), scene.known.copy()
    is_hair = np.clip((hairs.cover - 0.25) / 0.2, 0, 1)
    truth[HAIR] = np.maximum(truth[HAIR], is_hair)
    known[HAIR] = np.maximum(known[HAIR], is_hair)
    known[HAIR][(hairs.cover > 0.05) & (is_hair < 1)] = 0
    return Scene(pixels, truth, known)


def seen(scene: Scene, random: np.random.Generator) -> Scene:
    """The scene in another skin tone, light, focus and noise; truth stays."""
    pixels = scene.pixels
    if random.random() < 0.4:
        dose = random.uniform(-0.5, 2.2) * scene.truth[SKIN][..., None]
        pixels = np.clip(pixels, 0, 1) ** 2.2 * np.exp(-dose * np.array(MELANIN, np.float32))
        pixels = np.clip(pixels, 0, 1) ** (1 / 2.2)
    if random.random() < 0.3:
        pixels = cv2.GaussianBlur(pixels, (0, 0), random.uniform(0.4, 2.5))
    gains = np.exp(random.uniform(-0.12, 0.12, 3) + random.uniform(-0.35, 0.3)).astype(np.float32)
    mean = pixels.mean()
    pixels = (mean + (pixels - mean) * np.exp(random.uniform(-0.25, 0.2))) * gains
    pixels = pixels + random.normal(0, random.uniform(0, 0.025), pixels.shape)
    return replace(scene, pixels=np.clip(pixels, 0, 1).astype(np.float32))


def _lesion_centre(scene: Scene) -> np.ndarray:
    lesion = scene.truth[LESION]
    total = float(lesion.sum())
    if total < 1:
        return np.full(2, SIDE / 2)
    places = np.arange(SIDE, dtype=np.float32)
    return np.array([lesion.sum(axis=0) @ places, lesion.sum(axis=1) @ places]) / total


def _clouds(random: np.random.Generator, sigma_px: float) -> np.ndarray:
    return marks.clouds((SIDE, SIDE), sigma_px, random)
