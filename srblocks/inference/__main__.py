"""``python -m srblocks.inference``."""

import sys

from .cli import main

sys.exit(main())
