"""What happens around the steps: lines for a person, a stop where a number is lost, a moving average of the weights."""

from __future__ import annotations

from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, WeightAveraging
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from screening.errors import TrainingError

STEPS_BETWEEN_LOOKS = 25
"""Looking at a loss makes the CPU wait for the GPU; once in so many steps costs nothing that can be measured."""


class EpochLine(Callback):
    """One line per epoch on stdout: what a person following a long run wants."""

    def on_validation_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        numbers = {name: f"{float(value):.3f}" for name, value in sorted(trainer.callback_metrics.items())}
        module.print(f"epoch {trainer.current_epoch}: {numbers}")


class StopAtLostLoss(Callback):
    """Stop when a loss is not a number, with the step at which it was lost; no checkpoint is written after it."""

    def __init__(self) -> None:
        self.losses: list[Tensor] = []
        self.first = 0

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        module: lightning.LightningModule,
        outputs: Any,
        batch: Any,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        self.first = self.first if self.losses else batch_idx
        self.losses.append(outputs["loss"].detach())
        if len(self.losses) == STEPS_BETWEEN_LOOKS:
            self._look(trainer, module)

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self._look(trainer, module)

    def on_validation_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self._look(trainer, module)

    def _look(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        if not self.losses:
            return
        is_lost = ~torch.stack(self.losses).isfinite()
        self.losses.clear()
        if is_lost.any():
            step = self.first + int(is_lost.float().argmax())
            raise TrainingError(
                f"{getattr(module, 'name', 'member')}: the loss is not a number at step {step} of epoch "
                f"{trainer.current_epoch}; a lower learning_rate, a gradient_clip or precision: 32-true may help. "
                "The checkpoint of the epoch before stands"
            )


class MovingAverage(WeightAveraging):
    """Exponential moving average of the weights, all tensors in one call; validated and kept in their place."""

    def __init__(self, decay: float) -> None:
        super().__init__(multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call]
