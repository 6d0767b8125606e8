"""What baselines are made of."""

from harness.ratios import Relative
from harness.timing import Timing

TOOLS = {"torch": "2.14.1", "onnx": "1.23.2", "onnxscript": "0.7.2", "onnx-ir": "1.1.0"}
MACHINE = {
    "cpu": {"name": "Some CPU", "cores": 2, "flags": ["avx2"]},
    "threads": 1,
    "versions": {"torch": "2.14.1", "onnxruntime": "1.31.1"},
}
TIMED = "tiny x2 on 64x64, plain, eager fp32"


def relative(*milliseconds: float, reference: float = 10.0, **kwargs: object) -> Relative:
    return Relative(Timing(milliseconds), Timing((reference,) * len(milliseconds)), **kwargs)
