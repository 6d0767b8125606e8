"""Results of the half-precision measurements with trained weights, for integrations.

The tables of docs/precision.md are the source. After measuring again, update these constants:

    SRBLOCKS_DATA=folder python benchmarks/fp16.py --json fp16.json

`srblocks.integrations.spandrel` uses them to declare the precisions that a network supports.
"""

MEASURED_IN_FP16 = {
    "CARN": 1.0,
    "DRCN": 255.0,
    "ESPCN": 1.0,
    "FSRCNN": 1.0,
    "LapSRN": 1.0,
    "SRCNN": 1.0,
    "SRResNet": 1.0,
    "VDSR": 1.0,
}
"""Class whose trained weights were measured to fit into fp16 -> their value range."""

LIMITED_IN_BF16 = {"SAN": 1.0}
"""Class -> largest value range for which bf16 results stay above 30 dB; measured with random weights."""
