"""The photos of a run for Lightning: on the device where they fit there, else from the memory map by worker processes."""

from __future__ import annotations

import lightning
import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from screening.training.draws import EpochBatches, InOrder, PhotosByRows, draw_weights
from screening.training.recipe import MemberRecipe

SHARE_OF_DEVICE = 0.3
"""Of the free memory of a GPU that the photos may take: the network, its gradients and the batch need the rest."""
LOADERS = 4
"""Worker processes where the photos do not fit on the GPU: each copies about 1 GB/s, a batch of 256 is 50 MB."""
JUDGED_AT_ONCE = 64


class PhotoData(lightning.LightningDataModule):
    """Training and validation batches of one member.

    Args:
        recipe: batch size, seed and draws are read.
        corpus: one row per photo; ``label``, ``kind`` and ``source`` are read.
        pixels: shape (photos, …), row by row as the corpus: uint8 pixels, or features.
        train: rows that are learnt from.
        validation: rows that are judged after each epoch.
    """

    def __init__(
        self,
        recipe: MemberRecipe,
        corpus: pd.DataFrame,
        pixels: np.ndarray,
        train: np.ndarray,
        validation: np.ndarray,
    ) -> None:
        super().__init__()
        self.recipe, self.corpus, self.pixels, self.train, self.validation = recipe, corpus, pixels, train, validation
        self.on_device: Tensor | None = None
        self.first_epoch = 0

    @property
    def _in_use(self) -> lightning.Trainer:
        """The trainer that asks for photos; Lightning sets it before it does."""
        if self.trainer is None:
            raise RuntimeError("photos are asked for by a trainer")
        return self.trainer

    def setup(self, stage: str) -> None:  # noqa: ARG002
        """Put the photos onto the GPU if they fit there."""
        device = self._in_use.strategy.root_device
        if device.type == "cuda" and self.on_device is None:
            free, _ = torch.cuda.mem_get_info(device)
            if self.pixels.nbytes <= SHARE_OF_DEVICE * free:
                self.on_device = _copied(self.pixels, device)

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        draws = self.recipe.draws
        weights = draw_weights(self.corpus.iloc[self.train], draws) if draws.order == "by_chance" else None
        rank, world = self._in_use.global_rank, self._in_use.world_size
        batches = EpochBatches(self.train, self.recipe.batch_photos, self.recipe.seed, weights, rank, world)
        # Worker processes ask for the first batches of a resumed run before Lightning names its epoch.
        batches.set_epoch(self.first_epoch)
        return self._loader(batches)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        return self._loader(InOrder(self.validation, JUDGED_AT_ONCE))

    def _loader(self, batches: EpochBatches | InOrder) -> DataLoader[tuple[Tensor, Tensor]]:
        photos = PhotosByRows(
            self.pixels if self.on_device is None else self.on_device, self.corpus["label"].to_numpy()
        )
        # On a CPU the step itself has all cores, and on_device there is nothing left to load.
        from_disk = self._in_use.strategy.root_device.type == "cuda" and self.on_device is None
        return DataLoader(
            photos,
            batch_size=None,
            sampler=batches,
            num_workers=LOADERS if from_disk else 0,
            pin_memory=from_disk,
            persistent_workers=from_disk,
        )


def _copied(pixels: np.ndarray, device: torch.device) -> Tensor:
    """All rows on the device, a few at a time: they are never in the computer's memory as a whole."""
    rows = 2048
    target = torch.empty(pixels.shape, dtype=torch.from_numpy(pixels[:1]).dtype, device=device)
    for start in range(0, len(pixels), rows):
        target[start : start + rows] = torch.from_numpy(pixels[start : start + rows].copy()).to(device)
    return target
