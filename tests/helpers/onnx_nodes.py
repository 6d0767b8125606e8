"""ONNX models with one node, and networks with operators that TensorRT does not support."""

import importlib
import pkgutil
from typing import Any

import numpy as np
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional as F

from srblocks.network import Network

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
MAP = (FLOAT, ["n", 4, "h", "w"])
AXES = np.array([1], np.int64)
COMPUTED = (INT64, [1])
SCALES = np.array([1, 1, 2, 2], np.float32)


def model_of(
    operator: str, *inputs: Any, outputs: tuple[Any, ...] = (MAP,), domain: str = "", **attributes: Any
) -> ModelProto:
    """Return a model with one node `net/odd`: arrays are constants, types with shapes are inputs, None is omitted."""
    names = ["" if value is None else f"in{place}" for place, value in enumerate(inputs)]
    pairs = list(zip(names, inputs, strict=True))
    node = helper.make_node(
        operator, names, [f"out{place}" for place in range(len(outputs))], "net/odd", domain=domain, **attributes
    )
    graph = helper.make_graph(
        [node],
        "graph",
        [helper.make_tensor_value_info(name, *value) for name, value in pairs if isinstance(value, tuple)],
        [helper.make_tensor_value_info(f"out{place}", *value) for place, value in enumerate(outputs)],
        [
            numpy_helper.from_array(np.asarray(value), name)
            for name, value in pairs
            if isinstance(value, (np.ndarray, np.generic))
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("other", 1)])


def resize(scales: Any = SCALES, **attributes: Any) -> ModelProto:
    return model_of("Resize", MAP, None, scales, **attributes)


def unsupported() -> list[tuple[ModelProto, str, list[str]]]:
    """Return models with one unsupported node, the reason, and the versions that do not support it."""
    return [
        (model_of("ReduceMax", MAP, AXES), "has its axes as an input", ["8.6"]),
        (model_of("ReduceSum", MAP, COMPUTED), "has computed axes", ["8.6", "10", "11"]),
        (resize(mode="linear", antialias=1), "has antialiasing", ["8.6", "10", "11"]),
        (resize(keep_aspect_ratio_policy="not_larger"), "keeps an aspect ratio", ["8.6", "10", "11"]),
        (
            resize(coordinate_transformation_mode="tf_crop_and_resize"),
            "maps coordinates otherwise",
            ["8.6", "10", "11"],
        ),
        (
            resize(np.array([1, 2, 2, 2], np.float32), mode="cubic"),
            "is cubic along an axis other than the last two",
            ["8.6", "10", "11"],
        ),
        (
            resize(np.array([2, 1, 1, 1], np.float32), mode="linear"),
            "is linear along an axis other than the last three",
            ["8.6", "10", "11"],
        ),
        (resize(SCALES[2:], axes=[2, 3]), "has an axes attribute", ["8.6"]),
        (model_of("MaxPool", MAP, kernel_shape=[3, 3], dilations=[2, 2]), "has dilations", ["8.6", "10", "11"]),
        (model_of("MaxPool", MAP, outputs=(MAP, MAP), kernel_shape=[2, 2]), "returns indices", ["8.6", "10", "11"]),
        (
            model_of("BatchNormalization", MAP, *[np.ones(4, np.float32)] * 4, outputs=(MAP,) * 3, training_mode=1),
            "is in training mode",
            ["8.6", "10", "11"],
        ),
        (
            model_of("ScatterND", MAP, np.zeros((1, 1), np.int64), MAP, reduction="add"),
            "has a reduction",
            ["8.6", "10", "11"],
        ),
        (model_of("ScatterElements", MAP, (INT64, MAP[1]), MAP, reduction="add"), "has a reduction", ["8.6"]),
        (model_of("EyeLike", (FLOAT, ["n", 4])), "has a dynamic size", ["8.6", "10", "11"]),
        (model_of("TopK", MAP, AXES, outputs=(MAP, (INT64, MAP[1])), sorted=0), "is unsorted", ["8.6", "10", "11"]),
        (model_of("CumSum", MAP, COMPUTED), "has a computed axis", ["8.6"]),
        (model_of("Unsqueeze", MAP, COMPUTED), "has computed axes", ["8.6"]),
        (model_of("Squeeze", MAP), "has no axes", ["8.6", "10"]),
        (model_of("Slice", MAP, AXES, AXES, COMPUTED), "has computed axes", ["8.6"]),
        (model_of("Pad", MAP, np.array([1, 1]), None, COMPUTED), "has computed axes", ["8.6"]),
        (model_of("Einsum", (FLOAT, ["n", 4, 4]), equation="bii->bi"), "has an ellipsis or a diagonal", ["8.6"]),
        (model_of("GridSample", (FLOAT, [1, 1, 2, 2, 2]), (FLOAT, [1, 2, 2, 2, 3])), "samples volumes", ["8.6", "10"]),
        (
            model_of("QuantizeLinear", MAP, np.float32(1), np.int8(3), outputs=((TensorProto.INT8, MAP[1]),)),
            "has a zero point other than 0",
            ["8.6", "10", "11"],
        ),
        (
            model_of("DequantizeLinear", (TensorProto.INT32, MAP[1]), np.float32(1)),
            "has elements of INT32",
            ["8.6", "10", "11"],
        ),
        (
            model_of("QuantizeLinear", MAP, np.float32(1), outputs=((TensorProto.UINT8, MAP[1]),)),
            "has neither zero point nor type",
            ["8.6", "10", "11"],
        ),
        (model_of("Col2Im", MAP, AXES, AXES), "has no TensorRT importer", ["8.6", "10", "11"]),
        (model_of("Relu", MAP, domain="other"), "has no TensorRT importer", ["8.6", "10", "11"]),
        (model_of("Gelu", MAP), "has no TensorRT importer before 10.15", ["8.6"]),
        (model_of("Swish", MAP), "has no TensorRT importer before 11.0", ["8.6", "10"]),
        (model_of("Cast", MAP, to=TensorProto.DOUBLE), "has elements of DOUBLE", ["8.6", "10", "11"]),
        (model_of("Relu", (TensorProto.BFLOAT16, [1])), "has elements of BFLOAT16", ["8.6"]),
        (
            model_of("Add", (TensorProto.UINT8, [1]), np.ones(1, np.uint8), outputs=((TensorProto.UINT8, [1]),)),
            "has elements of UINT8 between nodes",
            ["8.6", "10", "11"],
        ),
    ]


def supported() -> list[ModelProto]:
    """Return models with one node that every version supports."""
    return [
        model_of("ReduceSum", MAP, AXES),
        model_of("ReduceMax", MAP),
        resize(mode="cubic", antialias=0),
        resize(np.array([1, 2, 2, 2], np.float32), mode="linear"),
        resize(np.array([2, 2, 2, 2], np.float32), mode="nearest"),
        model_of("MaxPool", MAP, kernel_shape=[3, 3], dilations=[1, 1]),
        model_of("EyeLike", (FLOAT, [4, 4])),
        model_of("Unsqueeze", MAP, AXES),
        model_of("Slice", MAP, COMPUTED, COMPUTED, AXES),
        model_of("Einsum", MAP, MAP, equation="bchw, bdhw -> bcd"),
        model_of("Cast", (TensorProto.UINT8, MAP[1]), to=FLOAT),
        model_of("Conv", (TensorProto.FLOAT16, MAP[1]), np.ones((4, 4, 1, 1), np.float16)),
    ]


def published() -> list[ModelProto]:
    """Return ONNX's own test models with one node; all inputs but the first become constants.

    Those of pooling are left out: computing their expected outputs takes ten seconds.
    """
    from onnx.backend.test.case import node as onnx_cases

    for module in pkgutil.iter_modules(onnx_cases.__path__):
        if not module.name.endswith("pool"):
            importlib.import_module(f"{onnx_cases.__name__}.{module.name}")
    models: list[ModelProto] = []
    for case in onnx_cases._NodeTestCases:
        model = ModelProto()
        model.CopyFrom(case.model)
        if len(model.graph.node) > 1:
            continue
        for value, array in list(zip(model.graph.input, case.data_sets[0][0], strict=True))[1:]:
            if isinstance(array, np.ndarray):
                model.graph.initializer.append(numpy_helper.from_array(array, value.name))
                model.graph.input.remove(value)
        models.append(model)
    return models


class Fold(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.fold(x.flatten(2).repeat(1, 4, 1), (2 * x.shape[2], 2 * x.shape[3]), 2, stride=2)


class Antialiased(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2.0, mode="bicubic", antialias=True)


class Maximum(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x - x.amax(1, keepdim=True)


class Wrapper(Network):
    """Network with one convolution and a given module."""

    def __init__(self, inner: nn.Module, scale: int = 1) -> None:
        super().__init__(scale=scale, image_channels=2, min_size=4)
        self.body = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), inner)

    def forward(self, lr: Tensor) -> Tensor:
        return self.body(lr)


class Halved(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[..., ::2, ::2]


class Scattered(nn.Module):
    """Scatters twice; TensorRT for RTX rejects only the second, which has a reduction."""

    def forward(self, x: Tensor) -> Tensor:
        places = torch.zeros_like(x, dtype=torch.int64)
        return x.scatter(1, places, x).scatter_reduce(1, places, x, "amax")
