"""Property tests give the same examples on every run and judge no test by how long an example took.

`-n auto` is two processes a core: half of what the tests do is waiting.
"""

import os
import signal

from hypothesis import settings

settings.register_profile("streamgauge", deadline=None, derandomize=True)
settings.load_profile("streamgauge")

# A shell has SIGINT ignored in what it starts in the background, and that is inherited by all that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers() -> int:
    """See above."""
    return 2 * (os.cpu_count() or 1)
