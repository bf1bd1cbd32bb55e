"""The record of a change of the release in use, in the form of a predetermined change control plan.

Such a plan says beforehand what may change, how a change is judged, and what it may lead to (FDA, "Marketing Submission
Recommendations for a Predetermined Change Control Plan for AI-Enabled Device Software Functions", 2024: description of
modifications, modification protocol, impact assessment). The record tells the same three things of one change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from screening.edges.release import Release
from screening.edges.release_history import ReleaseEvent

_VERBS = {"promoted": "takes over", "rolled_back": "comes back"}


def change_record(
    event: ReleaseEvent, release: Release, before: Release | None, compared: Mapping[str, Any] | None
) -> str:
    """Write the record as Markdown.

    Args:
        event: ``promoted`` or ``rolled_back``.
        release: that takes over.
        before: that goes; None where it is not known.
        compared: what the gate found, as it stands in its JSON file; None where no such file was given.
    """
    gone = event.champion_before or "no release"
    parts = [
        f"# Change of the release in use: {gone} → {release.name}",
        "For research and demonstration: this is not a medical device.",
        _table(
            ("", ""),
            [
                ("what", f"{release.name} {_VERBS[event.event]}"),
                ("when", f"{event.at_utc:%Y-%m-%d %H:%M:%S} UTC"),
                ("by", event.by),
                ("why", event.why),
                ("evidence", event.evidence or "none was given"),
                ("code", event.code_revision),
            ],
        ),
        "## What changed",
        _table(("", event.champion_before or "before", release.name), _changes(release, before)),
        "## Protocol",
        _protocol(event, compared),
        "## Impact",
        _impact(event, release, before),
    ]
    return "\n\n".join(parts) + "\n"


def _changes(release: Release, before: Release | None) -> list[tuple[str, ...]]:
    def described(of: Release | None) -> list[str]:
        if of is None:
            return ["–"] * 7
        members = ", ".join(f"{m.name} {m.version} ({m.weights_sha256[:12]})" for m in of.members)
        cutoffs = ", ".join(f"{line} {of.cutoffs.get(line)}" for line in ("dangerous", "high_risk"))
        return [
            members,
            of.weights_sha256[:12],
            ", ".join(of.classes),
            of.taxonomy_version,
            of.model_input,
            f"{of.cutoffs.get('version')}: {cutoffs}",
            "from " + str(of.outlier_cutoff) if of.tells_outliers else "not told",
        ]

    names = ("members", "weights", "classes", "taxonomy", "model input", "cut-offs", "unlike the training photos")
    rows = zip(names, described(before), described(release), strict=True)
    return [(name, old, "the same" if old == new else new) for name, old, new in rows]


def _protocol(event: ReleaseEvent, compared: Mapping[str, Any] | None) -> str:
    steps = [
        "- The files of the members have the digests with which the release was frozen; its taxonomy likewise.",
        "- The pixels that this code makes are of the version that its members were trained on.",
    ]
    if event.event == "rolled_back":
        steps.append(
            "- A rollback is not compared again: the release was in use before. The server was asked for its golden photos "
            "after the change; the command says what it answered."
        )
        return "\n".join(steps)
    steps.append(
        "- The server loaded it beside the one in use and answered the canary and the golden photos as torch did, before "
        "the change."
    )
    if compared is None:
        steps.append(
            f"- Comparison with the release in use: {event.evidence}"
            if event.evidence
            else "- **No comparison with the release in use was given.** The change rests on the person's word alone."
        )
        return "\n".join(steps)
    steps.append(f"- Comparison with the release in use, as it stands in {event.evidence}:")
    return "\n".join(steps) + "\n\n" + _found(compared)


def _found(compared: Mapping[str, Any]) -> str:
    """The gate's words: plain values as a list, lists of objects as tables, whatever their names are."""
    plain = [(name, value) for name, value in compared.items() if not isinstance(value, (list, dict))]
    parts = ["\n".join(f"- {_words(name)}: {value}" for name, value in plain)] if plain else []
    for name, value in compared.items():
        rows = value if isinstance(value, list) else [value]
        if isinstance(value, dict) or (isinstance(value, list) and value and all(isinstance(r, dict) for r in value)):
            columns = list(dict.fromkeys(column for row in rows for column in row))
            cells = [tuple(_cell(row.get(column)) for column in columns) for row in rows]
            parts += [f"### {_words(name).capitalize()}", _table(tuple(map(_words, columns)), cells)]
        elif isinstance(value, list):
            parts.append(f"- {_words(name)}: {', '.join(map(str, value)) or '–'}")
    return "\n\n".join(parts)


def _impact(event: ReleaseEvent, release: Release, before: Release | None) -> str:
    since = f"{event.at_utc:%Y-%m-%d %H:%M:%S} UTC"
    lines = [
        f"- Nights opened from {since} on are graded by {release.name}.",
        "- Nights that were open keep the release of their plan, also when they are run again.",
    ]
    if before is not None and set(before.classes) != set(release.classes):
        new = ", ".join(c for c in release.classes if c not in before.classes) or "none"
        gone = ", ".join(c for c in before.classes if c not in release.classes) or "none"
        lines.append(f"- Diseases that the answers did not have before: {new}. That they no longer have: {gone}.")
    if before is not None and before.cutoffs != release.cutoffs:
        lines.append("- Other cut-offs: the shares of the grades may move without the people having changed.")
    lines += [
        "- Grades that were published stay as they are.",
        "- The way back is one command: `screening release rollback --by … --why …`.",
        f"- Figures and limits of the release: the model card in `{release.model}/model_card.md`.",
    ]
    return "\n".join(lines)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value).replace("|", "\\|").replace("\n", " ")


def _words(name: str) -> str:
    return name.replace("_", " ")
