"""An open loop: streams start by a schedule, however long the earlier ones take.

`streamgauge load URL --rate 20/s` runs this file and passes it the schedule.
"""

from streamgauge.scenarios.arrivals import ArrivalsUser


class OpenUser(ArrivalsUser):
    """Every arrival asks once and reads the whole answer."""
