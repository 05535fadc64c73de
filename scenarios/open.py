"""Open loop: streams start when the schedule says so, however long the earlier streams take.

`streamgauge load URL --rate 20/s` runs this file and passes it the schedule.
"""

from streamgauge.scenarios.arrivals import ArrivalsUser


class OpenUser(ArrivalsUser):
    """Every arrival makes one request and reads the whole answer."""
