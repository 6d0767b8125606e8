"""What half precision was measured to do to trained weights, for those who promise it to others.

The tables of README.md beside this file are the source. After measuring again, bring these up to date:

    SRBLOCKS_DATA=folder python benchmarks/fp16.py --json fp16.json

`srblocks.integrations.spandrel` tells hosts by them which precision a network takes.
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
"""Classes of which trained weights were seen to fit in fp16 -> the value range of these."""

LIMITED_IN_BF16 = {"SAN": 1.0}
"""Classes whose results in bf16 are far off, below 30 dB, in a larger value range than this; of drawn weights."""
