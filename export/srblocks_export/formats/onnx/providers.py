"""Execution providers of ONNX Runtime: a session runs on the chosen one alone, or is refused."""

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...errors import ExportError, first_line

_NO_CPU = "session.disable_cpu_ep_fallback"


@dataclass(frozen=True)
class Provider:
    """An execution provider.

    Attributes:
        names: ONNX Runtime's names of it and of those that may run the rest of a graph.
        install: command that installs it.
        plugin: module of its plug-in wheel; None for providers that are built into ONNX Runtime.
        options: options of the provider.
        device: device that it runs on, by torch's name.
    """

    names: tuple[str, ...]
    install: str
    plugin: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    device: str = "cuda:0"


PROVIDERS = {
    "tensorrt-rtx": Provider(
        ("NvTensorRTRTXExecutionProvider",),
        "pip install onnxruntime-ep-nv-tensorrt-rtx-cu13",
        "onnxruntime_ep_nv_tensorrt_rtx",
    ),
    "tensorrt": Provider(
        ("TensorrtExecutionProvider", "CUDAExecutionProvider"), "pip install onnxruntime-gpu tensorrt"
    ),
    "cuda": Provider(("CUDAExecutionProvider",), "pip install onnxruntime-gpu"),
    "openvino": Provider(
        ("OpenVINOExecutionProvider",),
        "pip install onnxruntime-ep-openvino",
        "onnxruntime_ep_openvino",
        (("precision", "ACCURACY"),),  # that of the file; the default may be lower
        "cpu",
    ),
}
"""Providers other than the CPU's by the names that `runtime.load` takes."""


def new_session(runtime: Any, model: bytes, options: Any, name: str) -> Any:
    """Return a session in which no node runs on ONNX Runtime's own CPU provider.

    Args:
        runtime: the module onnxruntime.
        model: content of the ONNX file.
        options: session options.
        name: one of `PROVIDERS`.

    Raises:
        ExportError: E200, unknown provider; E401, it is not installed; E402, it finds no device; E403, it does not run
            every node of the model.
    """
    if name not in PROVIDERS:
        raise ExportError(200, f"unknown provider {name!r}", f"use {', '.join(PROVIDERS)}, or None for the CPU")
    provider = PROVIDERS[name]
    options.add_session_config_entry(_NO_CPU, "1")
    if provider.plugin and importlib.util.find_spec(provider.plugin):
        _add_plugin(runtime, options, name, provider)
        return _session(name, lambda: runtime.InferenceSession(model, options), provider)
    if provider.names[0] not in runtime.get_available_providers():
        raise ExportError(401, f"onnxruntime has no provider {name} here", provider.install)
    rows = [(each, dict(provider.options) if each == provider.names[0] else {}) for each in provider.names]
    return _session(
        name, lambda: runtime.InferenceSession(model, options, providers=rows, enable_fallback=False), provider
    )


def _add_plugin(runtime: Any, options: Any, name: str, provider: Provider) -> None:
    """Register the plug-in in this process and select its first device."""
    assert provider.plugin
    module = importlib.import_module(provider.plugin)
    if not _devices(runtime, provider):
        try:
            runtime.register_execution_provider_library(provider.plugin, module.get_library_path())
        except Exception as error:  # onnxruntime raises its own types, such as Fail if libcuda is missing
            cause = f"provider {name} does not load ({first_line(error)})"
            raise ExportError(402, cause, "run it on a machine with its device and driver") from error
    found = _devices(runtime, provider)
    if not found:
        raise ExportError(402, f"provider {name} supports no device of this machine", "run it on another machine")
    options.add_provider_for_devices(found[:1], dict(provider.options))


def _devices(runtime: Any, provider: Provider) -> list[Any]:
    return [device for device in runtime.get_ep_devices() if device.ep_name == provider.names[0]]


def _session(name: str, create: Callable[[], Any], provider: Provider) -> Any:
    try:
        session = create()
    except Exception as error:  # onnxruntime raises its own types, also for nodes that would run on the CPU
        cause = f"provider {name} does not run this file ({first_line(error)})"
        raise ExportError(403, cause, "use another provider") from error
    if provider.names[0] not in session.get_providers():
        cause = f"provider {name} finds no usable device or library"
        raise ExportError(402, cause, "see onnxruntime's messages, and install its CUDA and TensorRT libraries")
    return session
