"""Which patients are kept out of every training of a quality network, so that its filters can be measured on them."""

from __future__ import annotations

import hashlib

_HELD_OUT_ONE_IN = 5


def is_held_out(patient_id: str) -> bool:
    """Whether the photos of this patient are only ever measured on: about one patient in five.

    The id decides by its SHA-256 and nothing else does, so a patient stays on the same side whatever photos are added,
    whichever set they come from and whoever asks. No state and no seed: training and measuring call the same function.

    Args:
        patient_id: as the set's labels write it, e.g. ``PAT_1000``.
    """
    return int(hashlib.sha256(patient_id.encode()).hexdigest(), 16) % _HELD_OUT_ONE_IN == 0
