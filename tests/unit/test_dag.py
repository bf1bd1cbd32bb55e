import ast
from typing import Any

import pytest

from screening import errors
from screening.errors import RetryError, StopError
from tests.unit.parsed_dag import ROOT, parse_dag

DAG_FILE = ROOT / "dags" / "nightly_screening.py"
ERRORS = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.ScreeningError)]
NIGHT = (
    "open_night",
    "prepare",
    "infer",
    "grade",
    "audit",
    "publish",
    "shadow",
    "report",
    "monitor",
    "unload_releases",
)
FUNCTIONS = {node.name: node for node in ast.walk(ast.parse(DAG_FILE.read_text())) if isinstance(node, ast.FunctionDef)}


@pytest.fixture(scope="module")
def dag(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return parse_dag(DAG_FILE, tmp_path_factory.mktemp("airflow"))


def test_a_night_goes_from_the_uploads_to_the_report(dag: dict[str, Any]) -> None:
    # Every task also waits for open_night, which hands over the name of the run.
    order = {name: set(task["upstream"]) - {"open_night"} for name, task in dag["tasks"].items()}

    assert order == {
        "open_night": set(),
        "screen_batch.prepare": set(),
        "screen_batch.infer": {"screen_batch.prepare"},
        "grade": {"screen_batch.infer"},
        "audit": {"grade"},
        "publish": {"audit"},
        "shadow": {"publish"},
        "report": {"shadow"},
        "monitor": {"report"},
        "unload_releases": {"report"},
    }


def test_everything_waits_for_the_night_to_be_opened(dag: dict[str, Any]) -> None:
    without = [name for name, task in dag["tasks"].items() if "open_night" not in task["upstream"]]
    assert without == ["open_night"]


def test_a_batch_costs_at_most_two_tasks_and_a_night_at_most_eight_beside(dag: dict[str, Any]) -> None:
    per_batch = [name for name, task in dag["tasks"].items() if task["is_per_batch"]]

    assert len(per_batch) <= 2
    assert len(dag["tasks"]) - len(per_batch) <= 8


def test_a_batch_is_inferred_while_the_next_is_prepared(dag: dict[str, Any]) -> None:
    # Mapped as a group: each batch's infer waits for its own prepare, not for all of them.
    assert {name for name, task in dag["tasks"].items() if task["is_per_batch"]} == {
        "screen_batch.prepare",
        "screen_batch.infer",
    }


def test_only_the_monitoring_tells_of_drift_and_only_when_it_finds_some(dag: dict[str, Any]) -> None:
    # An alias: the asset itself is named in the task, where there is drift.
    assert {name: task["outlets"] for name, task in dag["tasks"].items() if task["outlets"]} == {
        "monitor": ["screening_drift_began"]
    }
    [condition] = [node for node in ast.walk(FUNCTIONS["monitor"]) if isinstance(node, ast.If)]
    assert ast.unparse(condition.test) == "found['drift']"
    assert "Metadata(DRIFT" in ast.unparse(condition)


def test_an_empty_night_is_graded_like_any_other(dag: dict[str, Any]) -> None:
    # Mapped over nothing, the batches count as skipped, which the default rule would pass on.
    assert dag["tasks"]["grade"]["trigger_rule"] == "none_failed"


def test_nothing_is_published_unless_all_before_it_succeeded(dag: dict[str, Any]) -> None:
    rules = {name: task["trigger_rule"] for name, task in dag["tasks"].items() if name != "grade"}

    assert set(rules.values()) == {"all_success"}


@pytest.mark.parametrize("error", [e for e in ERRORS if issubclass(e, StopError)])
def test_an_error_that_needs_a_person_stops_every_task_at_once(
    dag: dict[str, Any], error: type[errors.ScreeningError]
) -> None:
    assert {task["after"][error.__name__][0] for task in dag["tasks"].values()} == {"fail"}


@pytest.mark.parametrize("error", [e for e in ERRORS if issubclass(e, RetryError)])
def test_an_error_that_waiting_may_mend_is_retried_after_a_while(
    dag: dict[str, Any], error: type[errors.ScreeningError]
) -> None:
    for task in dag["tasks"].values():
        action, delay_s = task["after"][error.__name__]
        assert action == "retry"
        assert delay_s >= 10


@pytest.mark.parametrize("error", ["RuntimeError", "KeyError"])
def test_what_nobody_foresaw_is_tried_again_as_usual(dag: dict[str, Any], error: str) -> None:
    # A killed worker or a full disk is none of our errors, and a new try may find things mended.
    assert {task["after"][error][0] for task in dag["tasks"].values()} == {"default"}


def test_every_task_may_be_tried_again(dag: dict[str, Any]) -> None:
    assert [name for name, task in dag["tasks"].items() if task["retries"] < 3] == []


def test_nights_are_worked_on_one_after_the_other_and_none_is_made_up(dag: dict[str, Any]) -> None:
    assert (dag["dag_id"], dag["max_active_runs"], dag["catchup"]) == ("nightly_screening", 1, False)


def test_a_night_starts_when_the_uploads_of_its_day_are_in(dag: dict[str, Any]) -> None:
    assert dag["schedule"] == "30 23 * * *"
    assert dag["first_run_if_switched_on_soon_after_it_was_due"] == "2026-11-22T23:30:00+00:00"


def test_the_night_may_be_named_and_is_the_day_of_the_run_otherwise(dag: dict[str, Any]) -> None:
    assert set(dag["params"]) == {"night", "release"}
    assert dag["params"]["night"]["type"] == ["null", "string"]
    assert dag["params"]["night"]["format"] == "date"


def test_the_release_of_a_night_may_be_named_in_the_form(dag: dict[str, Any]) -> None:
    assert dag["params"]["release"]["type"] == ["null", "string"]
    assert dag["params"]["release"]["pattern"] == "^r[0-9]{4,}$"


def test_the_page_in_airflow_says_what_the_file_says(dag: dict[str, Any]) -> None:
    assert dag["doc_md"] == dag["module_doc"]
    for task in NIGHT:
        assert f"`{task}`" in dag["doc_md"]


def test_parsing_the_file_loads_none_of_the_heavy_libraries(dag: dict[str, Any]) -> None:
    heavy = {"numpy", "pandas", "pyarrow", "cv2", "PIL", "boto3", "tritonclient", "great_expectations", "torch"}

    assert not heavy & {name.split(".")[0] for name in dag["loaded"]}
    # `screening.errors` is there because the rules of retrying name its classes.
    ours = {name for name in dag["loaded"] if name.split(".")[0] == "screening"}
    assert ours <= {"screening", "screening.errors"}


@pytest.mark.parametrize("task", NIGHT)
def test_a_task_of_the_dag_calls_the_function_of_its_name(task: str) -> None:
    called = [ast.unparse(node.func) for node in ast.walk(FUNCTIONS[task]) if isinstance(node, ast.Call)]
    plain = [name for name in called if name.startswith("tasks.") and "(" not in name]

    assert plain == [f"tasks.{task}", "tasks.open_context"]
