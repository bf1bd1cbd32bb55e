"""The retraining's DAG: its order, what may be tried again, and that nothing takes over without gate and person."""

import ast
from pathlib import Path
from typing import Any

import pytest

from screening import errors
from screening.errors import RetryError, StopError
from tests.unit.parsed_dag import ROOT, parse_dag

DAG_FILE = ROOT / "dags" / "retrain_ensemble.py"
ERRORS = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.ScreeningError)]


@pytest.fixture(scope="module")
def dag(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return parse_dag(DAG_FILE, tmp_path_factory.mktemp("airflow"), SCREENING_APPROVERS="ada, grace")


def test_photos_become_a_release_only_through_check_split_gate_and_a_person(dag: dict[str, Any]) -> None:
    assert {name: set(task["upstream"]) for name, task in dag["tasks"].items()} == {
        "decide": set(),
        "snapshot": {"decide"},
        "check": {"decide", "snapshot"},
        "split": {"decide", "check"},
        "fit": {"decide", "snapshot", "split"},
        "assemble": {"decide", "fit"},
        "evaluate": {"decide", "assemble"},
        "gate": {"decide", "evaluate"},
        "approve": {"gate"},
        "take_over": {"decide", "gate", "approve"},
        "record_refusal": {"take_over"},
    }


def test_a_task_runs_only_after_all_before_it_but_for_the_one_that_records_a_refusal(dag: dict[str, Any]) -> None:
    rules = {name: task["trigger_rule"] for name, task in dag["tasks"].items()}

    # Fails with what failed before it: else a run whose training failed would end as a success.
    assert rules.pop("record_refusal") == "none_failed"
    assert set(rules.values()) == {"all_success"}


def test_silence_is_a_no_and_only_those_who_are_named_may_answer(dag: dict[str, Any]) -> None:
    asked = dag["tasks"]["approve"]["asks"]

    assert asked["options"] == ["Approve", "Reject"]
    assert asked["when_silent"] == ["Reject"]
    assert asked["waits_s"] == 7 * 24 * 3600
    assert [user["id"] for user in asked["users"]] == ["ada", "grace"]


def test_the_person_who_is_asked_reads_the_gates_reason_and_where_the_page_is(dag: dict[str, Any]) -> None:
    body = dag["tasks"]["approve"]["asks"]["body"]

    assert "['reason']" in body
    assert "['page']" in body
    assert "(/review/comparisons/" in body, "the comparison is a link that the person follows"


@pytest.mark.parametrize("error", [e for e in ERRORS if issubclass(e, StopError)])
def test_an_error_that_needs_a_person_is_not_tried_again(dag: dict[str, Any], error: type[Exception]) -> None:
    assert {task["after"][error.__name__][0] for task in dag["tasks"].values()} == {"fail"}


@pytest.mark.parametrize("error", [e for e in ERRORS if issubclass(e, RetryError)])
def test_an_error_that_waiting_may_mend_is_tried_again(dag: dict[str, Any], error: type[Exception]) -> None:
    assert {task["after"][error.__name__][0] for task in dag["tasks"].values()} == {"retry"}


def test_every_task_but_the_question_may_be_tried_again(dag: dict[str, Any]) -> None:
    # A person is not asked twice because a worker died: the question waits in the database.
    assert [name for name, task in dag["tasks"].items() if task["retries"] < 3] == ["approve"]


def test_one_member_is_trained_after_the_other(dag: dict[str, Any]) -> None:
    assert dag["tasks"]["fit"]["most_at_once"] == 1
    assert dag["max_active_runs"] == 1


def test_it_is_due_each_month_or_when_the_corpus_grew_or_drift_was_raised(dag: dict[str, Any]) -> None:
    assert dag["schedule"] == "0 5 1 * *"
    assert dag["assets"] == ["screening_corpus", "screening_drift"]
    assert not dag["catchup"]


def test_the_trigger_form_asks_nothing_that_has_no_answer_yet(dag: dict[str, Any]) -> None:
    assert dag["defaults"] == {
        "recipe": "continue_champion",
        "members": [],
        "fewest_strong_labels": 100,
        "dry_run": False,
        "shadow_nights": 0,
        "reason": "",
    }


def test_members_are_trained_in_the_pool_of_the_gpu_where_one_is_named(dag: dict[str, Any], tmp_path: Path) -> None:
    tasks = parse_dag(DAG_FILE, tmp_path, SCREENING_TRAINING_POOL="gpu-0")["tasks"]

    assert {name for name, task in tasks.items() if task["pool"] == "gpu-0"} == {"fit"}
    assert {task["pool"] for task in dag["tasks"].values()} == {"default_pool"}


def test_a_programme_names_the_recipe_of_its_scheduled_runs(tmp_path: Path) -> None:
    assert parse_dag(DAG_FILE, tmp_path, SCREENING_RETRAIN_RECIPE="mine.yaml")["defaults"]["recipe"] == "mine.yaml"


def test_the_page_in_airflow_names_every_task(dag: dict[str, Any]) -> None:
    assert dag["doc_md"] == dag["module_doc"]
    assert [name for name in dag["tasks"] if f"`{name}`" not in dag["doc_md"]] == []


def test_parsing_the_file_loads_none_of_the_heavy_libraries(dag: dict[str, Any]) -> None:
    heavy = {"numpy", "pandas", "pyarrow", "cv2", "PIL", "boto3", "tritonclient", "great_expectations", "torch"}

    assert not heavy & {name.split(".")[0] for name in dag["loaded"]}


@pytest.mark.parametrize("step", ["check", "split", "fit", "assemble", "evaluate", "gate"])
def test_a_step_runs_the_command_of_its_name(step: str) -> None:
    functions = {n.name: n for n in ast.walk(ast.parse(DAG_FILE.read_text())) if isinstance(n, ast.FunctionDef)}
    calls = [n for n in ast.walk(functions[step]) if isinstance(n, ast.Call)]

    assert [ast.literal_eval(call.args[0]) for call in calls if ast.unparse(call.func) == "tasks.retrain_step"] == [
        step
    ]
