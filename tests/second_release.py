"""A second release for tests: the champion's networks under other names, in a folder as a training run leaves it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from screening.edges.release import MemberOfRelease, digest_of_members, load_release

MODEL_REPOSITORY = Path(__file__).resolve().parents[1] / "model_repository"


def build_second_release(folder: Path, name: str = "r0002", **cutoffs: Any) -> Path:
    """Write a release whose members answer as those of the champion; ``cutoffs`` change its grades."""
    champion = load_release(str(MODEL_REPOSITORY), None)
    renamed = {champion.model: f"lesion_ensemble_{name}"} | {m.name: f"{m.name}_{name}" for m in champion.members}
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


def copy_of_repository(folder: Path) -> Path:
    """The model repository as it is committed, where a test may change it."""
    return Path(shutil.copytree(MODEL_REPOSITORY, folder))
