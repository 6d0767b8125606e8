"""Stand-ins of each version of TensorRT, and models to build engines of."""

from pathlib import Path

import pytest

from helpers import tensorrt_standin
from helpers.support import write_artifact
from helpers.tensorrt_standin import MAJORS, Standin
from srblocks import load_pretrained, to_precision
from srblocks_export.config import ExportConfig


@pytest.fixture(params=MAJORS)
def standin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Standin:
    return tensorrt_standin.install(monkeypatch, request.param)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """FSRCNN as typed ONNX files in two precisions, and with one fixed shape."""
    folder = tmp_path_factory.mktemp("models")
    request = ExportConfig(formats=("onnx",), out=folder)
    net = load_pretrained("fsrcnn", scale=2)
    fixed = ExportConfig(formats=("onnx",), out=folder, shape=(1, 1, 8, 8))
    found = {"fp32": (net, request), "fp16": (to_precision(net, "fp16"), request), "fixed": (net, fixed)}
    for name, (model, wanted) in found.items():
        write_artifact(model, folder / f"{name}.onnx", wanted, reference=net)
    return {name: folder / f"{name}.onnx" for name in found}
