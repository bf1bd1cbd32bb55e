"""Train one member: photos, loop, callbacks and checkpoints put together; killed, it goes on after the last whole epoch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import lightning
import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, RichProgressBar, Timer
from lightning.pytorch.loggers import Logger

from screening.errors import ContractError
from screening.taxonomy import TrainingClasses
from screening.training.callbacks import EpochLine, MovingAverage, StopAtLostLoss
from screening.training.checkpoints import WholeFiles
from screening.training.cpu_memory import keep_freed_memory
from screening.training.disk import write_whole
from screening.training.draws import EpochBatches
from screening.training.frozen_features import cached_features
from screening.training.loop import FitMember
from screening.training.networks import Member, build_member
from screening.training.photo_data import PhotoData
from screening.training.recipe import MemberRecipe
from screening.training.safetensors_file import load_safetensors


@dataclass(frozen=True)
class PhotosOfMember:
    """What a member learns from.

    ``corpus`` has one row per photo, ``pixels`` the shape (photos, side, side, 3), uint8, in the same order; ``train`` and
    ``validation`` are row numbers.
    """

    corpus: pd.DataFrame
    pixels: np.ndarray
    train: np.ndarray
    validation: np.ndarray


@dataclass(frozen=True)
class StartWeights:
    """A member's weights in a release, and their SHA-256 where the release tells it."""

    file: Path
    sha256: str | None


def fit_member(
    recipe: MemberRecipe,
    photos: PhotosOfMember,
    classes: TrainingClasses,
    weights_dir: Path,
    folder: Path,
    logger: Logger | None = None,
    *,
    start: StartWeights | None = None,
) -> Member:
    """Train one member, resuming from ``folder`` if it was killed; one that is finished there is only loaded.

    Args:
        recipe: how.
        photos: what it learns from and is judged on.
        classes: what the member answers, and their grades.
        weights_dir: folder of pretrained weights.
        folder: of checkpoints; features of frozen backbones are kept beside it.
        logger: gets the metrics of each epoch and the seconds.
        start: weights of an earlier release's member to start from; None: those that the recipe names.

    Returns:
        The member with the best epoch's weights, ready to answer.

    Raises:
        TrainingError: the loss became no number, or the disk is full.
        ContractError: the training photos lack a class that the validation photos have, or the folder belongs to
            another recipe.
    """
    lightning.seed_everything(recipe.seed, workers=True, verbose=False)
    _take_folder(recipe, folder)
    _check_classes(photos, classes)
    finished = folder / "finished"
    if not finished.is_file():
        member = build_member(recipe, len(classes), weights_dir, is_empty=start is not None)
        if start:
            load_safetensors(member, start.file, start.sha256)
        _run_epochs(member, recipe, photos, classes, folder, logger)
        finished.touch()
    # A network of its own, not the one that was trained: that one's memory layout makes other roundings than a loaded one's.
    member = build_member(recipe, len(classes), weights_dir, is_empty=True)
    state = torch.load(folder / "best.ckpt", map_location="cpu", weights_only=True)["state_dict"]
    member.load_state_dict({k.removeprefix("member."): v for k, v in state.items() if k.startswith("member.")})
    return member.cpu().requires_grad_(requires_grad=True).eval()


def _run_epochs(
    member: Member,
    recipe: MemberRecipe,
    photos: PhotosOfMember,
    classes: TrainingClasses,
    folder: Path,
    logger: Logger | None,
) -> None:
    torch.set_flush_denormal(True)
    keep_freed_memory()
    shown = photos.pixels
    if recipe.trained == "head_on_cached_features":
        shown = cached_features(member, photos.pixels, folder.parent)
    best = ModelCheckpoint(folder, "best", monitor="auc", mode="max", enable_version_counter=False)
    timer = Timer()
    trainer = _trainer(recipe, folder, [best, timer], logger)
    module = FitMember(
        member,
        recipe,
        classes,
        photos.corpus["kind"].to_numpy()[photos.validation],
        _class_weights(photos.corpus["label"].to_numpy()[photos.train], len(classes), recipe),
        len(EpochBatches(photos.train, recipe.batch_photos, recipe.seed, world=trainer.world_size)),
    )
    last = folder / "last.ckpt"
    data = PhotoData(recipe, photos.corpus, shown, photos.train, photos.validation)
    if last.is_file():
        data.first_epoch = int(torch.load(last, map_location="cpu", weights_only=True, mmap=True)["epoch"]) + 1
    trainer.fit(module, data, ckpt_path=last if last.is_file() else None, weights_only=True)
    if logger:
        seconds = {"training_seconds": timer.time_elapsed("train")}
        found = {} if best.best_model_score is None else {"best_auc": float(best.best_model_score)}
        logger.log_metrics(seconds | found)
        logger.finalize("success")


def _trainer(recipe: MemberRecipe, folder: Path, callbacks: list[Callback], logger: Logger | None) -> lightning.Trainer:
    callbacks = [
        StopAtLostLoss(),  # before the checkpoints, so that none is written of a lost network
        *([MovingAverage(recipe.ema_decay)] if recipe.ema_decay else []),
        *([EarlyStopping("auc", mode="max", patience=recipe.patience)] if recipe.patience else []),
        EpochLine(),
        RichProgressBar(refresh_rate=10),
        *callbacks,
        ModelCheckpoint(folder, "last", enable_version_counter=False),
    ]
    return lightning.Trainer(
        max_epochs=recipe.stop_after or recipe.epochs,
        precision=recipe.precision,
        callbacks=callbacks,
        plugins=[WholeFiles()],
        logger=logger or False,
        default_root_dir=folder,
        num_sanity_val_steps=0,
        enable_model_summary=False,
        gradient_clip_val=recipe.gradient_clip,
        use_distributed_sampler=False,  # EpochBatches gives each device its own rows
        log_every_n_steps=1000,
    )


def _check_classes(photos: PhotosOfMember, classes: TrainingClasses) -> None:
    if not len(photos.train) or not len(photos.validation):
        raise ContractError(
            f"{len(photos.train)} photos to train on and {len(photos.validation)} to validate on; expected some of each"
        )
    labels = photos.corpus["label"].to_numpy()
    unseen = np.setdiff1d(labels[photos.validation], labels[photos.train])
    if len(unseen):
        names = ", ".join(classes.class_ids[i] for i in unseen)
        raise ContractError(f"no training photo shows {names}, but validation photos do; split anew or leave it out")


def _class_weights(labels: np.ndarray, number: int, recipe: MemberRecipe) -> np.ndarray:
    """Of the loss, mean 1 over the training photos; a class without photos counts as one photo would."""
    if recipe.class_weights == "none":
        return np.ones(number)
    inverse = 1 / np.maximum(np.bincount(labels, minlength=number), 1)
    return np.asarray(inverse / inverse[labels].mean())


def _take_folder(recipe: MemberRecipe, folder: Path) -> None:
    """A checkpoint is only taken up by the recipe that began it."""
    file, text = folder / "recipe.json", recipe.model_dump_json(indent=1)
    if (folder / "last.ckpt").is_file() and file.is_file() and file.read_text() != text:
        raise ContractError(f"{folder} holds a training of another recipe; give another --work, or remove the folder")
    write_whole(file, text.encode())
