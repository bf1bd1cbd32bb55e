"""Fine-tune one member on all its layers (Lightning loop: best weights, exponential moving average, bf16)."""

from __future__ import annotations

from pathlib import Path

import lightning
import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, ModelCheckpoint, RichProgressBar
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler

from screening.taxonomy import TrainingClasses
from screening.training.artefacts import draw_artefacts
from screening.training.augment import augment_batch, mix_pairs
from screening.training.corpus import CLINICAL
from screening.training.evaluation.table import grade_aucs
from screening.training.networks import Member, build_backbone


class MemberRecipe(BaseModel):
    """How one member is trained; every field is written in the recipe file."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = Field(description="model name in the Triton repository")
    architecture: str = Field(description="torchvision's name")
    size: int = Field(ge=64, le=512, description="side in pixels that the backbone sees")
    first_size: int = Field(ge=64, le=512, description="side in the first epochs (progressive resizing)")
    first_epochs: int = Field(ge=0, description="epochs at first_size")
    epochs: int = Field(ge=1, description="epochs of the learning-rate schedule")
    stop_after: int | None = Field(
        default=None,
        ge=1,
        description="epochs that are run, where fewer: the moving average is good before the rate is zero",
    )
    batch_photos: int = Field(default=32, ge=2)
    learning_rate: float = Field(gt=0, description="AdamW, backbone; cosine to zero after a warm-up of 5 %")
    head_learning_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    label_smoothing: float = Field(ge=0, lt=1)
    mixup_alpha: float = Field(
        default=0.0,
        ge=0,
        description="photos of a batch are blended in pairs by a share from Beta(alpha, alpha), their labels too; "
        "0 = never. Source: Zhang et al. 2018, mixup",
    )
    artefact_share: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of the photos, of every class alike, on which ink, hair, rulers, dark corners or borders are "
        "drawn; docs/decisions/0015",
    )
    ema_decay: float = Field(gt=0, lt=1, description="exponential moving average of the weights, which is what is kept")
    clinical_share: float = Field(gt=0, lt=1, description="share of clinical photos among those drawn")
    seed: int


def draw_weights(corpus: pd.DataFrame, clinical_share: float) -> np.ndarray:
    """Chance of each photo to be drawn: kinds in the given share, diseases by the root of their number within a kind."""
    weights = np.zeros(len(corpus))
    kinds = corpus["kind"].to_numpy()
    for kind in np.unique(kinds):
        inside = np.flatnonzero(kinds == kind)
        labels = corpus["label"].to_numpy()[inside]
        per_photo = 1.0 / np.sqrt(np.bincount(labels)[labels])
        share = 1.0 if len(np.unique(kinds)) == 1 else clinical_share if kind == CLINICAL else 1 - clinical_share
        weights[inside] = share * per_photo / per_photo.sum()
    return weights


class PhotoDataset(Dataset[tuple[Tensor, int]]):
    """Cached pixels and labels of the given rows."""

    def __init__(self, pixels: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> None:
        self.pixels, self.labels, self.rows = pixels, labels, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        row = self.rows[index]
        return torch.from_numpy(np.array(self.pixels[row])), int(self.labels[row])


class FitMember(lightning.LightningModule):
    """The training loop of one member. Validation is the mean grade AUC over the kinds of photo."""

    def __init__(
        self, member: Member, recipe: MemberRecipe, classes: TrainingClasses, kinds: np.ndarray, steps: int
    ) -> None:
        super().__init__()
        self.member = member.to(memory_format=torch.channels_last)
        self.recipe, self.classes, self.kinds, self.steps = recipe, classes, kinds, steps
        self.random = torch.Generator().manual_seed(recipe.seed)
        self.seen: list[tuple[Tensor, Tensor]] = []

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        pixels, labels = batch
        size = self.recipe.first_size if self.current_epoch < self.recipe.first_epochs else self.recipe.size
        with torch.no_grad():
            pixels = draw_artefacts(pixels, self.recipe.artefact_share, self.random)
            views = augment_batch(pixels.cpu(), size, self.random).to(self.device)
        targets = torch.nn.functional.one_hot(labels, len(self.classes)).float()
        if self.recipe.mixup_alpha:
            views, targets = mix_pairs(views, targets, self.recipe.mixup_alpha, self.random)
        logits = self.member.backbone(views.contiguous(memory_format=torch.channels_last))
        loss = torch.nn.functional.cross_entropy(logits.float(), targets, label_smoothing=self.recipe.label_smoothing)
        self.log("loss", loss, prog_bar=True, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        pixels, labels = batch
        self.seen.append((torch.softmax(self.member(pixels).float(), dim=1).cpu(), labels.cpu()))

    def on_validation_epoch_end(self) -> None:
        probabilities = torch.cat([p for p, _ in self.seen]).numpy()
        labels = torch.cat([y for _, y in self.seen]).numpy()
        self.seen.clear()
        if len(labels) != len(self.kinds):  # Lightning's sanity check sees two batches only
            return
        means = []
        for kind in np.unique(self.kinds):
            of_kind = self.kinds == kind
            aucs = grade_aucs(labels[of_kind], probabilities[of_kind], self.classes)
            means.append(np.nanmean(list(aucs.values())))
            for grade, auc in aucs.items():
                self.log(f"{kind}_{grade}", auc)
        self.log("auc", float(np.mean(means)), prog_bar=True)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        head = list(self.member.backbone.get_submodule("classifier").parameters())
        known = {id(p) for p in head}
        body = [p for p in self.member.parameters() if id(p) not in known]
        optimizer = torch.optim.AdamW(
            [{"params": body, "lr": self.recipe.learning_rate}, {"params": head, "lr": self.recipe.head_learning_rate}],
            weight_decay=self.recipe.weight_decay,
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=[self.recipe.learning_rate, self.recipe.head_learning_rate],
            total_steps=self.steps,
            pct_start=0.05,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class EpochLine(Callback):
    """One line per epoch on stdout: what a person following a long run wants."""

    def on_validation_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        numbers = {name: f"{float(value):.3f}" for name, value in sorted(trainer.callback_metrics.items())}
        module.print(f"epoch {trainer.current_epoch}: {numbers}")


def fit_member(
    recipe: MemberRecipe,
    corpus: pd.DataFrame,
    side: pd.Series,
    pixels: np.ndarray,
    classes: TrainingClasses,
    weights_dir: Path,
    folder: Path,
) -> Member:
    """Train one member, resuming from ``folder`` if it was killed; returns the averaged weights of the best epoch."""
    lightning.seed_everything(recipe.seed, workers=True, verbose=False)
    torch.set_flush_denormal(True)
    labels = corpus["label"].to_numpy()
    train, validation = (np.flatnonzero(side == name) for name in ("train", "validation"))
    draws = torch.Generator().manual_seed(recipe.seed)
    sampler = WeightedRandomSampler(
        draw_weights(corpus.iloc[train], recipe.clinical_share).tolist(), len(train), generator=draws
    )
    train_loader = DataLoader(
        PhotoDataset(pixels, labels, train),
        recipe.batch_photos,
        sampler=sampler,
        drop_last=len(train) > recipe.batch_photos,
    )
    validation_loader = DataLoader(PhotoDataset(pixels, labels, validation), 64)
    member = Member(build_backbone(recipe.architecture, len(classes), weights_dir), recipe.size)
    module = FitMember(
        member, recipe, classes, corpus["kind"].to_numpy()[validation], steps=recipe.epochs * len(train_loader)
    )
    best = ModelCheckpoint(folder, "best", monitor="auc", mode="max", enable_version_counter=False)
    every = ModelCheckpoint(folder, "last", enable_version_counter=False)
    trainer = lightning.Trainer(
        max_epochs=recipe.stop_after or recipe.epochs,
        precision="bf16-mixed",
        callbacks=[
            best,
            every,
            EMAWeightAveraging(decay=recipe.ema_decay),
            EpochLine(),
            RichProgressBar(refresh_rate=10),
        ],
        logger=False,
        default_root_dir=folder,
        num_sanity_val_steps=0,
        enable_model_summary=False,
        gradient_clip_val=1.0,
    )
    last = folder / "last.ckpt"
    trainer.fit(module, train_loader, validation_loader, ckpt_path=last if last.is_file() else None, weights_only=True)
    state = torch.load(best.best_model_path or folder / "best.ckpt", map_location="cpu", weights_only=True)[
        "state_dict"
    ]
    member.load_state_dict({k.removeprefix("member."): v for k, v in state.items() if k.startswith("member.")})
    return member.eval()
