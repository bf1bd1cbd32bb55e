"""Step 7: put the challenger to the gate, and write what people decide by."""

from __future__ import annotations

import json

from screening.edges import paths
from screening.edges.store import Store
from screening.errors import MissingError
from screening.training.disk import write_whole
from screening.training.evaluation.comparison import comparison_page
from screening.training.evaluation.gate import Verdict, judge_challenger
from screening.training.evaluation.gate_rules import GateRules
from screening.training.retraining.compare import read_compared
from screening.training.retraining.run_folder import RunFolder

CARD = "model_card.md"


def pass_gate(run: RunFolder, rules: GateRules, store: Store) -> Verdict:
    """Judge, and write ``gate.json``, ``comparison.html`` and the model card into the run's folder and the store.

    A refused challenger is no error: its release stays in the run's folder, and no name is used twice. Copies of photos
    leave the folder here.

    Raises:
        MissingError: the comparison was not made.
    """
    if not (run.answers.is_file() and run.costs.is_file()):
        raise MissingError(f"{run.answers} does not exist; `screening retrain evaluate` comes first")
    order = run.order()
    compared = read_compared(run)
    verdict = judge_challenger(compared, rules)
    said = {
        "run_id": order.run_id,
        "trained_because": order.reason,
        "release_folder": str(run.release),
        **verdict.as_json(),
    }
    write_whole(run.gate, (json.dumps(said, indent=1) + "\n").encode())
    write_whole(run.comparison, comparison_page(compared, verdict, order.run_id, order.reason).encode())
    for file in (run.gate, run.comparison, run.release / f"lesion_ensemble_{order.release}" / CARD):
        store.put(paths.training(order.run_id, file.name), file.read_bytes())
    run.forget_photos()
    return verdict
