"""Fit the network that finds regions: composed scenes, all layers, in three rounds, with its own lesion masks.

The first round learns lesions from drawn masks, nearly all of them clinical. It then marks lesions in dermoscopic photos
that have no mask, and the second learns from those marks of which it was sure (self-training). The last goes on from the
second with a low rate, partly on plain photos: in a composed scene there is always something wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, RichProgressBar
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from screening.training.quality.photos import LabelledPhoto
from screening.training.quality.regions_network import RegionsNetwork
from screening.training.quality.scenes import HAIR, INK, LESION, Scene, cloth, compose, moved, seen, skin_of

_SURE = 0.8
"""Probability (or its opposite) from which a mark of the first round is taught to the next."""
_LEAST_LESION = 0.01
"""Of the frame: where less was found the lesion was missed, since every one of these photos has one."""


class RegionsRecipe(BaseModel):
    """How the network is trained; every field is written in the recipe file."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    first_epochs: int = Field(ge=1, description="epochs with drawn masks only")
    epochs: int = Field(ge=1, description="epochs of the second round")
    last_epochs: int = Field(ge=1, description="epochs of the last round, which goes on from the second")
    scenes_per_epoch: int = Field(ge=32)
    batch_scenes: int = Field(ge=2)
    learning_rate: float = Field(gt=0, description="AdamW, one cycle with a warm-up of 10 %")
    last_learning_rate: float = Field(gt=0, description="the same of the last round")
    last_plain_share: float = Field(ge=0, le=1, description="share of scenes with nothing drawn, in the last round")
    weight_decay: float = Field(ge=0)
    ema_decay: float = Field(gt=0, lt=1)
    masked_share: float = Field(gt=0, lt=1, description="share of the scenes whose photo has a lesion mask")
    seed: int


class SceneDataset(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Scenes composed when they are asked for; the same for the same seed, epoch and place."""

    def __init__(self, photos: Sequence[LabelledPhoto], recipe: RegionsRecipe, plain_share: float) -> None:
        self.plain_share = plain_share
        self.masked = [photo for photo in photos if photo.has_mask]
        self.others = [photo for photo in photos if not photo.has_mask] or self.masked
        self.photos, self.recipe, self.epoch = list(photos), recipe, 0

    def __len__(self) -> int:
        return self.recipe.scenes_per_epoch

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        random = np.random.default_rng((self.recipe.seed, self.epoch, index))
        pool = self.masked if random.random() < self.recipe.masked_share else self.others
        scene = pool[random.integers(len(pool))].scene()
        is_plain = random.random() < self.plain_share
        scene = seen(moved(scene, random), random) if is_plain else draw_scene(scene, self.photos, random)
        pixels = torch.from_numpy(np.rint(scene.pixels * 255).astype(np.uint8))
        return pixels, torch.from_numpy(scene.truth), torch.from_numpy(scene.known)


def draw_scene(scene: Scene, photos: Sequence[LabelledPhoto], random: np.random.Generator) -> Scene:
    """A composed scene; now and then skin without a lesion, or no skin at all."""
    other = photos[int(random.integers(len(photos)))].scene()
    chance = random.random()
    if chance < 0.04:
        scene = cloth(random)
    elif chance < 0.12:
        scene = skin_of(other, scene, random)
    return compose(scene, other, random)


class FitRegions(lightning.LightningModule):
    """Cross-entropy of every known pixel, and Dice for the lesion."""

    def __init__(self, network: RegionsNetwork, recipe: RegionsRecipe, learning_rate: float, steps: int) -> None:
        super().__init__()
        self.network, self.recipe = network, recipe
        self.learning_rate, self.steps = learning_rate, steps
        weights = torch.ones(4)
        weights[[INK, HAIR]] = 2.0  # few pixels have them
        self.register_buffer("positive_weights", weights[:, None, None])

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], _: int) -> Tensor:
        pixels, truth, known = batch
        logits = self.network(pixels).float()
        loss = regions_loss(logits, *to_cells(truth, known), self.get_buffer("positive_weights"))
        self.log("loss", loss, prog_bar=True, on_step=False, on_epoch=True)
        return loss

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=self.learning_rate, weight_decay=self.recipe.weight_decay
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=self.learning_rate, total_steps=self.steps, pct_start=0.1
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def to_cells(truth: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Maps of the pictures to the network's cells of 4 x 4 pixels; a cell crossed by a hair or a stroke has it."""
    cells = functional.avg_pool2d(truth * known, 4) / functional.avg_pool2d(known, 4).clamp(min=1e-3)
    thin = [INK, HAIR]
    cells[:, thin] = (cells[:, thin] * 3).clamp(max=1)
    certain = functional.avg_pool2d(known, 4)
    # A cell that a known hair crosses is known, whatever the rest of it is.
    certain[:, thin] = torch.maximum(certain[:, thin], functional.max_pool2d((truth * known)[:, thin], 4))
    return cells, certain


def regions_loss(logits: Tensor, truth: Tensor, known: Tensor, positive_weights: Tensor) -> Tensor:
    """Mean cross-entropy over what is known, plus one minus the Dice of each known lesion."""
    entropy = functional.binary_cross_entropy_with_logits(logits, truth, pos_weight=positive_weights, reduction="none")
    by_channel = (entropy * known).sum(dim=(0, 2, 3)) / known.sum(dim=(0, 2, 3)).clamp(min=1)
    seen, drawn, sure = torch.sigmoid(logits[:, LESION]), truth[:, LESION], known[:, LESION]
    overlap = (seen * drawn * sure).sum(dim=(1, 2))
    dice = (2 * overlap + 1) / ((seen * sure).sum(dim=(1, 2)) + (drawn * sure).sum(dim=(1, 2)) + 1)
    has_lesion = (drawn * sure).sum(dim=(1, 2)) > 4
    missed = (1 - dice[has_lesion]).mean() if has_lesion.any() else logits.new_zeros(())
    return by_channel.sum() + missed


class _NextEpoch(Callback):
    def __init__(self, scenes: SceneDataset) -> None:
        self.scenes = scenes

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        module.print(f"epoch {trainer.current_epoch}: loss {float(trainer.callback_metrics['loss']):.4f}", flush=True)
        self.scenes.epoch += 1


def fit_regions(
    photos: Sequence[LabelledPhoto], recipe: RegionsRecipe, weights_dir: Path, folder: Path
) -> RegionsNetwork:
    """All rounds; each is kept in ``folder`` and not done again."""
    learnt = [photo for photo in photos if not photo.is_held_out]

    def fit(name: str, given: Sequence[LabelledPhoto], how: _Round) -> RegionsNetwork:
        return _fit(given, recipe, how, weights_dir, folder / f"{name}.pt")

    first = fit("first", learnt, _Round(recipe.first_epochs, recipe.learning_rate))
    marked = [photo if photo.has_mask else mark_lesion(photo, first) for photo in learnt]
    second = fit("second", marked, _Round(recipe.epochs, recipe.learning_rate))
    last = _Round(recipe.last_epochs, recipe.last_learning_rate, recipe.last_plain_share, second.state_dict())
    return fit("last", marked, last)


@torch.inference_mode()
def mark_lesion(photo: LabelledPhoto, network: RegionsNetwork) -> LabelledPhoto:
    """The photo with the network's own lesion; pixels of which it is not sure stay unknown."""
    logits = network(torch.from_numpy(photo.pixels[None]))[:, LESION : LESION + 1]
    found = torch.sigmoid(functional.interpolate(logits, photo.pixels.shape[:2], mode="bilinear"))[0, 0].numpy()
    truth, known = photo.truth.copy(), photo.known.copy()
    truth[LESION] = (found > 0.5) * np.uint8(255)
    known[LESION] = (np.maximum(found, 1 - found) > _SURE) * np.uint8(255)
    if (found > _SURE).mean() < _LEAST_LESION:
        known[LESION] = 0
    return replace(photo, truth=truth, known=known)


@dataclass(frozen=True)
class _Round:
    epochs: int
    learning_rate: float
    plain_share: float = 0.0
    start: Mapping[str, Tensor] | None = None


def _fit(
    photos: Sequence[LabelledPhoto], recipe: RegionsRecipe, how: _Round, weights_dir: Path, file: Path
) -> RegionsNetwork:
    lightning.seed_everything(recipe.seed, workers=True, verbose=False)
    torch.set_flush_denormal(True)
    network = RegionsNetwork(weights_dir)
    if how.start:
        network.load_state_dict(how.start)
    if not file.is_file():
        scenes = SceneDataset(photos, recipe, how.plain_share)
        # Composing costs half as much as learning: one process beside it keeps up.
        loader = DataLoader(scenes, recipe.batch_scenes, drop_last=True, num_workers=1)
        trainer = lightning.Trainer(
            max_epochs=how.epochs,
            precision="bf16-mixed",
            callbacks=[
                EMAWeightAveraging(decay=recipe.ema_decay),
                _NextEpoch(scenes),
                RichProgressBar(refresh_rate=20),
            ],
            logger=False,
            enable_checkpointing=False,
            default_root_dir=file.parent,
            enable_model_summary=False,
            gradient_clip_val=1.0,
        )
        trainer.fit(FitRegions(network, recipe, how.learning_rate, how.epochs * len(loader)), loader)
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.save(network.state_dict(), file)
    network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    return network.eval()
