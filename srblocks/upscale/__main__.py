"""`python -m srblocks.upscale`."""

import sys

from .command import main

sys.exit(main())
