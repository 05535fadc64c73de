"""Streamgauge: measures and checks streaming LLM endpoints.

Data flows one way: socket, reads, events, deltas, record, judgement, report.
"""

__version__ = "0.1.0"
