"""Earlier runs of training, from a real MLflow store."""

import mlflow
import pytest

from screening.errors import ContractError
from screening.training.evaluation.training_runs import read_runs


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    client = mlflow.MlflowClient(uri)
    experiment = client.create_experiment("mishra", artifact_location=str(folder))
    for name, seconds, auc in (("resnet18", 3600.0, 0.80), ("densenet161", 7200.0, 0.82), ("broken", 10.0, None)):
        run = client.create_run(experiment, run_name=name)
        client.log_param(run.info.run_id, "architecture", name)
        client.log_metric(run.info.run_id, "seconds", seconds)
        if auc is not None:
            client.log_metric(run.info.run_id, "auc", auc)
        client.set_terminated(run.info.run_id)
    return uri


def test_runs_are_told_the_most_accurate_first_and_those_without_the_metric_are_left_out(store):
    runs = read_runs(store, "auc", price_per_hour=3.0)

    assert [(r["architecture"], r["hours"], r["score"]) for r in runs["rows"]] == [
        ("densenet161", 2.0, 0.82),
        ("resnet18", 1.0, 0.8),
    ]
    assert runs["price"] == 3.0


def test_a_metric_that_no_run_holds_is_an_error(store):
    with pytest.raises(ContractError, match="'f1'"):
        read_runs(store, "f1", None)
