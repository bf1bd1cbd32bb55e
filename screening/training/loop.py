"""The training loop of one member, as Lightning wants it: what a step does, and how an epoch is judged."""

from __future__ import annotations

import lightning
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.nn import functional

from screening.taxonomy import TrainingClasses
from screening.training.augment import augment_batch, mix_pairs
from screening.training.cpu_depthwise import speed_up_depthwise
from screening.training.draws import generator_of
from screening.training.evaluation.table import grade_aucs
from screening.training.networks import Member, last_layer
from screening.training.optimize import make_optimizer, with_schedule
from screening.training.recipe import MemberRecipe


class FitMember(lightning.LightningModule):
    """One member in training. An epoch is judged by the mean grade AUC over the kinds of photo.

    Args:
        member: what is trained.
        recipe: how.
        classes: what it answers, and their grades.
        kinds: kind of each validation photo, in their order.
        class_weights: shape (classes,), of the loss.
        steps_per_epoch: of the schedule.
    """

    class_weights: Tensor

    def __init__(
        self,
        member: Member,
        recipe: MemberRecipe,
        classes: TrainingClasses,
        kinds: np.ndarray,
        class_weights: np.ndarray,
        steps_per_epoch: int,
    ) -> None:
        super().__init__()
        self.member = member.to(memory_format=torch.channels_last)
        speed_up_depthwise(self.member)
        self.recipe, self.classes, self.kinds, self.steps_per_epoch = recipe, classes, kinds, steps_per_epoch
        self.name = recipe.name
        self.register_buffer("class_weights", torch.from_numpy(class_weights).float(), persistent=False)
        self.seen: list[tuple[Tensor, Tensor]] = []
        if recipe.trained != "all":
            member.requires_grad_(requires_grad=False)
            self.head.requires_grad_(requires_grad=True)
        self.train()  # Lightning takes the modes as it finds them

    @property
    def head(self) -> nn.Module:
        """The last layer of the network."""
        return self.member.backbone.get_submodule(last_layer(self.member.backbone))

    def train(self, mode: bool = True) -> FitMember:
        """A frozen backbone also keeps its BatchNorm as it was; only dropout works as in training."""
        super().train(mode)
        if self.recipe.trained != "all":
            self.member.eval()
            for module in self.member.modules():
                if isinstance(module, nn.Dropout):
                    module.train(mode)
        return self

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        pixels, labels = batch
        random = generator_of(self.recipe.seed, self.current_epoch, batch_idx, self.global_rank)
        # Dropout draws from torch's own generator. Seeded in each step, as Lightning leaves out the hooks at the start of the
        # epoch that it resumes with.
        torch.manual_seed(random.initial_seed())
        targets = functional.one_hot(labels, len(self.class_weights)).float()
        with torch.no_grad():
            views = self._views(pixels, random)
            if self.recipe.mixup_alpha:
                views, targets = mix_pairs(views, targets, self.recipe.mixup_alpha, random)
        logits = self._logits(views)
        loss = functional.cross_entropy(
            logits.float(), targets, self.class_weights, label_smoothing=self.recipe.label_smoothing
        )
        self.log("loss", loss, on_step=False, on_epoch=True, batch_size=len(labels))
        return loss

    def _views(self, pixels: Tensor, random: torch.Generator) -> Tensor:
        recipe = self.recipe
        if recipe.trained == "head_on_cached_features":
            return pixels.float()
        size = recipe.first_size if recipe.first_size and self.current_epoch < recipe.first_epochs else recipe.size
        views = augment_batch(pixels, size, recipe.augmentations, random)
        return self.member.standardise(views).contiguous(memory_format=torch.channels_last)

    def _logits(self, views: Tensor) -> Tensor:
        network = self.head if self.recipe.trained == "head_on_cached_features" else self.member.backbone
        logits: Tensor = network(views)
        return logits

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        pixels, labels = batch
        features = self.recipe.trained == "head_on_cached_features"
        logits = self.head(pixels.float()) if features else self.member(pixels)
        self.seen.append((torch.softmax(logits.float(), dim=1), labels))

    def on_validation_epoch_end(self) -> None:
        probabilities = torch.cat([p for p, _ in self.seen]).cpu().numpy()
        labels = torch.cat([y for _, y in self.seen]).cpu().numpy()
        self.seen.clear()
        means = []
        for kind in np.unique(self.kinds):
            of_kind = self.kinds == kind
            aucs = grade_aucs(labels[of_kind], probabilities[of_kind], self.classes)
            known = [auc for auc in aucs.values() if np.isfinite(auc)]
            means.append(float(np.mean(known)) if known else 0.5)  # one grade alone tells nothing
            for grade, auc in aucs.items():
                self.log(f"{kind}_{grade}", auc, rank_zero_only=True)
        self.log("auc", float(np.mean(means)), sync_dist=True)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        head = list(self.head.parameters())
        of_head = {id(parameter) for parameter in head}
        body = [p for p in self.member.parameters() if p.requires_grad and id(p) not in of_head]
        return with_schedule(make_optimizer(body, head, self.recipe.optimizer), self.recipe, self.steps_per_epoch)
