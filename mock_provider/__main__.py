"""`python -m streamgauge.mock_provider`."""

from streamgauge.mock_provider.cli import app

app(prog_name="python -m streamgauge.mock_provider")
