"""timestamp, input_length and output_length alone: guidellm writes seconds there, Mooncake without blocks milliseconds.

The names do not say which. Fractions speak for seconds, and the rate of arrivals decides or contradicts.
"""

from streamgauge.loadgen.traces.format import TraceFormat, names
from streamgauge.loadgen.traces.mooncake import read
from streamgauge.loadgen.traces.time_unit import Evidence

FORMAT = TraceFormat(
    key="lengths",
    name="input_length and output_length",
    columns=(names("timestamp, input_length"), names("timestamp, output_length")),
    fields="timestamp, input_length, output_length",
    time=lambda seen: Evidence("s" if seen.fractions else None),
    time_text="seconds (guidellm) or milliseconds, by the values",
    read=read,
)
