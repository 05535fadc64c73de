"""`python -m streamgauge.mock_provider.proxy`."""

from streamgauge.mock_provider.cli import proxy_app

proxy_app(prog_name="python -m streamgauge.mock_provider.proxy")
