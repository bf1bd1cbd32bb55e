"""A split as a table: frozen, versioned, and grown with the corpus without moving a photo that has its side.

A test photo of an earlier split stays a test photo, or the figures of two releases could not be compared. A new photo
joins the side of what it resembles; one that resembles photos of two sides is left out. Others are drawn by a hash of
their group, so that the order in which photos arrive does not matter.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from screening.contracts import SPLIT, Side, check_table
from screening.edges.folder_store import FolderStore
from screening.edges.tables import read_table, write_table
from screening.errors import ContractError
from screening.training.splits.blurred import MEASURED_ON, QUALITY, is_blurred_or_distant

_DIGEST_CHARACTERS = 12
_KEPT_OUT_SHARE = 0.15  # of new groups, for test and for validation each: as ``split_corpus``


@dataclass(frozen=True)
class Growth:
    """What became of the corpus since a split was frozen, in photo_ids."""

    added: dict[str, list[str]]
    """By side."""
    gone: list[str]
    """In the frozen split, but no longer in the corpus, e.g. after a consent was withdrawn."""
    between: list[str]
    """New, and joined to earlier photos of two sides: left out."""

    def lines(self) -> list[str]:
        """The growth in plain words."""
        if not self.gone and not any(self.added.values()):
            return ["nothing was added to the split"]
        found = [f"added to {side}: {len(ids)} photos" for side, ids in self.added.items() if ids]
        if self.between:
            found.append(f"left out, since they resemble photos of two sides: {', '.join(self.between)}")
        if self.gone:
            found.append(f"no longer in the corpus: {len(self.gone)} photos, {', '.join(self.gone[:5])}")
        return found


def freeze_split(
    corpus: pd.DataFrame,
    side: pd.Series,
    groups: np.ndarray,
    rule: Mapping[str, object],
    *,
    reason: pd.Series | str = "drawn",
    fold: np.ndarray | None = None,
) -> pa.Table:
    """The table ``split``. Its version is a digest of the corpus (photos, diseases, people, lesions) and of the rule.

    Raises:
        ContractError: a side is no known word, or the same photo stands twice.
    """
    ids = corpus["photo_id"].to_numpy()
    component = pd.Series(ids).groupby(groups).transform("min")
    version, rule_text = version_of(corpus, rule), json.dumps(rule, sort_keys=True)
    folds = [None] * len(ids) if fold is None else [int(number) for number in fold]
    reasons = pd.Series(reason, index=corpus.index)
    rows: list[dict[str, object]] = [
        {
            "split": version,
            "rule": rule_text,
            "photo_id": photo_id,
            "side": str(of_photo),
            "fold": number,
            "reason": str(why),
            "component": first,
        }
        for photo_id, of_photo, number, why, first in zip(ids, side, folds, reasons, component, strict=True)
    ]
    return SPLIT.table(rows)


def version_of(corpus: pd.DataFrame, rule: Mapping[str, object]) -> str:
    """As ``s-0123456789ab``; the order of the photos does not matter."""
    columns = ["photo_id", "disease", "patient", "lesion"]
    rows = sorted(map("\0".join, corpus[columns].astype(str).to_numpy().tolist()))
    text = json.dumps(rule, sort_keys=True) + "\n" + "\n".join(rows)
    return "s-" + hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_CHARACTERS]


def extend_split(
    frozen: pa.Table, corpus: pd.DataFrame, groups: np.ndarray, method: str = "groups", seed: int = 0
) -> tuple[pa.Table, Growth]:
    """Give sides to the photos of a corpus that a frozen split does not know; the others keep theirs.

    Args:
        frozen: the earlier split.
        corpus: the corpus now, columns as in ``corpus_frame``.
        groups: shape (photos,), photos that must stay together now.
        method: of the frozen split; only ``groups`` can grow.
        seed: of the draw among groups that are new altogether: 15 % test, 15 % validation.

    Returns:
        The split of the corpus as it is now (the frozen one itself if it is the same), and what changed.

    Raises:
        ContractError: the frozen split is of another method; or the corpus has changed and the method is not ``groups``:
            folds cannot grow without moving photos, and the newest tenth of a grown corpus is another one.
    """
    was = json.loads(frozen["rule"][0].as_py())["method"]
    if was != method:
        raise ContractError(f"this split was drawn by {was}, not by {method}; draw the other one into another file")
    earlier = {row["photo_id"]: (row["side"], row["reason"]) for row in frozen.to_pylist()}
    ids = corpus["photo_id"].tolist()
    gone = sorted(set(earlier) - set(ids))
    fresh = [i for i, photo_id in enumerate(ids) if photo_id not in earlier]
    if not gone and not fresh:
        return frozen, Growth({}, [], [])
    if method != "groups":
        raise ContractError(f"a split by {method} cannot grow; draw that of the grown corpus into another file")
    may_be_elsewhere = (corpus["has_other_view_in"] != "").to_numpy()
    blurred = is_blurred_or_distant(corpus)
    given = [earlier.get(photo_id, ("", "")) for photo_id in ids]
    for rows in pd.Series(range(len(ids))).groupby(groups).indices.values():
        trains = "may_be_seen_elsewhere" if may_be_elsewhere[rows].any() else QUALITY if blurred[rows].all() else None
        new = _side_of_group([ids[i] for i in rows], earlier, seed, trains)
        for i in rows:
            given[i] = earlier.get(ids[i], new)
    for i in fresh:
        if blurred[i] and given[i][0] in MEASURED_ON:
            given[i] = str(Side.LEFT_OUT), QUALITY
    growth = Growth(
        added={str(name): [ids[i] for i in fresh if given[i][0] == name] for name in Side},
        gone=gone,
        between=[ids[i] for i in fresh if given[i][1] == "joins_two_sides"],
    )
    sides, reasons = (pd.Series(words, index=corpus.index) for words in zip(*given, strict=True))
    rule = {
        "method": method,
        "grown_from": frozen["split"][0].as_py(),
        "seed": seed,
        "blurred_or_distant": int(blurred.sum()),
    }
    return freeze_split(corpus, sides, groups, rule, reason=reasons), growth


def _side_of_group(
    photo_ids: list[str], earlier: Mapping[str, tuple[str, str]], seed: int, trains: str | None
) -> tuple[str, str]:
    """Side and reason of the new photos of a group; ``trains``: why it must train if it is new altogether, if it must."""
    known = {earlier[photo_id][0] for photo_id in photo_ids if photo_id in earlier} - {str(Side.LEFT_OUT)}
    if len(known) > 1:
        return str(Side.LEFT_OUT), "joins_two_sides"
    if known:
        return known.pop(), "joins_earlier"
    if trains:
        return str(Side.TRAIN), trains
    return _draw(min(photo_ids), seed), "drawn"


def _draw(component: str, seed: int) -> str:
    """A side by the hash of a group's name: the same whenever, and beside whomever, the group arrives."""
    number = int.from_bytes(hashlib.sha256(f"{seed}/{component}".encode()).digest()[:8], "big") / 2**64
    if number < _KEPT_OUT_SHARE:
        return str(Side.TEST)
    return str(Side.VALIDATION) if number < 2 * _KEPT_OUT_SHARE else str(Side.TRAIN)


def sides_of(split: pa.Table, corpus: pd.DataFrame) -> pd.DataFrame:
    """Columns ``side``, ``fold`` and ``reason`` of each photo, in the order and with the index of the corpus.

    Raises:
        ContractError: the split lacks photos of the corpus.
    """
    rows = split.to_pandas().set_index("photo_id")[["side", "fold", "reason"]]
    if missing := [photo for photo in corpus["photo_id"] if photo not in rows.index]:
        raise ContractError(
            f"the split knows {len(missing)} photos of the corpus not, the first is {missing[0]}; extend it first"
        )
    return pd.DataFrame(rows.loc[corpus["photo_id"]].set_index(corpus.index))


def side_drawn_once(file: Path, corpus: pd.DataFrame, draw: Callable[[], pd.Series]) -> pd.Series:
    """The side of each row of labelled folders (``read_corpus``), drawn once and kept in ``file``.

    Raises:
        ContractError: the file was frozen for other photos, or for these in another order.
    """
    if not file.is_file():
        corpus[["photo_id"]].assign(side=draw()).to_parquet(file)
    known = pd.read_parquet(file)
    if "photo_id" not in known or known["photo_id"].tolist() != corpus["photo_id"].tolist():
        raise ContractError(f"{file} was frozen for other photos than these {len(corpus)}; give another work folder")
    return known["side"].set_axis(corpus.index)


def write_split(split: pa.Table, file: Path) -> None:
    """Write the table; its folder must exist."""
    write_table(FolderStore(file.parent), file.name, split, SPLIT)


def read_split(file: Path) -> pa.Table:
    """Read a frozen split.

    Raises:
        MissingObjectError: there is no such file.
        ContractError: the file breaks the contract, e.g. two splits stand in it.
    """
    split = check_table(read_table(FolderStore(file.parent), file.name, SPLIT), SPLIT)
    if len(versions := split["split"].unique()) > 1:
        raise ContractError(f"{file} holds {len(versions)} splits, expected one")
    return split
