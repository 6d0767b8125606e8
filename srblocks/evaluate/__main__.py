"""`python -m srblocks.evaluate`."""

import sys

from .command import main

sys.exit(main())
