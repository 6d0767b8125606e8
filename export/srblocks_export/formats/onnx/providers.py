"""Execution providers of ONNX Runtime: a session runs on the chosen one alone, or is refused."""

import contextlib
import ctypes
import functools
import importlib
import importlib.util
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import ExportError, first_line
from ..quiet import quiet

_CUDA, _OPENVINO = "CUDAExecutionProvider", "OpenVINOExecutionProvider"
_GPU_WHEEL = 'pip uninstall onnxruntime && pip install "onnxruntime-gpu[cuda,cudnn]"'
_NO_CPU = "session.disable_cpu_ep_fallback"
_FATAL = 4
_CUDA_FAILURE = re.compile(r"CUDA failure \d+: [^;\n]+\b")

# The defaults compute in TF32 and, on CPUs that have it, in bf16.
_PRECISE = {
    _CUDA: {"use_tf32": "0"},
    _OPENVINO: {"load_config": json.dumps({"CPU": {"EXECUTION_MODE_HINT": "ACCURACY"}})},
}
"""Options with which a provider computes in the precision of the graph."""


@dataclass(frozen=True)
class Provider:
    """An execution provider.

    Attributes:
        names: ONNX Runtime's names of it and of those that may run the rest of a graph.
        install: command that installs it.
        needs: what else it needs to run.
        plugin: module of its plug-in wheel; None for providers that are built into ONNX Runtime only.
        loads: module whose import loads libraries that it needs; None if there is none.
        device: device that it runs on, by torch's name.
    """

    names: tuple[str, ...]
    install: str
    needs: str
    plugin: str | None = None
    loads: str | None = None
    device: str = "cuda:0"


PROVIDERS = {
    "tensorrt-rtx": Provider(
        ("NvTensorRTRTXExecutionProvider",),
        "pip install onnxruntime-ep-nv-tensorrt-rtx-cu13",
        "an RTX GPU and its driver",
        plugin="onnxruntime_ep_nv_tensorrt_rtx",
    ),
    "tensorrt": Provider(
        ("TensorrtExecutionProvider", _CUDA),
        f"{_GPU_WHEEL} tensorrt",
        "an NVIDIA GPU, its driver, CUDA, cuDNN and TensorRT",
        loads="tensorrt",
    ),
    "cuda": Provider(
        (_CUDA,),
        _GPU_WHEEL,
        "an NVIDIA GPU, its driver, CUDA and cuDNN",
    ),
    "openvino": Provider(
        (_OPENVINO,),
        "pip install onnxruntime-ep-openvino",
        "an Intel CPU, or on other CPUs onnxruntime-openvino instead of onnxruntime",
        plugin="onnxruntime_ep_openvino",
        device="cpu",
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
        ExportError: E200, unknown provider; E401, it is not installed; E402, it does not load or finds no device; E403,
            it does not run every node of the model.
        Exception: onnxruntime's own errors for an invalid model.
    """
    if name not in PROVIDERS:
        raise ExportError(200, f"unknown provider {name!r}", f"use {', '.join(PROVIDERS)}, or None for the CPU")
    provider = PROVIDERS[name]
    options.add_session_config_entry(_NO_CPU, "1")
    options.log_severity_level = _FATAL  # errors are raised
    create = functools.partial(runtime.InferenceSession, model, options, enable_fallback=False)
    if provider.plugin and importlib.util.find_spec(provider.plugin):
        _add_plugin(runtime, options, name, provider)
    elif provider.names[0] in runtime.get_available_providers():
        _load_libraries(runtime, provider)
        create = functools.partial(create, providers=[(each, _PRECISE.get(each, {})) for each in provider.names])
    else:
        raise ExportError(401, f"onnxruntime has no provider {name} here", provider.install)
    return _session(runtime, name, create)


def _add_plugin(runtime: Any, options: Any, name: str, provider: Provider) -> None:
    """Select the first device of a plug-in."""
    assert provider.plugin
    try:
        register(runtime, provider.plugin)
    except Exception as error:  # onnxruntime raises its own types, such as Fail if libcuda is missing
        raise _unusable(name, f"does not load ({first_line(error)})") from error
    kind = "CPU" if provider.device == "cpu" else "GPU"
    for device in runtime.get_ep_devices():
        if device.ep_name == provider.names[0] and device.device.type.name == kind:
            return options.add_provider_for_devices([device], _PRECISE.get(device.ep_name, {}))
    raise _unusable(name, f"supports no {kind} of this machine")


@functools.cache
def register(runtime: Any, plugin: str) -> None:
    """Register a plug-in, once per process."""
    runtime.register_execution_provider_library(plugin, importlib.import_module(plugin).get_library_path())


def _load_libraries(runtime: Any, provider: Provider) -> None:
    """Load CUDA and TensorRT from their wheels, where onnxruntime does not search."""
    with quiet(), contextlib.suppress(ImportError, OSError):
        runtime.preload_dlls()
        if provider.loads:
            importlib.import_module(provider.loads)


def _session(runtime: Any, name: str, create: Callable[[], Any]) -> Any:
    errors = runtime.capi.onnxruntime_pybind11_state
    try:
        session = create()
    except (errors.InvalidProtobuf, errors.InvalidGraph):
        raise
    except Exception as error:  # onnxruntime raises its own types, also for nodes that would run on the CPU
        if problem := _problem(runtime, name, error):
            raise _unusable(name, f"does not load ({problem})") from error
        cause = f"provider {name} does not run this file ({first_line(error)})"
        raise ExportError(403, cause, "use another provider, or export with a fixed --shape") from error
    if PROVIDERS[name].names[0] not in session.get_providers():
        raise _unusable(name, f"does not load ({_problem(runtime, name) or 'see the messages of onnxruntime'})")
    return session


def _problem(runtime: Any, name: str, error: Exception | None = None) -> str | None:
    """Return why a provider cannot run anything here; None if nothing is known.

    Where its library does not load, onnxruntime goes on without it and only prints the reason.
    """
    if found := _CUDA_FAILURE.search(str(error)):
        return found[0]
    try:
        for library in Path(runtime.capi.__file__).parent.glob(f"*onnxruntime_providers_{name}.*"):
            ctypes.CDLL(str(library))
    except OSError as problem:
        return first_line(problem)
    return None


def _unusable(name: str, cause: str) -> ExportError:
    return ExportError(402, f"provider {name} {cause}", f"it needs {PROVIDERS[name].needs}")
