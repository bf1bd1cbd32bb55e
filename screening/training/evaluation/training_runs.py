"""Training time and accuracy of earlier runs, from MLflow: the table of Mishra et al. 2018."""

from __future__ import annotations

from typing import Any

from screening.errors import ContractError

_NAMES = {
    "architecture": ("architecture", "recipe"),
    "seconds": ("seconds", "training_seconds", "fit_seconds"),
}
"""What is asked for, and the names under which runs may hold it, the first that is there counts."""


def read_runs(tracking_uri: str, metric: str, price_per_hour: float | None) -> dict[str, Any]:
    """All finished runs that hold the metric and a time, the most accurate first.

    Raises:
        ContractError: no run does.
    """
    from mlflow import MlflowClient  # noqa: PLC0415  # takes seconds to load, and most reports do without

    client = MlflowClient(tracking_uri)
    rows = []
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id], "attributes.status = 'FINISHED'", max_results=1000):
            metrics, params = run.data.metrics, run.data.params
            seconds = next((metrics[n] for n in _NAMES["seconds"] if n in metrics), _lasted(run.info))
            if metric in metrics and seconds is not None:
                rows.append(
                    {
                        "name": run.info.run_name,
                        "architecture": next((params[n] for n in _NAMES["architecture"] if n in params), "not logged"),
                        "hours": seconds / 3600,
                        "score": metrics[metric],
                    }
                )
    if not rows:
        raise ContractError(f"{tracking_uri}: no finished run holds the metric {metric!r}")
    return {
        "metric": metric,
        "price": price_per_hour,
        "rows": sorted(rows, key=lambda row: (-row["score"], row["hours"], row["name"])),
    }


def _lasted(info: Any) -> float | None:
    """Seconds from a run's start to its end, where it logged no time of its own."""
    return None if info.end_time is None else (info.end_time - info.start_time) / 1000
