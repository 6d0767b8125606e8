"""Exact inference-time rewrites: the same function with fewer operations and less memory."""

from .pipeline import REWRITES as REWRITES
from .pipeline import optimize as optimize
from .report import Decision as Decision
from .report import Report as Report
