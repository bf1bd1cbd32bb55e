"""A site's own YAML files: read strictly, because what is misread here changes what every photo is told."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from screening.errors import ContractError, MissingError


class _StrictLoader(yaml.SafeLoader):
    """YAML lets the last of two equal names win; here both are told."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        names = [self.construct_object(name, deep=True) for name, _ in node.value]
        twice = sorted({str(name) for name in names if names.count(name) > 1})
        if twice:
            raise yaml.YAMLError(f"named twice: {', '.join(twice)}")
        return super().construct_mapping(node, deep)


def read_mapping(path: Path) -> dict[Any, Any]:
    """The file's names and values.

    Raises:
        MissingError: there is no such file, or it may not be read.
        ContractError: it is no YAML in UTF-8, holds anything but names with values, or names something twice.
    """
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), _StrictLoader)  # noqa: S506  # it is a SafeLoader
    except OSError as error:
        raise MissingError(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ContractError(f"{path} is not in order: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict):
        raise ContractError(f"{path} holds {type(found).__name__}, expected names with values")
    return found
