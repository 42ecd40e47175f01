"""What asv runs, thin over the tables of `cases`."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))  # for `cases`, and the programs beside it
