"""Photos per second of the training loop beside the bare forward and backward pass of the same model on the same device.

    .venv-training/bin/python -m tests.benchmarks.training_speed --photos ../shared/data --weights-dir ../shared/weights

Both are measured in one process, in turns, so that other work on the machine meets both. The bare pass has its batch on
the device already, in the recipe's precision, and neither augmentation nor optimizer. Wanted: the loop takes at most 1.15
times as long on two CPU cores; on a GPU the bare pass fills at least 90 % of the loop's time. Beside them the bare pass as torch
makes it by itself, without ``cpu_depthwise``.
"""

from __future__ import annotations

import copy
import tempfile
import time
from pathlib import Path
from typing import Annotated

import lightning
import numpy as np
import torch
import typer

from screening.taxonomy import load_taxonomy, load_training_classes
from screening.training.callbacks import MovingAverage, StopAtLostLoss
from screening.training.corpus import read_corpus
from screening.training.cpu_memory import keep_freed_memory
from screening.training.loop import FitMember
from screening.training.networks import build_member
from screening.training.photo_cache import load_pixels
from screening.training.photo_data import PhotoData
from screening.training.recipe import load_recipe


def main(
    photos: Annotated[Path, typer.Option(help="Folder with one folder per data set.")],
    weights_dir: Annotated[Path, typer.Option(help="Folder of ImageNet weights.")],
    recipe: Annotated[
        str, typer.Option(help="Recipe whose first member is trained, at its final size.")
    ] = "first_ensemble",
    steps: Annotated[int, typer.Option(help="Steps of a turn.")] = 12,
    turns: Annotated[int, typer.Option(help="Turns of the loop and of the bare pass.")] = 3,
    batch: Annotated[int | None, typer.Option(help="Photos of a step, if not the recipe's.")] = None,
    threads: Annotated[int, typer.Option(help="Threads of torch on a CPU.")] = 2,
) -> None:
    """Print both speeds and their ratio."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    keep_freed_memory()
    ensemble = load_recipe(recipe)
    changes = {"first_size": None, "first_epochs": 0, "epochs": 1000} | ({"batch_photos": batch} if batch else {})
    member_recipe = ensemble.members[0].model_copy(update=changes)
    classes = load_training_classes(ensemble.classes, load_taxonomy())
    corpus = read_corpus(photos, list(ensemble.sources[:1]), classes).head(512)
    with tempfile.TemporaryDirectory() as work:
        pixels = load_pixels(corpus["photo"].tolist(), Path(work), ensemble.input_side)
        rows = np.tile(np.arange(len(corpus)), 1 + 2 * steps * member_recipe.batch_photos // len(corpus))
        member = build_member(member_recipe, len(classes), weights_dir)
        of_torch = copy.deepcopy(member.backbone).to(memory_format=torch.channels_last)
        module = FitMember(member, member_recipe, classes, np.array([]), np.ones(len(classes)), steps)
        clock = _Turns(steps, turns, of_torch)
        trainer = lightning.Trainer(
            max_epochs=2 * turns,
            limit_train_batches=steps,
            limit_val_batches=0,
            precision=member_recipe.precision,
            callbacks=[StopAtLostLoss(), MovingAverage(0.99), clock],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            gradient_clip_val=member_recipe.gradient_clip,
            use_distributed_sampler=False,
        )
        trainer.fit(module, PhotoData(member_recipe, corpus, pixels, rows, rows[:1]))
    device = trainer.strategy.root_device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {threads} threads"
    per_turn = steps * member_recipe.batch_photos
    loop, bare, of_torch_s = min(clock.loop_s), min(clock.bare_s), min(clock.of_torch_s)
    print(f"{member_recipe.architecture} at {member_recipe.size} px, batch {member_recipe.batch_photos}, {name}")
    print(f"loop {per_turn / loop:.1f} photos/s, bare forward-backward {per_turn / bare:.1f} photos/s")
    print(
        f"bare forward-backward by torch alone {per_turn / of_torch_s:.1f} photos/s, {of_torch_s / bare:.2f} times as long"
    )
    ratios = sorted(a / b for a, b in zip(clock.loop_s, clock.bare_s, strict=True))
    print(f"loop / bare, best turns: {loop / bare:.3f}; turn by turn: {', '.join(f'{r:.3f}' for r in ratios)}")


class _Turns(lightning.Callback):
    """Time an epoch of the loop, then as many bare passes of the same network; the first turn warms up and is dropped."""

    def __init__(self, steps: int, turns: int, of_torch: torch.nn.Module) -> None:
        self.steps, self.turns, self.of_torch = steps, turns, of_torch
        self.loop_s: list[float] = []
        self.bare_s: list[float] = []
        self.of_torch_s: list[float] = []

    def on_train_epoch_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:  # noqa: ARG002
        _wait(module.device)
        self.started = time.perf_counter()

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        module: FitMember,  # type: ignore[override]  # no other module is trained here
        outputs: object,  # noqa: ARG002
        batch: object,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        if batch_idx < self.steps - 1:
            return
        _wait(module.device)
        loop_s = time.perf_counter() - self.started
        bare_s = self._bare(trainer, module, module.member.backbone)
        of_torch_s = self._bare(trainer, module, self.of_torch.to(module.device).train())
        if trainer.current_epoch > 0:
            self.loop_s.append(loop_s)
            self.bare_s.append(bare_s)
            self.of_torch_s.append(of_torch_s)
        if len(self.loop_s) == self.turns:
            trainer.should_stop = True

    def _bare(self, trainer: lightning.Trainer, module: FitMember, network: torch.nn.Module) -> float:
        recipe = module.recipe
        shape = (recipe.batch_photos, 3, recipe.size, recipe.size)
        views = torch.rand(shape, device=module.device).contiguous(memory_format=torch.channels_last)
        labels = torch.zeros(recipe.batch_photos, dtype=torch.long, device=module.device)
        _wait(module.device)
        started = time.perf_counter()
        for _ in range(self.steps):
            with trainer.precision_plugin.forward_context():
                loss = torch.nn.functional.cross_entropy(network(views).float(), labels)
            loss.backward()
            network.zero_grad()
        _wait(module.device)
        return time.perf_counter() - started


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    typer.run(main)
