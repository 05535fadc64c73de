"""Streamgauge: measures and checks streaming LLM endpoints.

Data flows one way: socket, reads, events, deltas, record, judgement, report.
"""

from streamgauge.version import __version__

__all__ = ["__version__"]
