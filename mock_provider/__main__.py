"""`python -m mock_provider`."""

from mock_provider.cli import app

app(prog_name="python -m mock_provider")
