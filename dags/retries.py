"""Which errors of a task are tried again: the class of the error says whether waiting may help (`screening/errors.py`)."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryAction, RetryRule

RETRY_BY_CLASS = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception="screening.errors.StopError",
            action=RetryAction.FAIL,
            reason="a person has to change something first",
        ),
        RetryRule(exception="screening.errors.RetryError", action=RetryAction.RETRY, retry_delay=timedelta(seconds=15)),
    ]
)
