"""ONNX files on other execution providers of ONNX Runtime: on the chosen device alone, or not at all."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from srblocks import load_pretrained
from srblocks_export import runtime
from srblocks_export.config import ExportConfig
from srblocks_export.errors import ExportError
from srblocks_export.export import export_network
from srblocks_export.formats.onnx.providers import PROVIDERS

RTX = PROVIDERS["tensorrt-rtx"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = ExportConfig(formats=("onnx",), out=tmp_path_factory.mktemp("model"), verify="off")
    (report,) = export_network(load_pretrained("fsrcnn", scale=2), config)
    assert report.path is not None
    return report.path


class Sessions:
    """Stand-in for onnxruntime with a plug-in whose nodes run on onnxruntime's CPU provider."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *names: str, plugin: str | None = None) -> None:
        self.names, self.added, self.entries = list(names), [], {}
        self.devices: list[Any] = []
        self.real = onnxruntime.InferenceSession
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [*names, "CPUExecutionProvider"])
        monkeypatch.setattr(onnxruntime, "get_ep_devices", lambda: self.devices)
        monkeypatch.setattr(onnxruntime, "InferenceSession", self.create)
        monkeypatch.setattr(onnxruntime, "SessionOptions", self.options)
        if plugin:
            module = ModuleType(plugin)
            module.__spec__ = SimpleNamespace(name=plugin)  # type: ignore[assignment]
            vars(module)["get_library_path"] = lambda: "plugin.so"
            monkeypatch.setitem(sys.modules, plugin, module)
            monkeypatch.setattr(onnxruntime, "register_execution_provider_library", self.register)

    def options(self) -> Any:
        return SimpleNamespace(
            add_session_config_entry=self.entries.__setitem__,
            add_provider_for_devices=lambda devices, options: self.added.append((devices[0].ep_name, options)),
        )

    def register(self, name: str, path: str) -> None:
        self.devices.append(SimpleNamespace(ep_name=RTX.names[0]))

    def create(self, content: bytes, options: Any, **given: Any) -> Any:
        session = self.real(content, providers=["CPUExecutionProvider"])
        wanted = [name for name, _ in given.get("providers", ())] or [name for name, _ in self.added]
        return SimpleNamespace(
            run=session.run,
            get_modelmeta=session.get_modelmeta,
            get_inputs=session.get_inputs,
            get_outputs=session.get_outputs,
            get_providers=lambda: [name for name in wanted if name in self.names],
        )


def test_missing_and_unknown_providers_are_errors(model: Path) -> None:
    for name, message in (
        ("cuda", "E401 onnxruntime has no provider cuda here; pip install onnxruntime-gpu"),
        ("tensorrt", "E401 onnxruntime has no provider tensorrt here; pip install onnxruntime-gpu tensorrt"),
        ("cpu", "E200 unknown provider 'cpu'; use tensorrt-rtx, tensorrt, cuda, openvino, or None for the CPU"),
    ):
        with pytest.raises(ExportError) as caught:
            runtime.load(model, provider=name)
        assert str(caught.value) == message
    with pytest.raises(ExportError, match=r"E901 no such file|E200 torchscript artifacts have no option provider"):
        runtime.load(model.with_suffix(".ts"), provider="cuda")


def test_plugin_runs_the_file_on_its_device(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lr = np.random.default_rng(0).random((1, 1, 9, 12), np.float32)
    expected = runtime.load(model)(lr)
    sessions = Sessions(monkeypatch, *RTX.names, plugin=RTX.plugin)
    artifact = runtime.load(model, provider="tensorrt-rtx")
    assert sessions.added == [("NvTensorRTRTXExecutionProvider", {})]
    assert sessions.entries["session.disable_cpu_ep_fallback"] == "1"
    assert artifact.device == "cuda:0"
    assert np.array_equal(artifact(lr), expected)
    runtime.load(model, provider="tensorrt-rtx")
    assert len(sessions.devices) == 1  # registered once per process


def test_plugin_without_driver_or_device_is_an_error(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions(monkeypatch, *RTX.names, plugin=RTX.plugin)
    monkeypatch.setattr(sessions, "register", lambda name, path: None)
    monkeypatch.setattr(onnxruntime, "register_execution_provider_library", lambda name, path: None)
    with pytest.raises(ExportError, match=r"E402 provider tensorrt-rtx supports no device of this machine"):
        runtime.load(model, provider="tensorrt-rtx")

    def fail(name: str, path: str) -> None:
        raise RuntimeError("Failed to load library: libcuda.so.1: cannot open shared object file")

    monkeypatch.setattr(onnxruntime, "register_execution_provider_library", fail)
    with pytest.raises(ExportError, match=r"E402 provider tensorrt-rtx does not load \(.*libcuda.so.1"):
        runtime.load(model, provider="tensorrt-rtx")


def test_fallback_to_the_cpu_is_refused(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions(monkeypatch, "CUDAExecutionProvider")
    assert runtime.load(model, provider="cuda").device == "cuda:0"
    sessions.names.clear()  # onnxruntime warns that CUDA's libraries are missing, and goes on
    with pytest.raises(ExportError, match=r"E402 provider cuda finds no usable device or library"):
        runtime.load(model, provider="cuda")

    def fail(*args: Any, **options: Any) -> None:
        raise RuntimeError("This session contains graph nodes that are assigned to the default CPU EP")

    monkeypatch.setattr(onnxruntime, "InferenceSession", fail)
    with pytest.raises(ExportError, match=r"E403 provider cuda does not run this file \(.*default CPU EP\)"):
        runtime.load(model, provider="cuda")
