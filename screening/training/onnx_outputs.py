"""More answers from an exported network: how far a photo is from the training photos, and where each disease is seen.

They are added to the finished graph, behind its own layers, so that they are the same for any architecture and cannot
change a probability.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from screening.errors import ContractError
from screening.training.outliers import OutlierModel

PROBABILITIES, DISTANCE, HEAT_MAPS = "probabilities", "outlier_distance", "heat_maps"
_SCALES = {"Softmax", "Div", "Mul", "Identity", "Cast"}
_SHAPES = {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout", "Gather", "Transpose", "Cast"}
_POOLS = {"ReduceMean", "GlobalAveragePool"}
_PHOTOS_AT_ONCE = 4


@dataclass(frozen=True)
class Tail:
    """The end of a classifier: names of tensors, and the weights of the last layer.

    ``features`` (photos, features) go into the last layer, whose ``weights`` are (classes, features). ``maps`` (photos,
    features, rows, columns) were averaged to the features; None where they were not.
    """

    features: str
    weights: np.ndarray
    maps: str | None


def find_tail(model: onnx.ModelProto) -> Tail:
    """Walk back from the probabilities.

    Raises:
        ContractError: the last layer is not linear.
    """
    made_by = {output: node for node in model.graph.node for output in node.output}
    constants = {c.name: c for c in model.graph.initializer}
    last = made_by[PROBABILITIES]
    while last.op_type in _SCALES:
        last = made_by[last.input[0]]
    if last.op_type == "Add":
        last = next((made_by[i] for i in last.input if i in made_by), last)
    if last.op_type not in ("Gemm", "MatMul") or last.input[1] not in constants:
        raise ContractError(f"exported network: its last layer is {last.op_type}, expected a linear one")
    weights = numpy_helper.to_array(constants[last.input[1]])
    is_transposed = any(a.name == "transB" and a.i for a in last.attribute)
    features = last.input[0]
    node = made_by.get(features)
    while node is not None and node.op_type in _SHAPES:
        node = made_by.get(node.input[0])
    maps = node.input[0] if node is not None and node.op_type in _POOLS and _averages_places(node, constants) else None
    return Tail(features, weights if is_transposed else weights.T, maps)


def _averages_places(pool: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> bool:
    """Whether a node averages the last two axes of (photos, features, rows, columns)."""
    if pool.op_type == "GlobalAveragePool":
        return True
    axes = [list(a.ints) for a in pool.attribute if a.name == "axes"]
    if len(pool.input) > 1 and pool.input[1] in constants:
        axes = [numpy_helper.to_array(constants[pool.input[1]]).tolist()]
    return bool(axes) and sorted(axis % 4 for axis in axes[0]) == [2, 3]


def read_features(file: Path, pixels: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Pooled features of photos: shape (photos, features), float32.

    Args:
        file: exported network.
        pixels: shape (all photos, 256, 256, 3), uint8.
        rows: which of them.
    """
    model = onnx.load(file)
    features = find_tail(model).features
    if features not in {output.name for output in model.graph.output}:
        model.graph.output.append(helper.make_tensor_value_info(features, TensorProto.FLOAT, None))
    return np.concatenate(list(_answers(model.SerializeToString(), features, pixels, rows)))


def read_output(file: Path, output: str, pixels: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """One output of an exported network for photos; arguments as of ``read_features``."""
    return np.concatenate(list(_answers(file.read_bytes(), output, pixels, rows)))


def _answers(model: bytes, output: str, pixels: np.ndarray, rows: np.ndarray) -> Iterator[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # it warns of the shape that it is not told
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    for start in range(0, len(rows), _PHOTOS_AT_ONCE):
        yield session.run([output], {"pixels": np.asarray(pixels[rows[start : start + _PHOTOS_AT_ONCE]])})[0]


def add_outputs(file: Path, outliers: OutlierModel) -> bool:
    """Add ``outlier_distance``, shape (photos, 1), and ``heat_maps``, shape (photos, classes, rows, columns).

    A heat map is the class's weights times the maps of features (Zhou et al. 2016), which for a network that averages
    them is Grad-CAM's (Selvaraju et al. 2017). Other networks get none.

    Returns:
        Whether there are heat maps.
    """
    model = onnx.load(file)
    tail = find_tail(model)
    graph = model.graph
    photos = next(o for o in graph.output if o.name == PROBABILITIES).type.tensor_type.shape.dim[0].dim_param

    def constant(name: str, value: np.ndarray) -> str:
        graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    axis = constant("outlier.axis", np.array([1], np.int64))
    mean = constant("outlier.mean", outliers.mean.astype(np.float32))
    directions = constant("outlier.directions", outliers.directions.astype(np.float32))
    scale = constant("outlier.median", np.array(outliers.median, np.float32))
    zero = constant("outlier.zero", np.array(0.0, np.float32))
    graph.node.extend(
        [
            helper.make_node("Sub", [tail.features, mean], ["outlier.centred"]),
            helper.make_node("MatMul", ["outlier.centred", directions], ["outlier.inside"]),
            helper.make_node("ReduceSumSquare", ["outlier.centred", axis], ["outlier.all"], keepdims=1),
            helper.make_node("ReduceSumSquare", ["outlier.inside", axis], ["outlier.within"], keepdims=1),
            helper.make_node("Sub", ["outlier.all", "outlier.within"], ["outlier.outside"]),
            # Rounding may take a photo of the subspace itself below nothing.
            helper.make_node("Max", ["outlier.outside", zero], ["outlier.distance"]),
            helper.make_node("Div", ["outlier.distance", scale], [DISTANCE]),
        ]
    )
    graph.output.append(helper.make_tensor_value_info(DISTANCE, TensorProto.FLOAT, [photos, 1]))
    if tail.maps is not None:
        weights = constant("heat_maps.weights", np.ascontiguousarray(tail.weights[:, :, None, None], np.float32))
        graph.node.append(helper.make_node("Conv", [tail.maps, weights], [HEAT_MAPS], kernel_shape=[1, 1]))
        shape = [photos, len(tail.weights), None, None]
        graph.output.append(helper.make_tensor_value_info(HEAT_MAPS, TensorProto.FLOAT, shape))
    onnx.checker.check_model(model)
    onnx.save(model, file)
    return tail.maps is not None
