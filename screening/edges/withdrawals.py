"""Who took back their consent: one object for each person, written once. `intake_decisions` and the queue apply them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime

from screening.contracts import WITHDRAWALS
from screening.edges import paths
from screening.edges.store import Store, StoredObject
from screening.errors import ContractError


def record_withdrawal(store: Store, row: dict[str, object]) -> bool:
    """Write a row of ``WITHDRAWALS``; False when the person's withdrawal is there already.

    Raises:
        ContractError: the row breaks the contract.
    """
    [checked] = WITHDRAWALS.table([row]).to_pylist()
    moment: datetime = checked["withdrawn_at_utc"]
    body = json.dumps(checked | {"withdrawn_at_utc": moment.isoformat()}, ensure_ascii=False).encode()
    return store.put(paths.withdrawal(checked["programme"], checked["patient"]), body, only_if_new=True)


def withdrawal_objects(store: Store) -> Iterator[StoredObject]:
    """Every withdrawal, as its object: the key alone tells the programme and the pseudonym."""
    for page in store.pages(paths.WITHDRAWALS_PREFIX):
        yield from (found for found in page if paths.parse_withdrawal_key(found.key))


def withdrawn_people(store: Store) -> dict[str, set[str]]:
    """Pseudonyms of those who withdrew, by programme."""
    people: dict[str, set[str]] = {}
    for found in withdrawal_objects(store):
        if parsed := paths.parse_withdrawal_key(found.key):
            people.setdefault(parsed[0], set()).add(parsed[1])
    return people


def withdrawn_at(store: Store, key: str) -> str:
    """When a person withdrew, as ISO 8601.

    Raises:
        ContractError: the object holds no withdrawal.
    """
    try:
        return str(json.loads(store.get(key))["withdrawn_at_utc"])
    except (ValueError, KeyError, TypeError) as error:
        raise ContractError(f"withdrawal: an object below {paths.WITHDRAWALS_PREFIX} holds none") from error
