"""A model repository with the first release alone, and a second one: its networks under other names, as a training run
leaves them. What the project ships besides changes with the years; tests of what happens to releases count from the first.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from screening.edges.release import MemberOfRelease, digest_of_members, load_release

MODEL_REPOSITORY = Path(__file__).resolve().parents[1] / "model_repository"


def build_second_release(folder: Path, name: str = "r0002", **cutoffs: Any) -> Path:
    """Write a release whose members answer as those of r0001; ``cutoffs`` change its grades."""
    first = load_release(str(MODEL_REPOSITORY), "r0001")
    renamed = {first.model: f"lesion_ensemble_{name}"} | {m.name: f"{m.name}_{name}" for m in first.members}
    for old, new in renamed.items():
        shutil.copytree(MODEL_REPOSITORY / old, folder / new)
        for file in (folder / new).rglob("*"):
            if file.suffix in (".pbtxt", ".json"):
                text = file.read_text()
                for before, after in renamed.items():  # in quotes, so that no name is part of another
                    text = text.replace(f'"{before}"', f'"{after}"')
                file.write_text(text)
    file = folder / f"lesion_ensemble_{name}" / "release.json"
    fields = json.loads(file.read_text())
    fields["name"] = name
    fields["cutoffs"] |= cutoffs
    fields["weights_sha256"] = digest_of_members([MemberOfRelease(**m) for m in fields["members"]])
    file.write_text(json.dumps(fields, indent=1))
    return folder


def repository_of_r0001(folder: Path) -> Path:
    """The model repository with r0001 alone, its champion, where a test may change it."""
    first = load_release(str(MODEL_REPOSITORY), "r0001")
    for model in (first.model, *(m.name for m in first.members)):
        shutil.copytree(MODEL_REPOSITORY / model, folder / model)
    (folder / "history").mkdir()
    shutil.copy(MODEL_REPOSITORY / "history" / "00001.json", folder / "history")
    (folder / "champion").write_text("r0001\n")
    return folder
