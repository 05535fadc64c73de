"""`python -m mock_provider.proxy`."""

from mock_provider.cli import proxy_app

proxy_app(prog_name="python -m mock_provider.proxy")
