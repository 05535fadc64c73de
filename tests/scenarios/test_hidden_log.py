"""What a process of Locust writes shows no secret of the user. In a process of its own, because it changes the log."""

import subprocess
import sys

KEY = "sk-CANARYKEY0123456789"
SCRIPT = f"""
import logging, sys
logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(message)s")
from streamgauge.loadgen.job import TARGET_ENV
import os
os.environ[TARGET_ENV] = '{{"url": "http://h/", "headers": {{"X-Api-Key": "{KEY}"}}}}'
from streamgauge.scenarios.hidden_log import hide_log
hide_log()
hide_log()
logging.getLogger("locust.user.task").error("it says %s", "{KEY}")
try:
    raise ValueError("{KEY}")
except ValueError:
    logging.exception("with a traceback")
print("printed {KEY}")
sys.stderr.writelines(["written {KEY}\\n"])
sys.stdout.flush()
"""


def test_nothing_that_a_process_of_locust_writes_shows_a_secret() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert KEY not in done.stdout + done.stderr
    assert "ERROR it says ***" in done.stdout
    assert "ValueError: ***" in done.stdout
    assert "printed ***" in done.stdout
    assert done.stderr == "written ***\n"
