"""Which photos each step of an epoch shows: a function of the seed and the epoch alone, so that a resumed run draws alike."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from screening.training.corpus import CLINICAL
from screening.training.recipe import Draws


def generator_of(*numbers: int) -> torch.Generator:
    """A generator on the CPU whose stream belongs to these numbers, e.g. seed, epoch and step."""
    [seed] = np.random.SeedSequence(numbers).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(seed >> np.uint64(1)))


def draw_weights(corpus: pd.DataFrame, draws: Draws) -> np.ndarray:
    """Chance of each photo to be drawn, shape (photos,), summing to 1; columns ``kind``, ``source`` and ``label`` are read."""
    weights = np.zeros(len(corpus))
    kinds, sources = corpus["kind"].to_numpy(), corpus["source"].to_numpy()
    for kind, source, share in _shares(kinds, sources, draws):
        of_kind = np.ones(len(corpus), bool) if kind is None else kinds == kind
        inside = np.flatnonzero(of_kind if source is None else of_kind & (sources == source))
        labels = corpus["label"].to_numpy()[inside]
        per_photo = np.bincount(labels)[labels] ** -draws.class_power
        weights[inside] = share * per_photo / per_photo.sum()
    return weights


def _shares(kinds: np.ndarray, sources: np.ndarray, draws: Draws) -> Iterator[tuple[str | None, str | None, float]]:
    if draws.balanced_over == "nothing":
        yield None, None, 1.0
        return
    present = np.unique(kinds)
    for kind in present:
        of_kind = 1.0 if len(present) == 1 else draws.clinical_share if kind == CLINICAL else 1 - draws.clinical_share
        if draws.balanced_over == "kind":
            yield kind, None, of_kind
            continue
        names, counts = np.unique(sources[kinds == kind], return_counts=True)
        for name, part in zip(names, np.sqrt(counts) / np.sqrt(counts).sum(), strict=True):
            yield kind, name, of_kind * float(part)


class EpochBatches(Sampler[np.ndarray]):
    """Row numbers of every batch of an epoch. Lightning calls ``set_epoch``.

    Of several devices each gets its own rows, and as many batches as the others. A last batch that is not full is left
    out, unless it is the only one.
    """

    def __init__(
        self, rows: np.ndarray, batch: int, seed: int, weights: np.ndarray | None = None, rank: int = 0, world: int = 1
    ) -> None:
        self.rows, self.batch, self.seed, self.weights, self.rank, self.world = rows, batch, seed, weights, rank, world
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return max(1, len(self.rows) // self.world // self.batch)

    def __iter__(self) -> Iterator[np.ndarray]:
        generator = generator_of(self.seed, self.epoch)
        if self.weights is None:
            order = torch.randperm(len(self.rows), generator=generator).numpy()
        else:
            chances = torch.from_numpy(self.weights)
            order = torch.multinomial(chances, len(self.rows), replacement=True, generator=generator).numpy()
        mine = self.rows[order[self.rank :: self.world]]
        for number in range(len(self)):
            yield mine[number * self.batch : (number + 1) * self.batch]


class InOrder(Sampler[np.ndarray]):
    """Row numbers of every batch, one after the other, the last one smaller."""

    def __init__(self, rows: np.ndarray, batch: int) -> None:
        self.rows, self.batch = rows, batch

    def __len__(self) -> int:
        return (len(self.rows) + self.batch - 1) // self.batch

    def __iter__(self) -> Iterator[np.ndarray]:
        for start in range(0, len(self.rows), self.batch):
            yield self.rows[start : start + self.batch]


class PhotosByRows(Dataset[tuple[Tensor, Tensor]]):
    """A whole batch at once: pixels (or features) and labels of the given rows."""

    def __init__(self, pixels: np.ndarray | Tensor, labels: np.ndarray) -> None:
        self.pixels = pixels
        self.labels = torch.from_numpy(labels.astype(np.int64))
        if isinstance(pixels, Tensor):
            self.labels = self.labels.to(pixels.device)

    def __getitem__(self, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        if isinstance(self.pixels, Tensor):
            at = torch.from_numpy(rows).to(self.pixels.device, non_blocking=True)
            return self.pixels[at], self.labels[at]
        return torch.from_numpy(self.pixels[rows]), self.labels[torch.from_numpy(rows)]
