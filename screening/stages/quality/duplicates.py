"""Know a picture again after it was re-encoded, resized, turned by quarters or mirrored.

A hash is made of one photo alone; comparing hashes is for whoever has the night's. The signs of the low frequencies of
the discrete cosine transform are the pHash of Zauner (2010), "Implementation and Benchmarking of Perceptual Image Hash
Functions", with 0 in place of the median: so a mirrored picture changes the sign of the odd frequencies, a turned one
also swaps rows and columns, and all eight orientations follow from one hash. Small moles in the middle of plain skin
have alike signs; the colours of four frames, one inside the other, tell them apart and are the same in every
orientation. How well both work on real photos: docs/decisions/0008.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import cv2
import numpy as np

from screening.stages.pixels import VIEW_LONG_SIDE, fit_long_side, shrink

MOST_SIGNS = 40
"""Of 256, by which copies differ at most. Source: docs/decisions/0008 (other photos differ by 71 or more)."""
MOST_LEVELS = 8
"""Of 255, by which every frame's colour may differ. Source: docs/decisions/0008."""

_SMALL_LONG_SIDE = 128  # averaged in 8 bits down to this size, which is fast, and from here on in float, which is exact
_CELLS, _FREQUENCIES, _FRAMES = 32, 16, 4
_LEAST_DEVIATION = 1.0  # grey levels over the cells: less is a flat frame, whose signs are the noise's
_SIGN_BYTES = _FREQUENCIES**2 // 8
HASH_BYTES = _SIGN_BYTES + _FRAMES * 3

# Photos are looked up by the red and blue of the outermost and the innermost frame, in boxes so wide that the colours
# within MOST_LEVELS of a photo's lie in two boxes per colour.
_LOOKED_UP = [0, 2, 9, 11]
_BOX_LEVELS = 2 * MOST_LEVELS + 1
_KNOWN_AT_ONCE = 2_000  # a photo that was found is not looked for any further: a flood of copies stays cheap
_JUDGED_AT_ONCE = 500
_PAIRS_AT_ONCE = 500_000  # some 100 MB


def _frame_weights() -> np.ndarray:
    """Shape (frames, cells), outermost first: what turns cells into the mean of each frame."""
    from_end = np.minimum(np.arange(_CELLS), np.arange(_CELLS)[::-1])
    frame = np.minimum.outer(from_end, from_end).ravel() * 2 * _FRAMES // _CELLS
    is_in = frame == np.arange(_FRAMES)[:, None]
    return np.asarray(is_in / is_in.sum(axis=1, keepdims=True), np.float32)


def _flips() -> np.ndarray:
    """Shape (4, words): the signs that change when a picture stays, is mirrored, is upended, or both."""
    odd = np.arange(_FREQUENCIES) % 2 == 1
    mirrored, upended = np.broadcast_to(odd, (_FREQUENCIES, _FREQUENCIES)), odd[:, None].repeat(_FREQUENCIES, 1)
    return _words_of(np.stack([mirrored & False, mirrored, upended, mirrored ^ upended]))


def _words_of(signs: np.ndarray) -> np.ndarray:
    return np.packbits(signs.reshape(-1, _FREQUENCIES**2), axis=1).view(np.uint64)


_FRAME_WEIGHTS, _FLIPS = _frame_weights(), _flips()


def perceptual_hash(pixels: np.ndarray) -> str | None:
    """The hash of an upright RGB photo, or of its view, as hex digits; None for a flat frame. Half a millisecond for a view.

    256 bits, row by row: whether the frequency's coefficient is positive; then red, green and blue of the four frames.
    """
    small = fit_long_side(shrink(pixels, VIEW_LONG_SIDE), _SMALL_LONG_SIDE).astype(np.float32)
    cells = cv2.resize(small, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(cells, cv2.COLOR_RGB2GRAY)
    if grey.std() < _LEAST_DEVIATION:
        return None
    signs = cv2.dct(grey)[:_FREQUENCIES, :_FREQUENCIES] >= 0
    colours = np.rint(_FRAME_WEIGHTS @ cells.reshape(-1, 3)).astype(np.uint8)
    return np.packbits(signs).tobytes().hex() + colours.tobytes().hex()


def read_hashes(hashes: Sequence[str]) -> np.ndarray:
    """Hashes from their hex digits: shape (photos, HASH_BYTES), uint8."""
    return np.frombuffer(bytes.fromhex("".join(hashes)), np.uint8).reshape(-1, HASH_BYTES)


def find_first_known(wanted: np.ndarray, known: np.ndarray) -> np.ndarray:
    """For each wanted hash the place of the first known one that shows the same picture; -1 where none does."""
    first = np.full(len(wanted), -1)
    missing = np.arange(len(wanted))
    for start in range(0, len(known), _KNOWN_AT_ONCE):
        some = known[start : start + _KNOWN_AT_ONCE]
        found = np.full(len(missing), len(some))
        for at, place in _same_pairs(wanted[missing], some):
            np.minimum.at(found, at, place)
        is_found = found < len(some)
        first[missing[is_found]] = start + found[is_found]
        missing = missing[~is_found]
    return first


def find_first_among(hashes: np.ndarray) -> np.ndarray:
    """For each hash the place of the first one before it that shows the same picture; -1 where none does.

    What is named is never a copy itself: each is compared with those only that are no copies.
    """
    first = np.full(len(hashes), -1)
    for start in range(0, len(hashes), _JUDGED_AT_ONCE):
        originals = np.flatnonzero(first[:start] < 0)
        part = np.arange(start, min(start + _JUDGED_AT_ONCE, len(hashes)))
        found = find_first_known(hashes[part], hashes[originals])
        first[part[found >= 0]] = originals[found[found >= 0]]
        part = part[found < 0]
        pairs = [(part[at], part[place]) for at, place in _same_pairs(hashes[part], hashes[part])]
        for later, earlier in sorted({p for pair in pairs for p in zip(*(x.tolist() for x in pair), strict=True)}):
            if earlier < later and first[earlier] < 0 and first[later] < 0:
                first[later] = earlier
    return first


def find_same_pairs(hashes: np.ndarray) -> np.ndarray:
    """Places of all pairs that show the same picture, the earlier one first, each once: shape (pairs, 2), sorted."""
    pairs = [np.stack([at, place], axis=1) for at, place in _same_pairs(hashes, hashes)]
    every = np.concatenate([np.empty((0, 2), np.intp), *pairs])
    return np.unique(every[every[:, 0] < every[:, 1]], axis=0)


def _same_pairs(wanted: np.ndarray, known: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Places in both of all pairs that show the same picture; a pair may come twice."""
    signs = np.unpackbits(wanted[:, :_SIGN_BYTES], axis=1).reshape(-1, _FREQUENCIES, _FREQUENCIES)
    turned = (_words_of(signs), _words_of(signs.transpose(0, 2, 1)))
    orientations = np.stack([words ^ flip for words in turned for flip in _FLIPS])
    known_words = np.ascontiguousarray(known[:, :_SIGN_BYTES]).view(np.uint64)
    colours, known_colours = (hashes[:, _SIGN_BYTES:].astype(np.int16) for hashes in (wanted, known))
    for at, place in _pairs_of_like_colour(colours[:, _LOOKED_UP], known_colours[:, _LOOKED_UP]):
        is_like = (np.abs(colours[at] - known_colours[place]) <= MOST_LEVELS).all(axis=1)
        like, like_known = at[is_like], place[is_like]
        differing = [np.bitwise_count(words[like] ^ known_words[like_known]).sum(axis=1) for words in orientations]
        is_same = np.min(differing, axis=0) <= MOST_SIGNS
        yield like[is_same], like_known[is_same]


def _pairs_of_like_colour(wanted: np.ndarray, known: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Places in both of the pairs that lie in the same boxes, in parts that fit into memory."""
    boxes = _box_of(known)
    order = np.argsort(boxes, kind="stable")
    boxes = boxes[order]
    for corner in product((-MOST_LEVELS, MOST_LEVELS), repeat=len(_LOOKED_UP)):
        box = _box_of(wanted + np.array(corner, np.int16))
        start = np.searchsorted(boxes, box)
        count = np.searchsorted(boxes, box, side="right") - start
        part = np.cumsum(count) // _PAIRS_AT_ONCE
        for some in np.split(np.arange(len(wanted)), np.flatnonzero(np.diff(part)) + 1):
            at = np.repeat(some, count[some])
            within = np.arange(len(at)) - np.repeat(np.cumsum(count[some]) - count[some], count[some])
            yield at, order[start[at] + within]


def _box_of(colours: np.ndarray) -> np.ndarray:
    """One number per row of colours; a box below 0 or above 255 is the next one within."""
    boxes = np.clip(colours, 0, 255) // _BOX_LEVELS
    return np.asarray(boxes @ (256 // _BOX_LEVELS + 1) ** np.arange(boxes.shape[1]))
