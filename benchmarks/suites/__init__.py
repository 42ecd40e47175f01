"""What asv runs: each module a suite, thin over the table of the same name in `cases`."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))  # for `cases`, and the programs beside it
