"""ONNX files on other execution providers of ONNX Runtime: on the chosen device alone, or not at all."""

import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from helpers.support import relative_error
from srblocks import load_pretrained
from srblocks_export import runtime
from srblocks_export.config import ExportConfig
from srblocks_export.errors import ExportError
from srblocks_export.export import export_network
from srblocks_export.formats.onnx.providers import PROVIDERS, register

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
        self.given: dict[str, Any] = {}
        register.cache_clear()
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
            add_provider_for_devices=lambda devices, options: self.added.append(
                (devices[0].ep_name, devices[0].device.type.name, options)
            ),
        )

    def register(self, name: str, path: str) -> None:
        for kind in ("NPU", "GPU"):
            device = SimpleNamespace(type=SimpleNamespace(name=kind))
            self.devices.append(SimpleNamespace(ep_name=RTX.names[0], device=device))

    def create(self, content: bytes, options: Any, **given: Any) -> Any:
        self.given = given
        session = self.real(content, providers=["CPUExecutionProvider"])
        wanted = [name for name, _ in given.get("providers", ())] or [name for name, *_ in self.added]
        return SimpleNamespace(
            run=session.run,
            get_modelmeta=session.get_modelmeta,
            get_inputs=session.get_inputs,
            get_outputs=session.get_outputs,
            get_providers=lambda: [name for name in wanted if name in self.names],
        )


def test_missing_and_unknown_providers_are_errors(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    for name, message in (
        (
            "tensorrt",
            "E401 onnxruntime has no provider tensorrt here; "
            'pip uninstall onnxruntime && pip install "onnxruntime-gpu[cuda,cudnn]" tensorrt',
        ),
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
    assert sessions.added == [("NvTensorRTRTXExecutionProvider", "GPU", {})]
    assert sessions.entries["session.disable_cpu_ep_fallback"] == "1"
    assert sessions.given == {"enable_fallback": False}
    assert artifact.device == "cuda:0"
    assert np.array_equal(artifact(lr), expected)
    runtime.load(model, provider="tensorrt-rtx")
    assert len(sessions.devices) == 2  # registered once per process


def test_plugin_without_driver_or_device_is_an_error(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions(monkeypatch, *RTX.names, plugin=RTX.plugin)
    monkeypatch.setattr(sessions, "register", lambda name, path: None)
    monkeypatch.setattr(onnxruntime, "register_execution_provider_library", lambda name, path: None)
    with pytest.raises(ExportError, match=r"E402 .* supports no GPU of this machine; it needs an RTX GPU"):
        runtime.load(model, provider="tensorrt-rtx")

    def fail(name: str, path: str) -> None:
        raise RuntimeError("Failed to load library: libcuda.so.1: cannot open shared object file")

    monkeypatch.setattr(onnxruntime, "register_execution_provider_library", fail)
    register.cache_clear()
    with pytest.raises(ExportError, match=r"E402 provider tensorrt-rtx does not load \(.*libcuda.so.1"):
        runtime.load(model, provider="tensorrt-rtx")


def test_fallback_to_the_cpu_is_refused(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions(monkeypatch, "CUDAExecutionProvider")
    assert runtime.load(model, provider="cuda").device == "cuda:0"
    assert sessions.given["providers"] == [("CUDAExecutionProvider", {"use_tf32": "0"})]
    monkeypatch.setattr(sys.modules["onnxruntime.capi"], "__file__", str(tmp_path / "__init__.py"))
    sessions.names.clear()  # as if onnxruntime went on without the provider, with a message on standard error
    with pytest.raises(ExportError, match=r"E402 provider cuda does not load \(see the messages of onnxruntime\)"):
        runtime.load(model, provider="cuda")
    library = tmp_path / "libonnxruntime_providers_cuda.so"
    library.write_bytes(b"no library")
    with pytest.raises(ExportError, match=rf"E402 provider cuda does not load \({library}: .*; it needs an NVIDIA GPU"):
        runtime.load(model, provider="cuda")
    library.unlink()
    for message, expected in (
        ("nodes that are assigned to the default CPU EP", "E403 provider cuda does not run this file (nodes that are"),
        (
            "cuda.cc:1 CUDA failure 100: no device ; GPU=-1",
            "E402 provider cuda does not load (CUDA failure 100: no device)",
        ),
    ):

        def fail(*args: Any, message: str = message, **options: Any) -> None:
            raise RuntimeError(message)

        monkeypatch.setattr(onnxruntime, "InferenceSession", fail)
        with pytest.raises(ExportError) as caught:
            runtime.load(model, provider="cuda")
        assert str(caught.value).startswith(expected)


def test_damaged_file_is_no_fault_of_the_provider(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions(monkeypatch, "CUDAExecutionProvider")
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(model.read_bytes()[:-100])
    with pytest.raises(ExportError, match=r"E901 .*damaged.onnx cannot be loaded as onnx"):
        runtime.load(damaged, provider="cuda")
    assert sessions.given["providers"]


def test_installed_providers_agree_with_the_cpu(model: Path) -> None:
    available = onnxruntime.get_available_providers()
    installed = [
        name
        for name, provider in PROVIDERS.items()
        if provider.names[0] in available or (provider.plugin and find_spec(provider.plugin))
    ]
    if not installed:
        pytest.skip("no other provider is installed")
    lr = torch.rand(2, 1, 9, 12)
    for name in installed:
        try:
            artifact = runtime.load(model, provider=name)
        except ExportError as error:
            assert error.number == 402, str(error)
        else:
            assert relative_error(artifact(lr), runtime.load(model)(lr)) < 1e-4, name
