"""Lightning's checkpoints as whole files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from screening.training.disk import write_whole


class WholeFiles(TorchCheckpointIO):
    """A kill while a checkpoint is written leaves the one before it; a full disk is told in words."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:  # noqa: ARG002
        stream = io.BytesIO()
        torch.save(checkpoint, stream)
        write_whole(Path(path), stream.getbuffer())
