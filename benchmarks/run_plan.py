"""Run a TensorRT engine on saved images, compare and time it; needs NumPy, tensorrt and the CUDA driver alone.

    python benchmarks/run_plan.py MODEL.engine MODEL.npz

The folder of `trt_engine` must be on PYTHONPATH. The .npz file has images "lr" and the expected output "sr". Prints one
line of JSON: largest error relative to the standard deviation, PSNR for a peak of 1, and latency in milliseconds. Exit
code 1 if the error is above a limit for half precision. Python 3.9.
"""

import ctypes
import json
import sys
from pathlib import Path

import numpy as np
from trt_engine import TENSORRT, library_logger

LIMIT = 0.05
RUNS = 200


class Driver:
    """The calls of the CUDA driver that an engine needs."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libcuda.so.1")
        device, context, self.stream = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_void_p()
        self("cuInit", 0)
        self("cuDeviceGet", ctypes.byref(device), 0)
        self("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self("cuCtxSetCurrent", context)
        self("cuStreamCreate", ctypes.byref(self.stream), 0)

    def __call__(self, name: str, *arguments: object) -> None:
        """Call a function of the driver; raise RuntimeError if it fails."""
        if code := getattr(self._library, name)(*arguments):
            raise RuntimeError(f"{name} failed with CUDA error {code}")

    def memory(self, array: np.ndarray) -> ctypes.c_uint64:
        """Return device memory with the content of an array."""
        address = ctypes.c_uint64()
        self("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(array.nbytes))
        self("cuMemcpyHtoD_v2", address, array.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(array.nbytes))
        return address

    def read(self, array: np.ndarray, address: ctypes.c_uint64) -> None:
        """Copy device memory to an array."""
        self("cuMemcpyDtoH_v2", array.ctypes.data_as(ctypes.c_void_p), address, ctypes.c_size_t(array.nbytes))

    def event(self) -> ctypes.c_void_p:
        """Return a new event."""
        event = ctypes.c_void_p()
        self("cuEventCreate", ctypes.byref(event), 0)
        return event


def main(plan: Path, images: Path) -> int:
    trt = TENSORRT.load()
    with np.load(images) as saved:
        lr, expected = np.ascontiguousarray(saved["lr"]), saved["sr"]
    driver = Driver()
    logger = library_logger(trt)
    engine = trt.Runtime(logger).deserialize_cuda_engine(plan.read_bytes())
    if engine is None:
        sys.exit(f"TensorRT cannot load {plan}: {logger.reason}")
    context = engine.create_execution_context()
    context.set_input_shape("lr", lr.shape)
    sr = np.full(expected.shape, np.nan, np.float32)  # values that the engine does not write stay NaN
    source, target = driver.memory(lr), driver.memory(sr)
    context.set_tensor_address("lr", source.value)
    context.set_tensor_address("sr", target.value)
    start, end, times = driver.event(), driver.event(), []
    for _ in range(RUNS):
        driver("cuEventRecord", start, driver.stream)
        context.execute_async_v3(driver.stream.value)
        driver("cuEventRecord", end, driver.stream)
        driver("cuEventSynchronize", end)
        elapsed = ctypes.c_float()
        driver("cuEventElapsedTime", ctypes.byref(elapsed), start, end)
        times.append(elapsed.value)
    driver.read(sr, target)
    difference = sr.astype(np.float64) - expected
    error = float(np.abs(difference).max() / expected.std())
    figures = {
        "tensorrt": trt.__version__,
        "max_error": error,
        "psnr_db": float(-10 * np.log10(max(float((difference**2).mean()), 1e-30))),
        "ms": {f"p{part}": float(np.percentile(times[10:], part)) for part in (10, 50, 90)},
    }
    print(json.dumps(figures))
    return int(not error <= LIMIT)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
