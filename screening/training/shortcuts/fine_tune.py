"""Fine-tunes one trained member for a few hundred steps with artefacts drawn on photos of every class, and measures it.

`python -m screening.training.shortcuts.fine_tune --help`; needs .venv-training. What it showed: docs/decisions/0015.
"""

from __future__ import annotations

import argparse
import copy
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import torch
from torch import nn

from screening.cutoffs import GradeCutoffs
from screening.edges.release import load_release
from screening.training.artefacts import draw_artefacts
from screening.training.augment import augment_batch
from screening.training.ensemble import TrainingSet, load_recipe, prepare_training_set
from screening.training.export import export_member
from screening.training.fit import MemberRecipe, draw_weights
from screening.training.networks import Member, build_backbone
from screening.training.shortcuts.drawings import DRAWINGS, INK, PAINTED
from screening.training.shortcuts.measure import ask_about_drawings, auc_table, drawing_table
from screening.training.splits import TRAIN, VALIDATION

LEARNING_RATE = 2e-4
"""A third of the recipe's: the member is trained already."""
EMA_DECAY = 0.98
"""An average over about 50 steps, a sixth of 300."""
MEASURED = (*INK, *PAINTED, "hair")


def load_member(recipe: MemberRecipe, classes: int, checkpoint: Path, weights_dir: Path) -> Member:
    """A member as `screening train` left it, or as this script did."""
    member = Member(build_backbone(recipe.architecture, classes, weights_dir), recipe.size)
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    member.load_state_dict({k.removeprefix("member."): v for k, v in state.items() if k.startswith("member.")})
    return member


def save_member(member: Member, checkpoint: Path) -> None:
    """Write weights as ``load_member`` reads them."""
    torch.save({"state_dict": {f"member.{k}": v for k, v in member.state_dict().items()}}, checkpoint)


def fine_tune(
    member: Member,
    recipe: MemberRecipe,
    training_set: TrainingSet,
    share: float,
    consistency: float,
    steps: int,
    out: Path | None = None,
) -> Member:
    """Some steps on the training photos; returns the averaged weights, and saves them now and then.

    Args:
        consistency: weight of the Kullback-Leibler divergence of a drawn view's answer from that of the same view
            without drawings; 0 = the label alone teaches.
        out: checkpoint that is written every 50 steps, so that a killed run leaves something.
    """
    torch.manual_seed(0)
    random = torch.Generator().manual_seed(0)
    train = np.flatnonzero(training_set.side == TRAIN)
    chances = torch.from_numpy(draw_weights(training_set.corpus.iloc[train], recipe.clinical_share))
    labels = torch.from_numpy(training_set.corpus["label"].to_numpy().copy())
    member = member.to(memory_format=torch.channels_last).train()
    average = copy.deepcopy(member).eval()
    optimizer = torch.optim.AdamW(member.parameters(), LEARNING_RATE, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps, pct_start=0.1)
    drawing_s, started = 0.0, time.monotonic()
    for step in range(steps):
        rows = train[torch.multinomial(chances, recipe.batch_photos, replacement=True, generator=random)]
        pixels = torch.from_numpy(training_set.pixels[rows])
        before = time.monotonic()
        drawn = draw_artefacts(pixels, share, random)
        drawing_s += time.monotonic() - before
        state = random.get_state()
        views = augment_batch(drawn, recipe.size, random).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            logits = member.backbone(views).float()
        loss = nn.functional.cross_entropy(logits, labels[rows], label_smoothing=recipe.label_smoothing)
        if consistency:
            same = torch.Generator().manual_seed(0)
            same.set_state(state)
            plain = augment_batch(pixels, recipe.size, same).contiguous(memory_format=torch.channels_last)
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
                wanted = torch.softmax(average.backbone(plain).float(), dim=1)
            divergence = nn.functional.kl_div(torch.log_softmax(logits, dim=1), wanted, reduction="batchmean")
            loss = loss + consistency * divergence
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(member.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        _move_average(average, member)
        if step % 50 == 49:
            if out:
                save_member(average, out)
            spent = time.monotonic() - started
            print(
                f"step {step + 1}: loss {loss.item():.3f}, {spent:.0f} s, drawing {drawing_s / spent:.1%}", flush=True
            )
    return average


def _move_average(average: nn.Module, member: nn.Module) -> None:
    for mean, now in zip(average.state_dict().values(), member.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(now, 1 - EMA_DECAY)
        else:
            mean.copy_(now)


def measure(member: Member, training_set: TrainingSet, repository: Path) -> dict[str, pd.DataFrame]:
    """Figures on the validation photos, with the temperature and the cut-offs of r0001."""
    release = load_release(str(repository), "r0001")
    temperature = json.loads((repository / release.model / "release.json").read_text())["temperature"]
    rows = np.flatnonzero(training_set.side == VALIDATION)
    with tempfile.TemporaryDirectory() as folder:
        export_member(member, temperature, "member", 1, Path(folder))
        session = onnxruntime.InferenceSession(Path(folder) / "member/1/model.onnx", providers=["CPUExecutionProvider"])
        answers = ask_about_drawings(
            training_set.corpus,
            rows,
            training_set.pixels,
            lambda pixels: training_set.classes.grade_probabilities(session.run(None, {"pixels": pixels})[0]),
            training_set.classes,
            {name: DRAWINGS[name] for name in MEASURED},
        )
    return {"drawings": drawing_table(answers, GradeCutoffs(**release.cutoffs)), "aucs": auc_table(answers)}


def main() -> None:
    """Fine-tune a checkpoint and save it, or measure one."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("photos", "weights-dir", "work", "checkpoint"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="checkpoint; its tables go into a folder of its name")
    parser.add_argument("--model-repository", type=Path, default=Path("model_repository"))
    parser.add_argument("--member", default="lesion_mobilenet_v2_192")
    parser.add_argument("--steps", type=int, default=300, help="0: only measure the checkpoint")
    parser.add_argument("--share", type=float, default=0.5, help="of the photos that are drawn on")
    parser.add_argument("--consistency", type=float, default=0.0)
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    torch.set_flush_denormal(True)
    ensemble = load_recipe("first_ensemble")
    recipe = next(m for m in ensemble.members if m.name == arguments.member)
    training_set = prepare_training_set(ensemble, arguments.photos, arguments.weights_dir, arguments.work)
    member = load_member(recipe, len(training_set.classes), arguments.checkpoint, arguments.weights_dir)
    if arguments.steps:
        member = fine_tune(
            member, recipe, training_set, arguments.share, arguments.consistency, arguments.steps, arguments.out
        )
        save_member(member, arguments.out)
    folder = arguments.out.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in measure(member.eval(), training_set, arguments.model_repository).items():
        table.to_csv(folder / f"{name}.csv", index=False, float_format="%.4f")


if __name__ == "__main__":
    main()
