"""Exact deploy-time rewrites: the same function, cheaper."""

from .pipeline import REWRITES as REWRITES
from .pipeline import optimize as optimize
from .report import Decision as Decision
from .report import Report as Report
