"""Property tests give the same examples on every run and judge no test by how long an example took."""

from hypothesis import settings

settings.register_profile("streamgauge", deadline=None, derandomize=True)
settings.load_profile("streamgauge")
