"""Optimizer and learning-rate schedule of a recipe."""

from __future__ import annotations

import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from timm.optim.rmsprop_tf import RMSpropTF
from torch import nn
from torch.optim import Optimizer as TorchOptimizer
from torch.optim.lr_scheduler import OneCycleLR, StepLR

from screening.training.recipe import MemberRecipe, Optimizer

WARM_UP = 0.05
"""Share of the steps in which one_cycle rises; docs/decisions/0004."""


def make_optimizer(body: list[nn.Parameter], head: list[nn.Parameter], recipe: Optimizer) -> TorchOptimizer:
    """The optimizer over backbone and head; an empty body is left out."""
    groups = [{"params": body, "lr": recipe.learning_rate}] if body else []
    groups.append({"params": head, "lr": recipe.head_learning_rate or recipe.learning_rate})
    if recipe.name == "adamw":
        return torch.optim.AdamW(groups, weight_decay=recipe.weight_decay, eps=recipe.epsilon)
    if recipe.name == "sgd":
        return torch.optim.SGD(groups, recipe.learning_rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay)
    return RMSpropTF(
        groups,
        recipe.learning_rate,
        alpha=recipe.decay,
        eps=recipe.epsilon,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
    )


def with_schedule(optimizer: TorchOptimizer, recipe: MemberRecipe, steps_per_epoch: int) -> OptimizerLRSchedulerConfig:
    """The optimizer with its schedule, as Lightning wants it."""
    schedule = recipe.schedule
    if schedule.name == "one_cycle":
        steps = recipe.epochs * steps_per_epoch
        cycle = OneCycleLR(
            optimizer,
            max_lr=[group["lr"] for group in optimizer.param_groups],
            total_steps=steps,
            pct_start=max(WARM_UP, 2 / steps),  # torch divides by zero where the warm-up is one step
            # The first ensemble's momentum moved with the rate too, which is what torch does unless told otherwise.
            cycle_momentum=recipe.optimizer.name == "adamw",
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}
    every = schedule.every_epochs if schedule.name == "step" else recipe.epochs + 1
    step = StepLR(optimizer, step_size=every, gamma=1 / schedule.divide_by)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": step, "interval": "epoch"}}
