"""As what chunks go to a GPU: the one place for what only a GPU can settle.

None has been asked yet: this is what asks least of the CPU. A report of gpu_check.py says under
`settled` what it would have here, and a test compares the two once docs/measurements holds one.
"""

from collections.abc import Mapping
from typing import Literal

Way = Literal["words", "planes"]
"""As nvCOMP's own halves and floats (or bytes), or as byte planes that the CPU splits."""

ANS: Mapping[int, Way] = {2: "words", 4: "words"}
"""How ANS codes elements by their width; what is not here, the CPU codes."""
BLOCK = 512 << 10
"""Raw bytes that nvCOMP codes with one table: each costs about 3 KB besides what it holds."""
PINNED = False
"""Whether the memory shared with a GPU process is page-locked."""
