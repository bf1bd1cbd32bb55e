"""Run the exported networks of a release: probabilities, features of the last hidden layer, class activation maps.

The features and the maps before them are no outputs of an exported network. They are found in its graph and added as
outputs in memory; the file stays as it is. That works for networks that end in a mean over the last feature maps and one linear
layer (MobileNet, ResNet, DenseNet, Inception, Xception; not VGG). For these the class activation map of Zhou et al. 2016, the maps weighed
by the class's row of the linear layer, is exactly the Grad-CAM of Selvaraju et al. 2017 before its mean over gradients is scaled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from screening.edges.release import Release, verify_weights
from screening.errors import ContractError
from screening.stages.heat_map import enlarge_map

BATCH = 32
"""Photos at a time; what the exported graphs allow."""
_POOLING = {"ReduceMean", "GlobalAveragePool"}
_PASSED_THROUGH = {"Reshape", "Gather", "Flatten", "Squeeze", "Dropout", "Identity", "Cast"}
"""What an exporter puts between the mean over the maps and the linear layer, without changing a number."""


@dataclass(frozen=True)
class NetworkEnd:
    """Where a network's last hidden layer is found: tensor names, and the linear layer's weights (classes, features)."""

    maps: str
    features: str
    weights: np.ndarray


@dataclass(frozen=True)
class Network:
    """An exported member, ready to answer; ``end`` is None where its graph ends in another way."""

    name: str
    session: onnxruntime.InferenceSession
    end: NetworkEnd | None


def open_networks(model_repository: Path, release: Release) -> list[Network]:
    """Open the members of a release.

    Raises:
        ContractError: a member's file is not here, or is another than the release was made with.
    """
    verified = verify_weights(str(model_repository), release)
    if missing := [m.name for m in release.members if m.name not in verified]:
        raise ContractError(f"release {release.name}: no model.onnx of {', '.join(missing)} in {model_repository}")
    return [open_network(m.name, model_repository / m.name / m.version / "model.onnx") for m in release.members]


def open_network(name: str, file: Path) -> Network:
    """Open one exported network, with its last hidden layer as outputs where that is found."""
    model = onnx.load(file)
    end = find_end(model.graph)
    if end is not None:
        model.graph.output.extend(
            onnx.helper.make_tensor_value_info(tensor, onnx.TensorProto.FLOAT, None)
            for tensor in (end.maps, end.features)
        )
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return Network(name, session, end)


def find_end(graph: onnx.GraphProto) -> NetworkEnd | None:
    """Walk back from the probabilities to the linear layer, and from there to the mean over the last feature maps."""
    maker = {tensor: node for node in graph.node for tensor in node.output}
    constants = {i.name: i for i in graph.initializer}
    node = maker.get(graph.output[0].name)
    while node is not None and node.op_type in {"Softmax", "Div", "Mul", "Add", *_PASSED_THROUGH}:
        node = maker.get(node.input[0])
    if node is None or node.op_type not in {"Gemm", "MatMul"} or node.input[1] not in constants:
        return None
    weights, features = onnx.numpy_helper.to_array(constants[node.input[1]]), node.input[0]
    is_transposed = any(a.name == "transB" and a.i for a in node.attribute)
    before = maker.get(features)
    while before is not None and before.op_type in _PASSED_THROUGH:
        before = maker.get(before.input[0])
    if before is None or before.op_type not in _POOLING:
        return None
    return NetworkEnd(before.input[0], features, weights if is_transposed else weights.T)


def answer(networks: list[Network], pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Ask every network.

    Args:
        networks: of one release.
        pixels: shape (photos, height, width, 3), uint8.

    Returns:
        Probabilities, shape (members, photos, classes), and the features of all members side by side, each of mean
        length 1 so that none outweighs another, shape (photos, n); None where a network's end is not found.
    """
    probabilities, features = [], []
    for network in networks:
        wanted = ["probabilities"] + ([network.end.features] if network.end else [])
        parts = [network.session.run(wanted, {"pixels": part}) for part in _batches(pixels)]
        probabilities.append(np.concatenate([p[0] for p in parts]))
        if network.end:
            found = np.concatenate([p[1] for p in parts])
            features.append(found / np.linalg.norm(found, axis=1).mean())
    whole = len(features) == len(networks)
    return np.stack(probabilities).astype(float), np.concatenate(features, axis=1) if whole else None


def activation_maps(networks: list[Network], pixels: np.ndarray, classes: np.ndarray) -> np.ndarray | None:
    """Where each photo speaks for a class, as the mean of the networks: shape (photos, height, width), 0..1.

    Args:
        networks: of one release.
        pixels: shape (photos, side, side, 3), uint8.
        classes: shape (photos,), the class that is asked for, per photo.

    Returns:
        None where a network's end is not found.
    """
    height, width = pixels.shape[1:3]
    total = np.zeros((len(pixels), height, width))
    for network in networks:
        if network.end is None:
            return None
        parts = [network.session.run([network.end.maps], {"pixels": part})[0] for part in _batches(pixels)]
        maps = np.concatenate(parts)
        rows = network.end.weights[classes]
        found = np.maximum(np.einsum("pf,pfhw->phw", rows, maps), 0)
        total += np.stack([enlarge_map(one, height, width) for one in _to_one(found)])
    return _to_one(total)


def _to_one(maps: np.ndarray) -> np.ndarray:
    """Stretch each map to 0..1; an empty one stays 0."""
    most = maps.max(axis=(1, 2), keepdims=True)
    return np.asarray(np.divide(maps, most, out=np.zeros_like(maps, dtype=float), where=most > 0))


def _batches(pixels: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(pixels), BATCH):
        yield np.ascontiguousarray(pixels[start : start + BATCH])
