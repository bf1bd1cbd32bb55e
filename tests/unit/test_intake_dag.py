import ast
from typing import Any

import pytest

from screening import errors
from screening.errors import RetryError, StopError
from tests.unit.parsed_dag import ROOT, parse_dag

DAG_FILE = ROOT / "dags" / "intake_decisions.py"
ERRORS = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.ScreeningError)]


@pytest.fixture(scope="module")
def dag(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return parse_dag(DAG_FILE, tmp_path_factory.mktemp("airflow"))


def test_decisions_go_from_the_inbox_to_the_corpus_after_the_withdrawals(dag: dict[str, Any]) -> None:
    assert {name: task["upstream"] for name, task in dag["tasks"].items()} == {
        "anything_new": [],
        "apply_withdrawals": ["anything_new"],
        "read_inbox": ["apply_withdrawals"],
        "adjudicate": ["read_inbox"],
        "build_corpus": ["adjudicate"],
        "announce": ["build_corpus"],
        "report": ["announce"],
    }


def test_only_the_report_runs_where_there_is_nothing_to_announce(dag: dict[str, Any]) -> None:
    rules = {name: task["trigger_rule"] for name, task in dag["tasks"].items()}
    assert rules.pop("report") == "none_failed"
    assert set(rules.values()) == {"all_success"}


def test_only_announce_tells_the_asset_of_the_corpus(dag: dict[str, Any]) -> None:
    assert {name: task["outlets"] for name, task in dag["tasks"].items() if task["outlets"]} == {
        "announce": ["screening_corpus"]
    }


def test_one_intake_runs_at_a_time_and_the_inbox_is_looked_at_four_times_an_hour(dag: dict[str, Any]) -> None:
    assert (dag["dag_id"], dag["max_active_runs"], dag["catchup"]) == ("intake_decisions", 1, False)
    assert dag["schedule"] == "*/15 * * * *"


@pytest.mark.parametrize("error", [e for e in ERRORS if issubclass(e, StopError | RetryError)])
def test_errors_are_tried_again_or_not_as_in_the_night(dag: dict[str, Any], error: type[errors.ScreeningError]) -> None:
    expected = "fail" if issubclass(error, StopError) else "retry"
    assert {task["after"][error.__name__][0] for task in dag["tasks"].values()} == {expected}
    assert [name for name, task in dag["tasks"].items() if task["retries"] < 3] == []


def test_the_page_in_airflow_says_what_the_file_says(dag: dict[str, Any]) -> None:
    assert dag["doc_md"] == dag["module_doc"]
    assert [task for task in dag["tasks"] if f"`{task}`" not in dag["doc_md"]] == []


def test_parsing_the_file_loads_none_of_the_heavy_libraries(dag: dict[str, Any]) -> None:
    heavy = {"numpy", "pandas", "pyarrow", "cv2", "PIL", "boto3", "tritonclient", "great_expectations", "torch"}
    assert not heavy & {name.split(".")[0] for name in dag["loaded"]}


def test_each_task_calls_one_function_of_the_tasks() -> None:
    functions = [node for node in ast.walk(ast.parse(DAG_FILE.read_text())) if isinstance(node, ast.FunctionDef)]
    called = {
        node.name: [
            name
            for call in ast.walk(node)
            if isinstance(call, ast.Call) and (name := ast.unparse(call.func)).startswith("tasks.")
        ]
        for node in functions
        if node.name != "intake_decisions"
    }
    own = {"announce": "corpus_news", "report": "report_intake"}
    assert called == {name: [f"tasks.{own.get(name, name)}", "tasks.open_context"] for name in called}
